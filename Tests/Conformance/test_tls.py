"""test_tls.py: TLS on the client port, rule G15 and client certificates.

Belongs here: ALPN, gRPC and HTTP behind one TLS port, who is let in. Never here: users (auth).
"""

import socket
import ssl

import grpc
import pytest
import requests

from client import Client, prefix_end
from server import HOST, Server, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls(certificates):
    with Server(certificates=certificates) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(certificates):
    with Server(certificates=certificates, client_cert_auth=True) as server:
        yield server


def credentials(certificates, who=None):
    pair = {}
    if who:
        pair = {"private_key": getattr(certificates, f"{who}_key").read_bytes(),
                "certificate_chain": getattr(certificates, f"{who}_cert").read_bytes()}
    return grpc.ssl_channel_credentials(certificates.ca.read_bytes(), **pair)


def context(certificates, who=None, protocols=()):
    made = ssl.create_default_context(cafile=certificates.ca)
    if who:
        made.load_cert_chain(getattr(certificates, f"{who}_cert"),
                             getattr(certificates, f"{who}_key"))
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


@pytest.mark.parametrize("offered, chosen", [
    (("h2", "http/1.1"), ["h2"]), (("http/1.1", "h2"), ["h2"]), (("h2",), ["h2"]),
    (("http/1.1",), ["http/1.1", None])])
def test_G15_alpn_prefers_h2(tls, certificates, offered, chosen):
    """etcd picks nothing for a client of http/1.1 alone, and serves it all the same."""
    made = context(certificates, protocols=offered)
    with socket.create_connection((HOST, tls.port), timeout=10) as plain:
        with made.wrap_socket(plain, server_hostname=HOST) as wrapped:
            assert wrapped.selected_alpn_protocol() in chosen
            if "h2" not in offered:
                wrapped.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert wrapped.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_G15_grpc_over_tls(tls, certificates):
    with Client(tls.endpoint, credentials=credentials(certificates)) as client:
        client.put(b"a", b"v")
        assert client.get(b"a").value == b"v"
        with client.watch() as watch:
            watch.create(b"a")
            client.put(b"a", b"2")
            assert watch.events(1)[0].kv.value == b"2"


def test_G15_http_over_tls_on_the_same_port(tls, certificates):
    reply = requests.get(tls.url + "/health", verify=certificates.ca, timeout=20)
    assert (reply.status_code, reply.text) == (200, '{"health":"true","reason":""}')


def test_G15_large_messages_over_tls(tls, certificates):
    value = bytes(range(256)) * 4000
    with Client(tls.endpoint, credentials=credentials(certificates)) as client:
        for n in range(6):
            client.put(b"large%d" % n, value)
        kvs = client.range(b"large", prefix_end(b"large")).kvs
        assert [kv.value for kv in kvs] == [value] * 6


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_G15_tls_1_2_and_1_3(tls, certificates, version):
    made = context(certificates, protocols=("h2",))
    made.minimum_version = made.maximum_version = version
    with socket.create_connection((HOST, tls.port), timeout=10) as plain:
        with made.wrap_socket(plain, server_hostname=HOST) as wrapped:
            assert wrapped.selected_alpn_protocol() == "h2"


def test_client_cert_auth_lets_a_known_client_in(mutual, certificates):
    with Client(mutual.endpoint, credentials=credentials(certificates, "client")) as client:
        client.put(b"k", b"v")
        assert client.get(b"k").value == b"v"
    pair = (str(certificates.client_cert), str(certificates.client_key))
    reply = requests.get(mutual.url + "/health", verify=certificates.ca, cert=pair, timeout=20)
    assert reply.status_code == 200


@pytest.mark.parametrize("who", [None, "stranger"])
def test_client_cert_auth_refuses_anybody_else(mutual, certificates, who):
    with Client(mutual.endpoint, credentials=credentials(certificates, who)) as client:
        with pytest.raises(grpc.FutureTimeoutError):
            client.wait_ready(1.5)
    pair = who and (str(certificates.stranger_cert), str(certificates.stranger_key))
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(mutual.url + "/health", verify=certificates.ca, cert=pair, timeout=20)
    mutual.check_alive()
    with Client(mutual.endpoint, credentials=credentials(certificates, "client")) as client:
        client.put(b"k")


def test_a_client_that_does_not_trust_the_server_stays_away(tls, certificates):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(tls.url + "/health", timeout=20)
    tls.check_alive()
