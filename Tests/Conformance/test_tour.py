"""test_tour.py: etcdctl's commands print on Martlet what they print on etcd 3.5.16.

Belongs here: comparing with tour.txt, which has etcd's output of each command, and the reason where
Martlet differs. Never here: the commands (tour.txt), running them (tour.py).
With ETCD_BIN the recording itself is checked.
"""

from __future__ import annotations

import pytest

from server import Server, is_etcd
from tour import Scenario, Tour, read

SCENARIOS = read()[1]


def test_the_tour_is_long_enough():
    commands = [step.command for scenario in SCENARIOS for step in scenario.steps]
    assert len(commands) >= 150
    assert len(set(commands)) >= 150


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_tour(scenario: Scenario):
    with Server(scenario.flags) as server:
        tour = Tour(server)
        for step in scenario.steps:
            differs = step.reason is not None and not is_etcd()
            wanted = step.martlet if differs else step.etcd
            assert tour.run(step) == wanted, f"{step.command} {step.reason or ''}"
            # A difference that is none any more is to be taken out of the file.
            assert step.reason is None or step.martlet != step.etcd, step.command
        server.check_alive()
