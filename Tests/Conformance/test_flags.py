"""test_flags.py: every flag of etcd stands in the documentation, and does there what it does here.

Belongs here: the table of Documentation/Compatibility.md against flags.tsv (etcd's flags) and against
the binary. Never here: what single flags do (the tests of their subjects).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server import Server, binary

pytestmark = pytest.mark.martlet

HERE = Path(__file__).parent
PAGES = HERE.parent.parent / "Documentation"
STANDINGS = {"implemented", "no effect", "refused"}


def rows() -> list[tuple[str, str, str]]:
    """(name, key, releases) of every flag of etcd."""
    lines = (HERE / "flags.tsv").read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines if not line.startswith("#")]


def table() -> dict[str, tuple[str, str]]:
    """Standing and text of each flag of the documentation, also by its former names."""
    found: dict[str, tuple[str, str]] = {}
    page = (PAGES / "Compatibility.md").read_text()
    begin, end = page.index("<!-- flags: begin"), page.index("<!-- flags: end")
    for line in page[begin:end].splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) < 5 or not cells[1].startswith("`--"):
            continue
        for name in re.findall(r"`--([a-z0-9-]+)`", cells[1]):
            assert name not in found, f"{name} stands twice"
            found[name] = (cells[3], cells[4])
    return found


TABLE = table()


def test_every_flag_of_etcd_stands_in_the_table():
    assert len(rows()) == 151
    assert [name for name, _, _ in rows() if name not in TABLE] == []


def test_no_other_flag_stands_in_it_but_our_own():
    known = {name for name, _, _ in rows()}
    assert [n for n in TABLE if n not in known and not n.startswith("martlet-")] == []


def test_every_flag_is_implemented_or_says_why_not():
    for name, (standing, text) in TABLE.items():
        assert standing in STANDINGS, name
        assert standing == "implemented" or re.search(r"\*[^*]{10,}\*", text), name


def test_the_table_is_what_the_binary_says(tmp_path):
    for name in ("flags.sh", "Compatibility.md"):
        shutil.copy(PAGES / name, tmp_path)
    subprocess.run([tmp_path / "flags.sh", binary()], check=True)
    written = (tmp_path / "Compatibility.md").read_text()
    assert written == (PAGES / "Compatibility.md").read_text(), "run Documentation/flags.sh"


def started(flags: list[str], **more) -> str:
    """The log of a server that was started so."""
    with Server(flags, **more) as server:
        server.stop()
        return server.log()


def defaults() -> dict[str, str]:
    """Values that every flag takes and that change nothing."""
    page = (PAGES / "Compatibility.md").read_text()
    own = dict(re.findall(r"^\| `--([a-z0-9-]+)`[^|]*\| `?([^|`]*)`? \|", page, re.MULTILINE))
    return {name: text.strip() for name, text in own.items() if "${" not in text}


def test_every_variable_is_known():
    values = defaults()
    variables = {"ETCD_" + name.upper().replace("-", "_"): values.get(name, "")
                 for name, _, _ in rows() if name not in ("config-file", "version")}
    log = started([], environment={**variables, "ETCD_NO_SUCH": "1"})
    assert re.findall(r"unknown variable (\w+)", log) == ["ETCD_NO_SUCH"]


def test_every_key_of_a_configuration_file_is_known(tmp_path):
    values, tree = defaults(), {"no-such": "1"}
    for name, key, _ in rows():
        if key == "-" or not values.get(name):
            continue
        group, dot, member = key.partition(".")
        if dot:
            tree.setdefault(group, {})[member] = values[name]
        else:
            tree[key] = values[name]
    # JSON is YAML. Places are the test's own.
    with Server(start=False) as server:
        for word in server.command()[1:]:
            name, _, value = word.removeprefix("--").partition("=")
            tree[name] = value
        config = tmp_path / "c.yml"
        config.write_text(json.dumps(tree))
        server.command = lambda: [str(server.executable), f"--config-file={config}"]
        server.start()
        server.stop()
        assert re.findall(r"unknown key ([\w.-]+)", server.log()) == ["no-such"]


REFUSED = sorted(name for name, (standing, _) in TABLE.items() if standing == "refused")


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_flag_ends_the_start_and_names_itself(name):
    help_text = subprocess.run([binary(), "--help"], capture_output=True, text=True).stdout
    is_boolean = not re.search(rf"^  --{name} <", help_text, re.MULTILINE)
    done = subprocess.run(
        [binary(), f"--{name}={'true' if is_boolean else 'something'}"],
        capture_output=True, text=True, env={}, timeout=20)
    assert done.returncode == 2
    assert f"--{name} is not supported: " in done.stderr
