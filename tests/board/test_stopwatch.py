# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stopwatch itself: a test that goes by it must still be able to fail."""

import os
import signal
import subprocess
import sys
import time

import pytest

import stopwatch

pytestmark = pytest.mark.sim


@pytest.fixture
def gaps(monkeypatch):
    """Sets the gaps of two processors."""
    def give(*processors):
        class Given:
            def __init__(self, gaps):
                self.gaps_until = lambda now: gaps
        monkeypatch.setattr(stopwatch, "tickers", [Given(gaps) for gaps in processors])
    return give


@pytest.mark.parametrize("first, second, lost", [
    ([], [], 0), ([(1, 3)], [], 2), ([(1, 3)], [(1, 3)], 2), ([(1, 3)], [(2, 5)], 4), ([(1, 2)], [(4, 5)], 2),
    ([(2, 3)], [(1, 5)], 4), ([(-5, 1)], [], 1), ([(9, 20)], [], 1), ([(-5, -1)], [(11, 12)], 0), ([(-1, 11)], [(3, 4)], 10),
])
def test_what_is_lost_of_ten_seconds(gaps, first, second, lost):
    """What both processors miss counts once, and what is outside not at all."""
    gaps(first, second)
    assert stopwatch.lost_between(0, 10) == lost


def test_a_stall_is_not_lived():
    """Of a process that is stopped for a second."""
    script = "import stopwatch; watch = stopwatch.Stopwatch(); print(flush=True); input(); print(watch.real, watch.lived, watch.lost)"
    with subprocess.Popen([sys.executable, "-B", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=os.path.dirname(stopwatch.__file__)) as process:
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("\n", timeout=20)
    real, lived, lost = map(float, out.split())
    assert real >= 1.5 and lost > 0.9 and abs(real - lived - lost) < 0.01
    assert lived > 0


def test_work_is_lived():
    """Who makes the processors work is not stalled: slowness must show."""
    def work():
        watch, count = stopwatch.Stopwatch(), 0
        while watch.real < 1:
            count += 1
        return watch.lived / watch.real
    assert stopwatch.undisturbed(work, most=0.2) > 0.8


def test_undisturbed(gaps):
    """It measures again as long as something is lost, and in the end takes what it has."""
    results = iter(range(100))

    def measure():
        time.sleep(0.15)
        return next(results)
    gaps([(0, time.monotonic() + 100)])
    assert stopwatch.undisturbed(measure, tries=3) == 2
    gaps([])
    assert stopwatch.undisturbed(measure) == 3


def test_within():
    assert stopwatch.within(lambda seconds: "done" if seconds > 4 else None, "it") == ("done", 5)
    with pytest.raises(AssertionError, match="it: not within 25 s"):
        stopwatch.within(lambda seconds: None, "it")
