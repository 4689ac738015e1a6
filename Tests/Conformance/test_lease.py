"""test_lease.py: Lease on one node, rules L1 to L7 and L10 (L8, L9, L12 need a cluster).

Belongs here: grant, revoke, keepalive, time to live, list, expiry, what a restart keeps. The
only waiting is for expiry itself, always by watching for the delete, never by sleeping first.
"""

import threading
import time

import pytest

from client import (Client, LEASE_EXISTS, LEASE_NOT_FOUND, LEASE_TOO_LONG, prefix_end, rejected)
from schema import pb

SHORTEST = 2  # seconds; 1.5 election timeouts of 1 s, rounded up


# -- grant --------------------------------------------------------------------------------------

def test_L1_id_0_lets_the_server_pick_a_positive_id(client, grant):
    ids = [grant() for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(0 < lease < 2**63 for lease in ids)


def test_L1_grant_reply(client, grant):
    before = client.revision()
    reply = client.grant(100)
    assert (reply.TTL, reply.error) == (100, "")
    assert reply.ID and reply.header.revision == before
    assert client.revision() == before
    client.revoke(reply.ID)


@pytest.mark.parametrize("lease", [77_001, 2**63 - 1, -77_002, -(2**63)])
def test_L1_a_given_id_is_taken(client, grant, lease):
    assert grant(600, lease) == lease
    assert client.time_to_live(lease).grantedTTL == 600


def test_L1_a_live_id_is_refused(client, grant):
    lease = grant(600, 77_003)
    with rejected(*LEASE_EXISTS):
        client.grant(100, lease)
    assert client.time_to_live(lease).grantedTTL == 600


def test_L1_a_revoked_id_can_be_granted_again(client, grant):
    lease = grant(600, 77_004)
    client.revoke(lease)
    assert grant(500, lease) == lease


@pytest.mark.parametrize("ttl", [1, 0, -5, -(2**63)])
def test_L1_a_short_ttl_is_raised(client, ttl):
    reply = client.grant(ttl)
    assert reply.TTL == SHORTEST
    assert client.time_to_live(reply.ID).grantedTTL == SHORTEST
    client.revoke(reply.ID)


def test_L1_the_shortest_ttl_follows_the_election_timeout(start):
    client = start("--election-timeout=3000", "--heartbeat-interval=300")[1]
    assert client.grant(1).TTL == 5
    assert client.grant(6).TTL == 6


def test_L1_the_longest_ttl(client):
    reply = client.grant(9_000_000_000)
    assert reply.TTL == 9_000_000_000
    client.revoke(reply.ID)
    for ttl in (9_000_000_001, 2**63 - 1):
        with rejected(*LEASE_TOO_LONG):
            client.grant(ttl)


# -- revoke -------------------------------------------------------------------------------------

def test_L2_revoke_removes_lease_and_keys_in_one_revision(client, p, grant):
    lease = grant()
    for key in b"cab":
        client.put(p + bytes([key]), lease=lease)
    client.put(p + b"free")
    before = client.revision()
    with client.watch() as watch:
        watch.create(p, prefix_end(p))
        assert client.revoke(lease).header.revision == before + 1
        events = watch.events(3)
    assert [event.kv.key[-1:] for event in events] == [b"a", b"b", b"c"]
    assert {event.kv.mod_revision for event in events} == {before + 1}
    assert [kv.key for kv in client.prefix(p).kvs] == [p + b"free"]
    assert client.revision() == before + 1


def test_L2_revoke_of_an_unknown_lease(client, grant):
    with rejected(*LEASE_NOT_FOUND):
        client.revoke(77_010)
    with rejected(*LEASE_NOT_FOUND):
        client.revoke(0)
    lease = grant()
    client.revoke(lease)
    with rejected(*LEASE_NOT_FOUND):
        client.revoke(lease)


def test_G2_revoke_without_keys_keeps_the_revision(client):
    lease = client.grant(600).ID
    before = client.revision()
    assert client.revoke(lease).header.revision == before
    assert client.revision() == before


def test_L2_a_revoked_lease_takes_no_more_keys(client, p, grant):
    lease = grant()
    client.revoke(lease)
    with rejected(*LEASE_NOT_FOUND):
        client.put(p, lease=lease)


# -- keepalive ----------------------------------------------------------------------------------

def test_L3_keepalive_answers_the_granted_ttl(client, grant):
    lease = grant(300)
    current = client.revision()
    with client.keepalive() as stream:
        for _ in range(3):
            reply = stream.ping(lease)
            assert (reply.ID, reply.TTL, reply.header.revision) == (lease, 300, current)


def test_L3_one_reply_per_request_in_order(client, grant):
    leases = [grant(100 + n) for n in range(10)] * 5
    with client.keepalive() as stream:
        for lease in leases:
            stream.send(pb.LeaseKeepAliveRequest(ID=lease))
        replies = [stream.receive() for _ in leases]
    assert [reply.ID for reply in replies] == leases
    assert [reply.TTL for reply in replies] == [100 + n for n in range(10)] * 5


def test_L3_an_unknown_lease_answers_ttl_0_and_the_stream_stays(client, grant):
    lease = grant(300)
    gone = grant(300)
    client.revoke(gone)
    with client.keepalive() as stream:
        for unknown in (77_020, gone, 0, -1):
            reply = stream.ping(unknown)
            assert (reply.ID, reply.TTL) == (unknown, 0)
        assert stream.ping(lease).TTL == 300


def test_L3_half_closing_ends_the_stream_after_the_last_reply(client, grant):
    lease = grant(300)
    with client.keepalive() as stream:
        stream.send(pb.LeaseKeepAliveRequest(ID=lease))
        stream.half_close()
        assert stream.receive().TTL == 300
        with pytest.raises(EOFError):
            stream.receive()


def test_L3_keepalive_keeps_a_lease_beyond_its_ttl(client, p, grant):
    lease = grant(SHORTEST)
    client.put(p, lease=lease)
    end = time.monotonic() + 2.5 * SHORTEST
    with client.keepalive() as stream:
        while time.monotonic() < end:
            assert stream.ping(lease).TTL == SHORTEST
            assert client.get(p) is not None
            time.sleep(0.1)  # the rule is about time passing
        with client.watch() as watch:
            watch.create(p)
            assert watch.events(1)[0].type == 1
        assert stream.ping(lease).TTL == 0


def test_L3_keepalive_resets_the_remaining_time(client, grant):
    lease = grant(100)
    end = time.monotonic() + 5
    while client.time_to_live(lease).TTL == 100 and time.monotonic() < end:
        time.sleep(0.05)  # the rule is about time passing
    assert client.time_to_live(lease).TTL < 100
    with client.keepalive() as stream:
        stream.ping(lease)
    assert client.time_to_live(lease).TTL >= 99


# -- time to live, list -------------------------------------------------------------------------

def test_L4_time_to_live_counts_down(client, grant):
    reply = client.time_to_live(grant(300))
    assert (reply.grantedTTL, list(reply.keys)) == (300, [])
    assert 298 <= reply.TTL <= 300


def test_L4_keys_only_if_asked(client, p, grant):
    lease = grant()
    for n in range(20):
        client.put(p + b"%d" % n, lease=lease)
    assert list(client.time_to_live(lease).keys) == []
    assert set(client.time_to_live(lease, keys=True).keys) == {p + b"%d" % n for n in range(20)}


@pytest.mark.parametrize("keys", [False, True])
def test_L4_an_unknown_lease_is_ttl_minus_1_without_error(client, keys):
    reply = client.time_to_live(77_030, keys=keys)
    assert (reply.ID, reply.TTL, reply.grantedTTL, list(reply.keys)) == (77_030, -1, 0, [])
    assert reply.header.revision == client.revision()


def test_L5_leases_are_listed_by_soonest_expiry(start):
    client = start()[1]
    assert list(client.leases().leases) == []
    ttls = [500, 100, 900, 300, 700]
    by_ttl = {ttl: client.grant(ttl).ID for ttl in ttls}
    assert [status.ID for status in client.leases().leases] == [by_ttl[t] for t in sorted(ttls)]
    client.revoke(by_ttl[300])
    assert [status.ID for status in client.leases().leases] == [
        by_ttl[t] for t in sorted(ttls) if t != 300]
    with client.keepalive() as stream:
        stream.ping(by_ttl[100])
    assert client.leases().leases[0].ID == by_ttl[100]


def test_L5_the_list_has_a_header(client):
    assert client.leases().header.revision == client.revision()


# -- expiry -------------------------------------------------------------------------------------

def test_L6_a_key_lives_its_ttl_and_little_longer(client, p):
    """The upper bound is generous: it tells "expires" from "does not", not fast from slow."""
    lease = client.grant(SHORTEST).ID
    client.put(p, lease=lease)
    granted = time.monotonic()
    with client.watch() as watch:
        watch.create(p)
        (event,) = watch.events(1, seconds=SHORTEST + 8)
        lived = time.monotonic() - granted
    assert event.type == 1
    assert lived >= SHORTEST - 0.5
    assert client.time_to_live(lease).TTL == -1
    assert lease not in {status.ID for status in client.leases().leases}


def test_L6_expiry_removes_all_keys_in_one_revision(client, p):
    lease = client.grant(SHORTEST).ID
    for n in range(100):
        client.put(p + b"%03d" % n, lease=lease)
    before = client.revision()
    with client.watch() as watch:
        watch.create(p, prefix_end(p))
        response = watch.receive(SHORTEST + 8)
    assert [event.kv.key[-3:] for event in response.events] == [b"%03d" % n for n in range(100)]
    assert {event.kv.mod_revision for event in response.events} == {before + 1}
    assert client.prefix(p).count == 0


def test_L6_many_leases_expire_and_longer_ones_stay(client, p, grant):
    stays = grant(600)
    client.put(p + b"stays", lease=stays)
    for n in range(200):
        client.put(p + b"%03d" % n, lease=client.grant(SHORTEST).ID)
    with client.watch() as watch:
        watch.create(p, prefix_end(p), start_revision=client.get(p + b"stays").mod_revision + 1,
                     filters=[0])
        events = watch.events(200, seconds=SHORTEST + 8)
    assert {event.kv.key[-3:] for event in events} == {b"%03d" % n for n in range(200)}
    assert [kv.key for kv in client.prefix(p).kvs] == [p + b"stays"]


def test_L6_an_expired_lease_takes_no_keys(client, p):
    lease = client.grant(SHORTEST).ID
    client.put(p, lease=lease)
    with client.watch() as watch:
        watch.create(p)
        watch.events(1, seconds=SHORTEST + 8)
    with rejected(*LEASE_NOT_FOUND):
        client.put(p, lease=lease)


def test_L10_a_lease_without_keys_stays_until_expiry(client):
    lease = client.grant(SHORTEST).ID
    assert client.time_to_live(lease).grantedTTL == SHORTEST
    deadline = time.monotonic() + SHORTEST + 8
    while client.time_to_live(lease).TTL != -1:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # the rule is about time passing


def test_L10_a_put_with_another_lease_moves_the_key(client, p, grant):
    first, second = grant(), grant()
    client.put(p, lease=first)
    client.put(p, lease=second)
    assert list(client.time_to_live(first, keys=True).keys) == []
    assert list(client.time_to_live(second, keys=True).keys) == [p]
    client.revoke(first)
    assert client.get(p).lease == second
    client.revoke(second)
    assert client.get(p) is None


def test_L10_the_same_lease_again_keeps_one_attachment(client, p, grant):
    lease = grant()
    client.put(p, lease=lease)
    client.put(p, lease=lease)
    assert list(client.time_to_live(lease, keys=True).keys) == [p]


def test_L10_put_with_lease_0_and_delete_detach(client, p, grant):
    lease = grant()
    client.put(p + b"a", lease=lease)
    client.put(p + b"b", lease=lease)
    client.put(p + b"a")
    client.delete(p + b"b")
    assert list(client.time_to_live(lease, keys=True).keys) == []
    before = client.revision()
    client.revoke(lease)
    assert client.revision() == before
    assert client.get(p + b"a") is not None


# -- restart ------------------------------------------------------------------------------------

def test_L7_leases_and_attachments_survive_a_restart_with_their_full_ttl(start):
    server, client = start()
    lease = client.grant(60).ID
    client.put(b"a", b"1", lease=lease)
    client.put(b"b", b"2", lease=lease)
    end = time.monotonic() + 10
    while client.time_to_live(lease).TTL > 57 and time.monotonic() < end:
        time.sleep(0.05)  # the rule is about time passing
    server.restart()
    with Client(server.endpoint) as again:
        reply = again.time_to_live(lease, keys=True)
        assert (reply.grantedTTL, set(reply.keys)) == (60, {b"a", b"b"})
        assert 58 <= reply.TTL <= 62
        assert again.get(b"a").lease == lease
        assert [status.ID for status in again.leases().leases] == [lease]
        again.revoke(lease)
        assert again.prefix(b"\x00").count == 0
        assert again.get(b"a") is None


def test_L7_a_short_lease_expires_after_a_restart_too(start):
    server, client = start()
    client.put(b"k", lease=client.grant(SHORTEST).ID)
    server.restart()
    with Client(server.endpoint) as again, again.watch() as watch:
        kv = again.get(b"k")
        assert kv is not None
        watch.create(b"k", start_revision=kv.mod_revision + 1)
        assert watch.events(1, seconds=SHORTEST + 8)[0].type == 1


def test_L2_L3_leases_under_concurrent_use(server, client, p):
    """Grant, attach, renew and revoke from several connections; nothing is left behind."""
    failures = []

    def work(worker):
        try:
            with Client(server.endpoint) as own, own.keepalive() as stream:
                for n in range(30):
                    lease = own.grant(60).ID
                    key = p + b"%d-%d" % (worker, n)
                    own.put(key, lease=lease)
                    assert stream.ping(lease).TTL == 60
                    assert list(own.time_to_live(lease, keys=True).keys) == [key]
                    own.revoke(lease)
                    assert stream.ping(lease).TTL == 0
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.prefix(p).count == 0
