"""test_auth.py: users, roles and permissions as the Auth service keeps them (rules A1-A3, A9-A11, A14).

Belongs here: the calls of the Auth service and their errors. Never here: what permissions allow
(test_auth_access.py), tokens (test_auth_tokens.py).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest

from auth import (BAD_MANAGEMENT, DENIED, FAILED, NO_PASSWORD, NO_PERMISSION, NO_ROOT,
                  NO_ROOT_ROLE, NOT_ENABLED, PASSWORD_TOO_LONG, PERMISSION_NOT_GRANTED, READ,
                  READWRITE, ROLE_EMPTY, ROLE_EXISTS, ROLE_NOT_FOUND, ROLE_NOT_GRANTED,
                  ROOT_PASSWORD, USER_EMPTY, USER_EXISTS, USER_NOT_FOUND, WRITE, Auth, Guarded,
                  guarded)
from client import Client, rejected
from server import Server


@pytest.fixture
def fresh(start: Callable[..., tuple[Server, Client]]) -> Auth:
    """The Auth service of a server that has no users."""
    return Auth(start("--bcrypt-cost=4")[1])


@pytest.fixture
def guard() -> Iterator[Guarded]:
    with guarded() as (guard, _):
        yield guard


# -- switching it on and off ------------------------------------------------------------------

def test_a1_enable_needs_root_with_its_role(fresh: Auth) -> None:
    with rejected(*NO_ROOT):
        fresh.enable()
    fresh.add_user("root", "r")
    with rejected(*NO_ROOT_ROLE):
        fresh.enable()
    fresh.grant_role("root", "root")  # the role need not exist
    with rejected(*ROLE_NOT_FOUND):
        fresh.role("root")
    assert not fresh.status().enabled
    fresh.enable()
    with rejected(*USER_EMPTY):
        fresh.enable()


def test_a1_enable_and_disable_twice(guard: Guarded) -> None:
    guard.auth.enable()
    guard.auth.disable()
    open_to_all = Auth(guard.nobody)
    assert not open_to_all.status().enabled
    open_to_all.disable()
    guard.nobody.put(b"a")
    open_to_all.enable()
    with rejected(*USER_EMPTY):
        guard.nobody.put(b"a")


def test_a2_revision_counts_changes(start: Callable[..., tuple[Server, Client]]) -> None:
    server, client = start("--bcrypt-cost=4")
    fresh = Auth(client)
    assert (fresh.status().authRevision, fresh.status().enabled) == (1, False)
    changes = [
        lambda: fresh.add_user("u", "p"), lambda: fresh.add_role("r"),
        lambda: fresh.grant("r", READ, b"a"), lambda: fresh.grant("r", WRITE, b"a"),
        lambda: fresh.grant_role("u", "r"), lambda: fresh.change_password("u", "q"),
        lambda: fresh.revoke("r", b"a"), lambda: fresh.revoke_role("u", "r"),
        lambda: fresh.delete_role("r"), lambda: fresh.delete_user("u"),
    ]
    for count, change in enumerate(changes, 2):
        assert change().header.revision == 1
        assert fresh.status().authRevision == count
    fresh.add_user("root", ROOT_PASSWORD)
    fresh.grant_role("root", "root")
    before = fresh.status().authRevision
    fresh.grant_role("root", "root")  # has it: no change (A11)
    fresh.enable()
    token = fresh.authenticate("root", ROOT_PASSWORD)
    with Client(server.endpoint, metadata=[("token", token)]) as root:
        assert Auth(root).status().authRevision == before
        Auth(root).disable()
    assert fresh.status().authRevision == before + 1


# -- users ------------------------------------------------------------------------------------

def test_users_come_and_go(fresh: Auth) -> None:
    assert fresh.users() == []
    for name in ["b", "a", "c"]:
        fresh.add_user(name, "p")
    assert fresh.users() == ["a", "b", "c"]
    with rejected(*USER_EXISTS):
        fresh.add_user("a", "other")
    with rejected(*USER_EMPTY):
        fresh.add_user("", "p")
    fresh.delete_user("b")
    assert fresh.users() == ["a", "c"]
    for call in [lambda: fresh.delete_user("b"), lambda: fresh.user("b"),
                 lambda: fresh.change_password("b", "p"), lambda: fresh.grant_role("b", "root"),
                 lambda: fresh.revoke_role("b", "root")]:
        with rejected(*USER_NOT_FOUND):
            call()


def test_names_that_look_alike_are_different(fresh: Auth) -> None:
    names = ["\u00e9", "e\u0301", "root\x00", "ROOT"]
    for name in names:
        fresh.add_user(name, "p")
    assert fresh.users() == sorted(names, key=lambda name: name.encode())
    fresh.delete_user("\u00e9")
    assert "e\u0301" in fresh.users()
    with rejected(*NO_ROOT):
        fresh.enable()


def test_a11_roles_of_a_user_are_sorted(fresh: Auth) -> None:
    fresh.add_user("u", "p")
    for role in ["z", "a", "m"]:
        fresh.add_role(role)
        fresh.grant_role("u", role)
    fresh.grant_role("u", "a")
    assert fresh.user("u") == ["a", "m", "z"]
    fresh.revoke_role("u", "m")
    with rejected(*ROLE_NOT_GRANTED):
        fresh.revoke_role("u", "m")
    with rejected(*ROLE_NOT_FOUND):
        fresh.grant_role("u", "nothing")
    assert fresh.user("u") == ["a", "z"]


# -- roles ------------------------------------------------------------------------------------

def test_roles_come_and_go(fresh: Auth) -> None:
    for role in ["b", "a"]:
        fresh.add_role(role)
    assert fresh.roles() == ["a", "b"]
    with rejected(*ROLE_EXISTS):
        fresh.add_role("a")
    with rejected(*ROLE_EMPTY):
        fresh.add_role("")
    fresh.delete_role("a")
    for call in [lambda: fresh.delete_role("a"), lambda: fresh.role("a"),
                 lambda: fresh.grant("a", READ, b"k"), lambda: fresh.revoke("a", b"k")]:
        with rejected(*ROLE_NOT_FOUND):
            call()


def test_a11_a_permission_is_replaced(fresh: Auth) -> None:
    fresh.add_role("r")
    fresh.grant("r", READ, b"b", b"c")
    fresh.grant("r", WRITE, b"a")
    fresh.grant("r", READWRITE, b"b", b"c")
    fresh.grant("r", READ, b"c", b"\0")
    assert fresh.role("r") == [
        (WRITE, b"a", b""), (READWRITE, b"b", b"c"), (READ, b"c", b"\0")]
    with rejected(*PERMISSION_NOT_GRANTED):
        fresh.revoke("r", b"b")
    fresh.revoke("r", b"b", b"c")
    with rejected(*PERMISSION_NOT_GRANTED):
        fresh.revoke("r", b"b", b"c")
    assert fresh.role("r") == [(WRITE, b"a", b""), (READ, b"c", b"\0")]


def test_a11_permissions_need_a_range_of_keys(fresh: Auth) -> None:
    with rejected(*NO_PERMISSION):
        fresh.call("RoleGrantPermission", name="nothing")  # before the role is looked for
    fresh.add_role("r")
    for key, range_end in [(b"", b""), (b"", b"\0"), (b"b", b"b"), (b"b", b"a")]:
        with rejected(*BAD_MANAGEMENT):
            fresh.grant("r", READ, key, range_end)
    assert fresh.role("r") == []


@pytest.mark.martlet
def test_a_permission_of_an_unknown_kind_is_refused(fresh: Auth) -> None:
    """etcd takes it, and treats it as READ."""
    fresh.add_role("r")
    with rejected(*BAD_MANAGEMENT):
        fresh.grant("r", 7, b"k")


def test_a12_a_deleted_role_leaves_all_users(fresh: Auth) -> None:
    fresh.add_role("r")
    for name in ["u", "v"]:
        fresh.add_user(name, "p")
        fresh.grant_role(name, "r")
    fresh.delete_role("r")
    assert fresh.user("u") == fresh.user("v") == []


# -- passwords --------------------------------------------------------------------------------

def test_a3_logging_in(guard: Guarded) -> None:
    nobody = Auth(guard.nobody)
    guard.auth.add_user("u", "right")
    guard.auth.add_user("empty", "")
    guard.auth.add_user("none", no_password=True)
    secret, index = nobody.authenticate("u", "right").split(".")
    assert len(secret) == 16 and secret.isalpha() and int(index) > 0
    assert nobody.authenticate("empty", "")
    for name, password in [("u", "wrong"), ("u", ""), ("nobody", "right"), ("", ""),
                           ("empty", "x")]:
        with rejected(*FAILED):
            nobody.authenticate(name, password)
    with rejected(*NO_PASSWORD):
        nobody.authenticate("none", "")


def test_a3_logging_in_while_auth_is_off(fresh: Auth) -> None:
    fresh.add_user("u", "p")
    with rejected(*NOT_ENABLED):
        fresh.authenticate("u", "p")


def test_a14_passwords_beyond_what_bcrypt_reads(fresh: Auth) -> None:
    with rejected(*PASSWORD_TOO_LONG):
        fresh.add_user("u", "x" * 73)
    fresh.add_user("u", "x" * 72)
    with rejected(*PASSWORD_TOO_LONG):
        fresh.change_password("u", "x" * 73)


@pytest.mark.martlet
def test_a_password_with_a_nul_is_refused(fresh: Auth) -> None:
    """The system's bcrypt would take it for the password before the NUL."""
    with rejected("INVALID_ARGUMENT", "bcrypt: a password must not hold a NUL"):
        fresh.add_user("u", "a\0b")


def test_a14_passwords_that_are_not_ascii(guard: Guarded) -> None:
    for number, password in enumerate(["\u00e9", "p\u00e4\u00df", "\U0001f511" * 18, "\xff\xa3" * 9]):
        guard.auth.add_user(f"u{number}", password)
        assert Auth(guard.nobody).authenticate(f"u{number}", password)


def test_a14_a_hash_made_by_the_client(guard: Guarded) -> None:
    """Of the password "hashed", by another bcrypt."""
    made = base64.b64encode(b"$2a$04$TFtG06Z/Zxn2GtS.fOmUVOc2Ka.ej1bPQnth5/IwKzyQQUpZtJkxC").decode()
    nobody = Auth(guard.nobody)
    guard.auth.add_user("u", "first")
    guard.auth.change_password("u", hashedPassword=made)
    with rejected(*FAILED):
        nobody.authenticate("u", "first")
    assert nobody.authenticate("u", "hashed")
    with rejected(*NO_PASSWORD):
        guard.auth.change_password("u", hashedPassword="***")
    guard.auth.change_password("u")  # neither: nobody can log in any more
    for password in ["", "hashed"]:
        with rejected(*FAILED):
            nobody.authenticate("u", password)


@pytest.mark.martlet
def test_a_hash_that_is_none_is_refused(guard: Guarded) -> None:
    guard.auth.add_user("u", "first")
    for text in [b"plain", b"$2a$04$short", b"$1$04$" + b"x" * 54, b"$2a$03$" + b"x" * 53]:
        with rejected("INVALID_ARGUMENT",
                      "auth: hashedPassword must be the base64 of a bcrypt hash"):
            guard.auth.change_password("u", hashedPassword=base64.b64encode(text).decode())


def test_passwords_are_in_no_file(start: Callable[..., tuple[Server, Client]]) -> None:
    server, client = start("--bcrypt-cost=4")
    auth = Auth(client)
    auth.add_user("root", "pass-word-of-root")
    auth.grant_role("root", "root")
    auth.change_password("root", "other-pass-word")
    auth.enable()
    token = auth.authenticate("root", "other-pass-word")
    server.stop()
    secrets = [b"pass-word-of-root", b"other-pass-word"]
    kept = [file.read_bytes() for file in server.data_dir.rglob("*") if file.is_file()]
    kept.append(server.log_path.read_bytes())
    assert not [secret for secret in secrets for content in kept if secret in content]
    server.start()
    assert token


# -- who may call the Auth service ------------------------------------------------------------

def test_a9_about_oneself(guard: Guarded) -> None:
    user = Auth(guard.make("u", (READ, b"a")))
    guard.auth.make("v", "p")
    assert user.user("u") == ["u"]
    assert user.role("u") == [(READ, b"a", b"")]
    for call in [lambda: user.user("v"), lambda: user.role("v"), lambda: user.user("nobody"),
                 lambda: user.role("nothing"), user.users, user.roles]:
        with rejected(*DENIED):
            call()


def _changes(auth: Auth) -> list[Callable[[], object]]:
    return [
        auth.enable, auth.disable, lambda: auth.add_user("x", "p"), lambda: auth.delete_user("u"),
        lambda: auth.change_password("u", "p"), lambda: auth.grant_role("u", "root"),
        lambda: auth.revoke_role("u", "u"), lambda: auth.add_role("x"),
        lambda: auth.delete_role("u"), lambda: auth.grant("u", READ, b"z"),
        lambda: auth.revoke("u", b"a"), auth.users, auth.roles, lambda: auth.user("root"),
        lambda: auth.role("root"),
    ]


def test_a5_only_root_changes_anything(guard: Guarded) -> None:
    user = Auth(guard.make("u", (READ, b"a")))
    before = guard.auth.status().authRevision
    for call in _changes(Auth(guard.nobody)):
        with rejected(*USER_EMPTY):
            call()
    for call in _changes(user):
        with rejected(*DENIED):
            call()
    assert guard.auth.status().authRevision == before


@pytest.mark.newer("3.7")
def test_anybody_may_ask_whether_auth_is_on(guard: Guarded) -> None:
    """Who makes JWTs elsewhere needs the auth revision, and has no token yet."""
    assert Auth(guard.nobody).status().enabled


def test_a10_root_is_protected(guard: Guarded) -> None:
    guard.auth.add_role("root")
    for call in [lambda: guard.auth.delete_user("root"), lambda: guard.auth.delete_role("root"),
                 lambda: guard.auth.revoke_role("root", "root")]:
        with rejected(*BAD_MANAGEMENT):
            call()
    guard.auth.disable()
    auth = Auth(guard.nobody)
    auth.revoke_role("root", "root")
    auth.delete_role("root")
    auth.delete_user("root")
    assert auth.users() == []


def test_whoever_has_the_role_root_is_root(guard: Guarded) -> None:
    guard.auth.add_user("admin", "p")
    admin = Auth(guard.user("admin", "p"))
    with rejected(*DENIED):
        admin.users()
    guard.auth.grant_role("admin", "root")
    assert admin.users() == ["admin", "root"]
    admin.client.put(b"anything")
    guard.auth.revoke_role("admin", "root")
    with rejected(*DENIED):
        admin.users()


def test_users_survive_a_restart(start: Callable[..., tuple[Server, Client]]) -> None:
    server, client = start("--bcrypt-cost=4")
    guard = Guarded(server.endpoint)
    guard.make("u", (READ, b"a", b"c"))
    for end in [server.stop, server.kill]:
        end()
        server.start()
        client.wait_ready()
        with rejected(*USER_EMPTY):
            client.range(b"a")
        user = guard.user("u", "u-secret")
        user.range(b"a", b"c")
        with rejected(*DENIED):
            user.range(b"a", b"d")
    guard.close()
