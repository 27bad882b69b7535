# SPDX-License-Identifier: LGPL-2.1-or-later
"""data get and data put: pieces, files, pipes, terminals."""

import json
import os
import pty
import random

import pytest

from fake import Hangup, answer, octets, problem

MEBIBYTE = 1 << 20
MEMORY = random.Random(1).randbytes(3 * MEBIBYTE)


def parameters(request):
    return dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))


def memory(limit=16 * MEBIBYTE):
    """A region that is MEMORY, for pieces up to the limit. It keeps what is written to it."""
    store = bytearray(MEMORY)

    def script(request):
        if "?" not in request.path:
            return answer(200, {"name": "ram", "size": hex(len(store)), "default_width": 32})
        given = parameters(request)
        offset, length = int(given["offset"], 16), int(given.get("length", len(request.body)))
        if length > limit:
            return problem(413, "too much at once")
        if offset + length > len(store):
            return problem(416, "outside ram")
        if request.method == "GET":
            return octets(bytes(store[offset:offset + length]))
        store[offset:offset + length] = request.body
        return answer(200, {"region": "ram", "offset": given["offset"], "width": 32, "length": length})

    script.store = store
    return script


def test_get_to_a_pipe(over):
    daemon, run = over(memory())
    result = run("data", "get", "ram:0x10", "0x20")
    assert (result.code, result.octets) == (0, MEMORY[0x10:0x30])
    assert daemon.lines == ["GET /v1/regions/ram/data?offset=0x10&length=32"]


def test_get_in_pieces(over):
    daemon, run = over(memory())
    result = run("data", "get", "ram:0x4", "2500k", "--width", 64)
    assert result.octets == MEMORY[4:4 + 2500 * 1024]
    assert [(parameters(r)["offset"], parameters(r)["length"]) for r in daemon.requests] == [
        ("0x4", "1048576"), ("0x100004", "1048576"), ("0x200004", str(452 * 1024))]
    assert all(parameters(r)["width"] == "64" for r in daemon.requests)


@pytest.mark.parametrize("limit", [MEBIBYTE - 1, 100000, 4096])
def test_smaller_pieces_when_the_daemon_says_so(client, start, limit):
    daemon = start(memory(limit))
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "3M")
    assert result.octets == MEMORY
    assert sum(int(parameters(r)["length"]) > limit for r in daemon.requests) <= 9
    script = memory(limit)
    daemon = start(script)
    assert client("-H", daemon.host, "data", "put", "ram:0x0", input=MEMORY[::-1]).code == 0
    assert script.store == MEMORY[::-1]


def test_no_endless_halving(client, start):
    daemon = start(memory(5))
    for words in (["get", "ram:0x0", "3M"], ["put", "ram:0x0", "/bin/sh"]):
        result = client("-H", daemon.host, "data", *words)
        assert (result.code, result.err) == (2, "devregctl: too much at once\n")
    assert len(daemon.requests) < 30


def test_fixed(client, start):
    daemon = start(lambda request: octets(b"F" * int(parameters(request)["length"])) if request.method == "GET" else
                   answer(200, {"length": len(request.body)}))
    result = client("-H", daemon.host, "data", "get", "odd:0x20", "1025k", "--fixed", "--width", 8, "--hex")
    assert result.out.splitlines()[-1].startswith("0x001003f0  46 46 ")
    assert client("-H", daemon.host, "data", "put", "odd:0x20", "--fixed", input=bytes(MEBIBYTE + 1)).code == 0
    assert {parameters(r)["offset"] + parameters(r)["fixed"] for r in daemon.requests} == {"0x201"}
    assert len(daemon.requests) == 4


def test_hex_dump(client, start):
    daemon = start([octets(b"hello, board\n\x00\x7f\x80\xff!")])
    result = client("-H", daemon.host, "data", "get", "ram:0x1000", "18", "--hex")
    assert result.out == (
        "0x00001000  68 65 6c 6c 6f 2c 20 62  6f 61 72 64 0a 00 7f 80  |hello, board....|\n"
        "0x00001010  ff 21                                             |.!|\n")


def test_a_terminal_gets_a_hex_dump(client, start):
    daemon = start([octets(b"\x1b[2J")])
    master, slave = pty.openpty()
    client("-H", daemon.host, "data", "get", "ram:0x0", "4", stdout=slave)
    os.close(slave)
    shown = os.read(master, 4096)
    os.close(master)
    assert shown == b"0x00000000  1b 5b 32 4a                                       |.[2J|\r\n"


def test_get_to_a_file(client, start, tmp_path):
    daemon = start(memory())
    target = tmp_path / "out.bin"
    target.write_bytes(bytes(5 * MEBIBYTE))
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "2M", "-o", target)
    assert (result.code, result.out) == (0, "") and target.read_bytes() == MEMORY[:2 * MEBIBYTE]
    result = client("-H", daemon.host, "--json", "data", "get", "ram:0x4", "16", "-o", "new.bin")
    assert json.loads(result.out) == {"region": "ram", "offset": "0x4", "length": 16, "file": "new.bin"}
    assert (tmp_path / "new.bin").read_bytes() == MEMORY[4:20]
    assert client("-H", daemon.host, "data", "get", "ram:0x4", "16", "-o", "/dev/null").code == 0


def test_a_failed_get_leaves_files_alone(client, start, tmp_path):
    daemon = start(memory())
    (tmp_path / "old.bin").write_bytes(b"precious")
    for name in ("old.bin", "new.bin"):
        result = client("-H", daemon.host, "data", "get", "ram:0x7fffffff", "16", "-o", name)
        assert (result.code, result.err) == (4, "devregctl: outside ram\n")
    assert (tmp_path / "old.bin").read_bytes() == b"precious"
    assert not (tmp_path / "new.bin").exists()


def test_a_get_that_fails_later_keeps_what_came(client, start, tmp_path):
    daemon = start(memory())
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "4M", "-o", "part.bin")
    assert result.code == 4
    assert result.err == "devregctl: outside ram; 3145728 of 4194304 octets were read before\n"
    assert (tmp_path / "part.bin").read_bytes() == MEMORY


def test_places_to_write_to_are_tried_before_the_device(client, start):
    daemon = start(memory())
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "16", "-o", "/nowhere/x")
    assert result.code == 1 and result.err == "devregctl: /nowhere/x: No such file or directory\n"
    assert daemon.requests == []


def test_full_disk(client, start):
    daemon = start(memory())
    with open("/dev/full", "wb") as full:
        result = client("-H", daemon.host, "data", "get", "ram:0x0", "3M", stdout=full)
    assert result.code == 1 and "standard output: No space left on device" in result.err
    assert len(daemon.requests) == 1, "nothing more is read once it has no place to go"
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "3M", "-o", "/dev/full")
    assert result.code == 1 and "/dev/full: No space left on device" in result.err


@pytest.mark.parametrize("body", [b"", b"x" * 15, b"x" * 17])
def test_other_lengths_are_refused(client, start, body):
    daemon = start([octets(body)])
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "16")
    assert (result.code, result.out) == (1, "") and "where 16 were asked for" in result.err


def test_too_many_octets_are_not_collected(client, start):
    daemon = start([Hangup(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(4 * MEBIBYTE))])
    assert client("-H", daemon.host, "data", "get", "ram:0x0", "16").code == 1


def test_a_text_answer_is_no_data(client, start):
    daemon = start([answer(200, b"x" * 16, "text/html")])
    result = client("-H", daemon.host, "data", "get", "ram:0x0", "16")
    assert (result.code, result.out) == (1, "") and "text/html instead of octets" in result.err


def test_put_from_a_file_and_a_pipe(over, tmp_path):
    script = memory()
    daemon, run = over(script)
    (tmp_path / "in.bin").write_bytes(MEMORY[::-1])
    result = run("data", "put", "ram:0x0", "in.bin")
    assert (result.code, result.out, result.err) == (0, "", "") and script.store == MEMORY[::-1]
    assert [len(r.body) for r in daemon.requests] == [0, MEBIBYTE, MEBIBYTE, MEBIBYTE]
    assert daemon.requests[1].fields["content-type"] == "application/octet-stream"
    assert run("data", "put", "ram:0x10", input=b"hello").code == 0
    assert run("data", "put", "ram:0x15", "-", input=b" board").code == 0
    assert script.store[0x10:0x1b] == b"hello board"
    assert json.loads(run("--json", "data", "put", "ram:0x10", "--width", 8, input=b"x").out) == {
        "region": "ram", "offset": "0x10", "length": 1}


def test_a_slow_pipe_is_one_piece(client, start):
    daemon = start([answer(200, {"length": 10})])
    reader, writer = os.pipe()
    import threading
    import time

    def write():
        for _ in range(10):
            os.write(writer, b"x")
            time.sleep(0.02)
        os.close(writer)

    threading.Thread(target=write).start()
    assert client("-H", daemon.host, "data", "put", "ram:0x0", stdin=reader).code == 0
    os.close(reader)
    assert [r.body for r in daemon.requests] == [b"x" * 10]


@pytest.mark.parametrize("size,words,expected,code", [
    (4 * MEBIBYTE, [], "do not fit the 0x300000 octets of ram; nothing was written", 4),
    (2 * MEBIBYTE + 2, [], "no multiple of the width of 32 bits; nothing was written", 2),
    (2 * MEBIBYTE + 4, ["--width", "64"], "no multiple of the width of 64 bits; nothing was written", 2),
    (0, [], "is empty: nothing was written", 2),
])
def test_files_that_cannot_fit_are_not_half_written(client, start, tmp_path, size, words, expected, code):
    daemon = start(memory())
    (tmp_path / "in.bin").write_bytes(bytes(size))
    result = client("-H", daemon.host, "data", "put", "ram:0x0", "in.bin", *words)
    assert result.code == code and expected in result.err
    assert not any(line.startswith("PUT") for line in daemon.lines)


def test_a_put_that_fails_later_says_how_far_it_came(client, start):
    daemon = start(memory())
    result = client("-H", daemon.host, "data", "put", "ram:0x0", input=bytes(4 * MEBIBYTE))
    assert (result.code, result.err) == (4, "devregctl: outside ram; 3145728 octets were written before\n")


def test_a_short_put_is_noticed(client, start):
    daemon = start([answer(200, {"length": 3})])
    result = client("-H", daemon.host, "data", "put", "ram:0x0", input=b"1234")
    assert result.code == 1 and "another length" in result.err


@pytest.mark.parametrize("words,expected,code", [
    (["get", "ram:0x0"], "data get needs more", 2),
    (["get", "ram:0x0", "0"], '"0" is not a length', 2),
    (["get", "ram:0x0", "1T"], '"1T" is not a length', 2),
    (["get", "ram:0x0", "-1"], "no sign", 2),
    (["get", "ram:0x0", "20000000000G"], "is not a length", 2),
    (["get", "ram:0xffffffffffffffff", "2"], "do not fit 64 bits", 2),
    (["get", "ram:0x0+4", "2"], "one place, not the range", 2),
    (["get", "ram:NAME", "2"], "not at a register's name", 2),
    (["get", "ram:0x0", "2", "--json"], "needs -o FILE", 2),
    (["get", "ram:0x0", "2", "-o", ""], "empty file name", 2),
    (["put", "ram:0x0", "missing.bin"], "missing.bin: No such file", 1),
    (["put", "ram:0x0", "/"], "/: Is a directory", 1),
    (["put", "ram:0x0", "a", "b"], "data put does not take b", 2),
    ([], "data needs another word", 2),
    (["poke"], "data can't poke", 2),
])
def test_wrong_command_lines(client, start, words, expected, code):
    daemon = start(memory())
    result = client("-H", daemon.host, "data", *words)
    assert (result.code, result.out) == (code, "") and expected in result.err
    assert daemon.requests == []


def test_put_from_a_terminal_needs_a_dash(client, start):
    daemon = start([answer(200, {"length": 2})])
    master, slave = pty.openpty()
    result = client("-H", daemon.host, "data", "put", "ram:0x0", stdin=slave)
    assert result.code == 2 and "say - for the FILE" in result.err
    os.write(master, b"x\n\x04")
    assert client("-H", daemon.host, "data", "put", "ram:0x0", "-", stdin=slave).code == 0
    assert daemon.requests[0].body == b"x\n"
    os.close(slave)
    os.close(master)
