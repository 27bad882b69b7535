# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is built once and cached: folders under a key, a hash of everything that they are made from.

A build happens under an exclusive lock in a folder of another name, which is renamed when it is complete: whoever finds
a key finds a whole folder. Those who use one hold the lock shared. Each build removes the folders that were not used for
the longest time, so that checkouts that differ can share a cache.
"""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

from .common import RIG, RigError, Stopped, locked, run, say

LOG_LINES = 20
WORK = "building-"


class Cache:
    """One kind of thing that is cached, in a folder of its own."""

    def __init__(self, name, keep):
        """keep: how many keys to keep, with the one that is built."""
        self._keep = keep
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        self.folder = pathlib.Path(base) / "devreg" / name

    @contextlib.contextmanager
    def use(self, key):
        """The folder of a key, which must be there; it is not removed while the context lasts."""
        with locked(self._lock_file(), shared=True):
            if not (self.folder / key).is_dir():
                raise RigError(f"{self.folder / key} vanished: other checkouts built theirs just now; try again")
            os.utime(self.folder / key)
            yield self.folder / key

    def provide(self, key, what, build, again=False):
        """Has build(work folder, result folder) called unless the key is there. Returns the key's folder."""
        result = self.folder / key
        if result.is_dir() and not again:
            return result
        with locked(self._lock_file()):
            if result.is_dir() and not again:       # another one built it while this one waited
                return result
            self._make_room(result)
            self._build(result, what, build)
        return result

    def _build(self, result, what, build):
        started = time.monotonic()
        say(f"building {what}")
        work = pathlib.Path(tempfile.mkdtemp(prefix=WORK, dir=self.folder))
        try:
            (work / "result").mkdir()
            build(work, work / "result")
            os.rename(work / "result", result)
        finally:
            _remove(work)
        say(f"built {result} in {time.monotonic() - started:.0f} s")

    def _lock_file(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / "lock"

    def _make_room(self, result):
        # Under the exclusive lock: what is no key was left by a build that was killed.
        folders = [folder for folder in self.folder.iterdir() if folder.is_dir()]
        keys = [folder for folder in folders if not folder.name.startswith(WORK) and folder != result]
        keys.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in set(folders) - set(keys[:self._keep - 1]):
            _remove(folder)


def _remove(folder):
    # Never across a mount, where the host's own /dev or /sys could be. A build's mounts are in a namespace of its
    # own (contained), so there are none; this is the second lock on that door.
    subprocess.run(["rm", "-rf", "--one-file-system", "--", folder], check=True)


def contained(argv):
    """In namespaces of its own for root, whose mmdebstrap mounts the host's /dev, /proc and /sys into the new root.

    When this program is killed, the namespaces' first process is too, and with it go all processes and mounts. For
    other users mmdebstrap makes namespaces itself.
    """
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--pdeathsig", "KILL", "--",
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *argv]


def output(argv):
    """What a command prints."""
    try:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RigError(f"{argv[0]}: {error}") from error


def logged(log, argv, stdin=None, **options):
    """Runs a build step; its output goes to the file log and its end is shown when the step fails."""
    try:
        with open(log, "w", encoding="utf-8") as target, open(stdin or os.devnull, encoding="utf-8") as source:
            status = run(argv, stdin=source, stdout=target, stderr=subprocess.STDOUT, **options).returncode
    except FileNotFoundError as error:
        raise RigError(f"{argv[0]} is missing: install the packages in {RIG / 'packages'}") from error
    except Stopped:
        say("stopped while building; removing what was begun")
        raise
    if status != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise RigError(f"{argv[0]} failed with {status}:\n{last}")
