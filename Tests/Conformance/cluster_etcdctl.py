"""cluster_etcdctl.py: etcdctl told of every member of a cluster.

Belongs here: endpoints and certificates of the command line. Never here: transcripts (etcdctl.py).
"""

from __future__ import annotations

import json

from cluster import Cluster
from etcdctl import TOOLS, Etcdctl


class ClusterEtcdctl(Etcdctl):
    """As Etcdctl; transcripts know each member as <urlN>, <peerN>, <idN>, and <cluster>.

    <IDN> is the id as `member` commands answer it, filled up with spaces to 16 places.
    """

    def __init__(self, version: str, cluster: Cluster) -> None:
        super().__init__(version, cluster.members[0])
        self.cluster = cluster
        cluster_id = cluster.client(0).status().header.cluster_id
        self.known = {"cluster": f"{cluster_id:16x}"}
        for number, member in enumerate(cluster.members):
            self.known[f"url{number}"] = member.url
            self.known[f"peer{number}"] = member.peer_url
            self.know_id(number, cluster.member_id(member))

    def know_id(self, number: int, member_id: int) -> None:
        self.known[f"id{number}"] = f"{member_id:x}"
        self.known[f"ID{number}"] = f"{member_id:16x}"

    def command(self, *arguments: str) -> list[str]:
        path = TOOLS / "bin" / f"etcdctl-{self.version}"
        assert path.exists(), f"no {path}: run Tests/Conformance/tools.sh first"
        line = [str(path), f"--endpoints={self.cluster.endpoints}"]
        if certificates := self.cluster.certificates:
            line += [f"--cacert={certificates.ca}", f"--cert={certificates.client.cert}",
                     f"--key={certificates.client.key}"]
        return line + list(arguments)

    def json(self, *arguments: str) -> object:
        return json.loads(self.ok(*arguments, "-w", "json"))

    def lines(self, *arguments: str) -> list[str]:
        """The lines of a command that must succeed, sorted: members come in the order of ids."""
        return sorted(self.ok(*arguments).splitlines())

    def table(self, *arguments: str) -> list[dict[str, str]]:
        """The rows of a `-w table`, by column."""
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in self.ok(*arguments, "-w", "table").splitlines()
                if line.startswith("|")]
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
