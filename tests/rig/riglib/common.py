# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every part of the rig uses: its folder, its error, its messages, its lists and its children."""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys

RIG = pathlib.Path(__file__).resolve().parent.parent


class RigError(Exception):
    """The rig itself cannot do what was asked; the text is for a person."""


class Stopped(BaseException):
    """A signal asked this program to end. Not an Exception, so that no handler of failures swallows it."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def say(text):
    print(f"rig: {text}", file=sys.stderr, flush=True)


def lines_of(path):
    """The lines of a list file, without comments and empty lines."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def stop_on_signals():
    def handler(number, _frame):
        raise Stopped(number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def run(argv, **options):
    """Runs a command in a session of its own and returns its CompletedProcess.

    A signal to the rig is passed on to all of the command and waited for, so that it can clean up (mmdebstrap has
    mounts and a temporary folder to remove); subprocess.run() would kill it at once.
    """
    with subprocess.Popen([str(arg) for arg in argv], start_new_session=True, **options) as child:
        try:
            output, errors = child.communicate()
        except BaseException:
            end_group(child)
            raise
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


def end_group(child, timeout_s=20):
    """Ends a child that leads its own session, and what it started: politely, then not."""
    for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            return


@contextlib.contextmanager
def locked(path, shared=False):
    """Holds an advisory lock on a file; whoever dies lets go."""
    with open(path, "a", encoding="ascii") as file:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another rig ({path})")
            fcntl.flock(file, mode)
        yield
