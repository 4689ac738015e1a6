"""test_tls_files.py: certificates, authorities and revocation lists of the client port as files.

Belongs here: files that change under a running server, who a list keeps out, certificates that the
server makes itself, versions and suites. Never here: ALPN and HTTP (test_tls.py), clusters
(test_cluster_tls.py).
"""

from __future__ import annotations

import os
import shutil
import ssl
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests

from certs import Authority, Pair
from client import Client
from cluster import Cluster, wait_until
from server import HOST, Server, ServerFailed, is_etcd

HOSTS = [HOST, "localhost"]


class Secured(Server):
    """A server whose TLS files are the test's own copies."""

    def __init__(self, folder: Path, *flags: str, ca: Authority, pair: Pair, **more) -> None:
        self.pair = pair.copy_to(folder)
        self.ca = Path(shutil.copy(ca.cert, folder / "trusted.pem"))
        self.more = [f"--cert-file={self.pair.cert}", f"--key-file={self.pair.key}",
                     f"--trusted-ca-file={self.ca}", "--client-cert-auth", *flags]
        super().__init__(self.more, **more)

    @property
    def scheme(self) -> str:
        return "https"

    def replace_ca(self, *authorities: Authority) -> None:
        aside = self.ca.with_suffix(".new")
        aside.write_text("".join(each.cert.read_text() for each in authorities))
        os.replace(aside, self.ca)

    def lets_in(self, pair: Pair, trusted: Authority, seconds: float = 1.5) -> bool:
        """Whether a new connection with that certificate can be used."""
        credentials = grpc.ssl_channel_credentials(
            trusted.cert.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes())
        with Client(self.endpoint, credentials=credentials) as client:
            try:
                client.wait_ready(seconds).put(b"k")
                return True
            except (grpc.FutureTimeoutError, grpc.RpcError):
                return False


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "their-ca")


@pytest.fixture(scope="module")
def pairs(ours) -> dict[str, Pair]:
    return {name: ours.issue(name, HOSTS) for name in ("server", "renewed", "good", "bad")} | {
        "elsewhere": ours.issue("elsewhere", ["client.example"])}


# -- files that change ----------------------------------------------------------------------------


def test_a_renewed_certificate_is_shown_without_a_restart(ours, pairs, tmp_path):
    with Secured(tmp_path, ca=ours, pair=pairs["server"]) as server:
        context = ssl.create_default_context(cafile=ours.cert)
        context.load_cert_chain(pairs["good"].cert, pairs["good"].key)

        def shown() -> bytes:
            with socket.create_connection((HOST, server.port), timeout=10) as plain:
                with context.wrap_socket(plain, server_hostname=HOST) as wrapped:
                    return wrapped.getpeercert(binary_form=True)

        assert shown() == ssl.PEM_cert_to_DER_cert(pairs["server"].cert.read_text())
        server.pair.replace_by(pairs["renewed"])
        wanted = ssl.PEM_cert_to_DER_cert(pairs["renewed"].cert.read_text())
        wait_until(lambda: shown() == wanted, "the renewed certificate is shown", 10)


@pytest.mark.martlet
def test_a_changed_ca_counts_without_a_restart_and_a_broken_one_does_not(
        ours, theirs, pairs, tmp_path):
    foreign = theirs.issue("foreign", HOSTS)
    with Secured(tmp_path, ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["good"], ours)
        assert not server.lets_in(foreign, ours)
        server.replace_ca(ours, theirs)
        wait_until(lambda: server.lets_in(foreign, ours), "the second CA counts", 15)
        assert "changed certificates are in use" in server.log()
        server.ca.write_text("no certificate\n")
        wait_until(lambda: not server.lets_in(foreign, ours) or
                   "changed certificates were not loaded" in server.log(), "it is told", 15)
        assert server.lets_in(foreign, ours), "the former files stay in use"
        server.replace_ca(theirs)
        wait_until(lambda: not server.lets_in(pairs["good"], ours), "the first CA is out", 15)


# -- revocation -----------------------------------------------------------------------------------


def test_a_revoked_client_is_refused(ours, pairs, tmp_path):
    crl = shutil.copy(ours.revoke(pairs["bad"]), tmp_path / "list.pem")
    with Secured(tmp_path, f"--client-crl-file={crl}", ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["good"], ours)
        assert not server.lets_in(pairs["bad"], ours)
        server.check_alive()


@pytest.mark.martlet
def test_a_changed_revocation_list_counts_without_a_restart(ours, pairs, tmp_path):
    crl = Path(shutil.copy(ours.revoke(), tmp_path / "list.pem"))
    with Secured(tmp_path, f"--client-crl-file={crl}", ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["bad"], ours)
        aside = shutil.copy(ours.revoke(pairs["bad"]), tmp_path / "list.new")
        os.replace(aside, crl)
        wait_until(lambda: not server.lets_in(pairs["bad"], ours), "the new list counts", 15)
        assert server.lets_in(pairs["good"], ours)


@pytest.mark.martlet
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_list_that_has_run_out_still_counts_and_is_told(ours, pairs, tmp_path, form):
    crl = shutil.copy(ours.revoke(pairs["bad"], days=-1, form=form), tmp_path / "list")
    with Secured(tmp_path, f"--client-crl-file={crl}", ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["good"], ours)
        assert not server.lets_in(pairs["bad"], ours)
        assert "has run out" in server.log()


@pytest.mark.martlet
def test_a_list_of_another_authority_is_told_and_refuses_nobody(ours, theirs, pairs, tmp_path):
    crl = shutil.copy(theirs.revoke(pairs["good"]), tmp_path / "list")
    with Secured(tmp_path, f"--client-crl-file={crl}", ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["good"], ours)
        assert "issued by none of the authorities" in server.log()


@pytest.mark.martlet
@pytest.mark.parametrize("content", ["", "no list\n", None])
def test_a_revocation_list_that_cannot_be_read_stops_the_start(ours, pairs, tmp_path, content):
    crl = tmp_path / "list"
    if content is not None:
        crl.write_text(content)
    with pytest.raises(ServerFailed, match="cannot use TLS file"):
        Secured(tmp_path, f"--client-crl-file={crl}", ca=ours, pair=pairs["server"])


# -- names in certificates ------------------------------------------------------------------------


def test_only_clients_with_an_allowed_host_name_come_in(ours, pairs, tmp_path):
    flag = "--client-cert-allowed-hostname=client.example"
    with Secured(tmp_path, flag, ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["elsewhere"], ours)
        assert not server.lets_in(pairs["good"], ours)
        server.check_alive()


@pytest.mark.newer("3.6")
def test_several_host_names_may_be_allowed(ours, pairs, tmp_path):
    flag = "--client-cert-allowed-hostname=other.example,client.example"
    with Secured(tmp_path, flag, ca=ours, pair=pairs["server"]) as server:
        assert server.lets_in(pairs["elsewhere"], ours)
        assert not server.lets_in(pairs["good"], ours)


# -- versions and suites --------------------------------------------------------------------------


def reached(server: Server, ours: Authority, pair: Pair, **settings) -> tuple[str, str] | None:
    """Version and suite of a handshake, or None where there is none."""
    context = ssl.create_default_context(cafile=ours.cert)
    context.load_cert_chain(pair.cert, pair.key)
    for name, value in settings.items():
        if name == "ciphers":
            context.set_ciphers(value)
        else:
            setattr(context, name, value)
    try:
        with socket.create_connection((HOST, server.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=HOST) as wrapped:
                return wrapped.version(), wrapped.cipher()[0]
    except (ssl.SSLError, ConnectionError):
        return None


def test_the_least_version_is_held(ours, pairs, tmp_path):
    with Secured(tmp_path, "--tls-min-version=TLS1.3", ca=ours, pair=pairs["server"]) as server:
        old = ssl.TLSVersion.TLSv1_2
        assert reached(server, ours, pairs["good"])[0] == "TLSv1.3"
        assert reached(server, ours, pairs["good"], maximum_version=old) is None


def test_the_greatest_version_and_the_suites_are_held(ours, pairs, tmp_path):
    suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    flags = ("--tls-max-version=TLS1.2", f"--cipher-suites={suite}")
    with Secured(tmp_path, *flags, ca=ours, pair=pairs["server"]) as server:
        assert reached(server, ours, pairs["good"]) == ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
        assert reached(server, ours, pairs["good"], ciphers="ECDHE-ECDSA-AES256-GCM-SHA384") is None


# -- certificates of the server's own make --------------------------------------------------------


class AutoTLS(Server):
    @property
    def scheme(self) -> str:
        return "https"


def test_auto_tls_makes_a_certificate_and_keeps_it(tmp_path):
    with AutoTLS(["--auto-tls"]) as server:
        fixtures = server.data_dir / "fixtures" / "client"
        if is_etcd():
            cert = next(fixtures.glob("cert*.pem"))
            key = next(fixtures.glob("key*.pem"))
        else:
            cert, key = fixtures / "cert.pem", fixtures / "key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        made = cert.read_bytes()
        answer = requests.get(server.url + "/health", verify=str(cert), timeout=20)
        assert answer.status_code == 200
        server.restart()
        assert cert.read_bytes() == made
        answer = requests.get(server.url + "/health", verify=str(cert), timeout=20)
        assert answer.status_code == 200


@pytest.mark.martlet
def test_auto_tls_replaces_a_certificate_that_has_run_out(ours, tmp_path):
    with AutoTLS(["--auto-tls", "--self-signed-cert-validity=2"]) as server:
        cert = server.data_dir / "fixtures" / "client" / "cert.pem"
        shown = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-ext",
                                "subjectAltName", "-checkend", str(600 * 86400)],
                               capture_output=True, text=True)
        assert shown.returncode == 0, "valid for two years"
        assert "127.0.0.1" in shown.stdout and "localhost" in shown.stdout
        server.stop()
        old = ours.issue("run-out", HOSTS, expired=True)
        shutil.copy(old.cert, cert)
        server.start()
        assert cert.read_bytes() != old.cert.read_bytes()


@pytest.mark.cluster
def test_peer_auto_tls_lets_members_speak_without_any_file():
    with Cluster(3, start=False, flags=("--peer-auto-tls",)) as cluster:
        for member in cluster.members:
            member.secure = True
            member.initial_cluster = cluster.initial_cluster().replace("=http:", "=https:")
            plain, peer = member.command, f"http://{HOST}:{member.peer_port}"
            member.command = lambda plain=plain, peer=peer: [
                word.replace(peer, peer.replace("http:", "https:"))
                if "peer-urls" in word else word for word in plain()]
            member.start(wait=False)
        cluster.wait_agreed()
        cluster.client(0).put(b"k", b"v")
        for member in cluster.members:
            assert cluster.client(member).get(b"k").value == b"v"
            assert (member.data_dir / "fixtures" / "peer").is_dir()


@pytest.mark.martlet
def test_grpc_trusts_the_certificate_that_auto_tls_made():
    with AutoTLS(["--auto-tls"]) as server:
        made = (server.data_dir / "fixtures" / "client" / "cert.pem").read_bytes()
        with Client(server.endpoint, credentials=grpc.ssl_channel_credentials(made)) as client:
            client.put(b"k", b"v")
            assert client.get(b"k").value == b"v"
