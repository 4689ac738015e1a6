"""test_clients_cluster.py: four Python client libraries on three members with TLS and auth.

Belongs here: the cluster, its users, running each check of clients/*_guarded.py in the library's own
environment (tools.sh), killing the leader when a check asks. Never here: the operations themselves.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auth import READWRITE, ROOT_PASSWORD
from certs import make_cluster_certificates
from cluster import Cluster
from etcdctl import TOOLS
from server import HOST
from test_auth_cluster import GuardedCluster

pytestmark = pytest.mark.cluster
HERE = Path(__file__).parent / "clients"
LIBRARIES = {"etcd3": "etcd3_guarded", "aetcd": "aetcd_guarded", "etcd3gw": "etcd3gw_guarded",
             "etcd-client-py": "etcd_client_py_guarded"}
PASSWORD = "app-secret"
SECONDS = 60


def checks() -> list:
    # etcd's gateway refuses each call whose client certificate has a common name, while auth is on.
    marks = {"etcd3gw": [pytest.mark.martlet]}
    return [pytest.param(library, name, marks=marks.get(library, []))
            for library, tour in LIBRARIES.items()
            for name in re.findall(r"^(?:async )?def (check_\w+)",
                                   (HERE / f"{tour}.py").read_text(), re.MULTILINE)]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    certificates = make_cluster_certificates(tmp_path_factory.mktemp("certs"), [HOST, "localhost"])
    with Cluster(3, certificates=certificates, flags=("--bcrypt-cost=4",)) as cluster:
        users = GuardedCluster(cluster)
        users.auth().make("app", PASSWORD, (READWRITE, b"app/", b"app0"),
                          (READWRITE, b"/locks/", b"/locks0"))
        yield cluster
        users.close()
        assert len(cluster.running) == 3


@pytest.mark.parametrize(("library", "check"), checks())
def test_library(library: str, check: str, guarded: Cluster, tmp_path: Path) -> None:
    python = TOOLS / f"venv-{library}/bin/python"
    assert python.exists(), f"no {python}: run Tests/Conformance/tools.sh first"
    leader = guarded.members[guarded.leader()]
    members = [leader, *(member for member in guarded.members if member is not leader)]
    pair = guarded.certificates.client
    setting = tmp_path / "setting.json"
    setting.write_text(json.dumps({
        "endpoints": [member.endpoint for member in members], "ca": str(guarded.certificates.ca),
        "cert": str(pair.cert), "key": str(pair.key), "password": PASSWORD,
        "root_password": ROOT_PASSWORD}))
    process = subprocess.Popen(
        [str(python), str(HERE / f"{LIBRARIES[library]}.py"), str(setting), check],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ""
    try:
        if check == "check_fail_over":
            said = process.stdout.readline()
            if said == "kill\n":
                leader.kill()
                process.stdin.write("killed\n")
                process.stdin.flush()
        out, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
        if not leader.running:
            leader.start(wait=False)
            guarded.wait_agreed()
    assert process.returncode == 0, said + out + errors
    assert (said == "kill\n") == (check == "check_fail_over")
