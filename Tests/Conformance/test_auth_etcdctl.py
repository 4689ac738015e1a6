"""test_auth_etcdctl.py: etcdctl's auth, user and role commands, and commands of users.

Belongs here: what a person or a script sees, with the exact answers of etcd 3.5.16. Never here: the
calls behind them (test_auth*.py). Source of truth: etcdctl itself, run against etcd.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etcdctl import Etcdctl
from server import Server


@pytest.fixture(params=["3.4", "3.5"])
def ctl(request: pytest.FixtureRequest) -> Iterator[Etcdctl]:
    with Server(["--bcrypt-cost=4"]) as server:
        yield Etcdctl(request.param, server)
        server.check_alive()




def test_users(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ user add root:r
User root created
$ user add alice:a
User alice created
$ user add alice:a
!1
$ user add nopass --no-password
User nopass created
$ user list
alice
nopass
root
$ user get alice
User: alice
Roles:
$ role add r1
Role r1 created
$ role add r2
Role r2 created
$ role add r1
!1
$ user grant-role alice r2
Role r2 is granted to user alice
$ user grant-role alice r1
Role r1 is granted to user alice
$ user grant-role alice none
!1
$ user get alice
User: alice
Roles: r1 r2
$ user revoke-role alice r2
Role r2 is revoked from user alice
$ user revoke-role alice r2
!1
$ user passwd alice --interactive=false
> other
Password updated
$ user delete nopass
User nopass deleted
$ user delete nopass
!1
$ role list
r1
r2
$ role delete r2
Role r2 deleted
$ role get r2
!1
""")


def test_roles(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ role add r
Role r created
$ role grant-permission r read a
Role r updated
$ role grant-permission r write b d
Role r updated
$ role grant-permission r readwrite dir/ --prefix
Role r updated
$ role grant-permission r read zz --from-key
Role r updated
$ role get r
Role r
KV Read:
	a
	[dir/, dir0) (prefix dir/)
	[zz, <open ended>
KV Write:
	[b, d)
	[dir/, dir0) (prefix dir/)
$ role revoke-permission r b d
Permission of range [b, d) is revoked from role r
$ role revoke-permission r a
Permission of key a is revoked from role r
$ role revoke-permission r zz --from-key
Permission of range [zz, <open ended> is revoked from role r
$ role revoke-permission r nothing
!1
$ role get r
Role r
KV Read:
	[dir/, dir0) (prefix dir/)
KV Write:
	[dir/, dir0) (prefix dir/)
""")


def test_a_guarded_store(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put before 1
OK
$ user add root:r
User root created
$ user grant-role root root
Role root is granted to user root
$ user add alice:a
User alice created
$ role add apps
Role apps created
$ role grant-permission apps readwrite app/ --prefix
Role apps updated
$ user grant-role alice apps
Role apps is granted to user alice
$ auth enable
Authentication Enabled
$ put before 2
!1 Error: etcdserver: user name is empty
$ --user=root:r get before
before
1
$ --user=alice:a put app/x 1
OK
$ --user=alice --password=a get app/ --prefix
app/x
1
$ --user=alice:a get before
!1 Error: etcdserver: permission denied
$ --user=alice:a del app/ --prefix
1
$ --user=alice:wrong get app/x
!2 Error: etcdserver: authentication failed, invalid user ID or password
$ --user=nobody:a get app/x
!2 Error: etcdserver: authentication failed, invalid user ID or password
$ --user=alice:a user get alice
User: alice
Roles: apps
$ --user=alice:a user list
!1
$ --user=alice:a role get apps
Role apps
KV Read:
	[app/, app0) (prefix app/)
KV Write:
	[app/, app0) (prefix app/)
$ --user=root:r user delete root
!1 Error: etcdserver: invalid auth management
$3.5 --user=root:r auth status
Authentication Status: true
AuthRevision: 7
$ --user=root:r auth disable
Authentication Disabled
$ get before
before
1
$3.5 auth status
Authentication Status: false
AuthRevision: 8
""")


def test_enabling_gives_root_its_role(ctl: Etcdctl) -> None:
    """etcdctl itself adds the role when the server says that it is missing."""
    ctl.transcript("""
$ auth enable
!1
$ user add root:r
User root created
$ auth enable
Authentication Enabled
$ --user=root:r user get root
User: root
Roles: root
""")


def test_transactions_watches_and_leases_of_a_user(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ user add root:r
User root created
$ user grant-role root root
Role root is granted to user root
$ user add alice:a
User alice created
$ role add apps
Role apps created
$ role grant-permission apps readwrite app/ --prefix
Role apps updated
$ user grant-role alice apps
Role apps is granted to user alice
$ auth enable
Authentication Enabled
$ --user=alice:a txn
> value("app/x") = "1"
>
> put app/x 2
>
> put app/x 1
>
FAILURE

OK
$ --user=alice:a txn
>
>
> put other 2
>
>
!1
$ --user=alice:a lease grant 600
lease <lease> granted with TTL(600s)
$ --user=alice:a put app/leased v --lease=<lease>
OK
$ --user=alice:a lease timetolive <lease> --keys
lease <lease> granted with TTL(600s), remaining(<seconds>s), attached keys([app/leased])
$ --user=alice:a lease revoke <lease>
lease <lease> revoked
$ --user=root:r compact 2
compacted revision 2
""")
    with ctl.follow("--user=alice:a", "watch", "app/", "--prefix", "--rev=2") as watch:
        assert watch.lines(3) == ["PUT", "app/x", "1"]
        ctl.ok("--user=root:r", "put", "app/y", "7")
        # the lease's key came and went between
        assert watch.lines(12)[-3:] == ["PUT", "app/y", "7"]


def test_what_root_does_to_a_guarded_member(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ user add root:r
User root created
$ user grant-role root root
Role root is granted to user root
$ auth enable
Authentication Enabled
$ --user=root:r alarm list
$ --user=root:r defrag
Finished defragmenting etcd member[<endpoint>]
""")
    health = ctl.run("--user=root:r", "endpoint", "health")
    assert health.returncode == 0 and "is healthy" in health.stdout + health.stderr
    file = ctl.server.folder / "snapshot"
    ctl.ok("--user=root:r", "snapshot", "save", str(file))
    assert file.stat().st_size % 512 == 32
