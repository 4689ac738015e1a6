"""test_faults.py: bad disks, bad files, bad flags: a clear error, a clean stop, nothing lost.

Belongs here: a full disk, a read-only or damaged data directory, two processes on one directory,
the command line. Never here: bad bytes on the port (test_badinput.py), kills (test_crash.py).
Source of truth: design.md section 7. Mounts need root; those tests skip where mounting fails.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from client import NO_SPACE, Client, rejected
from server import Server, ServerFailed, is_etcd

DISK_MIB = 512
PAGE_BYTES = 4096


def run_to_end(server: Server, seconds: float = 30) -> tuple[int, str]:
    """Starts a server that must refuse to serve; its exit status and what it said."""
    server.start(wait=False)
    status = server.wait_exit(seconds)
    assert status > 0, server.failure("ended by a signal, or as if all were well")
    assert "ready to serve" not in server.log()
    return status, server.log()


# -- disks ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to fill."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "martlet", place],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all but `leave` bytes of the disk."""
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        # A server may prepare files in the background: what is free is asked until it holds.
        for _ in range(200):
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            taken = os.fstat(file.fileno()).st_blocks * 512
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, taken + free - leave))
            except OSError:
                continue
            time.sleep(0.05)
            if os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= leave // 2:
                break
    return ballast


def write_until_refused(client: Client) -> dict[bytes, tuple[bytes, int]]:
    """Large puts until one fails; what was acknowledged: key -> (value, revision)."""
    chance, acknowledged = random.Random(7), {}
    for number in range(DISK_MIB * 4):
        key, value = b"full/%04d" % number, chance.randbytes(500_000)
        try:
            reply = client.put(key, value)
        except grpc.RpcError:
            return acknowledged
        acknowledged[key] = value, reply.header.revision
    raise AssertionError("the disk never filled up")


def check_all(client: Client, acknowledged: dict[bytes, tuple[bytes, int]]) -> None:
    for key, (value, revision) in acknowledged.items():
        kv = client.get(key)
        assert kv is not None, f"{key!r} is lost"
        assert (kv.value, kv.mod_revision) == (value, revision), f"{key!r} was altered"


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    with Server(data_dir=small_disk / "data") as server:
        ballast = fill(small_disk, 24 << 20)
        with Client(server.endpoint) as client:
            acknowledged = write_until_refused(client)
        assert acknowledged, "not even one write before the disk was full"
        ballast.unlink()
        if server.running:
            server.kill()
        server.start()
        with Client(server.endpoint) as client:
            check_all(client, acknowledged)
            client.put(b"after", b"yes")


@pytest.mark.martlet
def test_a_full_disk_refuses_writes_and_serves_the_rest(small_disk: Path) -> None:
    with Server(data_dir=small_disk / "data") as server, Client(server.endpoint) as client:
        pid = server.pid
        ballast = fill(small_disk, 24 << 20)
        acknowledged = write_until_refused(client)
        with rejected(*NO_SPACE):
            client.put(b"refused", b"v" * 500_000)
        check_all(client, acknowledged)
        assert [alarm.alarm for alarm in client.alarm("GET").alarms] == [1]
        health = subprocess.run(["curl", "-sS", f"{server.url}/health"], capture_output=True)
        assert b"ALARM NOSPACE" in health.stdout

        # What frees space goes on.
        gone = min(acknowledged)
        assert client.delete(gone).deleted == 1
        acknowledged.pop(gone)
        client.compact(client.revision())
        check_all(client, acknowledged)

        # With space again the alarm clears itself, in the same process.
        ballast.unlink()
        deadline = time.monotonic() + 30
        while True:
            try:
                client.put(b"after", b"yes")
                break
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
                assert time.monotonic() < deadline, "the alarm never cleared itself"
                time.sleep(0.2)
        assert list(client.alarm("GET").alarms) == []
        assert server.pid == pid
        server.restart()
        client.wait_ready()
        check_all(client, acknowledged)


@pytest.mark.martlet
def test_starting_on_a_full_disk_says_so(small_disk: Path) -> None:
    fill(small_disk, 0)
    server = Server(data_dir=small_disk / "data", start=False)
    try:
        _, said = run_to_end(server)
    finally:
        server.close()
    assert re.search(r"(?i)no space left|disk full|not enough space", said), said


@pytest.mark.parametrize("before", ["with data", "empty"])
def test_a_read_only_data_directory_is_refused(small_disk: Path, before: str) -> None:
    server = Server(data_dir=small_disk / "data", start=False)
    try:
        if before == "with data":
            server.start()
            with Client(server.endpoint) as client:
                put = client.put(b"k", b"kept")
            server.stop()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        status, said = run_to_end(server)
        assert re.search(r"(?i)read-only file system", said), said
        assert str(small_disk) in said, f"the directory is not named: {said}"
        assert is_etcd() or status == 1
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        server.start()
        with Client(server.endpoint) as client:
            if before == "with data":
                assert client.get(b"k").mod_revision == put.header.revision
            client.put(b"k", b"again")
    finally:
        server.close()


@pytest.mark.martlet
def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.write_text("not a directory")
    server = Server(data_dir=place, start=False)
    try:
        _, said = run_to_end(server)
    finally:
        server.close()
    assert str(place) in said
    assert place.read_text() == "not a directory"


# -- two processes ------------------------------------------------------------------------------


@pytest.mark.martlet
def test_a_second_process_on_the_same_directory_is_refused() -> None:
    with Server() as first, Client(first.endpoint) as client:
        client.put(b"k", b"v")
        second = Server(data_dir=first.data_dir, start=False)
        try:
            status, said = run_to_end(second, 10)
        finally:
            second.close()
        assert status == 1
        assert str(first.data_dir) in said
        assert re.search(r"(?i)in use|another process|locked|already", said), said
        client.put(b"k", b"still served")
        first.restart(signal.SIGKILL)
        assert client.wait_ready().get(b"k").value == b"still served"


def test_a_port_in_use_is_refused() -> None:
    with Server() as first, Client(first.endpoint) as client:
        second = Server(start=False)
        second.port = first.port
        try:
            _, said = run_to_end(second, 10)
        finally:
            second.close()
        assert "address already in use" in said.lower(), said
        assert str(first.port) in said
        client.put(b"k", b"v")


# -- the command line -----------------------------------------------------------------------------

BAD_USAGE = [
    ("--bogus=1", "bogus"), ("--heartbeat-interval=abc", "heartbeat-interval"),
    ("--quota-backend-bytes=many", "quota-backend-bytes"), ("--snapshot-count=-5", "snapshot-count"),
    ("--client-cert-auth=perhaps", "client-cert-auth"),
    ("--grpc-keepalive-min-time=5parsecs", "grpc-keepalive-min-time"),
    ("--listen-client-urls=127.0.0.1:1", "listen-client-urls"),
]
# etcd says these with status 1; Martlet with 2, as all bad values.
BAD_VALUES = [
    ("--auto-compaction-mode=sometimes", "auto-compaction-mode"), ("--election-timeout=5", "election-timeout"),
    ("--listen-client-urls=http://127.0.0.1:99999", "99999"), ("stray", "stray"),
    ("--config-file=/nonexistent.yml", "/nonexistent.yml"),
]


@pytest.mark.parametrize(("flag", "named"), BAD_USAGE + BAD_VALUES)
def test_a_bad_flag_is_named_and_ends_with_status_2(flag: str, named: str) -> None:
    server = Server([flag], start=False)
    try:
        status, said = run_to_end(server)
        assert status == 2 or (is_etcd() and (flag, named) in BAD_VALUES), said
        assert named in said, said
        assert is_etcd() or "Fatal error" not in said
        assert is_etcd() or not server.data_dir.exists(), "a refused start left a data directory"
    finally:
        server.close()


@pytest.mark.martlet
@pytest.mark.parametrize("flags", [
    ["--cert-file=/nonexistent.pem", "--key-file=/nonexistent.key"],
    ["--log-level=loud"], ["--max-request-bytes=-1"],
])
def test_a_bad_value_that_etcd_notices_late_or_by_a_panic(flags: list[str]) -> None:
    server = Server(flags, start=False)
    if "--cert-file" in flags[0]:
        server.flags += [f"--listen-client-urls=https://127.0.0.1:{server.port}"]
    try:
        status, said = run_to_end(server)
        assert status in (1, 2)
        assert flags[0].split("=")[0].lstrip("-") in said or flags[0].split("=")[1] in said, said
        assert "Fatal error" not in said
    finally:
        server.close()


def test_version_and_help_end_with_status_0() -> None:
    line = Server(start=False).command()[:1]
    for flag in "--version", "--help":
        done = subprocess.run([*line, flag], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        assert done.stdout + done.stderr
    assert re.search(r"\d+\.\d+\.\d+", subprocess.run(
        [*line, "--version"], capture_output=True, text=True).stdout)


# -- damaged files ----------------------------------------------------------------------------------

KEYS = 400


def filled(server: Server) -> dict[bytes, tuple[bytes, int]]:
    """Values that do not compress, so that their bytes are found as they are in the files."""
    chance, written = random.Random(3), {}
    with Client(server.endpoint) as client:
        for number in range(KEYS):
            key, value = b"damage/%03d" % number, chance.randbytes(700)
            written[key] = value, client.put(key, value).header.revision
    return written


def holding(folder: Path, needle: bytes) -> list[tuple[Path, int]]:
    """Every file that has the bytes, and where."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        at = content.find(needle)
        if at >= 0:
            found.append((path, at))
    return found


def flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        old = file.read(1)
        file.seek(offset)
        file.write(bytes([old[0] ^ 0x40]))


def copy(source: Path, target: Path) -> None:
    """Prepared log segments are mostly zeroes: a sparse copy is many times faster."""
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)


@pytest.fixture
def damaged() -> Iterator[Callable[[int], tuple[Server, dict]]]:
    """A server with data, ended by the given signal."""
    servers = []

    def make(ending: int) -> tuple[Server, dict[bytes, tuple[bytes, int]]]:
        server = Server()
        servers.append(server)
        written = filled(server)
        server.end(ending)
        return server, written

    yield make
    for server in servers:
        server.close()


@pytest.mark.martlet
def test_a_flipped_byte_in_the_middle_of_the_log_is_named(damaged: Callable) -> None:
    server, written = damaged(signal.SIGKILL)
    value, _ = written[b"damage/100"]
    in_log = [(path, at) for path, at in holding(server.data_dir, value[100:132])
              if path.name != "db"]
    assert in_log, "the value is in no log file, though nothing was checkpointed by a clean stop"
    for path, at in in_log:
        flip(path, at + 5)
    _, said = run_to_end(server)
    path, at = in_log[0]
    assert path.name in said, f"the file is not named: {said}"
    offsets = [int(digits) for digits in re.findall(r"\d+", said)]
    assert any(at - 4096 <= offset <= at + 64 for offset in offsets), f"no offset near {at}: {said}"

    # Nothing was cut or repaired by guessing: with the byte back, everything is there.
    for path, at in in_log:
        flip(path, at + 5)
    server.start()
    with Client(server.endpoint) as client:
        check_all(client, written)


@pytest.mark.martlet
def test_a_flipped_byte_in_a_database_page_is_named_and_never_served(damaged: Callable) -> None:
    server, written = damaged(signal.SIGTERM)
    key = b"damage/200"
    in_db = [(path, at) for path, at in holding(server.data_dir, written[key][0][100:132])
             if path.name == "db"]
    assert in_db, "after a clean stop the value must be in the database file"
    path, at = in_db[0]
    # The log may still hold these pages and mend the database by redo; then nothing is wrong.
    flip(path, at + 5)
    server.start(wait=False)
    try:
        server.wait_ready()
    except ServerFailed:
        assert server.process.returncode > 0, server.failure("ended by a signal")
    else:
        with Client(server.endpoint) as client:
            try:
                kv = client.get(key)
            except grpc.RpcError:
                pass
            else:
                assert kv is not None and kv.value == written[key][0], "a damaged value was served"
                check_all(client, written)
                return
    said = server.log()
    page = at // PAGE_BYTES
    assert "db" in said
    assert re.search(rf"\b({page * PAGE_BYTES}|{page + 1})\b", said), f"page {page + 1}: {said}"
    if server.running:
        server.kill()
    flip(path, at + 5)
    server.start()
    with Client(server.endpoint) as client:
        check_all(client, written)


@pytest.mark.martlet
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_any_flipped_byte_is_harmless_or_refused(damaged: Callable, ending: int,
                                                 tmp_path: Path) -> None:
    """Whatever byte of whatever file: all data is served as written, or an error is given."""
    server, written = damaged(ending)
    last = max(written)  # a flip in the last log record cannot be told from a torn tail
    whole = tmp_path / "whole"
    copy(server.data_dir, whole)
    chance = random.Random(11)
    used = [(path.relative_to(whole), max(i for i, byte in enumerate(content) if byte) + 1)
            for path in sorted(whole.rglob("*")) if path.is_file()
            and any(content := path.read_bytes())]
    outcomes = []
    for number in range(24):
        name, size = used[number % len(used)]
        at = chance.randrange(size)
        shutil.rmtree(server.data_dir)
        copy(whole, server.data_dir)
        flip(server.data_dir / name, at)
        outcomes.append(f"{name} at {at}: {after_damage(server, written, last)}")
    print("\n".join(outcomes))


def after_damage(server: Server, written: dict[bytes, tuple[bytes, int]], last: bytes) -> str:
    """What became of a start on damaged files; fails if something wrong was served."""
    server.start(wait=False)
    try:
        server.wait_ready()
    except ServerFailed as failure:
        assert server.process.returncode > 0, failure
        return "refused"
    refused = 0
    with Client(server.endpoint) as client:
        for key, (value, revision) in written.items():
            try:
                kv = client.get(key)
            except grpc.RpcError:
                refused += 1
                if not server.running:
                    break
                continue
            if kv is None and key == last:
                continue
            assert kv is not None, f"{key!r} is silently lost"
            assert (kv.value, kv.mod_revision) == (value, revision), f"{key!r} is silently altered"
    if server.running:
        server.kill()
    else:
        assert server.wait_exit() > 0, server.failure("ended by a signal")
    return f"{refused} reads refused" if refused else "harmless"
