"""test_migrate.py: from etcd to Martlet and back: nothing of a store is lost on the way.

Belongs here: import and export against real etcd servers, damaged sources. Never here: snapshots of
Martlet itself (test_restore.py). Both sides are compared key by key, change by change, and by HashKV.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from client import Client, op_delete, op_put
from client import compare as op_compare
from migration import (ALL, compacted, compare, etcdctl, etcdutl, everything, fill, leases, martlet,
                       refused, restore_flags, serving, tool)
from server import Server

pytestmark = pytest.mark.martlet

RELEASES = ("3.4", "3.5")


def saved(server: Server, folder: Path, version: str = "3.5") -> Path:
    """A snapshot of a running server."""
    path = folder / "snapshot.db"
    etcdctl(server, "snapshot", "save", str(path), version=version)
    return path


def imported(source: Path, folder: Path, *more: str) -> Server:
    """A server, not started, whose directory was imported."""
    server = Server(data_dir=folder / "imported", start=False)
    martlet("import", source, *restore_flags(server), *more)
    return server


@pytest.mark.parametrize("release", RELEASES)
def test_a_snapshot_of_etcd_comes_over_with_every_revision(release: str, tmp_path: Path) -> None:
    with serving(etcd=release) as (etcd, origin):
        fill(origin, 200)
        origin.compact(origin.revision() // 3, physical=True)
        fill(origin, 50, seed=2)
        server = imported(saved(etcd, tmp_path, release), tmp_path)
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy)


@pytest.mark.parametrize("release", RELEASES)
def test_a_hundred_thousand_keys(release: str, tmp_path: Path) -> None:
    with serving(etcd=release) as (etcd, origin):
        fill(origin, 100_000)
        source = saved(etcd, tmp_path, release)
        began = time.monotonic()
        server = imported(source, tmp_path)
        print(f"{release}: imported {source.stat().st_size} bytes in {time.monotonic() - began:.1f} s")
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy, step=origin.revision() // 10)
            server.stop()
        back = tmp_path / "back.db"
        martlet("export", server.data_dir, f"--output={back}")
        again = Server(data_dir=tmp_path / "again", start=False)
        etcdutl("snapshot", "restore", back, *restore_flags(again))
        with serving(again.data_dir, etcd="3.5") as (_, returned):
            compare(origin, returned, step=origin.revision() // 5)


def test_every_revision_has_the_same_hash(tmp_path: Path) -> None:
    """A small store, so that no revision is left out; also across a second way there and back."""
    with serving(etcd="3.5") as (etcd, origin):
        fill(origin, 150)
        server = imported(saved(etcd, tmp_path), tmp_path)
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy)
            etcdctl(server, "snapshot", "save", str(tmp_path / "ours.db"))
        back = tmp_path / "back.db"
        martlet("export", tmp_path / "ours.db", f"--output={back}")
        again = Server(data_dir=tmp_path / "again", start=False)
        etcdutl("snapshot", "restore", back, *restore_flags(again))
        with serving(again.data_dir, etcd="3.5") as (_, returned):
            compare(origin, returned)


def test_etcdutl_finds_nothing_wrong_with_an_export(tmp_path: Path) -> None:
    with serving() as (server, client):
        fill(client, 3000)
        client.put(b"large", b"x" * 1_000_000)  # overflow pages
        etcdctl(server, "snapshot", "save", str(tmp_path / "ours.db"))
        martlet("export", tmp_path / "ours.db", f"--output={tmp_path / 'export.db'}")
        shown = json.loads(etcdutl("snapshot", "status", tmp_path / "export.db", "-w", "json"))
        own = json.loads(martlet("snapshot", "status", tmp_path / "export.db", "-w", "json").stdout)
        assert shown["revision"] == own["revision"] == client.revision()
        assert shown["hash"] == own["hash"]
        assert shown["totalSize"] == own["totalSize"] == (tmp_path / "export.db").stat().st_size - 32
        assert own["totalKey"] == client.range(ALL, ALL, count_only=True).count
        # etcdctl of 3.4 restores it too, and a server of 3.4 takes it.
        again = Server(data_dir=tmp_path / "again", start=False)
        subprocess.run(
            [tool("etcdctl-3.4"), "snapshot", "restore", tmp_path / "export.db",
             *restore_flags(again)], check=True, capture_output=True,
            env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"})
        with serving(again.data_dir, etcd="3.4") as (_, returned):
            compare(client, returned, step=11)


def test_status_of_an_etcd_snapshot_is_what_etcdutl_says(tmp_path: Path) -> None:
    with serving(etcd="3.5") as (etcd, origin):
        fill(origin, 500)
        path = saved(etcd, tmp_path)
        theirs = json.loads(etcdutl("snapshot", "status", path, "-w", "json"))
        ours = json.loads(martlet("snapshot", "status", path, "-w", "json").stdout)
        assert {k: ours[k] for k in ("hash", "revision", "totalSize")} == {
            k: theirs[k] for k in ("hash", "revision", "totalSize")}
        assert ours["totalKey"] == origin.range(ALL, ALL, count_only=True).count


def test_snapshot_restore_takes_an_etcd_snapshot(tmp_path: Path) -> None:
    with serving(etcd="3.5") as (etcd, origin):
        fill(origin, 300)
        server = Server(data_dir=tmp_path / "restored", start=False)
        martlet("snapshot", "restore", saved(etcd, tmp_path), *restore_flags(server),
                "--bump-revision=1000", "--mark-compacted")
        with server.start(), Client(server.endpoint) as copy:
            assert copy.revision() == origin.revision() + 1000
            assert compacted(copy) == copy.revision()
            assert everything(copy) == everything(origin)
            assert leases(copy) == leases(origin)
            # The way back keeps the raised revision, as etcd's own restore would.
            server.stop()
        martlet("export", server.data_dir, f"--output={tmp_path / 'back.db'}")
        again = Server(data_dir=tmp_path / "again", start=False)
        etcdutl("snapshot", "restore", tmp_path / "back.db", *restore_flags(again))
        with serving(again.data_dir, etcd="3.5") as (_, returned):
            assert returned.revision() == origin.revision() + 1000
            assert everything(returned) == everything(origin)


# ---- users and roles ---------------------------------------------------------------------------------


AUTH = """\
user add root:secret
user add ada:lovelace
user add nobody --no-password
role add readers
role add writers
role grant-permission readers read /registry/ /registry0
role grant-permission writers readwrite own
role grant-permission writers write z --from-key
role grant-permission writers read exact
user grant-role root root
user grant-role ada readers
user grant-role ada writers
auth enable
"""


def auth_state(server: Server) -> list[str]:
    """What users and roles look like to root."""
    def ask(*words: str) -> str:
        return etcdctl(server, "--user=root:secret", *words)
    users, roles = ask("user", "list").split(), ask("role", "list").split()
    assert users and roles
    return [ask("user", "get", name) for name in users] + [ask("role", "get", name) for name in roles]


@pytest.mark.parametrize("release", RELEASES)
def test_users_and_roles_survive_the_way_there_and_back(release: str, tmp_path: Path) -> None:
    with serving(etcd=release) as (etcd, origin):
        fill(origin, 100)
        for line in AUTH.splitlines():
            etcdctl(etcd, *line.split())
        path = tmp_path / "snapshot.db"
        etcdctl(etcd, "--user=root:secret", "snapshot", "save", str(path))
        server = imported(path, tmp_path)
        martlet("export", server.data_dir, f"--output={tmp_path / 'back.db'}")
        again = Server(data_dir=tmp_path / "again", start=False)
        etcdutl("snapshot", "restore", tmp_path / "back.db", *restore_flags(again))
        with serving(again.data_dir, etcd="3.5") as (returned, _):
            assert auth_state(returned) == auth_state(etcd)
            assert etcdctl(returned, "--user=ada:lovelace", "put", "own", "1") == "OK\n"
            with pytest.raises(AssertionError, match="permission denied"):
                etcdctl(returned, "--user=ada:lovelace", "put", "other", "1")
            with pytest.raises(AssertionError, match="invalid user ID or password"):
                etcdctl(returned, "--user=ada:wrong", "get", "own")


# ---- data directories --------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_data_directory_comes_over_with_what_only_its_log_has(
        release: str, number: int, tmp_path: Path) -> None:
    """After SIGKILL the database lags behind what clients were told: the log has the rest."""
    with serving(tmp_path / "etcd", etcd=release) as (etcd, origin):
        fill(origin, 300)
        for _ in range(3):  # more than one interval of etcd's own commits apart
            time.sleep(0.15)
            fill_more(origin)
        for attempt in range(5):
            etcd.end(number)
            server = Server(data_dir=tmp_path / f"imported{attempt}", start=False)
            done = martlet("import", etcd.data_dir, *restore_flags(server))
            # Now and then etcd commits between the last request and its end: then it is ended once more.
            if number != signal.SIGKILL or "carrying out the log" in done.stderr:
                break
            etcd.start()
            fill_more(origin)
        assert number != signal.SIGKILL or "carrying out the log" in done.stderr, done.stderr
        etcd.start()
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy)


def fill_more(client: Client) -> None:
    """Every kind of request that etcd's log can hold."""
    dice = random.Random(client.revision())
    lease = client.grant(5000).ID
    name = b"more-%d" % client.revision()
    for n in range(40):
        client.put(name + b"/%d" % n, dice.randbytes(30), lease=lease if n % 7 == 0 else 0)
    client.put(name + b"/1", b"", ignore_value=False)
    client.delete(name + b"/2")
    client.delete(name + b"/3", name + b"/4")
    client.txn(compare=[op_compare(name + b"/5", "version", "=", 1)],
               success=[op_put(name + b"/5", b"yes"), op_delete(name + b"/6")],
               failure=[op_put(name + b"/5", b"no")])
    client.txn(compare=[op_compare(name + b"/7", "version", "=", 9)],
               success=[op_put(name + b"/7", b"yes")], failure=[op_delete(name + b"/8")])
    gone = client.grant(5000).ID
    client.put(name + b"/leased", b"", lease=gone)
    client.revoke(gone)
    client.compact(client.revision() - 30)
    client.alarm("ACTIVATE", 7, "NOSPACE")
    client.alarm("DEACTIVATE", 7, "NOSPACE")
    client.put(name + b"/last", b"")


def test_a_server_started_on_the_data_of_etcd_refuses_it(tmp_path: Path) -> None:
    """etcd's unit with another program in it: coming up empty would look as if all were lost."""
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, origin):
        fill(origin, 50)
        etcd.stop()
        before = listing(etcd.data_dir)
        for flags in ([], ["--auto-tls", "--peer-auto-tls"]):
            server = Server(flags, data_dir=etcd.data_dir, start=False)
            server.start(wait=False)
            assert server.wait_exit() == 1
            assert "has the data of an etcd member" in server.log(), server.log()
            assert f"martlet import {etcd.data_dir}" in server.log()
            assert listing(etcd.data_dir) == before
            server.close()
        server = imported(etcd.data_dir, tmp_path)
        etcd.start()  # and the attempt did etcd no harm
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy)


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """All that lies below a directory, with size and time."""
    return [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*"))]


def test_a_running_etcd_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, _):
        refused("import", etcd.data_dir, f"--data-dir={tmp_path / 'd'}", saying="stop etcd first")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("release", RELEASES)
def test_a_log_with_users_and_what_they_did_is_carried_out(release: str, tmp_path: Path) -> None:
    """Users, permissions and requests that permissions decide about: all of it only in the log."""
    with serving(tmp_path / "etcd", etcd=release) as (etcd, origin):
        for line in AUTH.splitlines():
            etcdctl(etcd, *line.split())
        root = ("--user=root:secret",)
        etcdctl(etcd, "--user=ada:lovelace", "put", "own", "1")
        etcdctl(etcd, *root, "user", "passwd", "--interactive=false", "ada", stdin="new\n")
        for line in ["role revoke-permission writers exact", "user add gone:soon",
                     "user grant-role gone readers", "user delete gone", "role add empty",
                     "role delete empty", "user revoke-role ada readers", "put /by/root 1"]:
            etcdctl(etcd, *root, *line.split())
        # Refused by permissions when it is applied, and without any effect.
        with pytest.raises(AssertionError, match="permission denied"):
            etcdctl(etcd, "--user=ada:new", "put", "other", "1")
        etcdctl(etcd, "--user=ada:new", "put", "own", "2")
        etcd.kill()
        server = Server(data_dir=tmp_path / "imported", start=False)
        done = martlet("import", etcd.data_dir, *restore_flags(server))
        assert "carrying out the log" in done.stderr, done.stderr
        etcd.start()
        with server.start():
            assert auth_state(server) == auth_state(etcd)
            everything = (*root, "get", "", "--prefix", "-w", "fields")
            assert [line for line in etcdctl(server, *everything).splitlines()
                    if "ID" not in line and "RaftTerm" not in line] == [
                line for line in etcdctl(etcd, *everything).splitlines()
                if "ID" not in line and "RaftTerm" not in line]
            assert etcdctl(server, "--user=ada:new", "put", "own", "3") == "OK\n"
            with pytest.raises(AssertionError, match="permission denied"):
                etcdctl(server, "--user=ada:new", "put", "other", "1")
            with pytest.raises(AssertionError, match="invalid user ID or password"):
                etcdctl(server, "--user=ada:lovelace", "get", "own")


def test_a_directory_without_its_log_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, origin):
        fill(origin, 100)
        etcd.stop()
        wal = etcd.data_dir / "member/wal"
        wal.rename(tmp_path / "elsewhere")
        refused("import", etcd.data_dir, f"--data-dir={tmp_path / 'd'}", saying="--source-wal-dir")
        server = Server(data_dir=tmp_path / "imported", start=False)
        martlet("import", etcd.data_dir, f"--source-wal-dir={tmp_path / 'elsewhere'}",
                *restore_flags(server))
        (tmp_path / "elsewhere").rename(wal)
        etcd.start()
        with server.start(), Client(server.endpoint) as copy:
            compare(origin, copy)
    refused("import", tmp_path, f"--data-dir={tmp_path / 'd'}", saying="no data directory of etcd")


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, origin):
        for n in range(200):
            origin.put(b"key-%d" % n, b"value" * 10)
        origin.put(b"last", b"value" * 1000)
        etcd.kill()
        (log,) = (etcd.data_dir / "member/wal").glob("*.wal")
        good = log.read_bytes()
        used = len(good.rstrip(b"\0"))
        seen = 0
        for place in range(used // 2, used // 2 + 64):  # the whole of a record, its length too
            bad = bytearray(good)
            bad[place] ^= 0x40
            log.write_bytes(bad)
            done = martlet("import", etcd.data_dir, f"--data-dir={tmp_path / 'd'}", status=None)
            if done.returncode == 0:  # in padding, which means nothing
                with serving(tmp_path / "d") as (_, copy):
                    assert copy.range(ALL, ALL, count_only=True).count == 201
                shutil.rmtree(tmp_path / "d")
                continue
            seen += 1
            assert re.search(r"damaged at offset \d+|is missing", done.stderr), done.stderr
            assert not (tmp_path / "d").exists()
        assert seen > 50
        # A record that a power loss cut off is no damage: it was never acknowledged.
        torn = bytearray(good)
        cut = (used - 2000) // 512 * 512
        torn[cut:] = bytes(len(torn) - cut)
        log.write_bytes(torn)
        server = Server(data_dir=tmp_path / "imported", start=False)
        martlet("import", etcd.data_dir, *restore_flags(server))
        with server.start(), Client(server.endpoint) as copy:
            assert copy.range(ALL, ALL, count_only=True).count == 200
        log.write_bytes(good)


# ---- damage ------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_a_snapshot_is_found(tmp_path: Path) -> None:
    with serving(etcd="3.5") as (etcd, origin):
        fill(origin, 300)
        good = saved(etcd, tmp_path).read_bytes()
    dice = random.Random(5)
    bad_path = tmp_path / "bad.db"
    for place in [0, 16, 4096, 8192, len(good) - 1, *(dice.randrange(len(good)) for _ in range(10))]:
        bad = bytearray(good)
        bad[place] ^= 1 << dice.randrange(8)
        bad_path.write_bytes(bad)
        refused("import", bad_path, f"--data-dir={tmp_path / 'd'}", saying="damaged|not an etcd")
        assert not (tmp_path / "d").exists()


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    """Without the checksum at the end, as of a file copied out of a data directory."""
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, origin):
        fill(origin, 2000)
        etcd.stop()
        good = (etcd.data_dir / "member/snap/db").read_bytes()
    bad_path = tmp_path / "db"
    found = 0
    for page in range(2, len(good) // 4096):
        header = good[page * 4096:page * 4096 + 16]
        if int.from_bytes(header[8:10], "little") not in (1, 2):
            continue
        bad = bytearray(good)
        bad[page * 4096 + 8] ^= 0x20  # what kind of page it is
        bad_path.write_bytes(bad)
        done = martlet("import", bad_path, f"--data-dir={tmp_path / 'd'}", status=None)
        if done.returncode == 0:  # a page that nothing points at any more
            shutil.rmtree(tmp_path / "d")
            continue
        found += 1
        assert done.returncode == 1 and f"page {page} is damaged" in done.stderr, done.stderr
        assert not (tmp_path / "d").exists()
        if found >= 20:
            break
    assert found >= 20


def test_mutated_databases_never_crash_the_reader(tmp_path: Path) -> None:
    with serving(tmp_path / "etcd", etcd="3.5") as (etcd, origin):
        fill(origin, 200)
        etcd.stop()
        good = (etcd.data_dir / "member/snap/db").read_bytes()
    good = good[:min(len(good), 64 * 4096)] if len(good) > 64 * 4096 else good
    dice = random.Random(11)
    path = tmp_path / "mutated.db"
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 8)):
            place = dice.randrange(8192, len(bad))
            bad[place:place + dice.randrange(1, 16)] = dice.randbytes(dice.randrange(1, 16))
        path.write_bytes(bad[:len(good) - len(good) % 4096])
        done = martlet("import", path, f"--data-dir={tmp_path / 'd'}", status=None)
        assert done.returncode in (0, 1), done.stderr
        shutil.rmtree(tmp_path / "d", ignore_errors=True)


def test_export_refuses_what_it_must(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (server, client):
        client.put(b"a")
        refused("export", server.data_dir, f"--output={tmp_path / 'x'}", saying="another process")
        server.stop()
        refused("export", server.data_dir, saying="--output is required", status=2)
        martlet("export", server.data_dir, f"--output={tmp_path / 'x'}")
        refused("export", server.data_dir, f"--output={tmp_path / 'x'}", saying="exists")
        refused("export", tmp_path, f"--output={tmp_path / 'y'}", saying="no data directory of Martlet")
        refused("export", tmp_path / "x", f"--output={tmp_path / 'y'}", saying="of etcd already")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "x"]
        server.start()
