# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs devregctl as a person or a script does. DEVREGCTL and DEVREGD name the programs."""

import os
import pathlib
import subprocess
import sys

import pytest

# The stopwatch is the board suite's. At the end, for both have a conftest.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "board"))

from fake import FakeDaemon


def program(variable):
    return os.path.abspath(os.environ[variable])


def pytest_configure(config):
    config.addinivalue_line("markers", "access: needs a devregd with tokens, access rules, reservations and the audit trail")


def pytest_sessionstart():
    for variable in ("DEVREGCTL", "DEVREGD"):
        if not os.access(os.environ.get(variable, ""), os.X_OK):
            raise pytest.UsageError(f"{variable} must name the program to test")


class Result:
    def __init__(self, code, out, err):
        self.code = code
        self.octets = out
        self.err = err.decode()

    @property
    def out(self):
        return self.octets.decode()

    def __repr__(self):
        return f"exit code {self.code}\nout: {self.octets[:2000]!r}\nerr: {self.err}"


class Client:
    """devregctl with an environment of its own."""

    def __init__(self, home, **variables):
        self.path = program("DEVREGCTL")
        self.home = home
        self.variables = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(home / "runtime"),
            "LC_ALL": "C.UTF-8",
            **{name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ},
            **variables,
        }

    def __call__(self, *words, input=None, stdin=None, stdout=subprocess.PIPE, wait=30):
        if input is None and stdin is None:
            stdin = subprocess.DEVNULL
        done = subprocess.run([self.path, *map(str, words)], input=input, stdin=stdin, stdout=stdout,
                              stderr=subprocess.PIPE, env=self.variables, timeout=wait, cwd=self.home)
        assert "Sanitizer" not in done.stderr.decode(), done.stderr.decode()
        assert "runtime error" not in done.stderr.decode(), done.stderr.decode()
        assert done.returncode >= 0, f"killed by signal {-done.returncode}"
        return Result(done.returncode, done.stdout or b"", done.stderr)


@pytest.fixture
def client(tmp_path):
    return Client(tmp_path)


@pytest.fixture(params=["unix", "tcp"])
def family(request):
    return request.param


@pytest.fixture
def start(tmp_path):
    """start(script) makes a fake daemon on a Unix socket, start(script, family="tcp") on loopback."""
    running = []

    def start_one(script, family="unix", **how):
        path = str(tmp_path / f"fake{len(running)}.sock") if family == "unix" else None
        daemon = FakeDaemon(script, path, **how)
        running.append(daemon)
        return daemon

    yield start_one
    for daemon in running:
        daemon.stop()
        assert not daemon.mistakes


@pytest.fixture
def over(client, start, family):
    """over(script) makes a fake daemon and gives (daemon, run) where run(words...) talks to it."""
    def make(script):
        daemon = start(script, family)
        return daemon, lambda *words, **how: client("-H", daemon.host, *words, **how)

    return make
