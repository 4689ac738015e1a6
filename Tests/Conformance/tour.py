"""tour.py: the commands of tour.txt, run by etcdctl 3.5, with what each prints.

    tour.py --record etcd        runs them on that etcd 3.5.16 and writes what it prints into tour.txt

Belongs here: the file's format, running, normalising. Never here: comparing (test_tour.py).

    == NAME [FLAGS]              a server of its own, with these flags
    $ put a b                    a command; $3 stands before one that is ended after 3 lines
    > text                       a line of its standard input
    OK                           what etcd prints, normalised
    !1 Error: some text          its exit status, and what it says on standard error
    ~ reason                     Martlet differs, for this reason, and prints what follows

Normalised: ids of members, cluster and leases (by order of appearance), terms, log indices, sizes,
versions, times, hashes and addresses. Revisions are not: they must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from etcdctl import Etcdctl
from server import Server

FILE = Path(__file__).parent / "tour.txt"
LEASE = re.compile(r"\b[0-9a-f]{15,16}\b")


@dataclass
class Step:
    """A command, and the outputs that the file has of it."""

    command: str
    limit: int | None = None
    stdin: list[str] = field(default_factory=list)
    etcd: list[str] = field(default_factory=list)
    reason: str | None = None
    martlet: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        head = f"${self.limit or ''} {self.command}"
        tail = [] if self.reason is None else [f"~ {self.reason}", *self.martlet]
        return [head, *(f"> {line}".rstrip() for line in self.stdin), *self.etcd, *tail]


@dataclass
class Scenario:
    name: str
    flags: list[str]
    steps: list[Step] = field(default_factory=list)


def read() -> tuple[list[str], list[Scenario]]:
    """The file's head, and its scenarios."""
    head: list[str] = []
    scenarios: list[Scenario] = []
    for line in FILE.read_text().splitlines():
        if match := re.fullmatch(r"== ([^\[]+?)(?: \[(.*)\])?", line):
            scenarios.append(Scenario(match[1], shlex.split(match[2] or "")))
        elif not scenarios:
            head.append(line)
        elif match := re.fullmatch(r"\$(\d*) (.*)", line):
            scenarios[-1].steps.append(Step(match[2], int(match[1]) if match[1] else None))
        else:
            step = scenarios[-1].steps[-1]
            if match := re.fullmatch(r">(?: (.*))?", line):
                step.stdin.append(match[1] or "")
            elif match := re.fullmatch(r"~ (.*)", line):
                step.reason = match[1]
            elif step.reason is None:
                step.etcd.append(line)
            else:
                step.martlet.append(line)
    return head, scenarios


class Tour:
    """One scenario on one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ctl = Etcdctl("3.5", server)
        status = json.loads(self.ctl.ok("endpoint", "status", "-w", "json"))[0]["Status"]
        self.known: dict[str, str] = {}
        for name, number in (("cluster", status["header"]["cluster_id"]),
                             ("member", status["header"]["member_id"])):
            self._learn(name, number)
        self.known[f"127.0.0.1:{server.port}"] = "<endpoint>"
        self.known[f"127.0.0.1:{server.peer_port}"] = "<peer>"
        self.leases = 0

    def _learn(self, name: str, number: int) -> None:
        self.known[f"{number:x}"] = f"<{name}>"
        self.known[str(number)] = f"<#{name}>"
        self.known[f"{number:016x}"] = f"<{name}>"

    def run(self, step: Step) -> list[str]:
        """What the command prints, normalised."""
        names = {name: text for text, name in self.known.items()}
        command = re.sub(r"<#?\w+>", lambda m: names.get(m[0], m[0]), step.command)
        words = shlex.split(command)
        stdin = "".join(line + "\n" for line in step.stdin)
        if step.limit is not None:
            with self.ctl.follow(*words) as running:
                if stdin:
                    running.write(stdin)
                return self.normalise("\n".join(running.lines(step.limit)) + "\n")
        done = self.ctl.run(*words, stdin=stdin)
        lines = self.normalise(done.stdout)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
            lines.append(" ".join([f"!{done.returncode}", *self.normalise("\n".join(said[:1]))]))
        return lines

    def normalise(self, text: str) -> list[str]:
        for lease in LEASE.findall(text):
            if lease not in self.known and not lease.isdigit():
                self.leases += 1
                self._learn(f"lease{self.leases}", int(lease, 16))
        for decimal in re.findall(r'"ID" ?: ?(\d{12,})', text):
            if decimal not in self.known:
                self.leases += 1
                self._learn(f"lease{self.leases}", int(decimal))
        for found in sorted(self.known, key=len, reverse=True):
            text = re.sub(rf"(?<![0-9a-fA-F]){re.escape(found)}(?![0-9a-fA-F])",
                          self.known[found], text)
        for pattern, stand_in in PATTERNS:
            text = pattern.sub(stand_in, text)
        # What etcdctl says of its own commands is no server's business.
        text = re.sub(r"NAME:\n.*", "<usage>\n", text, flags=re.DOTALL)
        lines = text.split("\n")
        return lines[:-1] if lines[-1] == "" else lines


PATTERNS = [(re.compile(pattern), stand_in) for pattern, stand_in in (
    (r'("raft_term"|"raftTerm"|"RaftTerm" ):( ?)\d+', r"\1:\2<term>"),
    (r'("raftIndex"|"raftAppliedIndex"|"dbSize"|"dbSizeInUse"|"hash"):\d+', r"\1:<n>"),
    (r'"(RaftIndex|RaftTerm|RaftAppliedIndex|DBSize|DBSizeInUse|Hash)" : \d+', r'"\1" : <n>'),
    (r'"(version|Version)"( ?: ?)"\d+\.\d+\.\d+"', r'"\1"\2"<version>"'),
    (r"\d+(\.\d+)? [kMG]?B\b", "<size>"),
    (r"\b3\.\d\.\d+\b", "<version>"),
    (r"took = [\d.]+[a-zµ]+", "took = <took>"),
    (r'"took":"[^"]*"', '"took":"<took>"'),
    (r"remaining\(\d+s\)", "remaining(<seconds>s)"),
    (r'"ttl":\d+', '"ttl":<seconds>'),
    (r"(<endpoint>(?:, | \| +)<member>(?:, | \| +)<version>(?:, | \| +)<size>(?:, | \| +)\w+"
     r"(?:, | \| +)\w+)((?:,| \|) +\d+){3}", r"\1, <term>, <n>, <n>"),
    (r"(<endpoint>, )\d{5,}\b", r"\1<hash>"),
    (r"(\| <endpoint> \| +)\d{5,}( \|)", r"\1<hash>\2"),
    (r"/tmp/martlet-test-\w+", "<folder>"),
    # etcdctl pads an id that begins with zeros.
    (r"\b(Member|cluster) +(?=<)", r"\1 "),
    # Tables are as wide as what stands in them.
    (r" +\|", " |"), (r"-{3,}", "---"), (r"\| +", "| "),
)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", metavar="ETCD", required=True)
    etcd = parser.parse_args().record
    head, scenarios = read()
    lines = head
    for scenario in scenarios:
        flags = " ".join(shlex.quote(flag) for flag in scenario.flags)
        lines.append(f"== {scenario.name}" + (f" [{flags}]" if flags else ""))
        with Server(scenario.flags, executable=etcd) as server:
            tour = Tour(server)
            for step in scenario.steps:
                step.etcd = tour.run(step)
                lines += step.lines()
    scratch = FILE.with_suffix(".new")
    scratch.write_text("\n".join(lines) + "\n")
    os.replace(scratch, FILE)
    print(f"{sum(len(s.steps) for s in scenarios)} commands recorded")


if __name__ == "__main__":
    main()
