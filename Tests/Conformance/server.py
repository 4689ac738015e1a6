"""server.py: starts, stops, kills and restarts one server process for the conformance tests.

Belongs here: processes, ports, directories, certificates. Never here: requests (client.py).
Source of truth for the flags: etcd's own flags, which Martlet takes too.

Which binary: ETCD_BIN if set (the tests then validate themselves on etcd), else MARTLET_BIN,
else .build/release/martlet of this repository. Standard library only.

    with Server() as server:                    # fresh data directory, ready when this returns
        client = connect(server.endpoint)       # "127.0.0.1:PORT"
        server.kill(); server.start()           # crash and come back on the same port and data
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
READY = "ready to serve client requests"
ADDRESS_IN_USE = "address already in use"
START_SECONDS = float(os.environ.get("MARTLET_START_SECONDS", "60"))
STOP_SECONDS = 30.0
# Below those that Linux gives to outgoing connections, one of which could take a member's port while it is down.
PORTS = (21000, 32700)
HOST = "127.0.0.1"

_pick = random.SystemRandom()
_running: set[Server] = set()


class ServerFailed(AssertionError):
    """The process did not start, died, or did not stop; the text ends with its last log lines."""


def binary() -> Path:
    """The server under test, see the head of this file."""
    chosen = os.environ.get("ETCD_BIN") or os.environ.get("MARTLET_BIN")
    return Path(chosen).resolve() if chosen else REPOSITORY / ".build/release/martlet"


def is_etcd() -> bool:
    """True when the tests validate themselves on etcd; tests of Martlet's own files then skip."""
    return bool(os.environ.get("ETCD_BIN"))


# etcd's default, and Martlet's, which leaves room to grow without an alarm.
DEFAULT_QUOTA = 2 << 30 if is_etcd() else 8 << 30


def free_port(taken: tuple[int, ...] = ()) -> int:
    """A loopback port that nobody listens on now, found by binding it."""
    for _ in range(200):
        port = _pick.randrange(*PORTS)
        if port in taken:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"no free port in {PORTS[0]}..{PORTS[1]}")


@dataclass(frozen=True)
class Certificates:
    """PEM files of a throw-away CA: the server's, a client's (CN=client), and a stranger's."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    stranger_cert: Path  # signed by another CA: must be refused with client_cert_auth
    stranger_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Writes a CA with a server and a client certificate (ECDSA P-256) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    leaf = folder / "leaf.cnf"
    leaf.write_text(
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth,clientAuth\n"
        "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n"
    )

    def openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def authority(name: str) -> None:
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")

    def issue(name: str, issuer: str) -> None:
        request = folder / f"{name}.csr"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", folder / f"{issuer}.pem",
                "-CAkey", folder / f"{issuer}.key", "-CAcreateserial", "-days", "30",
                "-extfile", leaf, "-out", folder / f"{name}.pem")

    authority("ca")
    authority("other-ca")
    issue("server", "ca")
    issue("client", "ca")
    issue("stranger", "other-ca")
    return Certificates(*(folder / name for name in (
        "ca.pem", "server.pem", "server.key", "client.pem", "client.key",
        "stranger.pem", "stranger.key")))


class Server:
    """One member on loopback with a data directory of its own.

    flags: more arguments, as `["--max-txn-ops=4"]`. certificates: TLS on the client port;
    with client_cert_auth clients must show one. data_dir: default a temporary one that
    `close()` removes; a given one is never removed. Start servers from a thread that outlives
    them: the kernel kills the process when the thread that started it ends.
    """

    host = HOST
    launcher: list[str] = []  # a command that executes the one after it, as `ip netns exec NAME`

    def __init__(self, flags: list[str] | tuple[str, ...] = (), *,
                 certificates: Certificates | None = None, client_cert_auth: bool = False,
                 data_dir: Path | str | None = None, environment: dict[str, str] | None = None,
                 executable: Path | str | None = None, name: str = "default",
                 start: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="martlet-test-"))
        self.data_dir = Path(data_dir) if data_dir else self.folder / "data"
        self.log_path = self.folder / "log"
        self.flags = list(flags)
        self.certificates = certificates
        self.client_cert_auth = client_cert_auth
        self.environment = dict(environment or {})
        self.executable = Path(executable) if executable else binary()
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._new_ports()
        if start:
            try:
                self.start()
            except ServerFailed:
                self.close()
                raise

    # -- where it is ------------------------------------------------------------------------

    def _new_ports(self) -> None:
        self.port = free_port()
        self.peer_port = free_port((self.port,))

    @property
    def scheme(self) -> str:
        return "https" if self.certificates else "http"

    @property
    def endpoint(self) -> str:
        """HOST:PORT, as gRPC channels want it."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.endpoint}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was never started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def command(self) -> list[str]:
        """The whole command line."""
        peer = f"http://{HOST}:{self.peer_port}"
        line = [
            str(self.executable), f"--name={self.name}", f"--data-dir={self.data_dir}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={self.name}={peer}",
        ]
        if self.certificates:
            line += [f"--cert-file={self.certificates.server_cert}",
                     f"--key-file={self.certificates.server_key}"]
            if self.client_cert_auth:
                line += ["--client-cert-auth", f"--trusted-ca-file={self.certificates.ca}"]
        return line + self.flags

    # -- life -------------------------------------------------------------------------------

    def start(self, wait: bool = True) -> Server:
        """Starts the process and, with `wait`, returns when it says that it serves."""
        assert not self.running, "the server runs already"
        first = not self.log_path.exists()
        for attempt in range(3):
            self._launch()
            if not wait:
                return self
            try:
                self.wait_ready()
                return self
            except ServerFailed:
                # A port can be lost between the probe and the start, before any data names it.
                if not (first and attempt < 2 and ADDRESS_IN_USE in self.log()):
                    raise
                shutil.rmtree(self.data_dir, ignore_errors=True)
                self._new_ports()
        return self

    def _launch(self) -> None:
        if not self.executable.exists():
            raise ServerFailed(f"no server binary {self.executable}: build it, or set MARTLET_BIN")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        # setpriv execs the server, so the pid is the server's; it must not outlive the tests.
        tie = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with open(self.log_path, "ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                tie + self.launcher + self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env={**inherited, **self.environment})
        _running.add(self)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Returns once the log of this start says that clients are served."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if READY in self.log():
                return
            if not self.running:
                raise self.failure("the server ended before it was ready")
            time.sleep(0.01)
        raise self.failure(f"the server was not ready after {seconds:g} s")

    def stop(self) -> int:
        """SIGTERM; the exit status once it is gone (etcd: -15, killed by its own signal)."""
        return self.end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as a crash."""
        return self.end(signal.SIGKILL)

    def end(self, number: int, seconds: float = STOP_SECONDS) -> int:
        """Sends a signal that ends the process and waits until it is gone."""
        assert self.process is not None, "the server was never started"
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait_exit(seconds)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """The exit status; fails when the process still runs after `seconds`."""
        assert self.process is not None, "the server was never started"
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise self.failure(f"the server still ran after {seconds:g} s") from None
        finally:
            _running.discard(self)
        return status

    def restart(self, number: int = signal.SIGTERM) -> Server:
        """Ends the process with the signal and starts it again on the same port and data."""
        self.end(number)
        return self.start()

    def check_alive(self) -> None:
        """Fails, with the log, when the process has ended."""
        if not self.running:
            raise self.failure("the server died")

    def close(self) -> None:
        """Ends the process at once and removes what this object made."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        _running.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            print(f"--- {self.executable.name} log ---\n{self.log_tail()}")
        self.close()

    # -- what it said -----------------------------------------------------------------------

    def log(self) -> str:
        """Everything written to stdout and stderr since the last start."""
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def failure(self, what: str) -> ServerFailed:
        """The error to raise: what happened, how the process ended, its last words."""
        status = self.process.poll() if self.process else None
        state = "still running" if status is None else f"exit status {status}"
        return ServerFailed(f"{what} ({state})\n{' '.join(self.command())}\n{self.log_tail()}")


@atexit.register
def _end_all() -> None:
    for server in list(_running):
        server.close()
