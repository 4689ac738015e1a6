"""test_cluster_disks.py: three members, one of which has a slow disk or damaged bytes on it.

Belongs here: what the cluster does about one bad disk, judged by history.py or by equal hashes.
Never here: a full disk or damage of a node that is alone (test_faults.py), a lost disk
(test_cluster_faults.py). Source of truth: design.md section 7, the rows of slow and corrupt disks.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cluster import Cluster, wait_until
from history import Load

pytestmark = [pytest.mark.cluster, pytest.mark.martlet]

SLOW_MILLISECONDS = 3000  # three election timeouts for one fdatasync
PAGE_BYTES = 4096


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """slow_disk.c, compiled. A compiler is there: Swift brings its own."""
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "no C compiler, which Swift needs too"
    library = tmp_path_factory.mktemp("shim") / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O", "-o", library, source], check=True)
    return library


@pytest.fixture
def slowable(shim: Path, tmp_path: Path) -> Iterator[Cluster]:
    """Three members; one whose file `slow-N` exists has a slow disk."""
    with Cluster(3, start=False) as three:
        for member in three.members:
            member.environment = {
                "LD_PRELOAD": str(shim), "SLOW_DISK": str(tmp_path / f"slow-{member.number}")}
            member.start(wait=False)
        three.wait_agreed()
        yield three


def test_a_leader_with_a_slow_disk_hands_over(slowable: Cluster, tmp_path: Path) -> None:
    with Load(slowable) as load:
        load.warm_up()
        victim = slowable.members[slowable.leader()]
        slow = tmp_path / f"slow-{victim.number}"
        slow.write_text(str(SLOW_MILLISECONDS))
        others = [member for member in slowable.members if member is not victim]
        wait_until(lambda: "does not finish a write" in victim.log(), "the leader says why it goes")
        slowable.wait_agreed(others)
        assert slowable.members[slowable.leader()] is not victim
        load.recover(others)
        slow.unlink()
        load.recover()
    print(load.verify())


def test_a_follower_with_a_slow_disk_holds_nobody_up(slowable: Cluster, tmp_path: Path) -> None:
    with Load(slowable) as load:
        load.warm_up()
        leader = slowable.leader()
        victim = slowable.members[slowable.follower()]
        slow = tmp_path / f"slow-{victim.number}"
        slow.write_text(str(SLOW_MILLISECONDS))
        load.recover([member for member in slowable.members if member is not victim])
        load.warm_up()
        assert slowable.leader() == leader
        slow.unlink()
        load.recover()
    print(load.verify())


def database_place(member, value: bytes) -> tuple[Path, int]:
    """The file and the offset in it of a value that a stopped member has in its database."""
    path = member.data_dir / "db"
    at = path.read_bytes().find(value)
    assert at >= 0, "after a clean stop the value is in the database file"
    return path, at


def test_a_damaged_page_is_named_and_comes_back_from_another_member() -> None:
    """No operator, no restart: the member fetches the page; what it answers is never wrong."""
    chance = random.Random(11)
    with Cluster(3) as three:
        client = three.client(three.leader())
        written = {b"damage/%03d" % n: chance.randbytes(700) for n in range(300)}
        for key, value in written.items():
            client.put(key, value)
        three.check_same()
        victim = three.members[three.follower()]
        victim.end(signal.SIGTERM)
        path, at = database_place(victim, written[b"damage/150"][100:132])
        content = bytearray(path.read_bytes())
        content[at + 5] ^= 0x40
        path.write_bytes(content)
        victim.start(wait=False)
        three.wait_agreed()
        at_victim = three.client(victim)

        def read() -> bytes | None:
            try:
                return at_victim.get(b"damage/150", serializable=True).value
            except grpc.RpcError:  # refused while the page is bad, or while it is fetched
                return None

        assert wait_until(read, "the page is back") == written[b"damage/150"]
        wait_until(lambda: "installed a snapshot" in victim.log(), "the log says so")
        page = at // PAGE_BYTES + 1
        assert re.search(rf"page {page} of the database file db", victim.log()), victim.log()
        for key, value in written.items():
            assert at_victim.get(key, serializable=True).value == value
        client.put(b"after", b"v")
        three.check_same()
        assert not client.alarm("GET").alarms, "a page that was mended needs nobody"
