"""test_cluster_badpeer.py: bytes that no peer would send, on the peer port of each member.

Belongs here: garbage, broken TLS, other protocols, what peers said once said again; the member
lives, goes on, and says it.
Never here: wrong certificates (test_cluster_tls.py), the client port (test_badinput.py).
"""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from certs import make_cluster_certificates
from cluster import Cluster, Member, wait_until
from history import Load
from server import HOST, free_port, is_etcd
from wire import PREFACE

pytestmark = pytest.mark.cluster

HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MAGIC = b"MARTPEER"  # Martlet's own: the first bytes of a peer's hello


@pytest.fixture(scope="module", params=["plain", "tls"])
def cluster(request, tmp_path_factory) -> Iterator[Cluster]:
    certificates = None
    if request.param == "tls":
        certificates = make_cluster_certificates(tmp_path_factory.mktemp("c"), [HOST, "localhost"])
    with Cluster(3, certificates=certificates) as three:
        yield three
        assert len(three.running) == 3
        three.check_same()


def client_hello() -> bytes:
    """The first bytes a TLS client sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


BAD = {
    "nothing": b"", "one byte": b"\0", "noise": noise(100), "long noise": noise(1 << 20),
    "zeros": bytes(1 << 16), "HTTP": HTTP, "HTTP/2": PREFACE + noise(99),
    "half a TLS hello": client_hello()[:60], "a TLS hello and noise": client_hello() + noise(999),
    "a TLS record that is too long": b"\x16\x03\x01\xff\xff" + noise(70_000),
    "magic alone": MAGIC, "magic and noise": MAGIC + noise(500, 2),
    "magic and a huge length": MAGIC + struct.pack("<I", 0xFFFFFFFF) + noise(64),
    "magic and zeros": MAGIC + bytes(4096),
}


def send(member: Member, data: bytes, tls: bool = False) -> None:
    """Sends and reads until closed, at most a second; the member may close whenever it likes."""
    with socket.create_connection((member.host, member.peer_port), timeout=5) as link:
        if tls:
            certificates = member.cluster.certificates
            context = ssl.create_default_context(cafile=certificates.ca)
            context.load_cert_chain(certificates.peer.cert, certificates.peer.key)
            link = context.wrap_socket(link, server_hostname=member.host)
        link.settimeout(0.3)
        try:
            link.sendall(data)
            while link.recv(65536):
                pass
        except OSError:
            pass  # refused, reset or silent: all are its right
        finally:
            link.close()


def still_whole(cluster: Cluster) -> None:
    for number, member in enumerate(cluster.members):
        member.check_alive()
        cluster.client(number).put(b"still/%d" % number, b"v")


@pytest.mark.parametrize("kind", BAD)
def test_bad_bytes_on_the_peer_port(cluster, kind):
    for member in cluster.members:
        send(member, BAD[kind])
        if cluster.certificates:  # the same inside good TLS, from a holder of a certificate
            send(member, BAD[kind], tls=True)
    still_whole(cluster)


def test_a_refused_connection_is_logged(cluster):
    """With the address it came from, so that the operator finds who it was."""
    member = cluster.members[0]
    before = len(member.log())
    for _ in range(3):
        with socket.create_connection((member.host, member.peer_port), timeout=5) as link:
            port = link.getsockname()[1]
            link.sendall(noise(100, 7))
            link.settimeout(1)
            try:
                link.recv(100)
            except OSError:
                pass
    if is_etcd() and not cluster.certificates:
        pytest.skip("etcd answers garbage on a plain port with HTTP 400 and logs nothing")
    wait_until(lambda: f":{port}" in member.log()[before:], f"a line with the port {port}", 10)


def test_bad_bytes_under_load_cost_no_write(cluster):
    with Load(cluster) as load:
        until = time.monotonic() + 3
        seed = 0
        while time.monotonic() < until:
            for member in cluster.members:
                seed += 1
                send(member, (MAGIC if seed % 2 else b"") + noise(seed % 3000, seed))
        load.warm_up(50)
    print(load.verify())


def test_many_silent_connections_do_not_keep_peers_out(cluster):
    """A member that restarts must get through to peers whose port is held by others."""
    links = []
    try:
        for member in cluster.members:
            for _ in range(200):
                links.append(socket.create_connection((member.host, member.peer_port), timeout=5))
        victim = cluster.members[cluster.follower()]
        victim.kill()
        victim.start(wait=False)
        cluster.wait_agreed(cluster.members)
        still_whole(cluster)
    finally:
        for link in links:
            link.close()


class Recorder:
    """A proxy before a member's peer port that keeps what each peer says to it."""

    def __init__(self, member: Member, taken: set[int]) -> None:
        self.member, self.said = member, []
        self.behind = free_port(tuple(taken))
        taken.add(self.behind)
        member.flags = [*member.flags, f"--listen-peer-urls={member.scheme}://{HOST}:{self.behind}"]
        self.door = socket.create_server((HOST, member.peer_port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.door.accept()
            except OSError:
                return  # closed
            try:
                onward = socket.create_connection((HOST, self.behind), timeout=5)
            except OSError:
                link.close()
                continue
            onward.settimeout(None)
            said = bytearray()
            self.said.append(said)
            for source, target, keep in ((link, onward, said), (onward, link, None)):
                threading.Thread(
                    target=self._pump, args=(source, target, keep), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, keep: bytearray | None) -> None:
        try:
            while data := source.recv(65536):
                if keep is not None:
                    keep += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already

    def close(self) -> None:
        self.door.close()

    def say(self, data: bytes) -> int:
        """Says it to the member as a stranger does, once; the port it came from."""
        with socket.create_connection((HOST, self.behind), timeout=5) as link:
            port = link.getsockname()[1]
            link.settimeout(0.2)
            try:
                link.sendall(data)
                while link.recv(65536):
                    pass
            except OSError:
                pass  # refused, reset or silent: all are its right
        return port


@pytest.mark.martlet
@pytest.mark.parametrize("over", ["plain", "tls"])
def test_what_peers_said_is_said_again_cut_and_changed(over, tmp_path):
    """Old terms, old appends, old acknowledgements, half frames: no write is lost by any of them."""
    certificates = make_cluster_certificates(tmp_path, [HOST, "localhost"]) if over == "tls" else None
    chance = random.Random(5)
    with Cluster(3, certificates=certificates, start=False) as three:
        taken = {port for m in three.members for port in (m.port, m.peer_port)}
        recorders = [Recorder(member, taken) for member in three.members]
        try:
            for member in three.members:
                member.start(wait=False)
            three.wait_agreed()
            with Load(three) as load:
                load.warm_up()
                # Another leader and term, so that what the first one said is of the past.
                first = three.members[three.leader()]
                first.kill()
                load.recover([member for member in three.members if member is not first])
                first.start(wait=False)
                load.recover()
                ports = {recorder: set() for recorder in recorders}
                for recorder in recorders:
                    talks = [bytes(said) for said in recorder.said if len(said) > 200]
                    assert talks, f"nobody spoke to {recorder.member.name}"
                    for talk in talks[-8:]:
                        changed = bytearray(talk)
                        changed[chance.randrange(150, len(talk))] ^= 1 << chance.randrange(8)
                        for data in (talk, talk[:chance.randrange(1, len(talk))], bytes(changed)):
                            ports[recorder].add(recorder.say(data))
                load.recover()
            print(load.verify())
            for recorder, used in ports.items():
                said = recorder.member.log()
                assert any(f":{port}" in said for port in used), said
        finally:
            for recorder in recorders:
                recorder.close()
