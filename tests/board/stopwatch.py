# SPDX-License-Identifier: LGPL-2.1-or-later
"""Time on a machine that stalls. Now and then it gives neither the daemon nor its tests a processor for a second or more, while
the clock goes on. That is nobody's slowness. So there are two times:

- the real one, of which lower bounds are asserted: the daemon goes by the same clock;
- the time that was lived, of which upper bounds are: the real one without the gaps.

A thread on each processor ticks. What a tick comes too late is a gap, and one processor's gap is enough: the daemon may have
been on that one."""

import collections
import contextlib
import os
import threading
import time

TICK_S = 0.01
LATE_S = 0.02       # what is less is no gap: the other threads have their turn


class Ticker:
    """Notes when its processor was not to be had."""

    def __init__(self, processor):
        self.gaps = collections.deque(maxlen=1000)      # the last ones: (from, until)
        self.due = time.monotonic() + TICK_S
        threading.Thread(target=self.run, args=(processor,), daemon=True).start()

    def run(self, processor):
        with contextlib.suppress(OSError):              # it may have gone meanwhile
            os.sched_setaffinity(0, {processor})        # of this thread alone
        while True:
            time.sleep(TICK_S)
            now, due = time.monotonic(), self.due
            if now - due > LATE_S:
                self.gaps.append((due, now))
            self.due = now + TICK_S

    def gaps_until(self, now):
        """With the one that may be going on."""
        due = self.due
        return [*self.gaps.copy(), *([(due, now)] if now - due > LATE_S else [])]


tickers = [Ticker(processor) for processor in os.sched_getaffinity(0)]


def lost_between(start, end):
    """The seconds of it that were in gaps of any processor."""
    lost, reached = 0, start
    for gap_start, gap_end in sorted(gap for ticker in tickers for gap in ticker.gaps_until(end)):
        gap_start, gap_end = max(gap_start, reached), min(gap_end, end)
        if gap_start < gap_end:
            lost += gap_end - gap_start
            reached = gap_end
    return lost


class Stopwatch:
    """Runs from when it is made, or from a moment of time.monotonic()."""

    def __init__(self, started=None):
        self.started = time.monotonic() if started is None else started

    @property
    def real(self):
        return time.monotonic() - self.started

    @property
    def lost(self):
        return lost_between(self.started, time.monotonic())

    @property
    def lived(self):
        now = time.monotonic()
        return now - self.started - lost_between(self.started, now)


def sleep(seconds):
    """Until so much was lived, so that the others had as much of it."""
    watch = Stopwatch()
    while (left := seconds - watch.lived) > 0:
        time.sleep(left)


def undisturbed(measure, most=0.1, tries=20):
    """What measure() returns, when at most so many seconds were lost meanwhile: for what the daemon does by the clock, where a
    gap makes it another thing. Whether it is taken must not depend on what it is, so what only holds without a gap is asserted
    of the result, not in measure()."""
    for _ in range(tries):
        watch = Stopwatch()
        result = measure()
        if watch.lost <= most:
            break
    return result


def within(begin, what, tries=(1, 5, 25)):
    """What begin(seconds) returns, and the seconds, the fewest in which it can be done: it returns nothing, when what it made
    for so long was over too early."""
    for seconds in tries:
        begun = begin(seconds)
        if begun:
            return begun, seconds
    raise AssertionError(f"{what}: not within {tries[-1]} s")
