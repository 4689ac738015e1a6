"""cluster.py: several members as processes, and every fault that a machine can do to one.

Belongs here: starting, ending, pausing, wiping and joining members; what all of them report.
Never here: load and what must hold of it (history.py). Which binary: server.py.

    with Cluster(3) as cluster:                       # three members that agree on a leader
        old = cluster.leader()
        cluster.members[old].kill()
        cluster.wait_agreed()
        cluster.members[old].start(wait=False)

Cluster(network=True) gives each member a namespace of its own, whose directions
`cluster.network` can cut (network.py). On failure the end of every member's log is printed.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable

import grpc

from certs import ClusterCertificates, Pair
from client import CHANNEL_OPTIONS, Client
from network import Network
from server import HOST, Server, ServerFailed

AGREE_SECONDS = 60.0
CALL_SECONDS = 3.0  # of the calls that only look: a paused member must not hold up the test
TOKEN = "cluster-under-test"
# A member that came back is reached at once; one that is gone fails the call at once.
OPTIONS = CHANNEL_OPTIONS + [
    ("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]


def wait_until(condition: Callable[[], object], what: str, seconds: float = AGREE_SECONDS):
    """The first true answer of `condition`; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return answer


class Member(Server):
    """One process of a cluster; `state` is what --initial-cluster-state says at the first start."""

    def __init__(self, cluster: Cluster, number: int, state: str) -> None:
        self.cluster, self.number, self.state = cluster, number, state
        if cluster.network:
            node = cluster.network.add()
            self.host, self.launcher = cluster.network.host(node), cluster.network.launcher(node)
        self.initial_cluster, self.token = "", TOKEN
        self.peer_pair = cluster.certificates and cluster.certificates.peer
        self.server_pair = cluster.certificates and cluster.certificates.server
        super().__init__(cluster.flags, name=f"n{number}", start=False,
                         certificates=cluster.certificates)

    @property
    def peer_url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.peer_port}"

    def command(self) -> list[str]:
        line = [
            str(self.executable), f"--name={self.name}", f"--data-dir={self.data_dir}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--initial-cluster={self.initial_cluster}",
            f"--initial-cluster-state={self.state}", f"--initial-cluster-token={self.token}",
        ]
        if self.cluster.certificates:
            ca = self.cluster.certificates.ca
            line += [
                f"--cert-file={self.server_pair.cert}", f"--key-file={self.server_pair.key}",
                f"--trusted-ca-file={ca}", "--client-cert-auth",
                f"--peer-cert-file={self.peer_pair.cert}",
                f"--peer-key-file={self.peer_pair.key}",
                f"--peer-trusted-ca-file={ca}", "--peer-client-cert-auth"]
        return line + self.flags

    def pause(self) -> None:
        """SIGSTOP: alive for the network, dead for everybody."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Removes the data of a member that is not running."""
        assert not self.running, "the member runs"
        shutil.rmtree(self.data_dir)

    def whole_log(self) -> str:
        """Of all starts."""
        return self.log_path.read_text(errors="replace")


class Cluster:
    """`size` members on loopback (or in namespaces), agreed on a leader when this returns."""

    def __init__(self, size: int = 3, *, certificates: ClusterCertificates | None = None,
                 network: bool = False, flags: tuple[str, ...] = (), start: bool = True) -> None:
        self.certificates, self.flags = certificates, flags
        self.network = Network() if network else None
        self.metadata: list | None = None  # what the cluster's own clients send, as a token
        self.members: list[Member] = []
        self.former: list[Member] = []  # removed ones
        self._clients: dict[Member, Client] = {}
        try:
            for number in range(size):
                self.members.append(Member(self, number, "new"))
            self._space_ports()
            for member in self.members:
                member.initial_cluster = self.initial_cluster()
                if start:
                    member.start(wait=False)
            if start:
                self.wait_agreed()
        except BaseException:
            self.close()
            raise

    def _space_ports(self) -> None:
        """Members pick ports before any of them listens, so two can pick the same."""
        while len({port for m in self.members for port in (m.port, m.peer_port)}) < (
                2 * len(self.members)):
            for member in self.members:
                member._new_ports()

    def initial_cluster(self) -> str:
        return ",".join(f"{member.name}={member.peer_url}" for member in self.members)

    # -- who is there -----------------------------------------------------------------------

    @property
    def running(self) -> list[Member]:
        return [member for member in self.members if member.running]

    @property
    def endpoints(self) -> str:
        """Of all members, as etcdctl takes them."""
        return ",".join(member.url for member in self.members)

    def credentials(self, pair: Pair | None = None) -> grpc.ChannelCredentials | None:
        """What a client shows and trusts; by default the cluster's own client certificate."""
        if not self.certificates:
            return None
        pair = pair or self.certificates.client
        return grpc.ssl_channel_credentials(
            self.certificates.ca.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes())

    def connect(self, member: Member, seconds: float = 20.0, **more: object) -> Client:
        """A new client of that member; the caller closes it."""
        return Client(member.endpoint, credentials=self.credentials(), seconds=seconds,
                      options=OPTIONS, **{"metadata": self.metadata, **more})

    def client(self, member: Member | int) -> Client:
        """The kept client of that member."""
        member = self.members[member] if isinstance(member, int) else member
        if member not in self._clients:
            self._clients[member] = self.connect(member)
        return self._clients[member]

    def status(self, member: Member):
        """The member's Status, or None when it does not answer in time."""
        if not member.running:
            return None
        with self.connect(member, CALL_SECONDS) as client:
            try:
                return client.status()
            except grpc.RpcError:
                return None

    def statuses(self) -> list:
        return [self.status(member) for member in self.members]

    def agreed(self, members: list[Member] | None = None) -> int | None:
        """The number of the leader that all of `members` (the running ones) name, if they do."""
        asked = members or self.running
        answers = [self.status(member) for member in asked]
        if not all(answers) or len({(a.leader, a.raftTerm) for a in answers}) != 1:
            return None
        for member, answer in zip(asked, answers, strict=True):
            if answer.header.member_id == answer.leader:
                return self.members.index(member)
        return None

    def wait_agreed(self, members: list[Member] | None = None,
                    seconds: float = AGREE_SECONDS) -> int:
        """The number of the leader, once all of `members` (the running ones) name the same."""
        deadline = time.monotonic() + seconds
        while (leader := self.agreed(members)) is None:
            dead = [m for m in members or () if not m.running]
            if dead or not self.running or time.monotonic() > deadline:
                raise ServerFailed(f"no agreement on a leader after {seconds:g} s; ended: "
                                   f"{[member.name for member in dead]}\n{self.statuses()}")
            time.sleep(0.1)
        return leader

    def leader(self) -> int:
        return self.wait_agreed()

    def follower(self, nth: int = 0) -> int:
        """The number of a running member that does not lead."""
        leader = self.leader()
        return [number for number, member in enumerate(self.members)
                if member.running and number != leader][nth]

    def member_id(self, member: Member) -> int:
        return self.client(member).status().header.member_id

    # -- all the same -----------------------------------------------------------------------

    def hashes(self, revision: int) -> list[tuple[int, int]]:
        """(HashKV, compacted revision) of each running member at that revision."""
        answers = [self.client(member).hash_kv(revision) for member in self.running]
        return [(answer.hash, answer.compact_revision) for answer in answers]

    def wait_revision(self, revision: int, seconds: float = AGREE_SECONDS) -> None:
        """Every running member has applied that revision."""
        def reached() -> bool:
            states = [self.status(member) for member in self.running]
            return all(state and state.header.revision >= revision for state in states)
        wait_until(reached, f"all members at revision {revision}", seconds)

    def check_same(self) -> int:
        """All running members hold the same at the newest revision; that revision."""
        leader = self.leader()
        revision = self.client(leader).revision()
        self.wait_revision(revision)
        hashes = self.hashes(revision)
        assert len(set(hashes)) == 1, f"members differ at revision {revision}: {hashes}"
        return revision

    # -- change of members ------------------------------------------------------------------

    def change(self, request: Callable[[Client], object], through: Member | None = None):
        """The reply to a change of members, sent again while the cluster calls itself unhealthy.

        etcd 3.5 refuses until it has been connected to every voter for five seconds (K3).
        """
        client = self.client(through or self.leader())

        def answered():
            try:
                return request(client)
            except grpc.RpcError as error:
                if error.details() != "etcdserver: unhealthy cluster":
                    raise
                return None
        return wait_until(answered, "the cluster takes a change of members", 30)

    def new_member(self) -> Member:
        """A member that nobody knows yet and that does not run, on ports of its own."""
        member = Member(self, len(self.members), "existing")
        taken = {port for m in self.members for port in (m.port, m.peer_port)}
        while {member.port, member.peer_port} & taken:
            member._new_ports()
        return member

    def add(self, learner: bool = False) -> tuple[Member, int]:
        """Adds a member by MemberAdd and starts it; the member and its id."""
        member = self.new_member()
        reply = self.change(lambda c: c.member_add(member.peer_url, learner=learner))
        self.members.append(member)
        member.initial_cluster = self.initial_cluster()
        member.start(wait=False)
        return member, reply.member.ID

    def drop(self, member: Member) -> int:
        """Removes a member by MemberRemove; its exit status once its process ended by itself."""
        number = self.member_id(member)
        other = next(m for m in self.running if m is not member)
        self.change(lambda c: c.member_remove(number), other)
        self.members.remove(member)
        self.former.append(member)
        return member.wait_exit()

    # -- the end ----------------------------------------------------------------------------

    def _tell(self) -> None:
        for member in self.members + self.former:
            print(f"--- {member.name} of {len(self.members)}, "
                  f"{'running' if member.running else 'ended'} ---\n{member.log_tail()}")

    def close(self) -> None:
        self._tell()  # pytest shows it where a test failed
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        for member in self.members + self.former:
            member.close()
        if self.network:
            self.network.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
