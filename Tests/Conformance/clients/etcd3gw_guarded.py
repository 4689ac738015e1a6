"""etcd3gw_guarded.py: PyPI's etcd3gw, JSON over HTTPS, with a login (guarded.py).

The library knows no users: the token of /v3/auth/authenticate is put into its session's headers.
Never imported by the tests.
"""

import sys

from etcd3gw import exceptions
from etcd3gw.client import Etcd3Client
from guarded import CA, CERT, ENDPOINTS, KEY, ROOT, USER, leader_is_killed, until


def connect(number=0, login=USER):
    host, port = ENDPOINTS[number]
    client = Etcd3Client(host=host, port=int(port), protocol="https", ca_cert=CA, cert_cert=CERT,
                         cert_key=KEY, timeout=20)
    client.session.trust_env = False  # a bundle named in the environment would win over ca_cert
    if login:
        reply = client.post(client.get_url("/auth/authenticate"),
                            json={"name": login[0], "password": login[1]})
        client.session.headers["Authorization"] = reply["token"]
    return client


def refused(call, text):
    try:
        call()
    except exceptions.Etcd3Exception as error:
        assert text in str(error.detail_text), repr(error)
    else:
        raise AssertionError("it was let in")


def check_keys_and_transactions():
    client, other = connect(0), connect(1)
    assert client.put("app/g/a", "1") and client.create("app/g/b", "2")
    assert not other.create("app/g/b", "3")
    assert other.get("app/g/a") == [b"1"]
    assert [value for value, _ in other.get_prefix("app/g/")] == [b"1", b"2"]
    assert other.replace("app/g/a", "1", "3") and client.get("app/g/a") == [b"3"]
    assert client.delete("app/g/b") and client.delete_prefix("app/g/")
    assert client.get("app/g/a") == []


def check_watch_through_another_member():
    events, cancel = connect(1).watch_prefix("app/gw/")
    client = connect(0)
    client.put("app/gw/a", "1")
    client.delete("app/gw/a")
    seen = [next(events), next(events)]
    cancel()
    assert [(event.get("type"), event["kv"]["key"]) for event in seen] == [
        (None, b"app/gw/a"), ("DELETE", b"app/gw/a")]


def check_lease_and_lock():
    client = connect(1)
    lease = client.lease(100)
    client.put("app/gl", "v", lease=lease)
    assert lease.keys() == [b"app/gl"] and lease.refresh() == 100 and lease.ttl() >= 98
    assert lease.revoke() and client.get("app/gl") == []
    with client.lock("etcd3gw", ttl=30) as lock:
        assert lock.is_acquired()
        assert not connect(2).lock("etcd3gw", ttl=30).acquire()


def check_what_root_may():
    root = connect(0, ROOT)
    assert len(root.members()) == 3
    assert root.status()["leader"] in {member["ID"] for member in root.members()}
    root.put("app/gc", "1")
    (_, found), = root.get("app/gc", metadata=True)
    root.post(root.get_url("/kv/compaction"), json={"revision": found["mod_revision"]})
    for path, body in (("user/add", {"name": "ug", "password": "p"}),
                       ("user/grant", {"user": "ug", "role": "app"})):
        root.post(root.get_url("/auth/" + path), json=body)
    connect(2, ("ug", "p")).put("app/gu", "v")
    root.post(root.get_url("/auth/user/delete"), json={"name": "ug"})


def check_denied():
    client = connect()
    refused(lambda: client.get("secret"), "etcdserver: permission denied")
    refused(lambda: client.put("secret", "v"), "etcdserver: permission denied")
    refused(lambda: connect(0, None).get("app/x"), "etcdserver: user name is empty")
    refused(lambda: connect(0, ("app", "wrong")), "etcdserver: authentication failed")


def check_fail_over():
    """One endpoint a client: the one of the dead member fails, the others go on."""
    first, second = connect(0), connect(1)
    first.put("app/gf", "before")
    leader_is_killed()
    try:
        first.put("app/gf", "lost")
    except exceptions.ConnectionFailedError:
        pass
    else:
        raise AssertionError("a dead member answered")
    until(lambda: second.put("app/gf", "after"), "a put after the leader's end")
    assert connect(2).get("app/gf") == [b"after"]


if __name__ == "__main__":
    globals()[sys.argv[2]]()
