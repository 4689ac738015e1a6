"""test_auth_tokens.py: how callers prove who they are (rules G10, A4, A12, A13, A15).

Belongs here: simple tokens, JWTs, client certificates. Never here: what users may do.
JWTs are made here by hand: what another party signs must be taken, and what it did not must not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from auth import (BAD_TOKEN, DENIED, FAILED, NOT_ENABLED, OLD_REVISION, READ, READWRITE,
                  ROOT_PASSWORD, USER_EMPTY, Auth, Guarded, guarded)
from client import Client, rejected
from cluster import wait_until
from server import Certificates, Server, ServerFailed, make_certificates

# -- simple tokens ----------------------------------------------------------------------------


def test_g10_where_a_token_is_looked_for() -> None:
    with guarded() as (guard, _):
        token = guard.root.metadata[0][1]
        guard.client(token, key="token").range(b"a")
        guard.client(token, key="authorization").range(b"a")
        # The first of them counts, also if it is wrong.
        both = Client(guard.endpoint, metadata=[("token", "wrong"), ("authorization", token)])
        with both, rejected(*BAD_TOKEN):
            both.range(b"a")


@pytest.mark.newer("3.7")
def test_g10_bearer() -> None:
    with guarded() as (guard, _):
        token = guard.root.metadata[0][1]
        guard.client(f"Bearer {token}", key="authorization").range(b"a")
        with rejected(*BAD_TOKEN):
            guard.client("Bearer ", key="authorization").range(b"a")


def test_a5_tokens_that_are_none() -> None:
    with guarded() as (guard, _):
        token = guard.root.metadata[0][1]
        secret, index = token.split(".")
        for wrong in ["", "x", f"{secret}.1", secret, f".{index}", f"{secret.swapcase()}.{index}",
                      f"{token}.{index}", f"{secret}.", "a" * 7000]:
            with rejected(*BAD_TOKEN):
                guard.client(wrong).put(b"a")


@pytest.mark.martlet
def test_a_token_of_no_login_does_not_wait() -> None:
    """etcd waits for the log index in it until the client gives up."""
    with guarded() as (guard, _):
        for secret in [guard.root.metadata[0][1].split(".")[0], "abcdefghijklmnop"]:
            for index in ["99999", "18446744073709551615", "18446744073709551616", "-1"]:
                client = guard.client(f"{secret}.{index}")
                for call in [lambda: client.range(b"a"), lambda: client.put(b"a"), client.status,
                             lambda: client.range(b"a", serializable=True), client.hash_kv,
                             lambda: next(client.snapshot())]:
                    with rejected(*BAD_TOKEN):
                        call()
                with client.keepalive() as stream, rejected(*BAD_TOKEN):
                    stream.ping(1)
                with client.watch() as stream:
                    for _ in range(3):
                        stream.request_create(b"a")
                        assert "invalid auth token" in stream.receive().cancel_reason


def test_a15_tokens_are_ignored_while_auth_is_off() -> None:
    with Server() as server, Client(server.endpoint, metadata=[("token", "wrong")]) as client:
        client.put(b"a")
        with rejected(*NOT_ENABLED):
            Auth(client).authenticate("root", "x")


def test_a12_what_ends_a_login() -> None:
    with guarded() as (guard, _):
        for name in ["kept", "changed", "deleted"]:
            guard.auth.make(name, "p", (READWRITE, b"a"))
        kept, changed, deleted = (guard.user(n, "p") for n in ["kept", "changed", "deleted"])
        guard.auth.change_password("changed", "q")
        guard.auth.delete_user("deleted")
        kept.put(b"a")
        for client in [changed, deleted]:
            for call in [client.put, client.range]:
                with rejected(*BAD_TOKEN):
                    call(b"a")
        with rejected(*FAILED):
            guard.user("changed", "p")
        guard.user("changed", "q").put(b"a")
        guard.auth.disable()
        Auth(guard.nobody).enable()
        with rejected(*BAD_TOKEN):
            kept.put(b"a")


def test_a4_a_token_dies_so_long_after_its_last_use() -> None:
    with guarded("--auth-token-ttl=2") as (guard, _):
        used, idle = guard.user("root", ROOT_PASSWORD), guard.user("root", ROOT_PASSWORD)
        for _ in range(10):
            used.put(b"a")
            time.sleep(0.5)
        with rejected(*BAD_TOKEN):
            idle.put(b"a")
        used.put(b"a")


def test_a4_reading_is_use_as_well() -> None:
    with guarded("--auth-token-ttl=2") as (guard, _):
        used = guard.user("root", ROOT_PASSWORD)
        for _ in range(10):
            used.range(b"a", serializable=True)
            time.sleep(0.5)
        used.range(b"a")


@pytest.mark.martlet
def test_logins_survive_a_restart() -> None:
    """etcd forgets them, and its clients have to log in again."""
    with guarded() as (guard, server):
        guard.root.put(b"a")
        for end in [server.stop, server.kill]:
            end()
            server.start()
            guard.root.wait_ready()
            guard.root.put(b"a")


@pytest.mark.martlet
def test_a_token_is_in_no_file() -> None:
    with guarded() as (guard, server):
        secret = guard.root.metadata[0][1].split(".")[0].encode()
        guard.root.put(b"a")
        server.stop()
        kept = [file.read_bytes() for file in server.data_dir.rglob("*") if file.is_file()]
        kept.append(server.log_path.read_bytes())
        assert not [1 for content in kept if secret in content]
        server.start()


def test_many_clients_log_in_at_once() -> None:
    with guarded() as (guard, _):
        for number in range(4):
            guard.auth.make(f"u{number}", f"p{number}", (READWRITE, b"%d" % number))

        def work(number: int) -> None:
            for _ in range(10):
                client = guard.user(f"u{number % 4}", f"p{number % 4}")
                client.put(b"%d" % (number % 4))
                with rejected(*DENIED):
                    client.put(b"%d" % ((number + 1) % 4))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))


@pytest.mark.martlet
def test_logging_in_holds_nobody_up() -> None:
    """A storm of wrong passwords, each a slow hash: others go on, and too many are refused."""
    with Server(["--bcrypt-cost=12"]) as server:
        guard = Guarded(server.endpoint)
        refusals = []

        def wrong(number: int) -> None:
            with Client(server.endpoint, seconds=120) as client:
                try:
                    Auth(client).authenticate("root", f"wrong-{number}")
                except grpc.RpcError as error:
                    refusals.append((error.code().name, error.details()))

        with ThreadPoolExecutor(100) as pool:
            storm = [pool.submit(wrong, number) for number in range(100)]
            slowest = 0.0
            while not all(task.done() for task in storm):
                began = time.monotonic()
                guard.root.put(b"a")
                slowest = max(slowest, time.monotonic() - began)
        assert len(refusals) == 100
        assert {FAILED, ("UNKNOWN", "etcdserver: too many requests")} == set(refusals)
        print(f"slowest put: {slowest:.3f} s")
        guard.close()


# -- JWT --------------------------------------------------------------------------------------

def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _hs256(claims: dict, secret: bytes, header: dict | None = None) -> str:
    head = _b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    body = f"{head}.{_b64(json.dumps(claims).encode())}"
    return f"{body}.{_b64(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


KEYS = {
    "RS256": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "PS384": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ES256": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ES384": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ES512": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "EdDSA": ["genpkey", "-algorithm", "ED25519"],
}


def _keys(folder: Path, method: str) -> tuple[Path, Path]:
    private, public = folder / f"{method}.key", folder / f"{method}.pub"
    subprocess.run(["openssl", *KEYS[method], "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


@pytest.mark.parametrize("method", [
    pytest.param(method, marks=[pytest.mark.newer("3.6")] if method == "EdDSA" else [])
    for method in KEYS])
def test_jwt_with_a_pair_of_keys(tmp_path: Path, method: str) -> None:
    private, public = _keys(tmp_path, method)
    flag = f"--auth-token=jwt,pub-key={public},priv-key={private},sign-method={method},ttl=10m"
    with guarded(flag) as (guard, _):
        user = guard.make("user", (READ, b"a"))
        token = user.metadata[0][1]
        head, claims, signature = token.split(".")
        assert json.loads(_unb64(head)) == {"alg": method, "typ": "JWT"}
        said = json.loads(_unb64(claims))
        assert said["username"] == "user"
        assert said["revision"] == guard.auth.status().authRevision
        assert abs(said["exp"] - time.time() - 600) < 60
        user.range(b"a")
        with rejected(*DENIED):
            user.range(b"b")
        said["username"] = "root"
        changed = bytearray(_unb64(signature))
        changed[5] ^= 1
        for wrong in [f"{head}.{_b64(json.dumps(said).encode())}.{signature}",
                      f"{head}.{claims}.{_b64(bytes(changed))}", f"{head}.{claims}.",
                      f"{head}.{claims}", f"{_b64(b'{}')}.{claims}.{signature}",
                      f"{_b64(json.dumps({'alg': 'none'}).encode())}.{claims}."]:
            with rejected(*BAD_TOKEN):
                guard.client(wrong).range(b"a")


@pytest.fixture
def secret(tmp_path: Path) -> tuple[bytes, str]:
    file = tmp_path / "secret"
    file.write_bytes(b"a shared secret\n")
    return file.read_bytes(), f"--auth-token=jwt,priv-key={file},sign-method=HS256,ttl=1h"


def test_jwt_made_by_somebody_else(secret: tuple[bytes, str]) -> None:
    key, flag = secret
    with guarded(flag) as (guard, _):
        guard.auth.make("user", "p", (READ, b"a"))
        revision = guard.auth.status().authRevision
        good = {"username": "user", "revision": revision}
        later = int(time.time()) + 600
        guard.client(_hs256(good, key)).range(b"a")
        guard.client(_hs256({**good, "exp": later, "more": [1, {"a": None}]}, key)).range(b"a")
        for claims in [{"username": "user"}, {"revision": revision}, {},
                       {**good, "exp": later - 1200}, {**good, "exp": "soon"},
                       {**good, "nbf": later}, {**good, "username": 7},
                       {**good, "revision": "1"}]:
            with rejected(*BAD_TOKEN):
                guard.client(_hs256(claims, key)).range(b"a")
        with rejected(*BAD_TOKEN):
            guard.client(_hs256(good, b"another secret")).range(b"a")
        with rejected(*BAD_TOKEN):
            guard.client(_hs256(good, key, {"alg": "none", "typ": "JWT"})).range(b"a")
        with rejected(*DENIED):
            guard.client(_hs256({**good, "username": "nobody"}, key)).range(b"a")


def test_jwt_of_an_older_revision(secret: tuple[bytes, str]) -> None:
    with guarded(secret[1]) as (guard, _):
        user = guard.make("user", (READWRITE, b"a"))
        user.put(b"a")
        guard.auth.add_role("another")
        for call in [user.put, user.range]:
            with rejected(*OLD_REVISION):
                call(b"a")
        with user.watch() as stream:
            stream.request_create(b"a")
            assert stream.receive().cancel_reason == (
                "rpc error: code = InvalidArgument desc = "
                "etcdserver: revision of auth store is old")
        guard.user("user", "user-secret").put(b"a")


def test_jwt_runs_out(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"x" * 40)
    with guarded(f"--auth-token=jwt,priv-key={file},sign-method=HS256,ttl=2s") as (guard, _):
        user = guard.user("root", ROOT_PASSWORD)
        user.put(b"a")
        time.sleep(3.2)
        with rejected(*BAD_TOKEN):
            user.put(b"a")


def test_jwt_survives_a_restart(secret: tuple[bytes, str]) -> None:
    with guarded(secret[1]) as (guard, server):
        guard.root.put(b"a")
        server.restart()
        guard.root.wait_ready()
        guard.root.put(b"a")


@pytest.mark.martlet
def test_jwt_keys_follow_their_files(tmp_path: Path) -> None:
    """etcd reads them once, at its start."""
    file = tmp_path / "secret"
    file.write_bytes(b"first secret")
    with guarded(f"--auth-token=jwt,priv-key={file},sign-method=HS256,ttl=1h") as (guard, server):
        def made_by(secret: bytes) -> Client:
            claims = {"username": "root", "revision": guard.auth.status().authRevision,
                      "exp": int(time.time()) + 600}
            return guard.client(_hs256(claims, secret))

        def works(client: Client) -> bool:
            try:
                client.put(b"a")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
                return False
            return True

        old, new = made_by(b"first secret"), made_by(b"second secret")
        assert works(old) and not works(new)
        # Replaced as a whole, as operators do.
        (tmp_path / "next").write_bytes(b"second secret")
        (tmp_path / "next").rename(file)
        wait_until(lambda: works(new), "the new key", 10)
        # Also where the token was found valid a moment ago.
        assert not works(old)
        guard.user("root", ROOT_PASSWORD).put(b"a")
        assert "were loaded anew" in server.log()
        # A file that is no key changes nothing but the log.
        file.write_bytes(b"")
        wait_until(lambda: works(new) and "can't be loaded anew" in server.log(), "the line", 10)
        guard.user("root", ROOT_PASSWORD).put(b"a")
        file.write_bytes(b"first secret")
        wait_until(lambda: works(old), "the first key again", 10)
        assert not works(new)
        assert "secret" not in server.log().replace(str(file), "")


@pytest.mark.martlet
def test_jwt_pair_follows_its_files_together(tmp_path: Path) -> None:
    """Between the two files there is a moment in which they don't fit: the old pair stays."""
    private, public = _keys(tmp_path, "ES256")
    (tmp_path / "other").mkdir()
    other_private, other_public = _keys(tmp_path / "other", "ES256")
    flag = f"--auth-token=jwt,pub-key={public},priv-key={private},sign-method=ES256,ttl=1h"
    with guarded(flag) as (guard, server):
        Path(other_public).rename(public)
        wait_until(lambda: guard.root.put(b"a") and "can't be loaded anew" in server.log(),
                   "the line", 10)
        guard.user("root", ROOT_PASSWORD).put(b"a")
        Path(other_private).rename(private)

        def is_out() -> bool:
            try:
                guard.root.put(b"a")
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAUTHENTICATED
            return False
        wait_until(is_out, "the end of the first pair", 10)
        guard.user("root", ROOT_PASSWORD).put(b"a")


def test_jwt_without_a_private_key(tmp_path: Path) -> None:
    _, public = _keys(tmp_path, "RS256")
    with Server(["--bcrypt-cost=4",
                 f"--auth-token=jwt,pub-key={public},sign-method=RS256"]) as server:
        with Client(server.endpoint) as client:
            auth = Auth(client)
            auth.add_user("root", "r")
            auth.grant_role("root", "root")
            auth.enable()
            with rejected("UNKNOWN", "auth: token signing attempted with verify-only key"):
                auth.authenticate("root", "r")


@pytest.mark.martlet
def test_jwt_settings_that_cannot_work(tmp_path: Path) -> None:
    private, public = _keys(tmp_path, "ES256")
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = _keys(other, "ES256")
    for setting, text in [
            ("jwt", "expected sign-method="), ("jwt,sign-method=XX1,pub-key=a", "RS256"),
            ("jwt,sign-method=RS256", "pub-key= or priv-key="), ("oauth", "expected"),
            (f"jwt,sign-method=RS256,pub-key={public}", "no public key for RS256"),
            (f"jwt,sign-method=ES384,priv-key={private}", "no private key for ES384"),
            (f"jwt,sign-method=ES256,pub-key={foreign},priv-key={private}",
             "it is not the public key of"),
            ("jwt,sign-method=HS256,priv-key=/nonexistent", "/nonexistent"),
            (f"jwt,sign-method=ES256,priv-key={private},ttl=soon", "ttl="),
            (f"jwt,sign-method=ES256,priv-key={private},color=red", "color")]:
        with pytest.raises(ServerFailed) as failed:
            Server([f"--auth-token={setting}"])
        assert text in str(failed.value), failed.value


def test_no_tokens_at_all() -> None:
    with Server(["--bcrypt-cost=4", "--auth-token="]) as server, \
            Client(server.endpoint) as client:
        auth = Auth(client)
        auth.add_user("root", "r")
        auth.grant_role("root", "root")
        auth.enable()
        with rejected(*FAILED):
            auth.authenticate("root", "r")
        with rejected(*USER_EMPTY):
            client.put(b"a")


# -- client certificates ----------------------------------------------------------------------

@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a13_the_common_name_is_the_user(certificates: Certificates) -> None:
    credentials = grpc.ssl_channel_credentials(
        certificates.ca.read_bytes(), certificates.client_key.read_bytes(),
        certificates.client_cert.read_bytes())
    with Server(["--bcrypt-cost=4"], certificates=certificates, client_cert_auth=True) as server:
        setup = Client(server.endpoint, credentials=credentials)
        auth = Auth(setup)
        auth.add_user("root", ROOT_PASSWORD)
        auth.grant_role("root", "root")
        auth.enable()
        with rejected(*DENIED):
            setup.range(b"a")  # nobody is called "client" yet
        root = Client(server.endpoint, credentials=credentials, metadata=[
            ("token", auth.authenticate("root", ROOT_PASSWORD))])
        Auth(root).make("client", "p", (READ, b"a"))
        setup.range(b"a")
        with rejected(*DENIED):
            setup.put(b"a")
        assert Auth(setup).user("client") == ["client"]
        root.put(b"a")  # a token wins over the name
        wrong = Client(server.endpoint, credentials=credentials, metadata=[("token", "wrong")])
        with rejected(*BAD_TOKEN):
            wrong.range(b"a")
        Auth(root).grant_role("client", "root")
        setup.put(b"a")
        with setup.watch() as stream:
            stream.create(b"a")
        for client in [setup, root, wrong]:
            client.close()
