"""test_crash.py: kill -9 under load loses nothing acknowledged, and the harness would notice.

Belongs here: how often and with which seed. The harness itself: crash.py.
MARTLET_CRASH_ROUNDS and MARTLET_CRASH_SEED override; `make crash` runs crash.py for longer.
"""

from __future__ import annotations

import os
import random

import pytest

from crash import Crash, Lost

ROUNDS = int(os.environ.get("MARTLET_CRASH_ROUNDS", "25"))
SEED = int(os.environ.get("MARTLET_CRASH_SEED", random.SystemRandom().getrandbits(32)))


def test_kill_under_load_loses_nothing() -> None:
    counts = Crash(ROUNDS, SEED).run()
    assert counts["rounds"] == ROUNDS
    assert counts["acknowledged"] > 10 * ROUNDS, "hardly any load"


@pytest.mark.parametrize(("plant", "told"), [
    ("value", "acknowledged was"), ("revision", "was acknowledged"), ("rollback", "was acknowledged"),
])
def test_the_harness_sees_a_planted_loss(plant: str, told: str) -> None:
    with pytest.raises(Lost, match=told):
        Crash(2, SEED, writers=4, plant=plant).run()
