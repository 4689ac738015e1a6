"""test_lock_election.py: the Lock and Election services (semantics X1 to X7), over gRPC.

Belongs here: the RPCs of v3lockpb and v3electionpb. Never here: etcdctl's lock and elect, which are
built in the client. Each test names the rule that it proves.
"""

import threading
import time

import grpc
import pytest

from client import Client, rejected
from cluster import Cluster
from schema import election, lock

LEASE_UNKNOWN = ("UNKNOWN", "etcdserver: requested lease not found")
NOT_LEADER = ("UNKNOWN", "election: not leader")
NO_LEADER_FIELD = ("UNKNOWN", '"leader" field must be provided')


def do_lock(client, name, lease=0, seconds=20.0):
    return client.unary("/v3lockpb.Lock/Lock", lock.LockRequest(name=name, lease=lease),
                        lock.LockResponse, seconds)


def unlock(client, key):
    return client.unary("/v3lockpb.Lock/Unlock", lock.UnlockRequest(key=key), lock.UnlockResponse)


def campaign(client, name, value=b"", lease=0, seconds=20.0):
    request = election.CampaignRequest(name=name, value=value, lease=lease)
    return client.unary("/v3electionpb.Election/Campaign", request, election.CampaignResponse,
                        seconds)


def proclaim(client, value, **fields):
    request = election.ProclaimRequest(value=value, **fields)
    return client.unary("/v3electionpb.Election/Proclaim", request, election.ProclaimResponse)


def leader(client, name):
    return client.unary("/v3electionpb.Election/Leader", election.LeaderRequest(name=name),
                        election.LeaderResponse)


def resign(client, **fields):
    return client.unary("/v3electionpb.Election/Resign", election.ResignRequest(**fields),
                        election.ResignResponse)


def observe(client, name, seconds=20.0):
    return client.server_stream("/v3electionpb.Election/Observe",
                                election.LeaderRequest(name=name), election.LeaderResponse,
                                seconds)


class Background:
    """Runs a call on a thread; `result` is its answer."""

    def __init__(self, function, *arguments):
        self._outcome = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            self._outcome = function(*arguments)
        except grpc.RpcError as error:
            self._outcome = error

    @property
    def done(self):
        return not self._thread.is_alive()

    def result(self, seconds=20.0):
        self._thread.join(seconds)
        assert self.done, "the call still waits"
        if isinstance(self._outcome, grpc.RpcError):
            raise self._outcome
        return self._outcome


def wait_for_keys(client, prefix, count):
    deadline = time.monotonic() + 20
    while client.prefix(prefix).count != count:
        assert time.monotonic() < deadline, client.prefix(prefix)
        time.sleep(0.02)


# -- Lock ---------------------------------------------------------------------------------------

def test_X1_a_free_lock_is_taken_at_once(client, p, grant):
    lease = grant()
    before = client.revision()
    reply = do_lock(client, p, lease)
    assert reply.key == p + b"/%x" % lease
    assert reply.header.revision == before + 1 and reply.header.member_id
    kv = client.get(reply.key)
    assert (kv.value, kv.lease, kv.version) == (b"", lease, 1)


def test_X1_the_next_waits_until_the_lock_is_given_back(client, p, grant):
    first = do_lock(client, p, grant())
    second = Background(do_lock, client, p, grant())
    wait_for_keys(client, p + b"/", 2)
    time.sleep(0.2)
    assert not second.done
    unlock(client, first.key)
    reply = second.result()
    assert client.get(first.key) is None and client.get(reply.key)


def test_X1_the_lock_goes_round_in_the_order_of_arrival(client, p, grant):
    held = do_lock(client, p, grant())
    waiting = []
    for number in range(4):
        waiting.append(Background(do_lock, client, p, grant()))
        wait_for_keys(client, p + b"/", number + 2)
    for call in waiting:
        assert not any(later.done for later in waiting[waiting.index(call):])
        unlock(client, held.key)
        held = call.result()


def test_X1_a_waiter_that_leaves_the_middle_lets_nobody_past(client, p, grant):
    first = do_lock(client, p, grant())
    middle = grant()
    second = Background(do_lock, client, p, middle)
    wait_for_keys(client, p + b"/", 2)
    third = Background(do_lock, client, p, grant())
    wait_for_keys(client, p + b"/", 3)
    client.revoke(middle)
    time.sleep(0.3)
    assert not third.done
    unlock(client, first.key)
    assert third.result().key
    with rejected("UNKNOWN", "mutex: session is expired"):
        second.result()


def test_X1_the_end_of_the_holders_lease_frees_the_lock(client, p, grant):
    lease = grant()
    do_lock(client, p, lease)
    waiting = Background(do_lock, client, p, grant())
    wait_for_keys(client, p + b"/", 2)
    client.revoke(lease)
    assert waiting.result().key


def test_X1_the_same_lease_has_the_lock_already(client, p, grant):
    lease = grant()
    first = do_lock(client, p, lease)
    again = do_lock(client, p, lease)
    assert again.key == first.key
    assert client.get(first.key).version == 1


def test_X2_without_a_lease_the_server_makes_one_of_60_seconds(client, p):
    reply = do_lock(client, p)
    lease = client.get(reply.key).lease
    assert client.time_to_live(lease).grantedTTL == 60
    assert reply.key == p + b"/%x" % lease
    client.revoke(lease)


def test_X2_a_deadline_takes_the_waiter_out_of_the_queue(client, p, grant):
    first = do_lock(client, p, grant())
    with pytest.raises(grpc.RpcError) as caught:
        do_lock(client, p, grant(), 0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for_keys(client, p + b"/", 1)
    assert client.get(first.key)


def test_X2_a_cancelled_waiter_leaves_the_queue(client, p, grant):
    do_lock(client, p, grant())
    method = client.channel.unary_unary(
        "/v3lockpb.Lock/Lock", request_serializer=lock.LockRequest.SerializeToString,
        response_deserializer=lock.LockResponse.FromString)
    call = method.future(lock.LockRequest(name=p, lease=grant()), timeout=20)
    wait_for_keys(client, p + b"/", 2)
    call.cancel()
    wait_for_keys(client, p + b"/", 1)


def test_X3_unlock_of_nothing_and_of_an_empty_key(client, p):
    assert unlock(client, p + b"/nothing").header.revision == client.revision()
    with rejected("UNKNOWN", "etcdserver: key is not provided"):
        unlock(client, b"")


def test_X3_an_unknown_lease(client, p):
    with rejected(*LEASE_UNKNOWN):
        do_lock(client, p, 123456789)
    assert client.prefix(p).count == 0


def test_X3_an_empty_name_is_legal(empty):
    reply = do_lock(empty, b"")
    assert reply.key.startswith(b"/")
    assert empty.get(reply.key)


# -- Election -----------------------------------------------------------------------------------

def test_X4_the_first_campaign_wins_at_once(client, p, grant):
    lease = grant()
    reply = campaign(client, p, b"me", lease)
    assert reply.leader.name == p and reply.leader.lease == lease
    assert reply.leader.key == p + b"/%x" % lease
    kv = client.get(reply.leader.key)
    assert (kv.value, kv.create_revision) == (b"me", reply.leader.rev)
    assert reply.header.revision == reply.leader.rev


def test_X4_the_next_wins_when_the_leader_resigns(client, p, grant):
    first = campaign(client, p, b"1", grant())
    second = Background(campaign, client, p, b"2", grant())
    wait_for_keys(client, p + b"/", 2)
    time.sleep(0.2)
    assert not second.done
    resign(client, leader=first.leader)
    reply = second.result()
    assert leader(client, p).kv.key == reply.leader.key
    assert reply.leader.rev > first.leader.rev


def test_X4_the_same_lease_again_proclaims_another_value(client, p, grant):
    lease = grant()
    first = campaign(client, p, b"1", lease)
    assert campaign(client, p, b"1", lease).leader == first.leader
    assert client.get(first.leader.key).version == 1
    assert campaign(client, p, b"2", lease).leader == first.leader
    kv = client.get(first.leader.key)
    assert (kv.value, kv.version) == (b"2", 2)


def test_X4_a_deadline_takes_the_candidate_out(client, p, grant):
    first = campaign(client, p, b"1", grant())
    with pytest.raises(grpc.RpcError) as caught:
        campaign(client, p, b"2", grant(), 0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for_keys(client, p + b"/", 1)
    assert leader(client, p).kv.key == first.leader.key


def test_X4_an_unknown_lease(client, p):
    with rejected(*LEASE_UNKNOWN):
        campaign(client, p, b"v", 123456789)


@pytest.mark.martlet
def test_a_candidate_whose_lease_ends_does_not_win(client, p, grant):
    first = campaign(client, p, b"1", grant())
    lease = grant()
    second = Background(campaign, client, p, b"2", lease)
    wait_for_keys(client, p + b"/", 2)
    client.revoke(lease)
    resign(client, leader=first.leader)
    with rejected("UNKNOWN", "election: session is expired"):
        second.result()


def test_X5_proclaim_changes_what_the_leader_says(client, p, grant):
    won = campaign(client, p, b"1", grant()).leader
    before = client.revision()
    assert proclaim(client, b"2", leader=won).header.revision == before + 1
    kv = leader(client, p).kv
    assert (kv.value, kv.create_revision, kv.lease) == (b"2", won.rev, won.lease)


def test_X5_proclaim_needs_to_lead(client, p, grant):
    won = campaign(client, p, b"1", grant()).leader
    won.rev -= 1
    with rejected(*NOT_LEADER):
        proclaim(client, b"2", leader=won)
    with rejected(*NO_LEADER_FIELD):
        proclaim(client, b"2")
    with rejected(*NO_LEADER_FIELD):
        resign(client)


def test_X6_leader_of_an_election_without_candidates(client, p):
    with rejected("UNKNOWN", "election: no leader"):
        leader(client, p)


def test_X6_leader_is_the_candidate_that_came_first(client, p, grant):
    won = campaign(client, p, b"1", grant()).leader
    Background(campaign, client, p, b"2", grant())
    wait_for_keys(client, p + b"/", 2)
    reply = leader(client, p)
    assert (reply.kv.key, reply.kv.value) == (won.key, b"1")
    assert reply.header.revision == client.revision()


def test_X6_observe_tells_each_change_and_goes_on_over_leaders(client, p, grant):
    seen = observe(client, p)
    first = Background(next, seen)
    time.sleep(0.3)
    assert not first.done
    one = campaign(client, p, b"1", grant()).leader
    assert (first.result().kv.key, first.result().kv.value) == (one.key, b"1")
    revision = proclaim(client, b"1b", leader=one).header.revision
    told = next(seen)
    assert (told.kv.value, told.header.revision) == (b"1b", revision)
    second = Background(campaign, client, p, b"2", grant())
    wait_for_keys(client, p + b"/", 2)
    resign(client, leader=one)
    assert next(seen).kv.value == b"2"
    client.revoke(second.result().leader.lease)
    after = Background(next, seen)
    time.sleep(0.2)
    assert not after.done
    campaign(client, p, b"3", grant())
    assert after.result().kv.value == b"3"
    seen.cancel()


def test_X6_observe_begins_with_the_present_leader(client, p, grant):
    won = campaign(client, p, b"1", grant()).leader
    seen = observe(client, p)
    assert next(seen).kv.key == won.key
    seen.cancel()


def test_X7_a_stale_resignation_changes_nothing(client, p, grant):
    won = campaign(client, p, b"1", grant()).leader
    stale = election.LeaderKey(name=won.name, key=won.key, rev=won.rev - 1, lease=won.lease)
    before = client.revision()
    assert resign(client, leader=stale).header.revision == before
    assert leader(client, p).kv.key == won.key
    resign(client, leader=won)
    assert client.get(won.key) is None


# -- several members ----------------------------------------------------------------------------

@pytest.mark.cluster
def test_locks_and_elections_on_every_member():
    with Cluster(3) as cluster:
        clients = [Client(member.endpoint) for member in cluster.members]
        try:
            held = do_lock(clients[0], b"job")
            waiting = []
            for number, client in enumerate(clients):
                waiting.append(Background(do_lock, client, b"job"))
                wait_for_keys(clients[0], b"job/", number + 2)
            for number, call in enumerate(waiting):
                unlock(clients[(number + 1) % 3], held.key)
                held = call.result()
            seen = observe(clients[1], b"vote")
            won = campaign(clients[0], b"vote", b"a").leader
            assert next(seen).kv.value == b"a"
            next_one = Background(campaign, clients[2], b"vote", b"b")
            wait_for_keys(clients[1], b"vote/", 2)
            resign(clients[1], leader=won)
            assert next(seen).kv.value == b"b"
            assert leader(clients[0], b"vote").kv.key == next_one.result().leader.key
            seen.cancel()
        finally:
            for client in clients:
                client.close()
