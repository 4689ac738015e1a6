"""test_cluster_tls.py: three members with TLS for clients and peers, and who is kept out.

Belongs here: certificates of clients and peers, renewed files. Never here: TLS of one member's
client port in detail (test_tls.py).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from certs import ClusterCertificates, Pair, make_cluster_certificates
from client import Client
from cluster import Cluster, Member, wait_until
from cluster_etcdctl import ClusterEtcdctl
from history import Load
from server import HOST, is_etcd

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> ClusterCertificates:
    return make_cluster_certificates(tmp_path_factory.mktemp("certs"), [HOST, "localhost"])


@pytest.fixture(scope="module")
def cluster(certificates) -> Iterator[Cluster]:
    with Cluster(3, certificates=certificates) as three:
        yield three
        assert len(three.running) == 3


def handshake(member: Member, port: int, certificates: ClusterCertificates,
              pair: Pair | None) -> bytes:
    """Shows the certificate to a port; the member's own certificate if it was let in.

    With TLS 1.3 a refusal comes with the first read, after a handshake that seems to succeed.
    """
    context = ssl.create_default_context(cafile=certificates.ca)
    if port == member.peer_port and not is_etcd():
        context.set_alpn_protocols(["martlet-peer/1"])
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    with socket.create_connection((member.host, port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=member.host) as wrapped:
            wrapped.settimeout(1.0)
            try:
                wrapped.sendall(b"M")  # the first byte of a hello, or of no HTTP request
                if not wrapped.recv(1):
                    raise ConnectionResetError("closed")
            except TimeoutError:
                pass  # it waits for the rest: we are in
            return wrapped.getpeercert(binary_form=True)


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


# -- working ------------------------------------------------------------------------------------


def test_a_leader_is_killed_and_comes_back_over_tls(certificates):
    with Cluster(3, certificates=certificates) as cluster:
        with Load(cluster) as load:
            load.warm_up()
            leader = cluster.members[cluster.leader()]
            leader.kill()
            cluster.wait_agreed()
            load.warm_up()
            leader.start(wait=False)
            load.recover()
        print(load.verify())


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_etcdctl_over_tls(cluster, version):
    ctl = ClusterEtcdctl(version, cluster)
    ctl.transcript("""
$ put k v
OK
$ get k
k
v
""")
    assert ctl.run("endpoint", "health", "--cluster").returncode == 0
    assert len(ctl.json("endpoint", "status", "--cluster")) == 3
    assert len({h.split(", ")[1] for h in ctl.lines("endpoint", "hashkv", "--cluster")}) == 1


# -- clients that are kept out --------------------------------------------------------------------


@pytest.mark.parametrize("who", ["nobody", "stranger", "expired"])
def test_a_client_without_a_good_certificate_is_refused(cluster, certificates, who):
    pair = None if who == "nobody" else getattr(certificates, who)
    credentials = (grpc.ssl_channel_credentials(certificates.ca.read_bytes()) if pair is None
                   else cluster.credentials(pair))
    for member in cluster.members:
        with Client(member.endpoint, credentials=credentials) as client:
            with pytest.raises(grpc.FutureTimeoutError):
                client.wait_ready(1)
    cluster.client(0).put(b"still here")


def test_a_client_of_another_ca_stays_away(cluster, certificates):
    credentials = grpc.ssl_channel_credentials(certificates.other_ca.read_bytes())
    with Client(cluster.members[0].endpoint, credentials=credentials) as client:
        with pytest.raises(grpc.FutureTimeoutError):
            client.wait_ready(1)


# -- peers that are kept out ----------------------------------------------------------------------


@pytest.mark.parametrize("who", ["nobody", "stranger", "expired"])
def test_the_peer_port_refuses_bad_certificates_and_says_so(cluster, certificates, who):
    pair = None if who == "nobody" else getattr(certificates, who)
    for member in cluster.members:
        before = len(member.log())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(member, member.peer_port, certificates, pair)
        wait_until(lambda: refusal_in(member.log()[before:]), f"{member.name} logs it", 10)
    cluster.check_same()


def refusal_in(log: str) -> bool:
    """A line about a refused connection that says why, in etcd's words or ours."""
    return any(word in line for line in log.splitlines()
               for word in ("rejected", "refused") if "certificate" in line)


def test_the_peer_port_lets_a_peer_in(cluster, certificates):
    """So that the refusals above are for the certificates."""
    member = cluster.members[0]
    assert handshake(member, member.peer_port, certificates, certificates.peer) == der(
        certificates.peer)


@pytest.mark.parametrize("who", ["stranger", "expired"])
def test_a_member_with_a_bad_peer_certificate_does_not_take_part(certificates, who):
    with Cluster(3, certificates=certificates) as cluster:
        bad = cluster.members[cluster.follower()]
        bad.kill()
        bad.peer_pair = getattr(certificates, who)
        revision = 0
        good = [member for member in cluster.members if member is not bad]
        cluster.wait_agreed(good)
        for n in range(20):
            revision = cluster.client(good[n % 2]).put(b"k", b"%d" % n).header.revision
        before = {member: len(member.log()) for member in good}
        bad.start(wait=False)
        for member in good:
            wait_until(lambda m=member: refusal_in(m.log()[before[m]:]),
                       f"{member.name} logs it", 15)
        state = cluster.status(bad) if bad.running else None
        assert state is None or (state.leader, state.header.revision < revision) == (0, True)
        cluster.client(good[0]).put(b"k", b"last")
        bad.kill()
        bad.peer_pair = certificates.peer
        bad.start(wait=False)
        cluster.wait_agreed(cluster.members)
        cluster.check_same()


# -- renewed certificates -------------------------------------------------------------------------


def test_certificate_files_are_replaced_while_running(certificates, tmp_path: Path):
    """New connections see the new certificate; nobody is restarted, no write is lost."""
    with Cluster(3, certificates=certificates, start=False) as cluster:
        for member in cluster.members:
            member.server_pair = certificates.server.copy_to(tmp_path / member.name)
            member.peer_pair = certificates.peer.copy_to(tmp_path / member.name)
            member.start(wait=False)
        cluster.wait_agreed(cluster.members)
        with Load(cluster) as load:
            load.warm_up()
            for member in cluster.members:
                member.server_pair.replace_by(certificates.renewed)
                member.peer_pair.replace_by(certificates.renewed)
            for member in cluster.members:
                for port in (member.port, member.peer_port):
                    wait_until(lambda m=member, p=port: handshake(
                        m, p, certificates, certificates.client) == der(certificates.renewed),
                        f"{member.name} shows the new certificate on {port}", 20)
            load.warm_up()
            victim = cluster.members[cluster.follower()]
            victim.kill()
            victim.start(wait=False)  # its peers must accept it with the new files
            load.recover()
        print(load.verify())
