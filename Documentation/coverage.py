#!/usr/bin/env python3
"""coverage.py: which tests prove which promise of etcd's interface; writes Coverage.md.

    Documentation/coverage.py            writes Documentation/Coverage.md anew
    Documentation/coverage.py --check    says what is wrong with it, and ends with status 1 if anything is

Belongs here: finding evidence in the sources of tests. Never here: promises (coverage.tsv), tests.
A rule's evidence is a test that names it; that of an error a test that holds its text, or a constant or a
case that stands for it; that of an RPC a test that calls it. A row without evidence needs a reason in
coverage.tsv. Standard library only.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "Documentation" / "Coverage.md"
ROWS = ROOT / "Documentation" / "coverage.tsv"
SHOWN_MAX = 4
RULE = re.compile(r"(?<![A-Za-z0-9])([GRPDTCWLAMKXS]\d{1,2})(?![A-Za-z0-9])")


@dataclass
class Test:
    """One test: where it is, what it is called, and its source."""

    file: str
    name: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.file}: {self.name}"


@dataclass
class Row:
    """One promise."""

    kind: str
    name: str
    evidence: list[str]  # regular expressions, beside what its kind is looked for by
    reason: str
    tests: list[Test] = field(default_factory=list)


def read_rows() -> list[Row]:
    rows = []
    for line in ROWS.read_text().splitlines():
        if line and not line.startswith("#"):
            kind, name, evidence, reason = line.split("\t")
            rows.append(Row(kind, name, evidence.split() if evidence != "-" else [],
                            "" if reason == "-" else reason))
    return rows


def python_tests() -> list[Test]:
    """Functions that begin with test_, each with the parameters that decorate it."""
    tests = []
    for path in sorted((ROOT / "Tests/Conformance").glob("test_*.py")):
        source = path.read_text()
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                text = "\n".join(lines[first - 1:node.end_lineno])
                # What a name holds between underscores are words too; `a5` in it is rule A5.
                words = re.sub(r"\b[a-z]\d{1,2}\b", lambda found: found[0].upper(),
                               node.name.replace("_", " "))
                tests.append(Test(path.name, node.name, f"{words}\n{text}"))
    return tests


def tour_tests() -> list[Test]:
    """The scenarios of tour.txt, as etcdctl goes through them."""
    pieces = re.split(r"^== (.*)$", (ROOT / "Tests/Conformance/tour.txt").read_text(),
                      flags=re.MULTILINE)
    return [Test("tour.txt", name.split(" [")[0], text)
            for name, text in zip(pieces[1::2], pieces[2::2], strict=True)]


def swift_tests() -> list[Test]:
    """What stands between one @Test and the next one."""
    tests = []
    for path in sorted(ROOT.glob("Tests/*Tests/**/*Tests.swift")):
        # A table of texts shows none of them at work.
        if path.name == "ErrorMapTests.swift":
            continue
        for piece in re.split(r"^\s*@Test\b", path.read_text(), flags=re.MULTILINE)[1:]:
            name = re.search(r'"((?:[^"\\]|\\.)*)"', piece) or re.search(r"func (\w+)", piece)
            tests.append(Test(path.name, name[1] if name else "?", piece))
    return tests


def constants() -> dict[str, list[str]]:
    """Names in tests that stand for an error's text."""
    names: dict[str, list[str]] = {}
    for path in sorted((ROOT / "Tests/Conformance").glob("*.py")):
        for name, double, single in re.findall(
                r"""^([A-Z_]+)\s*=\s*(?:\(\s*"\w+",\s*)?(?:"([^"]+)"|'([^']+)')\)?""",
                path.read_text(), re.MULTILINE):
            names.setdefault(double or single, []).append(rf"\b{name}\b")
    cases = re.findall(r'case (\w+)\s*=\s*"([^"]+)"',
                       (ROOT / "Sources/Server/ErrorMap.swift").read_text())
    for name, text in cases:
        names.setdefault(text, []).append(rf"\.{name}\b")
    return names


def find(rows: list[Row]) -> None:
    """Gives each row its tests."""
    tests = python_tests() + tour_tests() + swift_tests()
    named = constants()
    rules = {test.label: set(RULE.findall(test.text)) for test in tests}
    for row in rows:
        if row.kind == "rule":
            row.tests = [test for test in tests if row.name in rules[test.label]]
            continue
        patterns = list(row.evidence)
        if row.kind == "error":
            patterns += [re.escape(row.name) if not row.evidence else "(?!)",
                         *named.get(row.name, [])]
        looks = [re.compile(pattern) for pattern in patterns]
        row.tests = [test for test in tests if any(look.search(test.text) for look in looks)]


HEADINGS = {
    "rpc": ("RPCs", "A test that calls it."),
    "rule": ("Rules of behaviour", "A test that names the rule, as `test_R4_...` or in a comment."),
    "error": ("Errors", "A test in which a client or a caller gets this text."),
}


def page(rows: list[Row]) -> str:
    tested = sum(bool(row.tests) for row in rows)
    lines = [
        "# Coverage", "",
        "Which tests prove which promise of etcd's interface. Written by `Documentation/coverage.py` "
        "from the sources of the tests; `Documentation/coverage.tsv` lists the promises, and why some "
        "have no test. A test fails when this page is not what the script writes, or when a promise "
        "has neither a test nor a reason.", "",
        f"{tested} of {len(rows)} promises have tests.", ""]
    for kind, (heading, told) in HEADINGS.items():
        lines += [f"## {heading}", "", told, "", "| promise | tests |", "|---|---|"]
        for row in rows:
            if row.kind == kind:
                lines.append(f"| {cell(f'`{row.name}`')} | {evidence(row)} |")
        lines.append("")
    return "\n".join(lines)


def evidence(row: Row) -> str:
    if not row.tests:
        return f"*none: {cell(row.reason)}*"
    shown = "; ".join(cell(test.label) for test in row.tests[:SHOWN_MAX])
    more = len(row.tests) - SHOWN_MAX
    return shown + (f"; and {more} more" if more > 0 else "")


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    rows = read_rows()
    find(rows)
    faults = [f"{row.kind} {row.name}: neither a test nor a reason"
              for row in rows if not row.tests and not row.reason]
    faults += [f"{row.kind} {row.name}: has tests, so its reason is out of date"
               for row in rows if row.tests and row.reason]
    written = page(rows)
    if "--check" not in sys.argv:
        PAGE.write_text(written)
    elif not PAGE.exists() or PAGE.read_text() != written:
        faults.append("Coverage.md is stale: run Documentation/coverage.py")
    print("\n".join(faults) or "every promise has a test or a reason")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
