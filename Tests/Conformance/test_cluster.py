"""test_cluster.py: MemberList and the ids of one member, rules K1, G17, G4.

Belongs here: who the cluster says its members are. Never here: changes of membership.
"""

import hashlib

import pytest

from client import Client
from server import Server


def first_8_bytes(data):
    return int.from_bytes(hashlib.sha1(data).digest()[:8], "big")


@pytest.mark.parametrize("linearizable", [False, True])
def test_K1_the_one_member(server, client, linearizable):
    reply = client.members(linearizable)
    (member,) = reply.members
    assert member.ID == client.status().header.member_id
    assert member.name == server.name
    assert list(member.clientURLs) == [server.url]
    assert list(member.peerURLs) == [f"http://127.0.0.1:{server.peer_port}"]
    assert not member.isLearner


def test_G4_member_list_has_a_header_with_revision_0(client, p):
    client.put(p)
    header = client.members().header
    status = client.status().header
    assert (header.cluster_id, header.member_id, header.raft_term) == (
        status.cluster_id, status.member_id, status.raft_term)
    assert header.revision == 0


def test_G17_ids_are_hashes_of_the_peer_url_and_the_token(server, client):
    member = first_8_bytes(f"http://127.0.0.1:{server.peer_port}etcd-cluster".encode())
    header = client.status().header
    assert header.member_id == member
    assert header.cluster_id == first_8_bytes(member.to_bytes(8, "big"))


def test_G17_the_token_is_part_of_the_ids(start):
    server, client = start("--initial-cluster-token=another")
    member = first_8_bytes(f"http://127.0.0.1:{server.peer_port}another".encode())
    assert client.status().header.member_id == member


def test_K1_G17_members_and_ids_survive_a_restart(start):
    server, client = start("--initial-cluster-token=stays")
    before = client.members()
    server.restart()
    with Client(server.endpoint) as again:
        after = again.members()
        assert list(after.members) == list(before.members)
        assert after.header.cluster_id == before.header.cluster_id


def test_K1_several_advertised_client_urls():
    urls = "http://127.0.0.1:1,http://localhost:2"
    with Server([f"--advertise-client-urls={urls}"]) as server, Client(server.endpoint) as client:
        assert sorted(client.members().members[0].clientURLs) == sorted(urls.split(","))
