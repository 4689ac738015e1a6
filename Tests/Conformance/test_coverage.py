"""test_coverage.py: Documentation/Coverage.md is what its script writes, and no promise is without a word.

Belongs here: running the script. Never here: how it finds evidence (coverage.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.martlet

SCRIPT = Path(__file__).resolve().parents[2] / "Documentation" / "coverage.py"


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, folder / "Documentation" / "coverage.py", "--check"],
                          capture_output=True, text=True)


def test_the_page_is_current_and_every_promise_has_a_test_or_a_reason():
    done = check(SCRIPT.parents[1])
    assert done.returncode == 0, done.stdout


def copy(tmp_path: Path) -> Path:
    for part in ("Documentation", "Tests", "Sources/Server"):
        target = tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", SCRIPT.parents[1] / part, target], check=True)
    return tmp_path


def test_the_check_sees_a_promise_without_a_test(tmp_path):
    folder = copy(tmp_path)
    with open(folder / "Documentation" / "coverage.tsv", "a") as rows:
        rows.write("rule\tG%d\t-\t-\n" % 99)
    done = check(folder)
    assert done.returncode == 1
    assert "rule G%d: neither a test nor a reason" % 99 in done.stdout


def test_the_check_sees_a_reason_that_is_out_of_date(tmp_path):
    folder = copy(tmp_path)
    rows = folder / "Documentation" / "coverage.tsv"
    rows.write_text(rows.read_text().replace("rule\tR4\t-\t-\n", "rule\tR4\t-\tnot yet\n"))
    done = check(folder)
    assert done.returncode == 1
    assert "rule R4: has tests, so its reason is out of date" in done.stdout


def test_the_check_sees_a_page_that_is_stale(tmp_path):
    folder = copy(tmp_path)
    (folder / "Tests/Conformance/test_new.py").write_text('def test_G1_again():\n    """G1"""\n')
    done = check(folder)
    assert done.returncode == 1 and "stale" in done.stdout
