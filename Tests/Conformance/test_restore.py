"""test_restore.py: snapshots and backups of Martlet become clusters again, and a survivor recovers.

Belongs here: status, restore, recover, scheduled backups, and what an interruption leaves. Never here:
etcd's files (test_migrate.py).
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from client import Client, rejected
from cluster import Cluster
from migration import (ALL, compare, compacted, etcdctl, events, everything, fill, martlet, refused,
                       restore_flags, serving)
from server import Server, binary

pytestmark = pytest.mark.martlet


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot with some history, and the answers of its server beside it."""
    folder = tmp_path_factory.mktemp("snapshot")
    with serving() as (server, client):
        fill(client, 1000)
        client.compact(client.revision() // 4, physical=True)
        etcdctl(server, "snapshot", "save", str(folder / "snap.db"))
        (folder / "facts.json").write_text(json.dumps({
            "revision": client.revision(), "keys": client.range(ALL, ALL, count_only=True).count,
            "hash": client.hash_kv(0).hash, "cluster": client.status().header.cluster_id,
        }))
    return folder / "snap.db"


def facts(snapshot: Path) -> dict[str, int]:
    return json.loads((snapshot.parent / "facts.json").read_text())


def restored(snapshot: Path, folder: Path, *more: str) -> Server:
    server = Server(data_dir=folder / "restored", start=False)
    martlet("snapshot", "restore", snapshot, *restore_flags(server), *more)
    return server


# ---- status ----------------------------------------------------------------------------------------


def test_status_shows_what_the_server_had(snapshot: Path) -> None:
    known = facts(snapshot)
    shown = json.loads(martlet("snapshot", "status", snapshot, "-w", "json").stdout)
    assert (shown["revision"], shown["totalKey"]) == (known["revision"], known["keys"])
    assert shown["totalSize"] == snapshot.stat().st_size - 32
    simple = martlet("snapshot", "status", snapshot).stdout.strip().split(", ")
    assert simple[0] == f"{shown['hash']:x}" and simple[1] == str(known["revision"])
    table = martlet("snapshot", "status", snapshot, "--write-out=table").stdout
    assert re.search(r"\| +HASH +\| +REVISION +\| +TOTAL KEYS +\| +TOTAL SIZE +\| +VERSION +\|", table)
    assert str(known["revision"]) in table


def test_status_refuses_what_is_no_snapshot(snapshot: Path, tmp_path: Path) -> None:
    refused("snapshot", "status", tmp_path / "missing", saying="No such file")
    refused("snapshot", "status", tmp_path, saying="is not a file")
    (tmp_path / "text").write_bytes(b"hello" * 1000)
    refused("snapshot", "status", tmp_path / "text", saying="not an etcd database")
    refused("snapshot", "status", snapshot, "-w", "yaml", saying="expected simple", status=2)
    refused("snapshot", "status", saying="usage: martlet snapshot status", status=2)
    refused("snapshot", "frobnicate", saying="martlet snapshot restore FILE", status=2)


# ---- restore ---------------------------------------------------------------------------------------


def test_a_restored_server_has_everything(tmp_path: Path) -> None:
    with serving() as (origin_server, origin):
        fill(origin, 1000)
        origin.compact(origin.revision() // 4, physical=True)
        path = tmp_path / "snap.db"
        etcdctl(origin_server, "snapshot", "save", str(path))
        server = restored(path, tmp_path)
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy, step=7)
            assert copy.status().header.cluster_id != origin.status().header.cluster_id
            copy.put(b"new", b"value")
            server.kill()
            server.start()
            assert copy.get(b"new").value == b"value"


def test_restore_refuses_a_directory_that_holds_something(snapshot: Path, tmp_path: Path) -> None:
    server = restored(snapshot, tmp_path)
    before = sorted(path.name for path in server.data_dir.iterdir())
    refused("snapshot", "restore", snapshot, *restore_flags(server), saying="is not empty")
    assert sorted(path.name for path in server.data_dir.iterdir()) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    refused("snapshot", "restore", snapshot, f"--data-dir={other}", saying="is not empty")
    assert [path.name for path in other.iterdir()] == ["notes.txt"]
    server.close()


def test_restore_takes_an_empty_directory_as_a_mounted_volume_is(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "restored" / "lost+found").mkdir(parents=True)
    server = restored(snapshot, tmp_path)
    with server.start(), Client(server.endpoint) as copy:
        assert copy.revision() == facts(snapshot)["revision"]


@pytest.mark.parametrize("flags, saying", [
    (["--name=other", "--initial-cluster=m1=http://127.0.0.1:1"], "couldn't find local name"),
    (["--initial-cluster=default=http://127.0.0.1:1"], "missing from"),
    (["--bump-revision=5"], "belong together"),
    (["--mark-compacted"], "belong together"),
    (["--bump-revision=-1", "--mark-compacted"], "expected a whole number"),
    (["--frobnicate"], "unknown flag --frobnicate"),
    (["--wal-dir=elsewhere"], "the log lies in the data directory"),
])
def test_restore_refuses_flags_that_do_not_fit(
        snapshot: Path, tmp_path: Path, flags: list[str], saying: str) -> None:
    refused("snapshot", "restore", snapshot, f"--data-dir={tmp_path / 'd'}", *flags, saying=saying,
            status=2)
    assert not (tmp_path / "d").exists()


def test_restore_finds_every_flipped_byte(snapshot: Path, tmp_path: Path) -> None:
    good = snapshot.read_bytes()
    dice = random.Random(7)
    damaged = tmp_path / "damaged.db"
    for place in [0, 20, 30, 100, 5000, len(good) - 1, len(good) - 40,
                  *(dice.randrange(len(good)) for _ in range(10))]:
        bad = bytearray(good)
        bad[place] ^= 1 << dice.randrange(8)
        damaged.write_bytes(bad)
        refused("snapshot", "restore", damaged, f"--data-dir={tmp_path / 'd'}", saying="damaged|not an etcd")
        assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 4096 * 3 + 32, -32, -4096])
def test_restore_refuses_a_cut_file(snapshot: Path, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.db"
    good = snapshot.read_bytes()
    cut.write_bytes(good[:size] if size >= 0 else good[:len(good) + size])
    refused("snapshot", "restore", cut, f"--data-dir={tmp_path / 'd'}", saying=".")
    assert not (tmp_path / "d").exists()


def test_skipping_the_checksum_still_checks_the_database(snapshot: Path, tmp_path: Path) -> None:
    good = snapshot.read_bytes()
    bare = tmp_path / "bare.db"
    bare.write_bytes(good[:-32])
    refused("snapshot", "restore", bare, f"--data-dir={tmp_path / 'd'}", saying="--skip-hash-check")
    server = restored(bare, tmp_path, "--skip-hash-check")
    with server.start(), Client(server.endpoint) as copy:
        assert copy.hash_kv(0).hash == facts(snapshot)["hash"]
    # A page in the middle, overwritten: the tree no longer fits together.
    bad = bytearray(good)
    page = len(good) // 4096 // 2
    bad[page * 4096:(page + 1) * 4096] = bytes(4096)
    bare.write_bytes(bad)
    refused("snapshot", "restore", bare, "--skip-hash-check", f"--data-dir={tmp_path / 'd'}",
            saying="bare.db")
    assert not (tmp_path / "d").exists()


def test_a_bumped_revision_ends_old_watches(snapshot: Path, tmp_path: Path) -> None:
    known = facts(snapshot)
    server = restored(snapshot, tmp_path, "--bump-revision=1000000", "--mark-compacted")
    revision = known["revision"] + 1_000_000
    with server.start(), Client(server.endpoint) as copy:
        assert copy.revision() == revision
        assert copy.range(ALL, ALL, count_only=True).count == known["keys"]
        with rejected("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"):
            copy.range(ALL, ALL, revision=known["revision"])
        with copy.watch() as stream:
            stream.request_create(ALL, ALL, start_revision=known["revision"])
            reply = stream.receive()
            while not reply.canceled:
                reply = stream.receive()
            assert reply.compact_revision == revision
        assert copy.put(b"next").header.revision == revision + 1
        server.kill()
        server.start()
        assert copy.revision() == revision + 1
        assert [event for event in events(copy, revision + 1, revision + 1)]


def test_three_members_are_restored_from_one_file(snapshot: Path, tmp_path: Path) -> None:
    cluster = Cluster(3, start=False)
    try:
        for member in cluster.members:
            martlet("snapshot", "restore", snapshot, f"--name={member.name}",
                    f"--data-dir={member.data_dir}", f"--initial-cluster={cluster.initial_cluster()}",
                    "--initial-cluster-token=again",
                    f"--initial-advertise-peer-urls={member.peer_url}")
        for member in cluster.members:
            member.start(wait=False)
        cluster.wait_agreed()
        clients = [Client(member.endpoint) for member in cluster.members]
        clients[0].put(b"after", b"restore")
        for client in clients:
            assert client.get(b"after").value == b"restore"
            assert len(client.members().members) == 3
        hashes = {client.hash_kv(facts(snapshot)["revision"]).hash for client in clients}
        assert hashes == {facts(snapshot)["hash"]}
        for client in clients:
            client.close()
    finally:
        cluster.close()


def test_a_killed_restore_leaves_nothing_that_serves(snapshot: Path, tmp_path: Path) -> None:
    dice = random.Random(3)
    server = Server(data_dir=tmp_path / "restored", start=False)
    command = [str(binary()), "snapshot", "restore", str(snapshot), *restore_flags(server)]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - began
    outcomes = set()
    for _ in range(30):
        shutil.rmtree(server.data_dir)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * whole * 1.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not server.data_dir.exists():
            outcomes.add("nothing")
            server.data_dir.mkdir()
            continue
        if (server.data_dir / "UNFINISHED").exists():
            outcomes.add("half")
            server.start(wait=False)
            assert server.wait_exit() == 1 and "half of a store" in server.log()
            # The same command begins anew.
            subprocess.run(command, check=True, capture_output=True)
        elif not (server.data_dir / "identity").exists():
            outcomes.add("empty")
            continue
        else:
            outcomes.add("whole")
        server.start()
        with Client(server.endpoint) as client:
            assert client.hash_kv(0).hash == facts(snapshot)["hash"]
        server.stop()
    server.close()
    assert "half" in outcomes, outcomes


def test_two_restores_at_once_do_not_mix(snapshot: Path, tmp_path: Path) -> None:
    server = Server(data_dir=tmp_path / "restored", start=False)
    command = [str(binary()), "snapshot", "restore", str(snapshot), *restore_flags(server)]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(4)]
    statuses = [(run.wait(), run.stderr.read()) for run in runs]
    assert sorted(status for status, _ in statuses).count(0) == 1, statuses
    with server.start(), Client(server.endpoint) as client:
        assert client.hash_kv(0).hash == facts(snapshot)["hash"]


# ---- recovery after the loss of a quorum -------------------------------------------------------------


def test_a_survivor_becomes_a_cluster_that_strangers_cannot_join() -> None:
    with Cluster(3) as cluster:
        client = cluster.client(cluster.leader())
        fill(client, 300)
        cluster.check_same()
        before, members = everything(client), cluster.members
        old_cluster = client.status().header.cluster_id
        for member in members:
            member.kill()
        survivor, stale = members[0], members[1]
        shown = martlet("recover", f"--data-dir={survivor.data_dir}", "--dry-run").stdout
        assert re.search(r"last entry: term \d+, index \d+", shown) and "may be lost" in shown
        assert all(name in shown for name in ("n0", "n1", "n2"))
        identity = (survivor.data_dir / "identity").read_bytes()
        # Only a "yes" counts.
        done = martlet("recover", f"--data-dir={survivor.data_dir}", stdin="no\n", status=1)
        assert "nothing was changed" in done.stderr
        assert (survivor.data_dir / "identity").read_bytes() == identity
        done = martlet("recover", f"--data-dir={survivor.data_dir}", stdin="yes\n")
        assert "only member of a new cluster" in done.stdout
        stale.start(wait=False)
        survivor.start()
        with cluster.connect(survivor) as alone:
            assert everything(alone) == before
            assert alone.status().header.cluster_id != old_cluster
            assert [m.name for m in alone.members().members] == ["n0"]
            alone.put(b"after", b"recovery")
            revision = alone.revision()
            hash_kv = alone.hash_kv(revision).hash
            # The stale member, still of three, gets nowhere: no leader, no data from here.
            time.sleep(3)
            assert "wrongCluster" in stale.whole_log() + survivor.whole_log()
            status = cluster.status(stale)
            assert status is None or status.leader == 0
            # It comes back as everybody does: added, and empty.
            stale.kill()
            stale.wipe()
            alone.member_add(stale.peer_url)
            stale.state = "existing"
            stale.initial_cluster = f"n0={survivor.peer_url},n1={stale.peer_url}"
            stale.start()
            with cluster.connect(stale) as joined:
                assert joined.get(b"after").value == b"recovery"
                assert joined.hash_kv(revision).hash == hash_kv
            alone.put(b"both", b"write")
            survivor.kill()
            survivor.start(wait=False)
            cluster.wait_agreed([survivor, stale])


def test_what_only_the_survivor_wrote_down_is_kept() -> None:
    """Entries that a majority had, but that the survivor did not know to be agreed."""
    with Cluster(3) as cluster:
        leader = cluster.leader()
        followers = [m for n, m in enumerate(cluster.members) if n != leader]
        client = cluster.client(leader)
        client.put(b"a", b"1")
        cluster.check_same()
        for n in range(50):
            client.put(b"k%d" % n, b"v")
        for member in cluster.members:
            member.kill()
        shown = martlet("recover", f"--data-dir={followers[0].data_dir}", "--yes",
                        "--bump-revision=1000000", "--mark-compacted")
        assert "the revision becomes" in shown.stdout
        followers[0].start()
        with cluster.connect(followers[0]) as alone:
            keys = alone.range(b"k", b"l", count_only=True).count
            # Every put was acknowledged by a majority; of two followers either may lack the last ones.
            assert keys >= 49
            assert alone.revision() >= 1_000_000
            assert compacted(alone) == 1_000_000 + keys + 2
            with rejected("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"):
                alone.range(b"a", revision=2)


def test_recover_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    refused("recover", f"--data-dir={tmp_path / 'none'}", saying="is not a directory")
    refused("recover", f"--data-dir={tmp_path}", saying="no data directory of Martlet")
    refused("recover", "extra", saying="usage: martlet recover", status=2)
    assert not list(tmp_path.iterdir())
    with serving(tmp_path / "data") as (server, client):
        fill(client, 500)
        refused("recover", f"--data-dir={server.data_dir}", "--yes", saying="another process")
        server.stop()
        good = (server.data_dir / "db").read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        (server.data_dir / "db").write_bytes(bad)
        refused("recover", f"--data-dir={server.data_dir}", "--yes", saying=r"page \d+ .* is damaged")
        (server.data_dir / "db").write_bytes(good)
        server.start()
        assert client.revision() > 1


def test_a_killed_recovery_is_done_again_or_had_not_begun(tmp_path: Path) -> None:
    dice = random.Random(9)
    with serving(tmp_path / "origin") as (server, client):
        fill(client, 5000)
        expected, revision = everything(client), client.revision()
        server.stop()
    copy = tmp_path / "copy"
    command = [str(binary()), "recover", f"--data-dir={copy}", "--yes"]
    shutil.copytree(tmp_path / "origin", copy)
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - began
    outcomes = set()
    for _ in range(25):
        shutil.rmtree(copy)
        shutil.copytree(tmp_path / "origin", copy)
        before = (copy / "identity").read_bytes()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * whole * 1.1)
        process.kill()
        process.wait()
        with_old = (copy / "identity").read_bytes() == before
        server = Server(data_dir=copy, start=False)
        server.start(wait=False)
        try:
            server.wait_ready()
            outcomes.add("old" if with_old else "new")
        except AssertionError:
            # The pages are of the new cluster already, the identity is not: it says what to do.
            assert "half of a store" in server.log(), server.log()
            outcomes.add("half")
            subprocess.run(command, check=True, capture_output=True)
            server.start()
        with Client(server.endpoint) as client:
            assert client.revision() == revision
            assert everything(client) == expected
        server.close()
    assert outcomes >= {"old"}, outcomes


# ---- scheduled backups -------------------------------------------------------------------------------


def wait_for(condition, what: str, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return answer


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("martlet-*.db")) if folder.exists() else []


def test_backups_are_made_checked_and_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    flags = (f"--martlet-backup-dir={folder}", "--martlet-backup-interval=1s", "--martlet-backup-keep=2")
    with serving(flags=flags) as (server, client):
        fill(client, 500)
        seen: set[str] = set()

        def rotated() -> bool:
            seen.update(path.name for path in backups(folder))
            return len(seen) >= 4 and "removed an old backup" in server.log()
        wait_for(rotated, "four backups, of which two are kept")
        wait_for(lambda: len(backups(folder)) == 2, "two backups kept")
        assert not list(folder.glob("*.part"))
        newest = backups(folder)[-1]
        assert re.fullmatch(r"martlet-[0-9a-f]+-\d{8}T\d{6}Z-\d+\.db", newest.name)
        kept = tmp_path / "kept.db"
        shutil.copy(newest, kept)
        assert json.loads(martlet("snapshot", "status", kept, "-w", "json").stdout)["revision"] \
            == client.revision()
        metrics = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
        made = re.search(r"^martlet_backup_success_total (\d+)$", metrics, re.MULTILINE)
        assert made and int(made[1]) >= 4
        assert "martlet_backup_failure_total 0" in metrics
        assert re.search(r"^martlet_backup_last_size_bytes [1-9]", metrics, re.MULTILINE)
        again = restored(kept, tmp_path)
        with again.start(), Client(again.endpoint) as copy:
            assert everything(copy) == everything(client)


def test_a_backup_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.write_text("not a directory")
    flags = (f"--martlet-backup-dir={folder}", "--martlet-backup-interval=1s")
    with serving(flags=flags) as (server, client):
        client.put(b"a", b"b")
        wait_for(lambda: "no backup could be made" in server.log(), "the failure in the log")
        metrics = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
        assert re.search(r"^martlet_backup_failure_total [1-9]", metrics, re.MULTILINE)
        client.put(b"a", b"c")
        folder.unlink()
        wait_for(lambda: backups(folder), "a backup once it is possible")


def test_a_restart_does_not_begin_the_interval_anew(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    flags = (f"--martlet-backup-dir={folder}", "--martlet-backup-interval=1h")
    with serving(flags=flags) as (server, client):
        client.put(b"a", b"b")
        wait_for(lambda: backups(folder), "the first backup")
        (folder / (backups(folder)[0].name + ".part")).write_text("cut off")
        server.restart()
        wait_for(lambda: not list(folder.glob("*.part")), "what was cut off is gone")
        time.sleep(3)
        assert len(backups(folder)) == 1


def test_the_leader_makes_the_backups_of_a_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    with Cluster(3, flags=(f"--martlet-backup-dir={folder}", "--martlet-backup-interval=1s",
                           "--martlet-backup-keep=100")) as cluster:
        wait_for(lambda: len(backups(folder)) >= 2, "two backups")
        makers = [m.name for m in cluster.members if "made a backup" in m.log()]
        assert makers == [cluster.members[cluster.leader()].name]
        old = cluster.members[cluster.leader()]
        old.kill()
        cluster.wait_agreed([m for m in cluster.members if m is not old])
        count = len(backups(folder))
        wait_for(lambda: len(backups(folder)) > count, "a backup by the next leader")
