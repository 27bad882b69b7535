# SPDX-License-Identifier: LGPL-2.1-or-later
"""client/examples/edu-dma: a file through the device by DMA and back, and nothing left of it, however it ends.

DEVREG_EXAMPLE says on which devices: a list of DEVICE:REGION:SOURCE."""

import hashlib
import os
import pathlib
import random
import re
import signal
import subprocess

import pytest

import board
from conftest import HOST

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "client" / "examples" / "edu-dma"


def pytest_generate_tests(metafunc):
    if "names" in metafunc.fixturenames:
        metafunc.parametrize("names", os.environ.get("DEVREG_EXAMPLE", "edu:edu:edu").split())


class Example:
    """The script as a person starts it, and devregctl for looking behind it."""

    def __init__(self, host, names, folder):
        self.device, self.region, self.source = names.split(":")
        self.folder = folder
        client = os.path.abspath(os.environ["DEVREGCTL"])
        scratch = folder / "scratch"
        scratch.mkdir()
        self.scratch = scratch
        self.environment = {"PATH": f"{os.path.dirname(client)}:{os.environ['PATH']}", "HOME": str(folder), "DEVREG_HOST": host,
                            "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8",
                            **{name: os.environ[name] for name in ("DEVREG_TOKEN", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
                               if name in os.environ}}

    def start(self, *words, source=None):
        return subprocess.Popen(
            [EXAMPLE, "-d", self.device, "-r", self.region, "-s", source or self.source, *map(str, words)], env=self.environment,
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process, seconds=300):
        out, err = process.communicate(timeout=seconds)
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return process.returncode, out, err

    def run(self, *words, **how):
        return self.end(self.start(*words, **how))

    def devregctl(self, *words):
        done = subprocess.run(["devregctl", *words], env=self.environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        return done.stdout

    def buffers(self):
        """Those that live on the device."""
        return [line.split()[0] for line in self.devregctl("buffer", "list").splitlines()[1:] if line.split()[1] == self.device]

    def is_held(self):
        return any(f"device:{self.device}" in line and " held" in line for line in self.devregctl("reservations").splitlines())

    def is_idle(self):
        return int(self.devregctl("read", f"{self.region}:0x98", "--width", "32"), 16) & 1 == 0

    def nothing_is_left(self):
        return not self.buffers() and not self.is_held()


@pytest.fixture
def example(names, tmp_path, request):
    if HOST:
        host = HOST
    else:
        host = request.getfixturevalue("start_daemon")(arguments=["--demo"], listen=[]).socket
    one = Example(host, names, tmp_path)
    assert one.nothing_is_left()
    yield one
    board.wait_for(one.nothing_is_left, "nothing is left of the script", timeout=60)
    board.wait_for(one.is_idle, "the device is done", timeout=10)


def write_file(example, size, seed=1):
    (example.folder / "data.bin").write_bytes(random.Random(seed).randbytes(size))
    return example.folder / "data.bin"


@pytest.mark.parametrize("size,pieces", [(1, 1), (2048, 1), (5000, 3)])
def test_round_trip(example, size, pieces):
    file = write_file(example, size)
    code, out, err = example.run(file)
    assert (code, err) == (0, "")
    found = re.fullmatch(r"(\d+) octets in (\d+) pieces of coherent memory at (0x[0-9a-f]{16}) through (\S+) to (0x[0-9a-f]{16}): "
                         r"sha256 ([0-9a-f]{64}), as before\n", out)
    assert found, out
    assert (int(found[1]), int(found[2]), found[4]) == (size, pieces, example.device)
    assert found[6] == hashlib.sha256(file.read_bytes()).hexdigest()
    for address in (int(found[3], 16), int(found[5], 16)):
        assert address % 4096 == 0 and address < 1 << 28
    assert found[3] != found[5]
    # At once: it has freed them itself.
    assert example.nothing_is_left() and not os.listdir(example.scratch)


def test_round_trip_of_streaming_buffers(example):
    code, out, err = example.run("-k", "streaming", write_file(example, 5000, seed=2))
    assert (code, err) == (0, "") and "of streaming memory" in out


def test_the_octets_were_in_the_device(example):
    """What its own memory has afterwards is the last piece."""
    file = write_file(example, 2048 + 512, seed=3)
    assert example.run(file)[0] == 0
    (bus,) = re.findall(r"^b-\S+ (0x\S+)$", example.devregctl("buffer", "alloc", example.device, "4k", "--bits", "28"), re.M)
    (one,) = example.buffers()
    try:
        wide = "64" if "64" in re.search(r"^ +widths +(.*)$", example.devregctl("show", example.region), re.M)[1] else "32"
        values = [0x40000, int(bus, 16), 512]
        if wide == "32":
            values = [part for value in values for part in (value & 0xffffffff, value >> 32)]
        example.devregctl("write", f"{example.region}:0x80", *map(hex, values), "--width", wide)
        example.devregctl("write", f"{example.region}:0x98", "0x3", "--width", wide)
        board.wait_for(example.is_idle, "the device is done", timeout=10)
        got = subprocess.run(["devregctl", "buffer", "get", one, "--length", "512"], env=example.environment, check=True,
                             stdout=subprocess.PIPE, timeout=60).stdout
        assert got == file.read_bytes()[2048:]
    finally:
        example.devregctl("buffer", "free", one)


@pytest.mark.sim
def test_without_wide_accesses_and_acknowledgement(start_daemon, tmp_path):
    """The script writes registers in halves, and acknowledges the interrupt itself."""
    daemon = start_daemon({"devices": [{**board.sim("edu", "edu", widths=[32]), "interrupts": [{}]}]})
    example = Example(daemon.socket, "edu:edu:edu", tmp_path)
    code, out, err = example.run(write_file(example, 5000, seed=4))
    assert (code, err) == (0, "") and "5000 octets in 3 pieces" in out
    assert int(example.devregctl("read", "edu:0x24"), 16) == 0 and example.nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(example, number):
    process = example.start(write_file(example, 100000))
    board.wait_for(lambda: len(example.buffers()) == 2, "it has its buffers", timeout=60)
    process.send_signal(number)
    code, out, _ = example.end(process)
    assert (code, out) == (128 + number, "")
    board.wait_for(example.nothing_is_left, "nothing is left", timeout=10)
    assert not os.listdir(example.scratch)


def test_kill_leaves_nothing(example):
    """The script can't clean up: the reservation does."""
    process = example.start(write_file(example, 100000))
    board.wait_for(lambda: len(example.buffers()) == 2, "it has its buffers", timeout=60)
    (script,) = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(script), signal.SIGKILL)
    code, out, _ = example.end(process)
    assert (code, out) == (128 + signal.SIGKILL, "")
    board.wait_for(example.nothing_is_left, "nothing is left", timeout=10)


def test_a_failure_in_the_middle_leaves_nothing(example):
    code, out, err = example.run(write_file(example, 100), source="no-such-source")
    assert (code, out) == (4, "") and "no interrupt of no-such-source says" in err
    assert example.nothing_is_left() and not os.listdir(example.scratch)


@pytest.mark.parametrize("words,expected,code", [
    ([], "which FILE?", 2),
    (["missing.bin"], "missing.bin is no file that can be read", 2),
    (["/dev/null"], "/dev/null is no file", 2),
    (["-x", "data.bin"], "there is no option -x", 2),
    (["data.bin", "-d"], "which FILE?", 2),
    (["-d"], "-d needs an argument", 2),
    (["-d", "nothing-of-this-name", "data.bin"], "nothing-of-this-name", 4),
    (["empty.bin"], "empty.bin is empty", 2),
])
def test_wrong_command_lines(example, words, expected, code):
    write_file(example, 1)
    (example.folder / "empty.bin").touch()
    result, out, err = example.run(*words)
    assert (result, out) == (code, "") and expected in err


def test_help(example):
    code, out, err = example.run("-h")
    assert (code, err) == (0, "") and out.startswith("Usage: edu-dma [-d DEVICE]")
