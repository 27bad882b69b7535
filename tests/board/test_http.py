# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTP as it should not be, octet by octet: refused at once, and never understood in two ways.

And HTTP as it may be, in every shape and cut at every place: never refused.
"""

import contextlib
import socket
import time

import pytest

import board
import conftest
import stopwatch

pytestmark = pytest.mark.sim

OK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLED = b"PUT /v1/regions/ram/registers/0x700 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
           b"Content-Length: 15\r\n\r\n{\"value\":\"0x1\"}"
JSON = b"Content-Type: application/json\r\n"
SLOW = b"GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(*lines, target=b"/healthz", version=b"HTTP/1.1", host=True):
    first = b"GET " + target + b" " + version
    return b"\r\n".join([first, *([b"Host: localhost"] if host else []), *lines, b"", b""])


def put(*lines, body=b'{"value":"0x5"}'):
    return b"\r\n".join([b"PUT /v1/regions/ram/registers/0x708 HTTP/1.1", b"Host: localhost", JSON.rstrip(), *lines, b"", b""]) + body


# Refused by the gate with a problem document

HOSTILE = {
    "two lengths": put(b"Content-Length: 15", b"Content-Length: 15"),
    "two different lengths": put(b"Content-Length: 15", b"Content-Length: 5"),
    "two lengths, spelt differently": put(b"content-length: 15", b"CONTENT-LENGTH: 15"),
    "length and chunked": put(b"Content-Length: 15", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunked and length": put(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED),
    "chunked twice": put(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked, chunked": put(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "gzip, chunked": put(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked, identity": put(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "unknown encoding": put(b"Transfer-Encoding: gzip"),
    "identity encoding": put(b"Transfer-Encoding: identity"),
    "empty encoding": put(b"Transfer-Encoding: "),
    "quoted encoding": put(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "encoding with a tab in it": put(b"Transfer-Encoding: chun\tked", body=b"0\r\n\r\n"),
    "encoding with vertical tab": put(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "unknown encoding of a GET": get(b"Transfer-Encoding: gzip"),
    "chunked GET": get(b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "GET with a body": get(b"Content-Length: 5") + b"hello",
    "two types": put(b"Content-Length: 15", b"Content-Type: application/json"),
    "no host": get(host=False),
    "two hosts": get(b"Host: other"),
    "two equal hosts": get(b"Host: localhost"),
    "empty host": get(b"Host:", host=False),
    "host with a blank": get(b"Host: a b", host=False),
    "host with a comma": get(b"Host: a, b", host=False),
    "host with a slash": get(b"Host: a/b", host=False),
    "host with user": get(b"Host: user@a", host=False),
    "host with obs-text": get(b"Host: \xe4", host=False),
    "folded header": get(b"X: a", b" b"),
    "folded with a tab": get(b"X: a", b"\tb"),
    "folded last header": get(b"X: a", b" "),
    "folded length": put(b"Content-Length:", b" 15"),
    "folded encoding": put(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"),
    "folded first header": get(b" X: a", host=False),
    "NUL in a value": get(b"X: a\0b"),
    "NUL at the end of a value": get(b"X: a\0"),
    "NUL as a value": get(b"X: \0"),
    "NUL after the length": put(b"Content-Length: 15\0"),
    "NUL hides a host": get(b"Host: a\0", host=False),
    "NUL in the target": get(target=b"/heal\0thz"),
    "NUL after the target": get(target=b"/healthz\0"),
    "control in a value": get(b"X: a\x01b"),
    "bell in a value": get(b"X: \x07"),
    "delete in a value": get(b"X: a\x7fb"),
    "escape in a name": get(b"X\x1b: a"),
    "blank in a name": get(b"X Y: a"),
    "blank before the colon": get(b"X : a"),
    "tab before the colon": get(b"X\t: a"),
    "blank before the length's colon": put(b"Content-Length : 15"),
    "blank before the encoding's colon": put(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "empty name": get(b": a", b"X: b"),
    "empty name at the end": get(b"X: b", b": a"),
    "colon alone": get(b":"),
    "name with obs-text": get(b"X\xe4: a"),
    "name with a slash": get(b"X/Y: a"),
    "name in brackets": get(b"(X): a"),
    "bare LF after the request line": OK.replace(b"1.1\r\n", b"1.1\n"),
    "bare LF after the first header": get(b"A: b", b"C: d").replace(b"localhost\r\n", b"localhost\n"),
    "bare LF after a header": get(b"A: b", b"C: d").replace(b"A: b\r\n", b"A: b\n"),
    "bare LF after the last header": get(b"A: b").replace(b"A: b\r\n", b"A: b\n"),
    "bare LF as the last line": OK[:-2] + b"\n",
    "bare LF at both ends": OK[:-4] + b"\n\n",
    "bare LF everywhere": OK.replace(b"\r\n", b"\n"),
    "bare LF before the length": put(b"X: a\nContent-Length: 15"),
    "bare CR in a value": get(b"X: a\rb"),
    "bare CR before a header": get(b"X: a\rHost: b"),
    "bare CR as a line": get(b"X: a\r"),
    "CR CR LF": get(b"X: a\r", b"Y: b"),
    "two blanks before the target": OK.replace(b"GET ", b"GET  "),
    "two blanks after the target": OK.replace(b" HTTP", b"  HTTP"),
    "blank in the target": get(target=b"/heal thz"),
    "tab in the target": get(target=b"/heal\tthz"),
    "method with a bracket": b"G(T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "method with obs-text": b"G\xe4T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "obs-text in the target": get(target=b"/\xc3\xa4"),
}

# Refused for what they ask, not for how: the connection goes on.
TARGETS = {
    "%00 in the target": get(target=b"/healthz%00"),
    "absolute target": get(target=b"http://localhost/healthz"),
    "target of a CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
    "asterisk target": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target without a slash": get(target=b"healthz"),
}

# Some of these libmicrohttpd refuses itself, before the gate and in its own words.
FOREIGN = {
    "a list of lengths": put(b"Content-Length: 15, 15"),
    "NUL in a name": get(b"X\0Y: a"),
    "negative length": put(b"Content-Length: -1"),
    "tab before the target": OK.replace(b"GET ", b"GET\t"),
    "tab after the target": OK.replace(b" HTTP", b"\tHTTP"),
    "blank after the version": OK.replace(b"1.1", b"1.1 "),
    "word after the version": OK.replace(b"1.1", b"1.1 x"),
    "method with a blank": b" " + OK,
    "empty target": b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/0.9 with headers": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9 by name": get(version=b"HTTP/0.9"),
    "HTTP/1.2": get(version=b"HTTP/1.2"),
    "HTTP/1.10": get(version=b"HTTP/1.10"),
    "HTTP/01.1": get(version=b"HTTP/01.1"),
    "HTTP/2.0": get(version=b"HTTP/2.0"),
    "HTTP/11": get(version=b"HTTP/11"),
    "http/1.1": get(version=b"http/1.1"),
    "HTTP/1.1x": get(version=b"HTTP/1.1x"),
    "ICY": get(version=b"ICY/1.1"),
    "no version": get(version=b""),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "no colon": get(b"X"),
    "empty length": put(b"Content-Length:"),
    "length with letters": put(b"Content-Length: 15x"),
    "length with a sign": put(b"Content-Length: +15"),
    "length in hexadecimal": put(b"Content-Length: 0xf"),
    "length with a fraction": put(b"Content-Length: 15.0"),
    "length of 2^63": put(b"Content-Length: 9223372036854775808"),
    "length of 2^64 - 1": put(b"Content-Length: 18446744073709551615"),
    "length of 2^64": put(b"Content-Length: 18446744073709551616"),
    "length of 2^64 + 15": put(b"Content-Length: 18446744073709551631"),
    "length of many digits": put(b"Content-Length: " + b"9" * 100),
    "huge target": get(target=b"/" + b"a" * 60000),
    "huge query": get(target=b"/healthz?" + b"a" * 60000),
    "huge header": get(b"X: " + b"a" * 60000),
    "huge name": get(b"X" * 60000 + b": a"),
    "many headers": get(*[b"X: a"] * 5000),
    "huge method": b"G" * 60000 + b" /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

CHUNKED = put(b"Transfer-Encoding: chunked", body=b"")
# A body without a length is not taken, however it is made: what libmicrohttpd makes of chunks is not for us to find out.
CHUNKS = {
    "chunked": CHUNKED + b'5\r\n{"val\r\na\r\nue":"0x5"}\r\n0\r\n\r\n',
    "chunked in capitals": put(b"TRANSFER-ENCODING: Chunked", body=b'F\r\n{"value":"0x5"}\r\n0\r\n\r\n'),
    "chunked with extension": CHUNKED + b'f;a=b\r\n{"value":"0x5"}\r\n0\r\n\r\n',
    "chunked with leading zeros": CHUNKED + b'000f\r\n{"value":"0x5"}\r\n000\r\n\r\n',
    "chunked with trailer": CHUNKED + b'f\r\n{"value":"0x5"}\r\n0\r\nX: a\r\n\r\n',
    "chunked with a trailing blank": put(b"Transfer-Encoding: chunked ", body=b'f\r\n{"value":"0x5"}\r\n0\r\n\r\n'),
    "no number": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "no hexadecimal": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "negative": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "overflowing": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "of 2^64 - 1": CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "head alone": CHUNKED,
}


def check_alive(place):
    with place.client() as client:
        client.get("/healthz").ok()
        assert client.region("ram").read(0x700) == 0, "the smuggled request was run"
        assert client.region("ram").read(0x708) == 0, "the malformed request was run"


@pytest.fixture(autouse=True)
def untouched(request):
    """Registers that hostile requests would write."""
    if "place" in request.fixturenames:
        with request.getfixturevalue("place").client() as client:
            client.region("ram").put_data(0x700, bytes(16))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(place, name):
    """One refusal, the end of the connection, and no waiting. What follows is not read as a request."""
    watch = stopwatch.Stopwatch()
    answers, closed, rest = board.exchange(place, HOSTILE[name] + OK, timeout=1.5)
    assert [answer.status for answer in answers] == [400], answers
    answers[0].problem(400, "malformed")
    assert closed and rest == b""
    assert answers[0].headers["connection"] == "close"
    assert watch.lived < 2
    check_alive(place)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign(place, name):
    watch = stopwatch.Stopwatch()
    answers, closed, rest = board.exchange(place, FOREIGN[name] + OK, timeout=3)
    assert closed, answers
    assert len(answers) <= 1 and b" 200 " not in rest
    assert all(answer.status in (400, 413, 414, 431, 505) for answer in answers), answers
    assert watch.lived < 2
    check_alive(place)


@pytest.mark.parametrize("name", TARGETS)
def test_targets(place, name):
    answers, _, rest = board.exchange(place, TARGETS[name] + OK, count=2, timeout=3)
    answers[0].problem(400, "malformed")
    answers[1].ok()
    assert rest == b""


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks(place, name):
    answers, closed, rest = board.exchange(place, CHUNKS[name] + OK, timeout=3)
    assert len(answers) == 1 and closed and rest == b"", answers
    answers[0].problem(411, "length-required")
    check_alive(place)


@pytest.mark.parametrize("octets", [
    CHUNKED + b"5;" + b"x" * 60000, CHUNKED + b"5" * 60000, CHUNKED + b"0\r\n" + b"X: a\r\n" * 10000,
    CHUNKED + b"0\r\nX: " + b"a" * 60000], ids=["extension", "size", "trailers", "trailer"])
def test_lines_in_a_body_that_never_end(start_daemon, transport, octets):
    """What no buffer can hold is refused; at the least it must not keep the daemon from everything else."""
    daemon = start_daemon({"devices": [board.sim("edu", "edu"), board.sim("ram", "ram", size=4096)]})
    with daemon.place(transport).connect() as connection:
        connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            connection.sendall(octets)
        for place in daemon.places * 10:
            watch = stopwatch.Stopwatch()
            with place.client() as client:
                client.get("/healthz").ok()
            assert watch.lived < 2
        assert daemon.busy_seconds(0.5) < 0.25, "it spins"
        daemon.stop(timeout=10)


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"G", b"GET /healthz", OK[:-1], OK[:-2], put(b"Content-Length: 15")[:-1]])
def test_requests_that_end_early(place, octets):
    with place.connect() as connection:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        answers, _, _ = board.receive_answers(connection, timeout=0.1)
    assert all(answer.status == 400 for answer in answers), answers
    check_alive(place)


@pytest.mark.parametrize("octets", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), bytes(5000), b"\xff" * 5000, b"\r\n" * 5000 + b"x",
    b"\n" * 5000 + b"x", b" " * 5000, bytes(range(256)) * 20, b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO x\r\n", b"{}\r\n\r\n",
])
def test_other_protocols(place, octets):
    answers, _, _ = board.exchange(place, octets, half_close=True, timeout=0.2)
    assert all(answer.status in (400, 413, 414, 431, 505) for answer in answers), answers
    check_alive(place)


# Valid shapes: the gate must not refuse what is well-formed

VALID = {
    "plain": OK,
    "no blank after the colon": get(b"X:a", b"Y:b"),
    "host without a blank": b"GET /healthz HTTP/1.1\r\nHost:localhost\r\n\r\n",
    "many blanks after the colon": get(b"X:      a", b"Y: b"),
    "tab after the colon": get(b"X:\ta", b"Y: \t b"),
    "trailing blanks": get(b"X: a   ", b"Y: b \t", b"Z: c"),
    "trailing blanks at the end": get(b"Y: b", b"X: a  "),
    "empty value": get(b"X:", b"Y: a"),
    "empty value at the end": get(b"X:"),
    "blank value": get(b"X: ", b"Y:  ", b"Z: a"),
    "blank value at the end": get(b"X: "),
    "tab value at the end": get(b"X:\t"),
    "blanks and tab in a value": get(b"X: a  b\tc", b"Y: d"),
    "colons in a value": get(b"X: a:b:c", b"Y::"),
    "quotes in a value": get(b'X: "a, b"; c="d\\"e"', b"Y: d"),
    "cookies": get(b"Cookie: a=b; c=d", b"Y: d"),
    "two cookies": get(b"Cookie: a=b", b"Cookie: c=d; e=\"f\"", b"Y: d"),
    "obs-text in a value": get("X: äöü".encode(), b"Y: \xff\x80"),
    "the same header twice": get(b"X: a", b"X: b", b"Accept: a", b"Accept: b"),
    "all token characters": get(b"!#$%&'*+-.^_`|~0Az: a", b"Y: b"),
    "host and port": get(b"Host: localhost:7373", host=False),
    "host is an address": get(b"Host: [::1]:7373", host=False),
    "host in capitals": get(b"HOST: LOCALHOST", host=False),
    "host at the end": get(b"X: a", b"Host: localhost", host=False),
    "an encoded path": get(target=b"/%68ealthz"),
    "an empty query": get(target=b"/healthz?"),
    "HTTP/1.0": get(version=b"HTTP/1.0"),
    "HTTP/1.0 without a host": get(version=b"HTTP/1.0", host=False),
    "HTTP/1.0 kept alive": get(b"Connection: keep-alive", version=b"HTTP/1.0"),
    "empty lines before": b"\r\n\r\n" + OK,
    "length of a GET is 0": get(b"Content-Length: 0"),
    "50 headers": get(*[b"X-%d: value of header %d" % (index, index) for index in range(50)]),
    "50 tight headers": get(*[b"X%d:%d" % (index, index) for index in range(50)]),
    "long value": get(b"X: " + b"a" * 5000, b"Y: b"),
    "long value at the end": get(b"Y: b", b"X: " + b"a" * 5000),
    "long name": get(b"X" * 3000 + b": a", b"Y: b"),
    "curl": get(b"User-Agent: curl/7.88.1", b"Accept: */*"),
    "browser": get(b"Connection: keep-alive", b"Cache-Control: max-age=0", b'sec-ch-ua: "Chromium";v="118", "?";v="99"',
                   b"Upgrade-Insecure-Requests: 1", b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
                   b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", b"Accept-Encoding: gzip, deflate, br",
                   b"Accept-Language: en-US,en;q=0.9"),
    "proxy": get(b"X-Forwarded-For: 127.0.0.1, ::1", b"Via: 1.1 proxy", b"Forwarded: for=127.0.0.1;proto=http"),
    "ask to close": get(b"Connection: close"),
    "PUT": put(b"Content-Length: 15"),
    "PUT with a length of leading zeros": put(b"Content-Length: 00015"),
    "PUT with the length first": b"PUT /v1/regions/ram/registers/0x708 HTTP/1.1\r\ncontent-length:15\r\nhost:localhost\r\n"
                                 b"content-type:application/json\r\n\r\n{\"value\":\"0x5\"}",
}


@pytest.mark.parametrize("name", VALID)
def test_valid(place, name):
    answers, _, rest = board.exchange(place, VALID[name], count=1, timeout=5)
    assert [answer.status for answer in answers] == [200], answers
    assert rest == b""


@pytest.mark.parametrize("name", VALID)
def test_valid_pipelined(place, name):
    """Ten at once: each head then lies elsewhere in memory, beside another request."""
    if "close" in name or "1.0" in name:
        octets, count = OK * 5 + VALID[name], 6
    else:
        octets, count = (OK + VALID[name]) * 5, 10
    answers, _, rest = board.exchange(place, octets, count=count, timeout=5)
    assert [answer.status for answer in answers] == [200] * count, answers
    assert rest == b""


@pytest.mark.parametrize("name", VALID)
def test_valid_cut_in_two_at_every_place(daemon, name):
    """What has come so far must not make a difference, on a fresh connection or on one that is in use."""
    place, octets = daemon.place("unix"), VALID[name]
    connection, left = None, 0
    cuts = range(1, len(octets), 1 + len(octets) // 400)
    for cut in cuts:
        if left == 0:
            if connection:
                connection.close()
            connection, left = place.connect(), 7
        connection.sendall(octets[:cut])
        board.wait_until_read(connection)
        connection.sendall(octets[cut:])
        answers, closed, rest = board.receive_answers(connection, 1, timeout=5)
        assert [answer.status for answer in answers] == [200] and rest == b"", (cut, answers)
        left = 0 if answers[0].headers.get("connection", "").lower() == "close" or "1.0" in name else left - 1
    connection.close()


@pytest.mark.parametrize("name", ["plain", "trailing blanks", "empty value at the end", "curl", "PUT"])
def test_valid_octet_by_octet(place, name):
    with place.connect() as connection:
        for _ in range(2):
            for index in range(len(VALID[name])):
                connection.sendall(VALID[name][index:index + 1])
                board.wait_until_read(connection)
            answers, _, rest = board.receive_answers(connection, 1, timeout=5)
            assert [answer.status for answer in answers] == [200] and rest == b""


@pytest.mark.parametrize("name", ["NUL in a value", "bare LF after a header", "bare LF after the last header", "folded header",
                                  "length and chunked", "two hosts", "blank in a name", "bare LF as the last line",
                                  "two blanks after the target", "bare LF after the request line"])
def test_hostile_octet_by_octet(daemon, name):
    """Nor does it help to send it in pieces, or after a good request."""
    for before in (b"", OK):
        with daemon.place("unix").connect() as connection:
            if before:
                connection.sendall(before)
                board.receive_answers(connection, 1)
            for index in range(len(HOSTILE[name])):
                try:
                    connection.sendall(HOSTILE[name][index:index + 1])
                    board.wait_until_read(connection)
                except ConnectionError:
                    break
            answers, closed, _ = board.receive_answers(connection, timeout=5)
            assert [answer.status for answer in answers] == [400] and closed, answers


# Connections

def test_keep_alive(place):
    """Scripts make thousands of requests: each must not cost a connection."""
    with place.client() as client:
        before = client.get("/v1/status").json["counters"]
        for _ in range(20):
            client.get("/healthz").ok()
            client.region("ram").write(0, 1)
            client.region("odd").read(0)
        after = client.get("/v1/status").json["counters"]
    assert after["connections"] == before["connections"]
    assert after["requests"] == before["requests"] + 61


def test_pipelined_requests_are_answered_in_order(place):
    """Also when the first takes longest."""
    paths = [b"/v1/regions/odd/registers/0x18", b"/healthz", b"/nothing", b"/v1/regions/edu/registers/0x0", b"/v1"]
    octets = b"".join(get(target=path) for path in paths)
    answers, _, rest = board.exchange(place, octets, count=len(paths), timeout=5)
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200]
    assert b'"offset":"0x18"' in answers[0].body and answers[1].body == b"ok\n" and b"0x010000ed" in answers[3].body
    assert rest == b""


def test_many_pipelined_requests(place):
    answers, _, rest = board.exchange(place, (OK + get(target=b"/v1/regions/odd/registers/0x0")) * 200, count=400, timeout=10)
    assert [answer.status for answer in answers] == [200] * 400
    assert rest == b""


def test_close_is_honoured(place):
    answers, closed, _ = board.exchange(place, get(b"Connection: close") + OK, timeout=5)
    assert [answer.status for answer in answers] == [200] and closed


def test_continue(place):
    """Clients such as curl wait for leave to send a large body."""
    with place.connect() as connection:
        for _ in range(2):
            connection.sendall(put(b"Content-Length: 15", b"Expect: 100-continue", body=b""))
            answers, _, _ = board.receive_answers(connection, 1, timeout=5)
            assert answers[0].status == 100
            connection.sendall(b'{"value":"0x5"}')
            answers, _, _ = board.receive_answers(connection, 1, timeout=5)
            answers[0].ok()


@pytest.mark.parametrize("octets, status", [
    (put(b"Content-Length: 65537", b"Expect: 100-continue", body=b""), 413),
    (put(b"Content-Length: 15", b"Expect: 100-continue", body=b"").replace(b"application/json", b"text/plain"), 415),
    (put(b"Content-Length: 15", b"Expect: 100-continue", body=b"").replace(b"0x708", b"0x708/x"), 404),
    (put(b"Content-Length: 15", b"Expect: 100-continue", body=b"").replace(b"PUT", b"POST"), 405),
    (put(b"Content-Length: 15", b"Content-Length: 15", b"Expect: 100-continue", body=b""), 400),
])
def test_continue_is_not_given_to_what_is_refused(place, octets, status):
    answers, closed, _ = board.exchange(place, octets, timeout=5)
    assert [answer.status for answer in answers] == [status] and closed


@pytest.mark.parametrize("octets", [OK, put(b"Content-Length: 15"), get(target=b"/v1/regions/edu/registers/0x0")])
def test_half_closed(place, octets):
    """A client that has said all that it will say still gets its answer."""
    answers, _, rest = board.exchange(place, octets, half_close=True, count=1, timeout=5)
    assert [answer.status for answer in answers] == [200] and rest == b""


@pytest.mark.parametrize("octets", [OK, OK[:20], put(b"Content-Length: 15"), put(b"Content-Length: 15")[:-1], SLOW])
def test_half_closed_connections_are_closed(start_daemon, transport, octets):
    """Whoever will send nothing more is not waited for: such connections would fill the listener up to its limit."""
    daemon = start_daemon({"devices": [board.sim("odd", "odd"), board.sim("ram", "ram", size=4096)]})
    before = daemon.settled_descriptors()
    connections = [daemon.place(transport).connect() for _ in range(20)]
    for connection in connections:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        _, closed, _ = board.receive_answers(connection, timeout=4)
        assert closed
        connection.close()
    board.wait_for(lambda: daemon.descriptors() <= before, "all are closed")


def test_client_that_goes_before_its_answer(place):
    """The access is made, its answer is dropped, and nobody else notices."""
    with place.client() as client:
        odd = client.region("odd")
        before = odd.read(0x18)
        for _ in range(2):
            with place.connect() as connection:
                connection.sendall(SLOW)
                board.wait_until_read(connection)
        assert odd.read(0x18) == before + 3


def test_head_has_no_body(place):
    octets = OK.replace(b"GET", b"HEAD")
    with place.connect() as connection:
        connection.sendall(octets)
        answers, _, rest = board.receive_answers(connection, 1, timeout=5, head_only=True)
        assert rest == b"" and answers[0].status in (200, 405)
        connection.sendall(OK)
        answers, _, rest = board.receive_answers(connection, 1, timeout=5)
        assert answers[0].ok().body == b"ok\n" and rest == b""


def test_idle_connections(place):
    """Fifty that say nothing, and fifty that stop halfway, do not keep the next one out."""
    idle = [place.connect() for _ in range(100)]
    try:
        for connection in idle[::2]:
            connection.sendall(OK[:20])
        watch = stopwatch.Stopwatch()
        with place.client() as client:
            for _ in range(20):
                client.region("edu").read(0)
        assert watch.lived < 2
        for connection in idle[::2]:
            connection.sendall(OK[20:])
        for connection in idle[1::2]:
            connection.sendall(OK)
        for connection in idle:
            answers, _, _ = board.receive_answers(connection, 1, timeout=5)
            answers[0].ok()
    finally:
        for connection in idle:
            connection.close()


def test_client_that_never_reads(place):
    """Its answers fill its own buffers and stop there."""
    with place.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(get(target=b"/v1/regions/ram/data?offset=0&length=16777216"))
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):       # until the daemon takes no more of its requests
            for _ in range(10000):
                connection.sendall(get(target=b"/v1/regions/ram/data?offset=0&length=65536") * 10)
        watch = stopwatch.Stopwatch()
        with place.client() as client:
            for _ in range(20):
                client.region("edu").read(0)
        assert watch.lived < 2


# Limits of time and number

@pytest.fixture
def impatient(start_daemon):
    """A daemon that waits a second for everything."""
    return start_daemon({
        "limits": {"idle_seconds": 1, "request_seconds": 1, "connections": 8},
        "devices": [board.sim("edu", "edu"), board.sim("odd", "odd"), board.sim("ram", "ram", size=conftest.RAM_SIZE)]})


def drip(connections, octets, limit):
    """Sends an octet each 0.2 s on every connection; returns after how long each was cut off."""
    watch, ended = stopwatch.Stopwatch(), {}
    for octet in octets:
        for connection in connections:
            if connection in ended:
                continue
            try:
                connection.setblocking(False)
                if connection.recv(4096) in (b"",):
                    ended[connection] = watch.real
                    continue
            except BlockingIOError:
                pass
            except ConnectionError:
                ended[connection] = watch.real
                continue
            try:
                connection.send(bytes([octet]))
            except ConnectionError:
                ended[connection] = watch.real
        if len(ended) == len(connections):
            break
        assert watch.lived < limit, f"still connected after {limit} s"
        time.sleep(0.2)
    return list(ended.values())


@pytest.mark.parametrize("kind", ["head", "second head", "body"])
def test_dripping_client_is_cut_off(impatient, kind):
    """An octet now and then is no silence, so only an absolute deadline ends it."""
    connections = [place.connect() for place in impatient.places]
    octets = b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 1000
    for connection in connections:
        if kind == "second head":
            connection.sendall(OK)
            board.receive_answers(connection, 1)[0][0].ok()
        elif kind == "body":
            connection.sendall(put(b"Content-Length: 1000", body=b""))
            octets = b" " * 1000
    times = drip(connections, octets, limit=8)
    assert len(times) == len(impatient.places) and min(times) > 0.8, times
    for connection in connections:
        connection.close()


def test_silent_connection_is_closed(impatient):
    watch = stopwatch.Stopwatch()
    connections = [place.connect() for place in impatient.places * 2]
    for connection in connections[len(impatient.places):]:
        connection.sendall(OK[:10])
    for connection in connections:
        answers, closed, _ = board.receive_answers(connection, timeout=5)
        assert closed and all(answer.status == 408 for answer in answers)
        connection.close()
    assert 0.5 < watch.real and watch.lived < 4.5


def test_slow_answer_is_no_silence(impatient):
    """A device may take longer than a client may be silent."""
    for place in impatient.places:
        answers, _, _ = board.exchange(
            place, get(target=b"/v1/regions/odd/data?offset=0x18&length=40&fixed=1"), count=1, timeout=10)
        assert len(answers[0].ok().body) == 40


def test_slow_reader_gets_its_answer(impatient):
    """It reads now and then, so it is not silent, though it takes longer than a silent one may."""
    def read():
        with impatient.place("unix").connect() as connection:
            connection.sendall(get(target=b"/v1/regions/ram/data?offset=0&length=16777216", *[b"Connection: close"]))
            size, watch = 0, stopwatch.Stopwatch()
            while watch.real < 3:
                size += len(connection.recv(65536))
                time.sleep(0.2)
            while octets := connection.recv(1 << 20):
                size += len(octets)
            return size
    assert stopwatch.undisturbed(read, most=0.3) > 16777216


def test_reader_that_stops_is_cut_off(impatient):
    before = impatient.settled_descriptors()
    with impatient.place("unix").connect() as connection:
        connection.sendall(get(target=b"/v1/regions/ram/data?offset=0&length=16777216"))
        board.wait_for(lambda: impatient.descriptors() > before, "the connection is open")
        board.wait_for(lambda: impatient.descriptors() <= before, "the connection is closed", 8)
