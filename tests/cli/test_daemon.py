# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl and devregd together, on the simulated board."""

import itertools
import json
import os
import signal
import socket
import subprocess

import pytest

from conftest import Client, program
from running import wait_until


class Daemon:
    def __init__(self, directory):
        self.socket = str(directory / "devregd.sock")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = open(directory / "devregd.log", "wb")
        self.process = subprocess.Popen([program("DEVREGD"), "--demo", "--socket", self.socket, "--listen", f"127.0.0.1:{self.port}"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

        def listens():
            assert self.process.poll() is None, (directory / "devregd.log").read_text()
            return os.path.exists(self.socket)
        wait_until(listens)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.log.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("devregd"))
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(params=["unix", "tcp"])
def run(request, daemon, tmp_path):
    host = f"http://127.0.0.1:{daemon.port}" if request.param == "tcp" else daemon.socket
    return Client(tmp_path, DEVREG_HOST=host)


def test_the_first_register(run):
    assert run("read", "edu:0x0").out == "0x010000ed\n"


def test_the_inverter(run):
    assert run("write", "edu:0x4", "0x12345678").code == 0
    assert run("read", "edu:0x4").out == "0xedcba987\n"


def test_masks(run):
    assert run("write", "odd:0x100", "0xffff0000", "--width", 32).code == 0
    result = run("write", "odd:0x100", "0x123400", "--mask", "0x00ffff00")
    assert (result.code, result.out) == (0, "0xffff0000 -> 0xff123400\n")
    assert run("read", "odd:0x100").out == "0xff123400\n"
    assert run("write", "odd:0x100", "1", "--mask", "2").code == 2, "a value outside its mask"


def test_counts_ranges_and_widths(run):
    assert run("write", "odd:0x110", "1", "2", "3", "4", "--width", "8").code == 0
    assert run("read", "odd:0x110+4", "--width", 8).out == (
        "odd:0x110  0x01\nodd:0x111  0x02\nodd:0x112  0x03\nodd:0x113  0x04\n")
    assert run("read", "odd:0x110-0x113").out == "odd:0x110  0x04030201\n"
    assert run("read", "odd:0x110", "odd:0x112", "--width", 16).out == "odd:0x110  0x0201\nodd:0x112  0x0403\n"


def test_list_and_show(run):
    lines = run("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["REGION", "edu", "odd"]
    assert "1 MiB" in lines[1] and lines[1].endswith("present")
    assert run("list", "devices").code == 0
    assert "sim" in run("show", "edu").out
    assert [r["name"] for r in json.loads(run("--json", "list").out)["regions"]] == ["edu", "odd"]


def test_status(run):
    out = run("status").out
    assert "sim" in out and "uptime" in out and out.startswith("warning")
    assert json.loads(run("--json", "status").out)["demo"] is True


def test_explain(run):
    assert "can be reached" in run("explain", "edu:0x0").out
    document = json.loads(run("--json", "explain", "edu:0x6").out)
    assert document["reachable"] is False
    assert run("explain", "nope").code == 4


@pytest.mark.parametrize("words,code", [
    (["read", "edu:0x100000"], 4),
    (["read", "edu:0xfffffffffffffffc"], 4),
    (["read", "edu:0x0+0xffffffffffff"], None),
    (["read", "edu:0x2"], None),
    (["read", "edu:0x0", "--width", "8"], 3),
    (["read", "nope:0x0"], 4),
    (["read", "edu:NAME"], None),
    (["read", "..:0x0"], None),
    (["read", "a/b:0x0"], None),
    (["read", "é:0x0"], None),
    (["write", "edu:0x4", "0x1ffffffff"], None),
    (["read", "odd:0x10000"], 6),
    (["data", "get", "edu:0xfff00", "4k"], 4),
    (["data", "get", "odd:0x100", "3", "--width", "32"], 3),
])
def test_what_the_daemon_refuses(run, words, code):
    result = run(*words)
    assert result.code in ((2, 3, 4) if code is None else (code,)), result
    assert result.out == "" and result.err.startswith("devregctl: ") and "without an explanation" not in result.err
    more = ["-o", "unused.bin"] if words[0] == "data" else []
    assert json.loads(run("--json", *words, *more).err)["type"].startswith("urn:devreg:problem:")
    assert run("read", "edu:0x0").out == "0x010000ed\n", "the daemon lives"


def test_a_bus_fault_in_the_middle(run):
    result = run("read", "odd:0xfff8+4")
    assert result.code == 6 and "2" in result.err


def test_all_ones(run):
    result = run("read", "odd:0x4")
    assert (result.code, result.out) == (0, "0xffffffff\n") and "all ones" in result.err


def test_blocks(run):
    data = os.urandom(256)
    for width in (8, 16, 32, 64):
        assert run("data", "put", "odd:0x100", "--width", width, input=data).code == 0
        assert run("data", "get", "odd:0x100", "256", "--width", width).octets == data
        data = data[::-1]


def test_long_transfers(run):
    whole = run("data", "get", "edu:0x0", "1M")
    assert (whole.code, len(whole.octets), whole.octets[:4]) == (0, 1 << 20, b"\xed\x00\x00\x01")
    result = run("data", "get", "edu:0x0", "2M")
    assert (result.code, result.octets) == (4, whole.octets) and "1048576 of 2097152 octets were read before" in result.err
    result = run("data", "put", "edu:0x80000", stdin=subprocess.DEVNULL)
    assert result.code == 2 and "is empty" in result.err


def test_fifo(run):
    run("data", "get", "odd:0x20", "4096", "--fixed", "--width", "8")
    assert run("data", "put", "odd:0x20", "--fixed", "--width", "32", input=b"hello, fifo.").code == 0
    assert run("read", "odd:0x24").out == "0x0000000c\n"
    result = run("data", "get", "odd:0x20", "12", "--fixed", "--width", "8", "--hex")
    assert result.out.endswith("|hello, fifo.|\n") and result.out.startswith("0x00000000  68 65")


def test_a_slow_register_and_little_patience(run):
    assert run("read", "odd:0x18").code == 0
    result = run("--timeout", "0.05", "read", "odd:0x18")
    assert result.code == 7
    assert run("read", "edu:0x0").code == 0


def test_the_daemon_goes_away(client, tmp_path):
    daemon = Daemon(tmp_path)
    slow = subprocess.Popen([client.path, "-H", daemon.socket, "data", "get", "odd:0x18", "400", "--fixed"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.variables)
    asked = itertools.count(2)      # the slow one, and these
    wait_until(lambda: json.loads(client("-H", daemon.socket, "--json", "status").out)["counters"]["requests"] == next(asked))
    daemon.process.kill()
    out, err = slow.communicate(timeout=20)
    daemon.process.wait()
    daemon.log.close()
    assert (slow.returncode, out) == (1, b"") and b"closed before an answer" in err
    assert client("-H", daemon.socket, "read", "edu:0x0").code == 8
