# SPDX-License-Identifier: LGPL-2.1-or-later
"""One devregd with a configuration of its own, here or in the guest, for as long as it is measured."""
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

STARTED_S = 30


class Daemon:
    """What it can be reached and known by."""

    def __init__(self, process, directory, port):
        self.process, self.directory, self.port = process, directory, port
        self.socket = f"{directory}/devregd.sock"


def wait_for_port(process, log):
    limit = time.monotonic() + STARTED_S
    while True:
        text = log.read_text()
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", text)
        if found:
            return int(found.group(1))
        if process.poll() is not None or time.monotonic() > limit:
            sys.exit(f"devregd did not start:\n{text}")
        time.sleep(0.01)


@contextlib.contextmanager
def running(devregd, config):
    """Gives a Daemon on a socket and a loopback port, in a directory that goes with it."""
    with tempfile.TemporaryDirectory() as directory:
        path, log = pathlib.Path(directory, "devregd.json"), pathlib.Path(directory, "log")
        path.write_text(json.dumps({"listen": [f"{directory}/devregd.sock", "127.0.0.1:0"], "state": f"{directory}/state", **config}))
        with open(log, "wb") as stream:
            process = subprocess.Popen([devregd, "--config", path], stderr=stream)
        try:
            yield Daemon(process, directory, wait_for_port(process, log))
        finally:
            process.terminate()
            process.wait()
