# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests share: one daemon for a whole run, reached over every transport.

    DEVREGD=build/dev/daemon/devregd  /usr/bin/python3 -m pytest tests/board
    DEVREG_HOST=http://127.0.0.1:PORT DEVREG_EDU_REGIONS="edu edu-mem" RIG_STATE=DIRECTORY \\
                                      /usr/bin/python3 -m pytest tests/board

Without DEVREG_HOST the tests start their own daemons and those marked rig are left out; with it they use that daemon
and those marked sim are left out. A -m on the command line overrides this.
"""

import os
import pathlib
import subprocess
import sys

import pytest

import board

HOST = os.environ.get("DEVREG_HOST")
RIG = pathlib.Path(__file__).resolve().parent.parent / "rig" / "rig"


def pytest_configure(config):
    sys.dont_write_bytecode = True
    if not config.option.markexpr:
        config.option.markexpr = "not sim" if HOST else "not rig"


def pytest_sessionstart():
    if not HOST and not os.access(os.environ.get("DEVREGD", ""), os.X_OK):
        raise pytest.UsageError("DEVREGD must name the program to test, or DEVREG_HOST a daemon that runs")


def pytest_generate_tests(metafunc):
    if "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", ["host"] if HOST else ["unix", "tcp", "tls"])
    if "edu_name" in metafunc.fixturenames:
        names = os.environ.get("DEVREG_EDU_REGIONS", "edu") if HOST else "edu"
        metafunc.parametrize("edu_name", names.split())
    if "source_name" in metafunc.fixturenames:
        names = os.environ.get("DEVREG_EDU_SOURCES", "") if HOST else "edu-msi"
        metafunc.parametrize("source_name", names.split())


RAM_SIZE = 0x1000000
FILE_SIZE = 0x10000


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """Where the shared daemon's files are: traces, and memory that is backed by files."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "file").write_bytes(bytes(FILE_SIZE))
    (folder / "readonly").write_bytes(bytes(range(256)) * 16)
    return folder


def configuration(workspace):
    """A region of every kind."""
    return {"devices": [
        board.sim("edu", "edu", trace=str(workspace / "edu.trace"), widths=[32, 64]),
        {**board.sim("edu", "edu-msi"), "interrupts": [{"acknowledge": {"read": "0x24", "write": "0x64"}}]},
        {**board.sim("odd", "odd", trace=str(workspace / "odd.trace")), "interrupts": [{}]},
        board.sim("ram", "ram", size=RAM_SIZE),
        board.sim("ram", "traced", trace=str(workspace / "traced.trace"), size="0x1000"),
        board.sim("ram", "big", size=0x10000, endianness="big"),
        board.sim("ram", "file", path=str(workspace / "file"), size=FILE_SIZE),
        board.sim("ram", "readonly", path=str(workspace / "readonly"), size=0x1000, access="read"),
        board.sim("ram", "slowly", size=0x1000, slow=True),
        board.sim("ram", "octets", size=0x1000, widths=[8]),
        board.sim("ram", "later", path=str(workspace / "later"), size=0x1000),
        {"name": "absent", "id": "dead:beef", "regions": [{"name": "absent", "bar": 0}]},
    ]}


@pytest.fixture(scope="session")
def shared(workspace):
    """The shared daemon in a list, which daemon() below fills. Ends well, or the run fails."""
    running = []
    yield running
    for daemon in running:
        daemon.__exit__(None)


@pytest.fixture
def daemon(shared, workspace):
    """The shared daemon. A test that it does not survive fails, and the next one gets another."""
    if not shared:
        shared.append(board.Daemon(configuration(workspace)).__enter__())
    yield shared[0]
    if shared[0].process.poll() is not None:
        shared.pop().__exit__(None)


@pytest.fixture
def place(transport, request):
    if transport == "host":
        return board.place_of_url(HOST)
    return request.getfixturevalue("daemon").place(transport)


@pytest.fixture
def client(place):
    with place.client() as connected:
        yield connected


@pytest.fixture
def edu(client, edu_name):
    return client.region(edu_name)


class RigTrace:
    """The same as board.TraceFile, from QEMU, which sees physical addresses."""

    def __init__(self, edu):
        assert "RIG_STATE" in os.environ, "RIG_STATE must name the rig's folder"
        self.base = int(edu.client.get(edu.path).ok().json["address"], 16)

    @staticmethod
    def rig(*words):
        return subprocess.run([RIG, "trace", *words], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    @board.contextlib.contextmanager
    def record(self):
        accesses = []
        self.rig("on")
        try:
            yield accesses
        finally:
            self.rig("off")
        for line in self.rig("show", "edu-mmio").splitlines():
            kind, width, address, value = line.split()
            accesses.append(({"read": "R", "write": "W"}[kind], int(width), int(address, 16) - self.base,
                             int(value, 16)))


@pytest.fixture
def edu_trace(edu, request):
    """What the device itself saw."""
    if HOST:
        return RigTrace(edu)
    return board.TraceFile(request.getfixturevalue("workspace") / "edu.trace")


@pytest.fixture
def start_daemon():
    """Starts further daemons, each ended and checked at the end of the test."""
    with board.contextlib.ExitStack() as stack:
        def start(*arguments, **options):
            return stack.enter_context(board.Daemon(*arguments, **options))
        yield start
