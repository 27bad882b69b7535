# SPDX-License-Identifier: LGPL-2.1-or-later
"""Octets of DMA buffers: in, out, in parts, and what becomes of transfers that break off."""

import contextlib
import os
import random
import socket
import statistics
import threading
import time

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

MIB = 1 << 20
OCTETS = "application/octet-stream"
KINDS = ["unix", "tcp", "tls"]


def octets(size, seed=1):
    return random.Random(seed).randbytes(size)


class Buffer:
    def __init__(self, client, size, kind="scattered", **wish):
        answer = client.ask("POST", "/v1/buffers", {"device": "edu", "size": size, "kind": kind, **wish})
        assert answer.status == 201, answer
        self.client = client
        self.path = f"/v1/buffers/{answer.json['id']}"

    def get(self, headers=None, **arguments):
        return self.client.get(f"{self.path}/data{board.query(arguments)}", headers=headers)

    def put(self, body, headers=None, kind=OCTETS, **arguments):
        return self.client.put(f"{self.path}/data{board.query(arguments)}", body, kind=kind, headers=headers)

    def range(self, text):
        return self.get({"Range": text})

    def written(self, body, headers=None, **arguments):
        assert self.put(body, headers, **arguments).ok().json == {"written": len(body)}

    def fill(self, **body):
        return self.client.ask("POST", f"{self.path}/fill", body)

    def sync(self, **body):
        return self.client.ask("POST", f"{self.path}/sync", body)

    def free(self):
        return self.client.ask("DELETE", self.path)

    def head(self, method, *lines):
        return "\r\n".join([f"{method} {self.path}/data HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


@pytest.fixture
def allocate(client):
    """Allocates buffers, which the test may free itself."""
    made = []

    def make(size, **wish):
        made.append(Buffer(client, size, **wish))
        return made[-1]
    yield make
    for buffer in made:
        assert buffer.free().status in (200, 404)


def reading(place, buffer):
    """A client that has asked for all and reads nothing yet."""
    connection = place.connect()
    connection.sendall(buffer.head("GET"))
    return connection


def writing(place, buffer, size, begin=b""):
    """A client that has sent the beginning of a body."""
    connection = place.connect()
    connection.sendall(buffer.head("PUT", f"Content-Type: {OCTETS}", f"Content-Length: {size}") + begin)
    return connection


def receive_rest(connection):
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            data += piece
    return data


# What is there

@pytest.mark.parametrize("kind", ["coherent", "streaming", "scattered"])
def test_all(allocate, kind):
    buffer = allocate(3 * MIB, kind=kind)
    answer = buffer.get().ok()
    assert answer.body == bytes(3 * MIB)
    assert answer.headers["content-type"] == OCTETS and answer.headers["accept-ranges"] == "bytes"
    assert "content-range" not in answer.headers
    data = octets(3 * MIB)
    buffer.written(data)
    assert buffer.get().ok().body == data


def test_pool(allocate):
    """Of a pool the data is all that is mapped."""
    buffer = allocate(64, kind="pool", count=100)
    size = buffer.client.get(buffer.path).ok().json["mapped_size"]
    data = octets(size)
    buffer.written(data)
    assert buffer.get().ok().body == data


@pytest.mark.parametrize("size", [1, 4095, 4097, 262143, 262145, 1000003])
def test_odd_sizes(allocate, size):
    buffer = allocate(size)
    data = octets(size)
    buffer.written(data)
    assert buffer.get().ok().body == data
    buffer.put(data + b"x").problem(413, "too-large")
    assert buffer.get().ok().body == data


def test_parts(allocate):
    size = 3 * 262144 + 5
    buffer, data = allocate(size), bytearray(octets(size))
    buffer.written(bytes(data))
    for first, length in [(0, 1), (size - 1, 1), (1, 262144), (262143, 2), (7, size - 7), (262144, 262144), (0, size)]:
        answer = buffer.range(f"bytes={first}-{first + length - 1}")
        assert answer.status == 206 and answer.body == data[first:first + length]
        assert answer.headers["content-range"] == f"bytes {first}-{first + length - 1}/{size}"
        assert answer.headers["accept-ranges"] == "bytes" and answer.headers["content-length"] == str(length)
        assert buffer.get(offset=first, length=length).ok().body == data[first:first + length]
        for seed, how in enumerate([{"offset": hex(first)}, {"headers": {"Content-Range": f"bytes {first}-{first + length - 1}/*"}}]):
            data[first:first + length] = octets(length, seed + 2)
            buffer.written(bytes(data[first:first + length]), **how)
            assert buffer.get().ok().body == data
    assert buffer.get(offset=5).ok().body == data[5:]
    for text, expected in [("bytes=-10", data[-10:]), ("bytes=5-", data[5:]), (f"bytes=-{size + 1}", data),
                           (f"bytes=10-{size + 100}", data[10:])]:
        answer = buffer.range(text)
        assert answer.status == 206 and answer.body == expected
    assert buffer.get({"Range": "bytes=1-2", "If-Range": '"x"'}).ok().body == data


# What is refused

def test_no_such_octets(allocate):
    buffer = allocate(4096)
    for answer in [buffer.range("bytes=4096-"), buffer.range("bytes=-0"), buffer.get(offset=4096), buffer.get(offset=1, length=4096),
                   buffer.get(offset=2**64), buffer.get(offset=0, length=2**64), buffer.get(offset=2**64 - 1, length=2),
                   buffer.put(b"x", offset=4096), buffer.put(b"xx", {"Content-Range": "bytes 4095-4096/*"})]:
        answer.problem(416, "outside-region")
        assert answer.headers["content-range"] == "bytes */4096"


def test_malformed(allocate):
    buffer = allocate(4096)
    for text in ["bytes=1-0", "bytes=0-1,3-4", "bytes=x-", "lines=0-1", "bytes=", "x" * 100, "bytes=0-" + "1" * 80]:
        buffer.range(text).problem(400, "malformed")
    for text in ["bytes 0-1/4097", "bytes */4096", "bytes 0-1", "bytes 0-0/*", "bytes 0-2/*", "0-1/*"]:
        buffer.put(b"ab", {"Content-Range": text}).problem(400, "malformed")
    buffer.get({"Range": "bytes=0-1"}, offset=0).problem(400, "malformed")
    buffer.put(b"ab", {"Content-Range": "bytes 0-1/*"}, offset=0).problem(400, "malformed")
    buffer.get(offset=0, length=0).problem(400, "malformed")
    buffer.get(offset="x").problem(400, "malformed")
    buffer.get(width=8).problem(400, "malformed")
    buffer.put(b"").problem(400, "malformed")
    buffer.put(b"x", kind="application/json").problem(415, "media-type")
    assert buffer.get().ok().body == bytes(4096)


def test_too_long(place, allocate):
    """Refused before the first octet of the body is there."""
    buffer = allocate(4096)
    for size in (4097, 2**40, 2**64 - 1):
        with writing(place, buffer, size) as connection:
            answers, _, _ = board.receive_answers(connection, 1)
            assert "nothing was written" in answers[0].problem(413, "too-large")["detail"]
    buffer.put(b"xx", offset=4095).problem(413, "too-large")
    assert buffer.get().ok().body == bytes(4096)


def test_chunked(place, allocate):
    buffer = allocate(4096)
    with place.connect() as connection:
        connection.sendall(buffer.head("PUT", f"Content-Type: {OCTETS}", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n")
        answers, closed, _ = board.receive_answers(connection)
    answers[0].problem(411, "length-required")
    assert closed and buffer.get().ok().body == bytes(4096)


def test_other_buffers(client, allocate):
    allocate(4096)
    for path in ["/v1/buffers/b-0000000000000000", "/v1/buffers/x"]:
        client.get(f"{path}/data").problem(404, "not-found")
        client.put(f"{path}/data", b"x", kind=OCTETS).problem(404, "not-found")
        client.ask("POST", f"{path}/fill", {"value": 1}).problem(404, "not-found")
        client.ask("POST", f"{path}/sync", {"for": "cpu"}).problem(404, "not-found")


def test_somebody_else(daemon, client):
    """Over a Unix socket and over TCP are two principals: neither knows of the other's, unless it is an administrator."""
    rules = [{"principals": ["*"], "permissions": ["list", "dma"]}]
    with board.Daemon({"access": rules, "devices": [board.sim("edu", "edu")]}) as other:
        with other.client("unix") as owner, other.client("tcp") as stranger:
            buffer = Buffer(owner, 4096)
            buffer.written(b"secret")
            stranger.get(f"{buffer.path}/data").problem(404, "not-found")
            stranger.put(f"{buffer.path}/data", b"x", kind=OCTETS).problem(404, "not-found")
            stranger.ask("POST", f"{buffer.path}/fill", {"value": 1}).problem(404, "not-found")
            stranger.ask("POST", f"{buffer.path}/sync", {"for": "cpu"}).problem(404, "not-found")
            assert buffer.get(length=6).ok().body == b"secret"
    with board.Daemon({"access": [{"principals": ["*"], "permissions": ["list", "write"]}], "devices": [board.sim("edu", "edu")]}) as other:
        with other.client("unix") as reader:
            reader.get("/v1/buffers/b-0000000000000000/data").problem(403, "denied")
            reader.put("/v1/buffers/b-0000000000000000/data", b"x", kind=OCTETS).problem(403, "denied")


# Filling and handing over

def test_fill(allocate):
    size = 600000
    buffer = allocate(size)
    assert buffer.fill(value="0xa5").ok().json == {"written": size}
    assert buffer.get().ok().body == b"\xa5" * size
    expected = bytearray(b"\xa5" * size)
    for body, pattern, first, length in [
            ({"value": "0xdeadbeef", "width": 32}, bytes.fromhex("efbeadde"), 0, size),
            ({"value": "0x1234", "width": 16, "offset": 3, "length": 500002}, b"\x34\x12", 3, 500002),
            ({"value": "0x0102030405060708", "width": 64, "offset": "0x10", "length": 8}, bytes(range(8, 0, -1)), 16, 8),
            ({"value": 255, "offset": size - 1}, b"\xff", size - 1, 1)]:
        assert buffer.fill(**body).ok().json == {"written": length}
        expected[first:first + length] = pattern * (length // len(pattern))
        assert buffer.get().ok().body == expected, body


def test_bad_fills(allocate):
    buffer = allocate(4096)
    for body, status, kind in [({}, 400, "malformed"), ({"value": "0x100"}, 400, "malformed"), ({"value": "x"}, 400, "malformed"),
                               ({"value": 1, "width": 12}, 400, "malformed"), ({"value": 1, "x": 1}, 400, "malformed"),
                               ({"value": 1, "width": 32, "length": 5}, 400, "malformed"),
                               ({"value": 1, "length": 0}, 400, "malformed"), ({"value": 1, "offset": -1}, 400, "malformed"),
                               ({"value": 1, "offset": 4096}, 416, "outside-region"),
                               ({"value": 1, "offset": 4095, "length": 2}, 416, "outside-region"),
                               ({"value": 1, "length": "0xffffffffffffffff"}, 416, "outside-region")]:
        buffer.fill(**body).problem(status, kind)
    assert buffer.get().ok().body == bytes(4096)


@pytest.mark.parametrize("key", ["value", "width", "offset", "length"])
@pytest.mark.parametrize("number, text", [("0x1ffffffffffffffff", "does not fit 64 bits"), (-1, "negative"), (1 << 53, "2^53"),
                                          ("x", "not a number"), (None, "no number")])
def test_numbers_are_a_buffers(allocate, key, number, text):
    """Not a register's, whichever they are."""
    buffer = allocate(4096)
    answers = [buffer.fill(**{"value": 1, key: number})]
    if key in ("offset", "length"):
        answers.append(buffer.sync(**{"for": "cpu", key: number}))
    for answer in answers:
        detail = answer.problem(400, "malformed")["detail"]
        assert key in detail and text in detail and "register" not in detail


@pytest.mark.parametrize("kind", ["coherent", "streaming", "scattered"])
def test_sync(allocate, kind):
    buffer = allocate(65536, kind=kind)
    data = octets(65536)
    buffer.written(data)
    for side in ("device", "cpu"):
        for rest in ({}, {"offset": 4096}, {"offset": "0x10", "length": 5}):
            assert buffer.sync(**{"for": side}, **rest).ok().json == {}
    assert buffer.get().ok().body == data
    for body in ({}, {"for": "me"}, {"for": 1}, {"for": "cpu", "x": 1}, {"for": "cpu", "length": 0}):
        buffer.sync(**body).problem(400, "malformed")
    buffer.sync(**{"for": "cpu", "offset": 65536}).problem(416, "outside-region")


# What breaks off

def test_writer_leaves(place, client, allocate):
    """What came is there, and the buffer is as good as before."""
    buffer, data = allocate(MIB), octets(100000)
    with writing(place, buffer, MIB, data) as connection:
        board.wait_for(lambda: buffer.get(length=100000).ok().body == data, "what was sent to be there")
        connection.shutdown(socket.SHUT_RDWR)
    assert buffer.get().ok().body == data + bytes(MIB - 100000)
    assert buffer.free().status == 200
    client.get(f"{buffer.path}/data").problem(404, "not-found")


def test_reader_leaves(place, allocate):
    buffer = allocate(8 * MIB)
    for _ in range(5):
        with reading(place, buffer) as connection:
            assert connection.recv(1000)
    assert buffer.get(offset=8 * MIB - 1).ok().body == b"\0"
    assert buffer.free().status == 200


def test_freed_while_read(place, allocate):
    """The rest does not come, and the client can tell."""
    buffer = allocate(16 * MIB)
    with reading(place, buffer) as connection:
        began = connection.recv(1000)
        assert b" 200 OK\r\n" in began and b"Content-Length: 16777216\r\n" in began
        assert buffer.free().status == 200
        assert len(receive_rest(connection)) < 16 * MIB


def test_freed_while_written(place, allocate):
    buffer, data = allocate(4 * MIB), octets(4 * MIB)
    with writing(place, buffer, 4 * MIB, data[:100000]) as connection:
        board.wait_for(lambda: buffer.get(length=100000).ok().body == data[:100000], "what was sent to be there")
        assert buffer.free().status == 200
        connection.sendall(data[100000:])
        answers, closed, _ = board.receive_answers(connection)
    document = answers[0].problem(404, "not-found", done=100000, offset=hex(100000))
    assert "100000 of 4194304 octets were written" in document["detail"] and closed


def test_freed_while_filled(place, client, allocate):
    """Either it was filled before, or it says how far it came."""
    buffer, answers = allocate(128 * MIB), []

    def fill():
        with place.client() as filler:
            answers.append(filler.ask("POST", f"{buffer.path}/fill", {"value": 1}))
    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.01)
    assert client.ask("DELETE", buffer.path).status == 200
    thread.join()
    assert answers[0].status in (200, 404)


def test_two_at_once(place, allocate):
    """Two write halves and two read, all at the same time."""
    buffer, data = allocate(16 * MIB), octets(16 * MIB)
    half, failures = 8 * MIB, []

    def move(work):
        try:
            with place.client() as mover:
                work(mover)
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)

    def write(first):
        return lambda mover: mover.put(f"{buffer.path}/data?offset={first}", data[first:first + half], kind=OCTETS).ok()

    def read(mover):
        body = mover.get(f"{buffer.path}/data").ok().body
        assert len(body) == 16 * MIB
    threads = [threading.Thread(target=move, args=(work,)) for work in (write(0), write(half), read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert buffer.get().ok().body == data


# What they cost others

@pytest.fixture
def quick(start_daemon):
    """A daemon that waits for nobody."""
    return start_daemon({"limits": {"request_seconds": 1, "idle_seconds": 60}, "devices": [board.sim("edu", "edu")]})


def count(client, name):
    return client.get("/v1/status").ok().json["counters"][name]


@pytest.mark.parametrize("kind", KINDS)
def test_stalled(quick, kind):
    """Who stops in the middle is cut after the time of one piece, whichever way the octets went."""
    place = quick.place(kind)
    with place.client() as client:
        buffer = Buffer(client, 64 * MIB)
        watch = stopwatch.Stopwatch()
        with writing(place, buffer, 1000, b"abc") as writer, reading(place, buffer) as reader:
            assert receive_rest(writer) == b""
            assert 0.9 < watch.real and watch.lived < 4
            board.wait_for(lambda: count(client, "timed_out") == 2, "the reader to be cut", 10)
            assert watch.real > 4.9     # a whole piece takes longer
            assert len(receive_rest(reader)) < 64 * MIB
        assert buffer.get(length=3).ok().body == b"abc"
        assert buffer.free().status == 200


def test_slow_reader_is_not_cut(quick):
    """It takes longer than a piece may, but every piece is in time."""
    place = quick.place("tcp")
    with place.client() as client:
        buffer = Buffer(client, 3 * MIB)

        def read():
            cut_before = count(client, "timed_out")
            with contextlib.closing(socket.socket()) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                connection.settimeout(20)
                connection.connect(place.address)
                connection.sendall(buffer.head("GET"))
                data = bytearray()
                watch = stopwatch.Stopwatch()
                while b"\r\n\r\n" not in data or len(data) < data.index(b"\r\n\r\n") + 4 + 3 * MIB:
                    piece = connection.recv(32768)
                    if not piece:
                        break
                    data += piece
                    time.sleep(len(piece) / (3 * MIB) * 8)
                return piece, len(data), watch.real, count(client, "timed_out") - cut_before
        piece, length, seconds, cut = stopwatch.undisturbed(read, most=2)
        assert piece and cut == 0, f"cut after {length} octets and {seconds} s"
        assert seconds > 7


# What was freed is not kept, as the address sanitizer does by itself to find out whether it is used.
FRUGAL = {"ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}


def memory(daemon):
    """KiB: the most that it has had."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


@pytest.mark.parametrize("kind", KINDS)
def test_memory(start_daemon, kind):
    """64 MiB in and out take no memory of the daemon's own. Before, the buffer's own memory is touched: it counts too."""
    daemon = start_daemon({"devices": [board.sim("edu", "edu")]}, environment=FRUGAL)
    with daemon.client(kind) as client:
        buffer, data = Buffer(client, 64 * MIB), octets(64 * MIB)
        buffer.fill(value=1).ok()
        buffer.written(data[:MIB])
        before = memory(daemon)
        buffer.written(data)
        assert buffer.get().ok().body == data
        grown = memory(daemon) - before
        assert grown < 8 * 1024, f"{grown} KiB"


def test_many_stalled(start_daemon):
    """So many clients that read nothing cost a piece each."""
    daemon = start_daemon({"limits": {"requests_per_principal": 100, "connections_per_principal": 120},
                           "devices": [board.sim("edu", "edu")]}, environment=FRUGAL)
    place = daemon.place("unix")
    with place.client() as client, contextlib.ExitStack() as stack:
        buffer = Buffer(client, 64 * MIB)
        buffer.fill(value=1).ok()
        before = memory(daemon)
        for _ in range(90):
            board.wait_until_read(stack.enter_context(reading(place, buffer)))
        assert buffer.get(length=3).ok().body == b"\1\1\1"
        grown = memory(daemon) - before
        assert grown < 90 * 300 + 8 * 1024, f"{grown} KiB"


def test_others_are_served(place, client, allocate):
    """A register is read as fast as before while large buffers are filled, read and written."""
    buffer, ended, failures = allocate(128 * MIB), threading.Event(), []
    data = octets(8 * MIB)

    def load(work):
        try:
            with place.client(60) as other:
                while not ended.is_set():
                    work(other).ok()
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)
    path = "/v1/regions/edu/registers/0x0"

    def latencies():
        taken = []
        for _ in range(200):
            watch = stopwatch.Stopwatch()
            client.get(path).ok()
            taken.append(watch.lived)
        return taken
    threads = [threading.Thread(target=load, args=(work,)) for work in (
        lambda other: other.ask("POST", f"{buffer.path}/fill", {"value": "0x12345678", "width": 32}),
        lambda other: other.put(f"{buffer.path}/data?offset={64 * MIB}", data, kind=OCTETS))]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    loaded = latencies()
    ended.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert statistics.median(loaded) < 0.02, f"median {statistics.median(loaded):.4f} s"


def test_stopping(start_daemon):
    """A transfer that is under way is finished before the daemon ends."""
    daemon = start_daemon({"devices": [board.sim("edu", "edu")]})
    place, data = daemon.place("unix"), octets(2 * MIB)
    with place.client() as client:
        buffer = Buffer(client, 2 * MIB)
        with writing(place, buffer, 2 * MIB, data[:MIB]) as writer:
            board.wait_until_read(writer)
            daemon.send_signal(board.signal.SIGTERM)
            time.sleep(0.3)
            writer.sendall(data[MIB:])
            answers, _, _ = board.receive_answers(writer, 1)
            assert answers[0].ok().json == {"written": 2 * MIB}
    assert daemon.wait() == 0


def test_audit(start_daemon):
    """What was written is recorded, by how much and where, also when it broke off; what was read is not."""
    daemon = start_daemon({"devices": [board.sim("edu", "edu")]})
    place = daemon.place("unix")
    with place.client() as client:
        buffer = Buffer(client, 65536)
        name = buffer.path.rpartition("/")[2]
        buffer.written(b"abc", offset=16)
        buffer.fill(value=1, length=8).ok()
        buffer.fill(value=1, offset=65536).problem(416, "outside-region")
        buffer.get().ok()
        with writing(place, buffer, 100, b"abcdefg") as connection:
            board.wait_for(lambda: buffer.get(length=7).ok().body == b"abcdefg", "what was sent to be there")
            connection.shutdown(socket.SHUT_RDWR)

        def records():
            return [line for line in daemon.log().splitlines() if f"subject={name}" in line and "buffer.write" in line]
        board.wait_for(lambda: len(records()) == 3, "three records")
        for line, words in zip(records(), ["offset=0x10 count=3 result=ok", "offset=0x0 count=8 result=ok",
                                           "offset=0x0 count=7 result=failed"]):
            assert words in line, line
        assert "its client left when 7 of 100 octets were written" in records()[2]
        assert "buffer.read" not in daemon.log()
