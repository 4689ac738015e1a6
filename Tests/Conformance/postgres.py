"""postgres.py: PostgreSQL instances on loopback, each run by Patroni with its etcd3 backend.

Belongs here: configuration, starting, killing and asking them. Never here: what must hold of them
(test_patroni.py). PostgreSQL refuses to run as root: root starts it as `postgres`, others as
themselves. Source: Debian's packages patroni and postgresql.
"""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from certs import Pair
from cluster import Cluster, wait_until
from server import HOST, free_port

SCOPE = "demo"
NAMESPACE = "/service/"
TTL = 20  # the least that Patroni takes, seconds
SUPERUSER = {"username": "postgres", "password": "super-secret"}
REPLICATION = {"username": "replicator", "password": "replica-secret"}
CALL_SECONDS = 30.0
# initdb, a base backup, a promotion, on a busy machine.
STATE_SECONDS = 180.0


def programs() -> Path:
    """The directory with the newest PostgreSQL's programs."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"),
                   key=lambda path: int(path.split("/")[4]))
    assert found and shutil.which("patroni"), "no patroni or no postgresql: run `make patroni`"
    return Path(found[-1]).parent


def identity() -> dict[str, object]:
    """Arguments of Popen for a user that PostgreSQL takes."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if not os.getuid() else {}


def _processes(postmaster: int) -> list[int]:
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
    return [postmaster, *map(int, children.read_text().split())] if children.exists() else []


class Instance:
    """Patroni and the PostgreSQL that it runs; `name` is its name in the cluster."""

    def __init__(self, name: str, folder: Path, etcd3: dict[str, object],
                 taken: tuple[int, ...] = ()) -> None:
        self.name, self.folder = name, folder
        self.data, self.log_path = folder / name, folder / f"{name}.log"
        self.config_path = folder / f"{name}.yml"
        self.port = free_port(taken)
        self.api_port = free_port((*taken, self.port))
        self.config_path.write_text(json.dumps(self.configuration(etcd3), indent=1))  # JSON is YAML
        self.process: subprocess.Popen[bytes] | None = None

    def configuration(self, etcd3: dict[str, object]) -> dict[str, object]:
        return {
            "scope": SCOPE, "namespace": NAMESPACE, "name": self.name, "etcd3": etcd3,
            "restapi": {"listen": f"{HOST}:{self.api_port}",
                        "connect_address": f"{HOST}:{self.api_port}"},
            "bootstrap": {
                "dcs": {"ttl": TTL, "loop_wait": 2, "retry_timeout": 9,
                        "postgresql": {"use_pg_rewind": True}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{HOST}:{self.port}", "connect_address": f"{HOST}:{self.port}",
                "data_dir": str(self.data), "bin_dir": str(programs()),
                "pgpass": str(self.folder / f"{self.name}.pgpass"),
                "authentication": {"superuser": SUPERUSER, "replication": REPLICATION},
                "pg_hba": [f"host replication {REPLICATION['username']} {HOST}/32 scram-sha-256",
                           f"host all all {HOST}/32 scram-sha-256"],
                "parameters": {"unix_socket_directories": str(self.folder),
                               "password_encryption": "scram-sha-256",
                               "shared_buffers": "16MB", "max_connections": 20},
            },
        }

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["patroni", str(self.config_path)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, "HOME": str(self.folder)}, **identity())

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def postmaster(self) -> int | None:
        """The pid of PostgreSQL's first process, while there is one."""
        try:
            number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            line = Path(f"/proc/{number}/cmdline").read_text()
        except (OSError, IndexError):
            return None
        return number if str(self.data) in line else None

    def kill(self) -> None:
        """SIGKILL to Patroni and to all of PostgreSQL, as if the machine had gone."""
        if self.running:
            self.process.kill()
        if self.process:
            self.process.wait()
        if (number := self.postmaster()) is not None:
            for process in _processes(number):
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            wait_until(lambda: self.postmaster() is None, f"the end of {self.name}'s PostgreSQL")

    def state(self) -> dict:
        """What Patroni's REST API says; empty while it says nothing."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.api_port}/patroni",
                                        timeout=CALL_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:  # 503 while PostgreSQL does not run
            return json.load(error)
        except OSError:
            return {}

    def sql(self, statement: str) -> list[str]:
        """The lines of the answer; CalledProcessError, with psql's text, when it fails."""
        done = subprocess.run(
            [str(programs() / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1",
             "-h", HOST, "-p", str(self.port), "-U", SUPERUSER["username"], "-d", "postgres",
             "-c", statement],
            env={**os.environ, "PGPASSWORD": SUPERUSER["password"], "PGCONNECT_TIMEOUT": "10"},
            capture_output=True, text=True, timeout=CALL_SECONDS)
        assert done.returncode == 0, f"{self.name}: {statement}: {done.stderr}"
        return done.stdout.split()


class Instances:
    """Several instances, one of them the primary, guarded by a cluster of etcd's API."""

    def __init__(self, cluster: Cluster, pair: Pair, user: str, password: str,
                 names: tuple[str, ...] = ("one", "two")) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="patroni-"))
        self.all: list[Instance] = []
        try:
            files = [shutil.copy(path, self.folder)
                     for path in (cluster.certificates.ca, pair.cert, pair.key)]
            etcd3 = {"hosts": [member.endpoint for member in cluster.members],
                     "protocol": "https", "cacert": files[0], "cert": files[1], "key": files[2],
                     "username": user, "password": password, "use_proxies": True}
            for name in names:
                taken = tuple(port for i in self.all for port in (i.port, i.api_port))
                self.all.append(Instance(name, self.folder, etcd3, taken))
            if not os.getuid():
                owner = pwd.getpwnam("postgres").pw_uid, grp.getgrnam("postgres").gr_gid
                for path in (self.folder, *self.folder.iterdir()):
                    os.chown(path, *owner)
            for instance in self.all:
                instance.start()
            self.wait_healthy()
        except BaseException:
            self.close()
            raise

    def primary(self) -> Instance | None:
        """The running instance that takes writes, if exactly one does."""
        writable = [instance for instance in self.all
                    if (state := instance.state()).get("role") in ("master", "primary")
                    and state["state"] == "running"]
        return writable[0] if len(writable) == 1 else None

    def replica(self) -> Instance:
        primary = self.wait_primary()
        return next(instance for instance in self.all if instance is not primary)

    def wait_primary(self) -> Instance:
        return wait_until(self.primary, "a PostgreSQL primary", STATE_SECONDS)

    def healthy(self) -> Instance | None:
        """The primary, if all others stream from it on its timeline."""
        primary = self.primary()
        if primary is None:
            return None
        state = primary.state()
        streaming = {row["application_name"] for row in state.get("replication", ())
                     if row["state"] == "streaming"}
        others = [instance for instance in self.all if instance is not primary]
        same = all((its := other.state()).get("role") == "replica" and its["state"] in
                   ("running", "streaming") and its.get("timeline") == state["timeline"]
                   for other in others)
        return primary if same and streaming == {other.name for other in others} else None

    def wait_healthy(self) -> Instance:
        def settled() -> Instance | None:
            dead = [instance.name for instance in self.all if not instance.running]
            assert not dead, f"Patroni ended: {dead}"
            return self.healthy()
        return wait_until(settled, "one primary and streaming replicas", STATE_SECONDS)

    def patronictl(self, *arguments: str) -> str:
        """The output of patronictl, which reads the first instance's configuration."""
        done = subprocess.run(
            ["patronictl", "-c", str(self.all[0].config_path), *arguments], cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, timeout=STATE_SECONDS, **identity())
        assert done.returncode == 0, f"patronictl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        for instance in self.all:
            instance.kill()
            if instance.log_path.exists():  # pytest shows it where a test failed
                tail = instance.log_path.read_text(errors="replace").splitlines()[-60:]
                print(f"--- Patroni {instance.name} ---", *tail, sep="\n")
        shutil.rmtree(self.folder, ignore_errors=True)
