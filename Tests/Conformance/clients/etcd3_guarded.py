"""etcd3_guarded.py: PyPI's etcd3 with TLS, a client certificate and a login (guarded.py).

Never imported by the tests.
"""

import sys

import etcd3
import etcd3.exceptions
import grpc
from etcd3 import etcdrpc
from guarded import CA, CERT, ENDPOINTS, KEY, ROOT, USER, leader_is_killed, until


def connect(number=0, login=USER):
    host, port = ENDPOINTS[number]
    user, password = login or (None, None)
    return etcd3.client(host=host, port=int(port), ca_cert=CA, cert_cert=CERT, cert_key=KEY,
                        user=user, password=password, timeout=20)


def refused(call, code, text):
    try:
        call()
    except grpc.RpcError as error:
        assert (error.code().name, error.details()) == (code, text), error
    else:
        raise AssertionError("it was let in")


def check_keys_and_transactions():
    client, other = connect(0), connect(1)
    client.put("app/3/a", "1")
    client.put("app/3/b", "2")
    assert other.get("app/3/a")[0] == b"1"
    assert [value for value, _ in other.get_prefix("app/3/")] == [b"1", b"2"]
    t = client.transactions
    done, answers = other.transaction(
        compare=[t.value("app/3/a") == "1"],
        success=[t.put("app/3/a", "3"), t.get("app/3/a")], failure=[])
    assert done and answers[1][0][0] == b"3"
    assert client.delete("app/3/b") and client.delete_prefix("app/3/").deleted == 1


def check_watch_through_another_member():
    events, cancel = connect(1).watch_prefix("app/3w/")
    client = connect(0)
    client.put("app/3w/a", "1")
    client.delete("app/3w/a")
    seen = [next(events), next(events)]
    cancel()
    assert [(type(event).__name__, event.key) for event in seen] == [
        ("PutEvent", b"app/3w/a"), ("DeleteEvent", b"app/3w/a")]


def check_lease_and_lock():
    client = connect(1)
    lease = client.lease(100)
    client.put("app/3l", "v", lease=lease)
    assert lease.keys == [b"app/3l"] and [reply.TTL for reply in lease.refresh()] == [100]
    lease.revoke()
    assert client.get("app/3l") == (None, None)
    with client.lock("etcd3", ttl=30) as lock:
        assert lock.is_acquired()
        assert not connect(2).lock("etcd3", ttl=30).acquire(timeout=0.2)


def check_what_root_may():
    root = connect(0, ROOT)
    assert len(list(root.members)) == 3
    assert root.status().leader.id in {member.id for member in root.members}
    root.put("app/3c", "1")
    root.compact(root.get("app/3c")[1].mod_revision)
    root.defragment()
    assert list(root.list_alarms()) == []
    stub, sent = root.auth_stub, {"metadata": root.metadata, "timeout": 20}
    stub.UserAdd(etcdrpc.AuthUserAddRequest(name="u3", password="p"), **sent)
    stub.UserGrantRole(etcdrpc.AuthUserGrantRoleRequest(user="u3", role="app"), **sent)
    connect(2, ("u3", "p")).put("app/3u", "v")
    stub.UserDelete(etcdrpc.AuthUserDeleteRequest(name="u3"), **sent)


def check_denied():
    client = connect()
    denied = ("PERMISSION_DENIED", "etcdserver: permission denied")
    refused(lambda: client.get("secret"), *denied)
    refused(lambda: client.put("secret", "v"), *denied)
    # Without a login the user is the certificate's common name, and nobody is called so.
    refused(lambda: connect(0, None).get("app/x"), *denied)
    refused(lambda: connect(0, ("app", "wrong")), "INVALID_ARGUMENT",
            "etcdserver: authentication failed, invalid user ID or password")


def check_fail_over():
    """One endpoint a client: the one of the dead member fails, the others go on."""
    first, second = connect(0), connect(1)
    first.put("app/3f", "before")
    events, cancel = second.watch("app/3f")
    leader_is_killed()
    try:
        first.put("app/3f", "lost")
    except etcd3.exceptions.ConnectionFailedError:
        pass
    else:
        raise AssertionError("a dead member answered")
    until(lambda: second.put("app/3f", "after"), "a put after the leader's end")
    assert connect(2).get("app/3f")[0] == b"after"
    assert next(events).value == b"after"
    cancel()


if __name__ == "__main__":
    globals()[sys.argv[2]]()
