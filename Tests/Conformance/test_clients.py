"""test_clients.py: three Python client libraries from PyPI do their main operations.

Belongs here: running each check of clients/*_tour.py in the library's own environment (tools.sh)
against a fresh server. Never here: the operations themselves.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from etcdctl import TOOLS
from server import Server

HERE = Path(__file__).parent / "clients"
LIBRARIES = {"etcd3": "etcd3_tour", "etcd-client-py": "etcd_client_py_tour", "aetcd": "aetcd_tour"}
SECONDS = 60


def checks() -> list[tuple[str, str]]:
    return [(library, name) for library, tour in LIBRARIES.items()
            for name in re.findall(r"^(?:async )?def (check_\w+)",
                                   (HERE / f"{tour}.py").read_text(), re.MULTILINE)]


@pytest.mark.parametrize(("library", "check"), checks())
def test_library(library: str, check: str, tmp_path: Path) -> None:
    python = TOOLS / f"venv-{library}/bin/python"
    assert python.exists(), f"no {python}: run Tests/Conformance/tools.sh first"
    with Server() as server:
        done = subprocess.run(
            [str(python), str(HERE / f"{LIBRARIES[library]}.py"), server.endpoint,
             str(tmp_path), check],
            capture_output=True, text=True, timeout=SECONDS)
        server.check_alive()
        assert done.returncode == 0, done.stdout + done.stderr
