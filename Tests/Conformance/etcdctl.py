"""etcdctl.py: runs Debian's etcdctl against a server and compares what it prints, line by line.

Belongs here: finding the binaries, the transcript format, following a running etcdctl.
Never here: what is expected (test_etcdctl.py).

A transcript is a list of commands with what they print:

    $ put foo bar          the arguments of etcdctl, quoted as in a shell
    > text                 a line for its standard input
    OK                     the exact standard output, empty lines included
    !1 Error: some text    the exit status, and a line that standard error must have
    $3.5 get ...           a command for that version only

Words in angle brackets stand for what differs from run to run: <n> a number, <size>, <seconds>,
<version>, and <endpoint>, <peer> of this server. Any other name holds a hexadecimal word, or
with `#` (<#id>) a decimal one: whatever it matches first it means from then on, in commands too.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from server import Server

TOOLS = Path(os.environ.get("MARTLET_TOOLS", Path.home() / ".cache/martlet-tools"))
SECONDS = 30.0
PATTERNS = {
    "n": r"\d+", "size": r"\d+(?:\.\d+)? [kMG]?B", "seconds": r"\d+",
    "version": r"\d+\.\d+\.\d+", "text": r".*",
}


class Etcdctl:
    """One etcdctl version pointed at one server."""

    def __init__(self, version: str, server: Server) -> None:
        self.version = version
        self.server = server
        self.known: dict[str, str] = {
            "endpoint": server.endpoint, "peer": f"127.0.0.1:{server.peer_port}",
        }

    def command(self, *arguments: str) -> list[str]:
        path = TOOLS / "bin" / f"etcdctl-{self.version}"
        assert path.exists(), f"no {path}: run Tests/Conformance/tools.sh first"
        line = [str(path), f"--endpoints={self.server.url}"]
        if self.server.certificates:
            line += [f"--cacert={self.server.certificates.ca}",
                     f"--cert={self.server.certificates.client_cert}",
                     f"--key={self.server.certificates.client_key}"]
        else:
            line[1] = f"--endpoints={self.server.endpoint}"
        return line + list(arguments)

    def environment(self) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        return {**plain, "ETCDCTL_API": "3"}

    def run(self, *arguments: str, stdin: str = "", seconds: float = SECONDS,
            ) -> subprocess.CompletedProcess[str]:
        """Runs to the end, whatever the exit status."""
        return subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True,
            env=self.environment(), cwd=self.server.folder, timeout=seconds)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """The standard output of a command that must succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}"
        return done.stdout

    def follow(self, *arguments: str, stdin: str | None = None) -> Following:
        """Starts a command that goes on until told."""
        return Following(self, arguments, stdin)

    # -- transcripts ------------------------------------------------------------------------

    def transcript(self, *parts: str) -> None:
        """Runs every command of the transcripts, in order, and compares what each prints."""
        text = "".join(part.removeprefix("\n") for part in parts)
        lines = text.removesuffix("\n").split("\n")
        at = 0
        while at < len(lines):
            head = re.fullmatch(r"\$(3\.\d)? (.*)", lines[at])
            assert head, f"not a command: {lines[at]!r}"
            at += 1
            body = []
            while at < len(lines) and not re.match(r"\$(3\.\d)? ", lines[at]):
                body.append(lines[at])
                at += 1
            if head[1] in (None, self.version):
                self._step(head[2], body)

    def _step(self, command: str, body: list[str]) -> None:
        stdin = "".join(line[2:] + "\n" for line in body if re.match(r">( |$)", line))
        body = [line for line in body if not re.match(r">( |$)", line)]
        status, complaint = 0, None
        if body and (failure := re.fullmatch(r"!(\d+)(?: (.*))?", body[-1])):
            status, complaint = int(failure[1]), failure[2]
            body.pop()
        filled = re.sub(r"<(#?\w+)>", lambda m: self.known.get(m[1], m[0]), command)
        done = self.run(*shlex.split(filled), stdin=stdin)
        told = f"etcdctl {self.version} {filled}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
        assert done.returncode == status, f"exit {done.returncode}, not {status}: {told}"
        wanted = "".join(line + "\n" for line in body)
        self._match(wanted, done.stdout, f"--- wanted\n{wanted}--- ran {told}")
        if complaint is not None:
            assert complaint in done.stderr.splitlines(), f"no line {complaint!r}: {told}"

    def _match(self, wanted: str, got: str, told: str) -> None:
        fresh: list[str] = []

        def pattern(match: re.Match[str]) -> str:
            name = match[1]
            if name in PATTERNS:
                return PATTERNS[name]
            if name in self.known:
                return re.escape(self.known[name])
            group = "h" + name.replace("#", "d")
            if name in fresh:
                return f"(?P={group})"
            fresh.append(name)
            return f"(?P<{group}>{r'[0-9]+' if name[0] == '#' else '[0-9a-f]+'})"

        pieces = re.split(r"(<#?\w+>)", wanted)
        regex = "".join(
            pattern(re.fullmatch(r"<(#?\w+)>", piece)) if i % 2 else re.escape(piece)
            for i, piece in enumerate(pieces))
        found = re.fullmatch(regex, got)
        assert found, told
        for name in fresh:
            self.known[name] = found["h" + name.replace("#", "d")]


class Following:
    """An etcdctl that runs on; `lines` waits for output, never for time to pass."""

    def __init__(self, ctl: Etcdctl, arguments: tuple[str, ...], stdin: str | None) -> None:
        self.ctl = ctl
        self.arguments = arguments
        self.path = Path(ctl.server.folder) / f"follow-{time.monotonic_ns()}"
        with open(self.path, "wb") as out, open(f"{self.path}.err", "wb") as errors:
            self.process = subprocess.Popen(
                ctl.command(*arguments), stdin=subprocess.PIPE, stdout=out, stderr=errors,
                env=ctl.environment(), cwd=ctl.server.folder)
        if stdin is not None:
            self.write(stdin)

    def write(self, text: str) -> None:
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    @property
    def output(self) -> str:
        return self.path.read_text()

    def lines(self, count: int, seconds: float = SECONDS) -> list[str]:
        """The first `count` complete lines, once they are there."""
        deadline = time.monotonic() + seconds
        while True:
            whole = self.output.split("\n")[:-1]
            if len(whole) >= count:
                return whole[:count]
            ended = self.process.poll() is not None and self.output.count("\n") < count
            assert not ended and time.monotonic() < deadline, (
                f"{self.arguments}: {len(whole)} of {count} lines\n{self.output}"
                f"{Path(f'{self.path}.err').read_text()}")
            time.sleep(0.01)

    def end(self, number: int = signal.SIGINT) -> int:
        """Sends a signal; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = SECONDS) -> int:
        status = self.process.wait(seconds)
        self.process.stdin.close()
        return status

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
