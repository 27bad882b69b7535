# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl while it runs."""

import subprocess
import time

import stopwatch


class Running:
    """devregctl under way."""

    def __init__(self, client, *words, **how):
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": client.variables,
               "cwd": client.home, **how}
        self.process = subprocess.Popen([client.path, *map(str, words)], **how)
        self.pid = self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=20):
        """(exit code, standard output, standard error); a negative code: ended by a signal."""
        watch = stopwatch.Stopwatch()
        while True:
            try:
                out, err = self.process.communicate(timeout=max(0.001, seconds - watch.lived))
                break
            except subprocess.TimeoutExpired:
                if watch.lived < seconds:
                    continue
                self.process.kill()
                out, err = self.process.communicate()
                raise AssertionError(f"it goes on\nout: {out}\nerr: {err}") from None
        assert b"Sanitizer" not in err and b"runtime error" not in err, err.decode()
        return self.process.returncode, (out or b"").decode(), err.decode()


def wait_until(condition, seconds=20):
    watch = stopwatch.Stopwatch()
    while not condition():
        assert watch.lived < seconds, "it does not come"
        time.sleep(0.01)
