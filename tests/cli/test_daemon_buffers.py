# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl's DMA buffers and devregd's, on the simulated board."""

import json
import random
import re

import pytest

from conftest import Client
from running import wait_until
from test_daemon import Daemon

MEBIBYTE = 1 << 20
OCTETS = random.Random(3).randbytes(40 * MEBIBYTE + 7)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("devregd"))
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def run(tmp_path, daemon):
    """Nothing is left of a test."""
    client = Client(tmp_path, DEVREG_HOST=daemon.socket)
    yield client
    ids = [buffer["id"] for buffer in json.loads(client("--json", "buffer", "list").out)["buffers"]]
    if ids:
        assert client("buffer", "free", *ids).code == 0


def alloc(run, *words):
    result = run("buffer", "alloc", "edu", *words)
    assert result.code == 0, result
    return result.out.split()


def test_a_life(run):
    identity, bus = alloc(run, "64k", "--bits", "28", "--note", "ring 0", "--for", "10m")
    assert re.fullmatch(r"b-[0-9a-f]{16}", identity) and int(bus, 16) < 1 << 28
    shown = json.loads(run("--json", "buffer", "show", identity).out)
    assert shown["segments"] == [{"bus_address": bus, "offset": 0, "size": 65536}]
    assert (shown["buffer"]["note"], shown["buffer"]["address_bits"]) == ("ring 0", 28)
    assert 590 <= shown["buffer"]["expires_in"] <= 600
    assert run("buffer", "renew", identity, "--for", "never").out == f"{identity} never\n"
    assert run("buffer", "get", identity).octets == bytes(65536)
    assert run("buffer", "fill", identity, "0x11223344", "--width", 32, "--offset", "4k", "--length", 8).code == 0
    assert run("buffer", "put", identity, "--offset", "0x1008", input=b"hello").code == 0
    assert run("buffer", "get", identity, "--offset", "4k", "--length", 14).octets == b"\x44\x33\x22\x11" * 2 + b"hello\0"
    assert run("buffer", "sync", identity, "device").code == run("buffer", "sync", identity, "cpu", "--length", "4k").code == 0
    assert run("buffer", "free", identity).code == 0
    assert run("buffer", "show", identity).code == 4


def test_every_kind_has_its_segments(run):
    for words, count in ((["1M", "--kind", "scattered"], None), (["64", "--kind", "pool", "--count", 100], 100),
                         (["8k", "--kind", "streaming", "--direction", "to_device"], 1)):
        identity, bus = alloc(run, *words)
        shown = json.loads(run("--json", "buffer", "show", identity).out)
        assert shown["segments"][0]["bus_address"] == bus
        assert len(shown["segments"]) == shown["buffer"]["segments"] and count in (None, len(shown["segments"]))


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_much_there_and_back(run, daemon, tmp_path, family, how):
    if family == "tcp":
        run.variables["DEVREG_HOST"] = f"http://127.0.0.1:{daemon.port}"
    identity, _ = alloc(run, str(len(OCTETS)), "--kind", "scattered")
    (tmp_path / "in.bin").write_bytes(OCTETS)
    if how == "file":
        assert run("buffer", "put", identity, "in.bin").code == 0
        assert run("buffer", "get", identity, "out.bin").code == 0
        assert (tmp_path / "out.bin").read_bytes() == OCTETS
    else:
        assert run("buffer", "put", identity, input=OCTETS).code == 0
        assert run("buffer", "get", identity).octets == OCTETS


def test_what_does_not_fit(run, tmp_path):
    identity, _ = alloc(run, "8k")
    (tmp_path / "in.bin").write_bytes(bytes(8193))
    for words in (["put", identity, "in.bin"], ["put", identity, "in.bin", "--offset", "1G"]):
        result = run("buffer", *words)
        assert result.code in (2, 4) and result.err.count("\n") == 1, result
    assert run("buffer", "get", identity, "--offset", "8k").code == 4
    result = run("buffer", "get", identity, "--offset", "4k", "--length", "8k", "out.bin")
    assert (result.code, result.err) == (4, f"devregctl: {identity} has only 4096 octets from 0x1000 on, not 8192\n")
    assert not (tmp_path / "out.bin").exists()
    assert run("buffer", "fill", identity, "1", "--width", 32, "--length", 6).code in (2, 3)
    assert run("buffer", "sync", identity, "device", "--offset", "8k", "--length", 1).code == 4


@pytest.mark.parametrize("words,code", [
    (["nothing", "4k"], 4),
    (["edu", "4k", "--kind", "elastic"], 2),
    (["edu", "4k", "--direction", "up"], 2),
    (["edu", "4k", "--kind", "pool"], 2),
    (["edu", "4k", "--count", "5"], 2),
    (["edu", "1G"], 2),
    (["odd", "4k"], 3),
    (["edu", "4k", "--reservation", "r-00"], 5),
])
def test_what_can_not_be_had(run, words, code):
    result = run("buffer", "alloc", *words)
    assert (result.code, result.out) == (code, "") and result.err.count("\n") == 1, result


def test_it_ends_with_its_reservation(run):
    # The command's two words: the id is the first.
    result = run("reserve", "edu", "--", run.path, "buffer", "alloc", "edu", "4k")
    assert result.code == 0
    identity = result.out.split()[0]
    wait_until(lambda: run("buffer", "show", identity).code == 4)


def test_it_ends_with_the_reservation_of_the_option(run):
    reservation = run("reserve", "edu", "--for", "1m").out.split()[0]
    identity, _ = alloc(run, "4k", "--reservation", reservation)
    shown = json.loads(run("--json", "buffer", "show", identity).out)["buffer"]
    assert (shown["reservation"], shown["expires_in"]) == (reservation, None)
    assert run("release", reservation).code == 0
    wait_until(lambda: run("buffer", "show", identity).code == 4)


def test_reset(run):
    """The device forgets what it was told; a buffer that is live stays."""
    identity, bus = alloc(run, "64k", "--bits", "28")
    assert run("write", "edu:0x88", bus, "--width", 64).code == 0
    assert run("read", "edu:0x88", "--width", 64).out == f"{bus}\n"
    result = run("reset", "edu")
    assert (result.code, result.out, result.err) == (0, "edu: reset\n", "")
    assert run("read", "edu:0x88", "--width", 64).out == "0x0000000000000000\n"
    answer = json.loads(run("--json", "reset", "edu").out)
    assert (answer["name"], answer["given_back"], answer["dma"]["buffers"]) == ("edu", 0, 1)
    assert run("buffer", "show", identity).code == 0
    assert "  can reset         yes\n" in run("show", "edu").out
    result = run("reset", "nothing")
    assert result.code == 4 and "there is no device 'nothing'" in result.err


def test_a_device_tells_what_its_buffers_take(run):
    alloc(run, "64k")
    assert "    buffers           1\n" in run("show", "edu").out
    assert re.search(r"^    total             64 KiB of ", run("show", "edu").out, re.M)
    assert "    retained          none\n" in run("show", "edu").out
