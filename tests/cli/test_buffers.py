# SPDX-License-Identifier: LGPL-2.1-or-later
"""buffer …: allocation and its options, transfers in both directions, files, pipes and terminals."""

import fcntl
import json
import os
import pty
import random
import re
import signal
import stat
import struct
import subprocess
import termios
import threading
import time

import pytest

import stopwatch
from fake import Drip, Hangup, Silence, answer, problem
from running import Running, wait_until

MEBIBYTE = 1 << 20
MEMORY = random.Random(2).randbytes(9 * MEBIBYTE + 5)
BUFFER = {"id": "b-1f00", "device": "edu", "kind": "coherent", "size": 65536, "mapped_size": 65536,
          "bus_address": "0x0000000001000000", "address_bits": 28, "alignment": 4096, "boundary": 0, "direction": "both",
          "count": 1, "segments": 1, "needs_sync": False, "translated": False, "reserved": False, "owner": "user:root",
          "note": "ring 0", "reservation": None, "expires_in": 599, "allocated": "2026-11-22T11:00:00Z", "state": "live"}


def part(data, first, size, total=None, length=None, **fields):
    """The head and octets of an answer to a request with a Range."""
    body = data[first:first + size]
    head = (f"HTTP/1.1 206 Partial Content\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Range: bytes {first}-{first + size - 1}/{len(data) if total is None else total}\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n")
    return head.encode() + body


def memory(size=len(MEMORY)):
    """A buffer that is MEMORY. It keeps what is written to it."""
    store = bytearray(MEMORY[:size])

    def script(request):
        path, _, query = request.path.partition("?")
        assert path == "/v1/buffers/b-1f00/data"
        if request.method == "GET":
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", request.fields["range"]).groups()
            first, last = int(first), min(int(last or len(store)), len(store) - 1)
            if first >= len(store):
                return problem(416, "outside the buffer")
            return part(store, first, last - first + 1)
        offset = int(re.fullmatch(r"offset=(0x[0-9a-f]+)", query)[1], 16)
        if offset + len(request.body) > len(store):
            return problem(413, "it does not fit")
        store[offset:offset + len(request.body)] = request.body
        return answer(200, {"written": len(request.body)})

    script.store = store
    return script


# --- Allocation ---


def test_alloc(over):
    daemon, run = over([answer(201, BUFFER)])
    result = run("buffer", "alloc", "edu", "64k")
    assert (result.code, result.out, result.err) == (0, "b-1f00 0x0000000001000000\n", "")
    assert daemon.lines == ["POST /v1/buffers"]
    assert daemon.requests[0].json() == {"device": "edu", "size": "0x10000"}
    assert json.loads(run("--json", "buffer", "alloc", "edu", "64k").out) == BUFFER


def test_alloc_with_everything(client, start):
    daemon = start([answer(201, BUFFER)])
    result = client("-H", daemon.host, "buffer", "alloc", "nic", "0x40", "--kind", "pool", "--bits", 28, "--alignment", "4k",
                    "--boundary", "1M", "--direction", "to_device", "--count", 512, "--note", "ring 0", "--for", "10m",
                    "--reservation", "r-12ab")
    assert result.code == 0
    assert daemon.requests[0].json() == {
        "device": "nic", "size": "0x40", "kind": "pool", "address_bits": 28, "alignment": "0x1000", "boundary": "0x100000",
        "direction": "to_device", "count": "0x200", "note": "ring 0", "seconds": 600, "reservation": "r-12ab"}
    client("-H", daemon.host, "buffer", "alloc", "nic", "1G", "--for", "never")
    assert daemon.requests[1].json() == {"device": "nic", "size": "0x40000000", "seconds": None}


def test_alloc_inside_a_reservation(client, start):
    daemon = start([answer(201, BUFFER)])
    client.variables["DEVREG_RESERVATION"] = "r-77"
    assert client("-H", daemon.host, "buffer", "alloc", "edu", "4k").code == 0
    assert daemon.requests[0].fields["devreg-reservation"] == "r-77"


def test_alloc_for_a_shell(client, start):
    daemon = start([answer(201, BUFFER)])
    script = f'read -r id bus <<<"$({client.path} -H {daemon.host} buffer alloc edu 4k)"; echo "$bus=$id"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=client.variables, timeout=20)
    assert (done.stdout, done.stderr) == ("0x0000000001000000=b-1f00\n", "")


def test_alloc_that_is_refused(client, start):
    daemon = start([problem(503, "no 64 MiB in one piece below 28 bits now; scattered may do"),
                    answer(201, {"id": "b-1"})])
    result = client("-H", daemon.host, "buffer", "alloc", "edu", "64M")
    assert result.code == 5 and "scattered may do" in result.err
    result = client("-H", daemon.host, "buffer", "alloc", "edu", "64M")
    assert (result.code, result.out) == (1, "") and "makes no sense: no buffer" in result.err


@pytest.mark.parametrize("words,expected,code", [
    (["alloc", "edu"], "buffer alloc needs more", 2),
    (["alloc", "", "4k"], "a device has a name", 2),
    (["alloc", "edu", "0"], "at least one octet", 2),
    (["alloc", "edu", "64 k"], "the unit follows the number without a space", 2),
    (["alloc", "edu", "1T"], '"T" is no unit', 2),
    (["alloc", "edu", "20000000000G"], "fit 64 bits", 2),
    (["alloc", "edu", "4k", "--bits", "23"], "from 24 to 64", 2),
    (["alloc", "edu", "4k", "--alignment", "3k"], "--alignment: 3k is no power of two", 2),
    (["alloc", "edu", "4k", "--boundary", "0"], "--boundary: 0 is no power of two", 2),
    (["alloc", "edu", "4k", "--count", "0"], "is not a number of objects", 2),
    (["alloc", "edu", "4k", "--for", "ever"], '--for: "ever" is not a time', 2),
    (["alloc", "edu", "4k", "--reservation", ""], "an empty text", 2),
    (["get", ""], "a buffer has an id", 2),
    (["get", "b-1", "--length", "0"], "--length: at least one octet", 2),
    (["get", "b-1", "--offset", "-1"], "--offset: \"-1\": a size has no sign", 2),
    (["get", "b-1", "--offset", "0xffffffffffffffff", "--length", "2"], "do not fit 64 bits", 2),
    (["get", "b-1", "x", "-o", "y"], "not to both", 2),
    (["get", "b-1", "--json"], "needs a FILE", 2),
    (["get", "b-1", "-", "--json"], "needs a FILE", 2),
    (["get", "b-1", ""], "an empty file name", 2),
    (["get", "b-1", "/nowhere/x"], "/nowhere/x: No such file", 1),
    (["put", "b-1", "missing.bin"], "missing.bin: No such file", 1),
    (["put", "b-1", "/"], "/: Is a directory", 1),
    (["fill", "b-1", "0x100"], "does not fit 8 bits; say with --width", 2),
    (["fill", "b-1", "x"], "is not a value", 2),
    (["fill", "b-1", "1", "--width", "12"], "none of 8, 16, 32 and 64", 2),
    (["sync", "b-1", "disk"], "to the device or to the cpu, not to disk", 2),
    (["free"], "buffer free needs more", 2),
    ([], "buffer needs another word", 2),
])
def test_wrong_command_lines(client, start, words, expected, code):
    daemon = start([answer(200, {})])
    result = client("-H", daemon.host, "buffer", *words)
    assert (result.code, result.out) == (code, "") and expected in result.err, result
    assert daemon.requests == []


# --- Looking at them ---


def test_list(over):
    pool = {**BUFFER, "id": "b-2", "kind": "pool", "size": 64, "count": 512, "expires_in": None, "reservation": "r-1", "note": ""}
    _, run = over([answer(200, {"buffers": [BUFFER, pool]})])
    result = run("buffer", "list")
    head, first, second = result.out.splitlines()
    assert re.split(r"  +", head) == ["BUFFER", "DEVICE", "KIND", "SIZE", "BUS ADDRESS", "STATE", "OWNER", "LEFT", "RESERVATION",
                                      "NOTE"]
    assert re.split(r"  +", first) == ["b-1f00", "edu", "coherent", "64 KiB", "0x0000000001000000", "live", "user:root",
                                       "9 min 59 s", "-", "ring 0"]
    assert re.split(r"  +", second)[3:] == ["512 x 64 octets", "0x0000000001000000", "live", "user:root", "-", "r-1", "-"]


def test_show_gets_every_segment(client, start):
    total = 5000

    def script(request):
        if request.path == "/v1/buffers/b-1f00":
            return answer(200, {**BUFFER, "kind": "scattered", "segments": total})
        first, count = map(int, re.fullmatch(r"/v1/buffers/b-1f00/segments\?first=(\d+)&count=(\d+)", request.path).groups())
        return answer(200, {"first": first, "total": total, "segments": [
            {"bus_address": f"0x{0x1000000 + 8192 * i:016x}", "offset": 4096 * i, "size": 4096}
            for i in range(first, min(first + count, total))]})

    daemon = start(script)
    result = client("-H", daemon.host, "buffer", "show", "b-1f00")
    assert result.code == 0 and len(daemon.requests) == 3
    lines = result.out.splitlines()
    assert lines[0] == "buffer            b-1f00"
    assert "  expires in        9 min 59 s" in lines and not any(line.startswith("  reservation") for line in lines)
    assert "  size              65536 (64 KiB)" in lines and "  bus address       0x0000000001000000" in lines
    assert re.split(r"  +", lines[-total - 1]) == ["OFFSET", "SIZE", "BUS ADDRESS"]
    assert re.split(r"  +", lines[-1]) == [hex(4096 * 4999), "0x1000", f"0x{0x1000000 + 8192 * 4999:016x}"]
    shown = json.loads(client("-H", daemon.host, "--json", "buffer", "show", "b-1f00").out)
    assert len(shown["segments"]) == total and shown["buffer"]["kind"] == "scattered"


def test_show_of_a_lost_buffer(client, start):
    daemon = start([answer(200, {**BUFFER, "state": "lost", "reason": "edu was unplugged"})])
    result = client("-H", daemon.host, "buffer", "show", "b-1f00")
    assert result.code == 0 and "  reason            edu was unplugged" in result.out.splitlines()
    assert len(daemon.requests) == 1


@pytest.mark.parametrize("answered", [{"segments": [], "total": 1}, {"total": 1}, {"segments": [{}], "total": 1 << 40}])
def test_segments_that_make_no_sense_end(client, start, answered):
    daemon = start([answer(200, BUFFER), answer(200, answered)])
    result = client("-H", daemon.host, "buffer", "show", "b-1f00")
    assert result.code == 1 and "makes no sense" in result.err and len(daemon.requests) == 2


DMA = {"translated": False, "size_max": 4 * MEBIBYTE, "total_max": 64 * MEBIBYTE, "total": 196608, "retained": 0,
       "reserved": 16 * MEBIBYTE, "reserved_free": 8 * MEBIBYTE, "buffers": 3}


@pytest.mark.parametrize("dma,expected", [
    (None, ["  dma               none: its backend has no DMA buffers"]),
    (DMA, ["  dma               usable", "    size max          4 MiB", "    total             192 KiB of 64 MiB",
           "    reserved          16 MiB, free: 8 MiB", "    retained          none", "    buffers           3",
           "    translated        no"]),
    ({**DMA, "reserved": 0, "reserved_free": 0}, ["    reserved          none"]),
    ({**DMA, "retained": 65536}, ["    retained          64 KiB: not freed, as the device may still write to it; unbind and bind "
                                  "the device"]),
])
def test_show_of_a_device(client, start, dma, expected):
    daemon = start([problem(404), answer(200, {"name": "edu", "id": "1234:11e8", "dma": dma})])
    result = client("-H", daemon.host, "show", "edu")
    assert result.code == 0
    for line in expected:
        assert line in result.out.splitlines()


def test_show_of_a_device_that_can_be_reset(client, start):
    daemon = start([problem(404), answer(200, {"name": "edu", "can_reset": True, "dma": {**DMA, "retained": 65536}})])
    lines = client("-H", daemon.host, "show", "edu").out.splitlines()
    assert "  can reset         yes" in lines
    assert "    retained          64 KiB: not freed, as the device may still write to it; reset the device" in lines


def test_show_of_a_platform_device(client, start):
    """Which loses the memory for good when it is just unbound."""
    daemon = start([problem(404), answer(200, {"name": "sound", "can_reset": False, "dma": {**DMA, "retained": 65536}})])
    assert "    retained          64 KiB: not freed, as the device may still write to it; unbind the device under a reservation " \
           "whose --safe stops it, or it is lost" in client("-H", daemon.host, "show", "sound").out.splitlines()


# --- Getting ---


def test_get_to_a_pipe(over):
    daemon, run = over(memory(65536))
    result = run("buffer", "get", "b-1f00")
    assert (result.code, result.octets, result.err) == (0, MEMORY[:65536], "")
    result = run("buffer", "get", "b-1f00", "--offset", "0x10", "--length", "32")
    assert result.octets == MEMORY[0x10:0x30]
    assert run("buffer", "get", "b-1f00", "--offset", "60k", "-").octets == MEMORY[61440:65536]
    assert run("buffer", "get", "b-1f00", "--length", "1").octets == MEMORY[:1]
    assert [r.fields["range"] for r in daemon.requests] == ["bytes=0-", "bytes=16-47", "bytes=61440-", "bytes=0-0"]


def test_get_of_much(over):
    _, run = over(memory())
    assert run("buffer", "get", "b-1f00").octets == MEMORY


def test_get_to_a_file(client, start, tmp_path):
    daemon = start(memory(300000))
    target = tmp_path / "out.bin"
    for words in ([target], ["-o", target]):
        result = client("-H", daemon.host, "buffer", "get", "b-1f00", *words)
        assert (result.code, result.out) == (0, "") and target.read_bytes() == MEMORY[:300000]
        target.write_bytes(b"older and to be replaced")
    result = client("-H", daemon.host, "--json", "buffer", "get", "b-1f00", "new.bin", "--offset", "4", "--length", "16")
    assert json.loads(result.out) == {"id": "b-1f00", "offset": "0x4", "length": 16, "file": "new.bin"}
    assert (tmp_path / "new.bin").read_bytes() == MEMORY[4:20]
    assert client("-H", daemon.host, "buffer", "get", "b-1f00", "/dev/null").code == 0
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_get_keeps_what_a_file_is(client, start, tmp_path):
    daemon = start(memory(4096))
    (tmp_path / "real.bin").write_bytes(b"x")
    os.chmod(tmp_path / "real.bin", 0o640)
    os.symlink("real.bin", tmp_path / "link.bin")
    assert client("-H", daemon.host, "buffer", "get", "b-1f00", "link.bin").code == 0
    assert (tmp_path / "link.bin").is_symlink() and (tmp_path / "real.bin").read_bytes() == MEMORY[:4096]
    assert stat.S_IMODE((tmp_path / "real.bin").stat().st_mode) == 0o640
    os.umask(mask := os.umask(0))
    assert client("-H", daemon.host, "buffer", "get", "b-1f00", "new.bin").code == 0
    assert stat.S_IMODE((tmp_path / "new.bin").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("script,expected,code", [
    ([problem(404, "no buffer b-1f00")], "no buffer b-1f00", 4),
    ([problem(410, "edu was unplugged")], "edu was unplugged", 6),
    ([Hangup(part(MEMORY, 0, 5000, length=1 << 20))], "in the middle of the answer", 1),
    ([Hangup(part(MEMORY[:5000], 0, 9000, length=9000)[:-10])], "4990 of 9000 octets came", 1),
    ([part(MEMORY[:5000], 0, 5001, length=5000)], "ended too early; 5000 of 5001 octets came", 1),
    ([Hangup(part(MEMORY, 0, 5000).replace(b"Content-Length: 5000\r\n", b"") + b"more")], "more octets than the 5000", 1),
    ([part(MEMORY, 1, 5000)], "other octets than those that were asked for (206, bytes 1-5000/", 1),
    ([answer(200, MEMORY[:64], "application/octet-stream")], "other octets than those that were asked for (200, no Content-Range)",
     1),
    ([answer(206, MEMORY[:64], "text/html")], "text/html instead of octets", 1),
    ([answer(206, MEMORY[:64], "application/octet-stream", Content_Range="bytes 0-99999999999999999999999/5")], "other octets", 1),
    ([answer(206, MEMORY[:64], "application/octet-stream", Content_Range="octets 0-63/64")], "other octets", 1),
])
def test_a_failed_get_leaves_files_alone(client, start, tmp_path, script, expected, code):
    daemon = start(script)
    (tmp_path / "old.bin").write_bytes(b"precious")
    for name in ("old.bin", "new.bin"):
        result = client("-H", daemon.host, "buffer", "get", "b-1f00", name)
        assert result.code == code and expected in result.err, result
    assert (tmp_path / "old.bin").read_bytes() == b"precious"
    assert [name for name in os.listdir(tmp_path) if not name.endswith(".sock")] == ["old.bin"]


def test_less_than_was_asked_for(client, start):
    daemon = start(memory(4096))
    result = client("-H", daemon.host, "buffer", "get", "b-1f00", "--offset", "0xff0", "--length", "32")
    assert (result.code, result.out) == (4, "")
    assert result.err == "devregctl: b-1f00 has only 16 octets from 0xff0 on, not 32\n"
    assert client("-H", daemon.host, "buffer", "get", "b-1f00", "--offset", "4k").err == "devregctl: outside the buffer\n"


def test_a_signal_leaves_no_file(client, start, tmp_path):
    daemon = start([Drip(part(MEMORY, 0, 4096), 0.02)])
    running = Running(client, "-H", daemon.host, "buffer", "get", "b-1f00", "out.bin")
    wait_until(lambda: any(name.startswith(".out.bin.") for name in os.listdir(tmp_path)))
    running.signal(signal.SIGTERM)
    code, out, _ = running.end()
    assert (code, out) == (-signal.SIGTERM, "")
    assert not [name for name in os.listdir(tmp_path) if "out.bin" in name]


def test_full_disk(client, start):
    daemon = start(memory())
    with open("/dev/full", "wb") as full:
        result = client("-H", daemon.host, "buffer", "get", "b-1f00", stdout=full)
    assert result.code == 1 and "standard output: No space left on device" in result.err
    result = client("-H", daemon.host, "buffer", "get", "b-1f00", "/dev/full")
    assert result.code == 1 and "/dev/full: No space left on device" in result.err


def test_a_reader_that_goes(client, start):
    daemon = start(memory())
    reader, writer = os.pipe()
    os.close(reader)
    result = client("-H", daemon.host, "buffer", "get", "b-1f00", stdout=writer)
    os.close(writer)
    assert result.code == 1 and "standard output: Broken pipe" in result.err


def test_hex_dump_of_pieces(client, start):
    """Lines are whole, however the octets come."""
    data = bytes(range(40))
    for send in (part(data, 3, 37), Drip(part(data, 3, 37), 0.001)):
        daemon = start([send])
        result = client("-H", daemon.host, "buffer", "get", "b-1f00", "--hex", "--offset", "3")
        assert result.out == (
            "0x00000003  03 04 05 06 07 08 09 0a  0b 0c 0d 0e 0f 10 11 12  |................|\n"
            "0x00000013  13 14 15 16 17 18 19 1a  1b 1c 1d 1e 1f 20 21 22  |............. !\"|\n"
            "0x00000023  23 24 25 26 27                                    |#$%&'|\n")


def test_a_terminal_gets_a_hex_dump_unless_it_wants_octets(client, start):
    daemon = start([part(b"\x1b[2J", 0, 4)])
    for words, expected in (([], b"0x00000000  1b 5b 32 4a                                       |.[2J|\r\n"),
                            (["-"], b"\x1b[2J")):
        master, slave = pty.openpty()
        client("-H", daemon.host, "buffer", "get", "b-1f00", *words, stdout=slave)
        os.close(slave)
        assert os.read(master, 4096) == expected
        os.close(master)


def test_a_transfer_may_last_but_not_stand_still(client, start):
    class Slow(Drip):
        def send(self, connection):
            head, separator, self.data = part(MEMORY, 0, 100).partition(b"\r\n\r\n")
            connection.sendall(head + separator)
            super().send(connection)

    def slowly():
        return client("-H", start([Slow(b"", 0.015)]).host, "--timeout", "1", "buffer", "get", "b-1f00")
    assert stopwatch.undisturbed(slowly, most=0.5).octets == MEMORY[:100]

    class Stall(Silence):
        def send(self, connection):
            connection.sendall(part(MEMORY, 0, 100)[:-50])
            super().send(connection)

    daemon = start([Stall()])

    def stands_still():
        watch = stopwatch.Stopwatch()
        result = client("-H", daemon.host, "--timeout", "0.5", "buffer", "get", "b-1f00")
        assert watch.lived < 5
        return result
    result = stopwatch.undisturbed(stands_still)
    assert result.code == 7 and "did not answer within 0.5 seconds" in result.err and "50 of 100 octets came" in result.err
    result = client("-H", start([Silence()]).host, "--timeout", "0.5", "buffer", "put", "b-1f00", input=b"x")
    assert result.code == 7


# --- Putting ---


def test_put_from_a_file_and_a_pipe(over, tmp_path):
    script = memory()
    daemon, run = over(script)
    (tmp_path / "in.bin").write_bytes(MEMORY[::-1])
    result = run("buffer", "put", "b-1f00", "in.bin")
    assert (result.code, result.out, result.err) == (0, "", "") and script.store == MEMORY[::-1]
    assert daemon.lines == ["PUT /v1/buffers/b-1f00/data?offset=0x0"]
    assert daemon.requests[0].fields["content-type"] == "application/octet-stream"
    assert run("buffer", "put", "b-1f00", "--offset", "0x10", input=b"hello").code == 0
    assert run("buffer", "put", "b-1f00", "-", "--offset", "0x15", input=b" board").code == 0
    assert script.store[0x10:0x1b] == b"hello board"
    assert json.loads(run("--json", "buffer", "put", "b-1f00", "--offset", "1", input=b"x").out) == {
        "id": "b-1f00", "offset": "0x1", "length": 1}


def test_put_from_a_file_of_the_kernel(over):
    """It says that it is empty."""
    script = memory()
    _, run = over(script)
    with open("/proc/version", "rb") as file:
        text = file.read()
    assert os.stat("/proc/version").st_size == 0 and text
    assert run("buffer", "put", "b-1f00", "/proc/version").code == 0
    assert script.store[:len(text)] == text


def test_a_long_pipe_goes_in_pieces(client, start):
    script = memory()
    daemon = start(script)
    assert client("-H", daemon.host, "buffer", "put", "b-1f00", "--offset", "5", input=MEMORY[:-5][::-1]).code == 0
    assert script.store == MEMORY[:5] + MEMORY[:-5][::-1]
    assert [(r.path.partition("=")[2], len(r.body)) for r in daemon.requests] == [
        ("0x5", 4 * MEBIBYTE), ("0x400005", 4 * MEBIBYTE), ("0x800005", MEBIBYTE)]


def test_puts_that_fail(client, start, tmp_path):
    daemon = start(memory(5 * MEBIBYTE))
    (tmp_path / "in.bin").write_bytes(bytes(5 * MEBIBYTE + 1))
    result = client("-H", daemon.host, "buffer", "put", "b-1f00", "in.bin")
    assert (result.code, result.err) == (2, "devregctl: it does not fit\n")
    result = client("-H", daemon.host, "buffer", "put", "b-1f00", input=bytes(5 * MEBIBYTE + 1))
    assert (result.code, result.err) == (2, "devregctl: it does not fit; 4194304 octets were written before\n")
    (tmp_path / "empty.bin").touch()
    for how in ({"input": b""}, {"stdin": open(tmp_path / "empty.bin", "rb")}):
        result = client("-H", daemon.host, "buffer", "put", "b-1f00", **how)
        assert result.code == 2 and "standard input is empty: nothing was written" in result.err
    result = client("-H", daemon.host, "buffer", "put", "b-1f00", "empty.bin")
    assert result.code == 2 and "empty.bin is empty: nothing was written" in result.err
    daemon = start([answer(200, {"written": 3})])
    result = client("-H", daemon.host, "buffer", "put", "b-1f00", input=b"1234")
    assert result.code == 1 and "another length" in result.err


def test_a_file_that_becomes_shorter(client, start, tmp_path):
    path = tmp_path / "in.bin"
    path.write_bytes(bytes(64 * MEBIBYTE))
    began, shrunk = threading.Event(), threading.Event()

    def script(_):
        return answer(200, {"written": 0})

    daemon = start(script)
    original = daemon._read_request

    def read_slowly(stream):
        # The client fills the socket, and the rest of the file goes meanwhile.
        began.set()
        shrunk.wait(10)
        return original(stream)

    daemon._read_request = read_slowly
    running = Running(client, "-H", daemon.host, "buffer", "put", "b-1f00", path)
    began.wait(10)
    time.sleep(0.3)
    os.truncate(path, 1000)
    shrunk.set()
    code, _, err = running.end()
    assert code == 1 and "became shorter meanwhile" in err and f"of {64 * MEBIBYTE} octets" in err


def test_put_from_a_terminal_needs_a_dash(client, start):
    daemon = start([answer(200, {"written": 2})])
    master, slave = pty.openpty()
    result = client("-H", daemon.host, "buffer", "put", "b-1f00", stdin=slave)
    assert result.code == 2 and "say - for the FILE" in result.err
    os.write(master, b"x\n\x04")
    assert client("-H", daemon.host, "buffer", "put", "b-1f00", "-", stdin=slave).code == 0
    assert daemon.requests[0].body == b"x\n"
    os.close(slave)
    os.close(master)


def test_much_takes_little_memory(client, start, tmp_path):
    """128 MiB in either direction; what it has had at most is asked for when nearly all is through."""
    size = 128 * MEBIBYTE
    under_way, most = [], []

    def look():
        with open(f"/proc/{under_way[-1].pid}/status", encoding="ascii") as status:
            most.append(int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024)

    class Most:
        def send(self, connection):
            octets = part(bytes(size), 0, size)
            connection.sendall(octets[:-1])
            look()
            connection.sendall(octets[-1:])

    def script(request):
        if request.method == "GET":
            return Most()
        look()
        return answer(200, {"written": len(request.body)})

    daemon = start(script)
    with open(tmp_path / "in.bin", "wb") as file:
        file.truncate(size)
    for words in (["get", "b-1f00", "/dev/null"], ["put", "b-1f00", "in.bin"]):
        under_way.append(Running(client, "-H", daemon.host, "buffer", *words))
        assert under_way[-1].end() == (0, "", "")
    assert len(most) == 2 and max(most) < size / 2, "octets, sanitizers included"


# --- The bar ---


def shown_on_a_terminal(client, *words, columns=100, **how):
    """What devregctl writes to a terminal that is its standard error."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    process = subprocess.Popen([client.path, *words], env=client.variables, cwd=client.home, stderr=slave, **how)
    os.close(slave)
    shown = b""
    while True:
        try:
            octets = os.read(master, 4096)
        except OSError:
            break
        if not octets:
            break
        shown += octets
    os.close(master)
    assert process.wait(20) == 0
    return shown.decode()


def test_a_long_transfer_has_a_bar(client, start):
    daemon = start([Drip(part(MEMORY, 0, 200), 0.006)])
    shown = shown_on_a_terminal(client, "-H", daemon.host, "buffer", "get", "b-1f00", "out.bin", stdin=subprocess.DEVNULL)
    lines = shown.split("\r")
    assert lines[-1] == "\x1b[K", "it is gone in the end"
    bars = [line for line in lines if "%" in line]
    assert 2 <= len(bars) <= 40
    assert all(re.fullmatch(r"\[[#-]{40}\]   *\d+%  \d+ octets? of 200 octets  \d+ octets?/s(  .+ left)?\x1b\[K", bar)
               for bar in bars), bars
    percents = [int(re.search(r"(\d+)%", bar)[1]) for bar in bars]
    assert percents == sorted(percents) and percents[-1] > 50
    assert all(abs(bar.count("#") - 40 * percent / 100) < 1 for bar, percent in zip(bars, percents))
    assert max(map(len, bars)) <= 100
    assert (client.home / "out.bin").read_bytes() == MEMORY[:200]


def test_a_put_has_a_bar_too(client, start):
    daemon = start([answer(200, {"written": 4 * MEBIBYTE}), answer(200, {"written": 5})])
    source = subprocess.Popen(["sh", "-c", "head -c 4194304 /dev/zero; sleep 1.2; printf 12345"], stdout=subprocess.PIPE)
    shown = shown_on_a_terminal(client, "-H", daemon.host, "buffer", "put", "b-1f00", columns=40, stdin=source.stdout)
    source.stdout.close()
    source.wait()
    assert re.search(r"\r4 MiB  [\d.]+ MiB/s\x1b\[K", shown) and shown.endswith("\r\x1b[K")


def test_no_bar_where_none_is_wanted(client, start):
    slow = Drip(part(MEMORY, 0, 200), 0.006)
    assert client("-H", start([slow]).host, "buffer", "get", "b-1f00", "out.bin").err == ""
    shown = shown_on_a_terminal(client, "-H", start(memory()).host, "buffer", "get", "b-1f00", "out.bin")
    assert shown == "", "it is over at once"


# --- The rest ---


def test_fill_and_sync(client, start):
    daemon = start([answer(200, {"written": 4096}), answer(200, {"written": 65536}), answer(200, {}), answer(200, {})])
    host = ("-H", daemon.host, "buffer")
    result = client(*host, "fill", "b-1f00", "0xdeadbeef", "--width", 32, "--offset", "4k", "--length", "0x1000")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert client(*host, "fill", "b-1f00", "0b101").code == 0
    assert client(*host, "sync", "b-1f00", "device").code == 0
    assert client(*host, "sync", "b-1f00", "cpu", "--offset", "1M", "--length", "64k").out == ""
    assert daemon.lines == ["POST /v1/buffers/b-1f00/fill"] * 2 + ["POST /v1/buffers/b-1f00/sync"] * 2
    assert [r.json() for r in daemon.requests] == [
        {"value": "0xdeadbeef", "width": 32, "offset": "0x1000", "length": "0x1000"}, {"value": "0x05", "width": 8},
        {"for": "device"}, {"for": "cpu", "offset": "0x100000", "length": "0x10000"}]


def test_renew(client, start):
    daemon = start([answer(200, {**BUFFER, "expires_in": None}), answer(200, BUFFER), answer(200, BUFFER)])
    assert client("-H", daemon.host, "buffer", "renew", "b-1f00", "--for", "never").out == "b-1f00 never\n"
    assert re.fullmatch(r"b-1f00 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n",
                        client("-H", daemon.host, "buffer", "renew", "b-1f00", "--for", "1h").out)
    client("-H", daemon.host, "buffer", "renew", "b-1f00")
    assert daemon.lines == ["PUT /v1/buffers/b-1f00"] * 3
    assert [r.json() for r in daemon.requests] == [{"seconds": None}, {"seconds": 3600}, {}]


def test_free_tries_all(client, start):
    answers = {"b-1": problem(410, "b-1 is odd"), "b-2": answer(200, {**BUFFER, "id": "b-2", "state": "freed"}),
               "b-3": problem(404, "no buffer b-3"), "b-4": answer(200, {**BUFFER, "id": "b-4", "state": "freed"})}
    daemon = start(lambda request: answers[request.path.rpartition("/")[2]])
    result = client("-H", daemon.host, "buffer", "free", *answers)
    assert (result.code, result.out) == (6, "")
    assert result.err == "devregctl: b-1 is odd\ndevregctl: no buffer b-3\n"
    assert daemon.lines == [f"DELETE /v1/buffers/b-{i}" for i in range(1, 5)]
    result = client("-H", daemon.host, "--json", "buffer", "free", *answers)
    assert [one["id"] for one in json.loads(result.out)["buffers"]] == ["b-2", "b-4"]
    assert [json.loads(line)["detail"] for line in result.err.splitlines()] == ["b-1 is odd", "no buffer b-3"]
    assert client("-H", daemon.host, "buffer", "free", "b-2", "b-4").code == 0


def test_ids_are_segments_of_a_path(client, start):
    daemon = start([problem(404, "no such buffer")])
    client("-H", daemon.host, "buffer", "free", "b-1/../../x?y")
    assert daemon.lines == ["DELETE /v1/buffers/b-1%2F..%2F..%2Fx%3Fy"]
