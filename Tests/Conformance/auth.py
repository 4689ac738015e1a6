"""auth.py: users, roles and tokens for the conformance tests.

Belongs here: the calls of the Auth service, clients that carry a token, a server with auth on.
Never here: what a user may do (the tests). Source of truth: etcd semantics A1-A15.
"""

from __future__ import annotations

from contextlib import contextmanager
from collections.abc import Iterator

import grpc

from client import Client
from schema import authpb, pb
from server import Server

READ, WRITE, READWRITE = 0, 1, 2
ROOT_PASSWORD = "root-secret"

USER_EMPTY = ("INVALID_ARGUMENT", "etcdserver: user name is empty")
DENIED = ("PERMISSION_DENIED", "etcdserver: permission denied")
BAD_TOKEN = ("UNAUTHENTICATED", "etcdserver: invalid auth token")
OLD_REVISION = ("INVALID_ARGUMENT", "etcdserver: revision of auth store is old")
FAILED = ("INVALID_ARGUMENT", "etcdserver: authentication failed, invalid user ID or password")
NOT_ENABLED = ("FAILED_PRECONDITION", "etcdserver: authentication is not enabled")
BAD_MANAGEMENT = ("INVALID_ARGUMENT", "etcdserver: invalid auth management")
NO_ROOT = ("FAILED_PRECONDITION", "etcdserver: root user does not exist")
NO_ROOT_ROLE = ("FAILED_PRECONDITION", "etcdserver: root user does not have root role")
USER_EXISTS = ("FAILED_PRECONDITION", "etcdserver: user name already exists")
USER_NOT_FOUND = ("FAILED_PRECONDITION", "etcdserver: user name not found")
ROLE_EXISTS = ("FAILED_PRECONDITION", "etcdserver: role name already exists")
ROLE_NOT_FOUND = ("FAILED_PRECONDITION", "etcdserver: role name not found")
ROLE_EMPTY = ("INVALID_ARGUMENT", "etcdserver: role name is empty")
NO_PERMISSION = ("INVALID_ARGUMENT", "etcdserver: permission not given")
ROLE_NOT_GRANTED = ("FAILED_PRECONDITION", "etcdserver: role is not granted to the user")
PERMISSION_NOT_GRANTED = (
    "FAILED_PRECONDITION", "etcdserver: permission is not granted to the role")
NO_PASSWORD = ("UNKNOWN", "auth: authentication failed, password was given for no password user")
PASSWORD_TOO_LONG = ("UNKNOWN", "bcrypt: password length exceeds 72 bytes")


class Auth:
    """The Auth service on a client's channel, with the client's token."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def call(self, rpc: str, **fields: object):
        request = getattr(pb, f"Auth{rpc}Request" if rpc[:4] != "Auth" else f"{rpc}Request")
        reply = getattr(pb, f"Auth{rpc}Response" if rpc[:4] != "Auth" else f"{rpc}Response")
        return self.client.unary(
            f"/etcdserverpb.Auth/{rpc}", request(**fields), reply, self.client.seconds)

    def enable(self):
        return self.call("AuthEnable")

    def disable(self):
        return self.call("AuthDisable")

    def status(self) -> pb.AuthStatusResponse:
        return self.call("AuthStatus")

    def authenticate(self, name: str, password: str) -> str:
        return self.call("Authenticate", name=name, password=password).token

    def add_user(self, name: str, password: str = "", no_password: bool | None = None,
                 **fields: object):
        options = None if no_password is None else authpb.UserAddOptions(no_password=no_password)
        return self.call("UserAdd", name=name, password=password, options=options, **fields)

    def user(self, name: str) -> list[str]:
        return list(self.call("UserGet", name=name).roles)

    def users(self) -> list[str]:
        return list(self.call("UserList").users)

    def delete_user(self, name: str):
        return self.call("UserDelete", name=name)

    def change_password(self, name: str, password: str = "", **fields: object):
        return self.call("UserChangePassword", name=name, password=password, **fields)

    def grant_role(self, user: str, role: str):
        return self.call("UserGrantRole", user=user, role=role)

    def revoke_role(self, user: str, role: str):
        return self.call("UserRevokeRole", name=user, role=role)

    def add_role(self, name: str):
        return self.call("RoleAdd", name=name)

    def role(self, name: str) -> list[tuple[int, bytes, bytes]]:
        return [(perm.permType, perm.key, perm.range_end)
                for perm in self.call("RoleGet", role=name).perm]

    def roles(self) -> list[str]:
        return list(self.call("RoleList").roles)

    def delete_role(self, name: str):
        return self.call("RoleDelete", role=name)

    def grant(self, role: str, kind: int, key: bytes, range_end: bytes = b""):
        permission = authpb.Permission(permType=kind, key=key, range_end=range_end)
        return self.call("RoleGrantPermission", name=role, perm=permission)

    def revoke(self, role: str, key: bytes, range_end: bytes = b""):
        return self.call("RoleRevokePermission", role=role, key=key, range_end=range_end)

    def make(self, user: str, password: str, *permissions: tuple) -> None:
        """A user with one role of its own name that has these permissions."""
        self.add_user(user, password)
        self.add_role(user)
        for permission in permissions:
            self.grant(user, *permission)
        self.grant_role(user, user)


class Guarded:
    """A server with auth on: clients without a token, as root, and as others."""

    def __init__(self, endpoint: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self._clients: list[Client] = []
        self.nobody = self.client(None)
        auth = Auth(self.nobody)
        auth.add_user("root", ROOT_PASSWORD)
        auth.grant_role("root", "root")
        auth.enable()
        self.root = self.user("root", ROOT_PASSWORD)
        self.auth = Auth(self.root)

    def client(self, token: str | None, endpoint: str | None = None,
               key: str = "token") -> Client:
        """A client that sends this token."""
        metadata = [(key, token)] if token is not None else None
        made = Client(endpoint or self.endpoint, metadata=metadata, credentials=self.credentials)
        self._clients.append(made)
        return made

    def user(self, name: str, password: str, endpoint: str | None = None) -> Client:
        """A client that is logged in as this user."""
        with Client(endpoint or self.endpoint, credentials=self.credentials) as fresh:
            token = Auth(fresh).authenticate(name, password)
        return self.client(token, endpoint)

    def make(self, name: str, *permissions: tuple) -> Client:
        """A new user with these permissions, logged in."""
        self.auth.make(name, f"{name}-secret", *permissions)
        return self.user(name, f"{name}-secret")

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextmanager
def guarded(*flags: str, **more: object) -> Iterator[tuple[Guarded, Server]]:
    """A fresh server with auth on; hashes are cheap, so that logins are."""
    with Server(["--bcrypt-cost=4", *flags], **more) as server:
        server_with_auth = Guarded(server.endpoint)
        try:
            yield server_with_auth, server
        finally:
            server_with_auth.close()
