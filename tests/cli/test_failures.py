# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exit codes, and answers that are broken, hostile or never come."""

import json
import os
import socket
import time

import pytest

import stopwatch
from fake import Drip, Hangup, Silence, answer, octets, problem

EXIT_CODES = {400: 2, 401: 3, 403: 3, 404: 4, 405: 2, 408: 7, 409: 5, 410: 6, 411: 2, 413: 2, 414: 2, 415: 2, 416: 4, 422: 3,
              421: 3, 423: 5, 429: 5, 431: 2, 500: 1, 502: 6, 503: 5, 504: 7, 418: 1, 501: 1, 505: 1}
GOOD = answer(200, {"value": "0x00000001"})


@pytest.mark.parametrize("status", EXIT_CODES)
def test_every_status_has_its_exit_code(over, status):
    _, run = over([problem(status, f"the detail of {status}", region="edu")])
    result = run("read", "edu:0x0")
    assert (result.code, result.out) == (EXIT_CODES[status], "")
    assert result.err == f"devregctl: the detail of {status}\n"
    result = run("read", "edu:0x0", "--json")
    assert (result.code, result.out) == (EXIT_CODES[status], "")
    assert json.loads(result.err)["region"] == "edu"


@pytest.mark.parametrize("status,code", [(400, 2), (404, 4), (431, 2), (500, 1), (502, 1), (503, 1), (504, 1), (410, 1)])
def test_statuses_without_a_problem_document(over, status, code):
    """libmicrohttpd's own refusals are HTML; so are those of a proxy, which knows nothing of a bus."""
    _, run = over([answer(status, b"<html>\x1b[31mno</html>", "text/html")])
    result = run("read", "edu:0x0")
    assert result.code == code
    assert f"answered {status} without an explanation" in result.err and "\x1b" not in result.err


@pytest.mark.parametrize("document", [[], {"detail": 5}, {"title": "x"}, "text"])
def test_bad_problem_documents(over, document):
    _, run = over([answer(416, document, "application/problem+json")])
    result = run("read", "edu:0x0")
    assert result.code == 4 and "answered 416 without an explanation" in result.err


def test_redirections_are_not_followed(over):
    daemon, run = over([answer(307, b"", Location="/elsewhere")])
    result = run("read", "edu:0x0")
    assert (result.code, len(daemon.requests)) == (1, 1) and "redirection" in result.err


BROKEN = {
    "nothing": Hangup(),
    "half a status line": Hangup(b"HTTP/1."),
    "half a header": Hangup(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": Hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "half a chunk": Hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{}"),
    "no last chunk": Hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "a bad chunk size": Hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n"),
    "a huge chunk": Hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{}\r\n"),
    "a huge chunk header": Hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 200000),
    "a reset": Hangup(b"HTTP/1.1 200 OK\r\n", reset=True),
    "ssh": Hangup(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "http/0.9": Hangup(b'{"value": "0x1"}\n'),
    "a huge status": Hangup(b"HTTP/1.1 99999 OK\r\n\r\n"),
    "a negative length": Hangup(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "a length of 2^64": Hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n{}"),
    "a length of 2^63": Hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n{}"),
    "a length of 1 TiB": Hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n{}"),
    "an endless header": Hangup(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 200000),
    "an endless line": Hangup(b"HTTP/1.1 200 OK\r\nX-Y: " + b"z" * 2000000),
    "a huge body": Hangup(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * (9 << 20)),
    "endless interim answers": Hangup(b"HTTP/1.1 100 Continue\r\n\r\n" * 100000 + GOOD),
    "no json": answer(200, b"hello"),
    "empty": answer(200, b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an array": answer(200, []),
    "duplicate keys": answer(200, b'{"value": "0x1", "value": "0x2"}'),
    "deep json": answer(200, b"[" * 100000),
    "invalid utf-8": answer(200, b'{"value": "\xff\xfe"}'),
    "a nul": answer(200, b'{"value": "0x1\\u0000"}'),
    "trailing junk": answer(200, b'{"value": "0x1"} x'),
    "a big integer": answer(200, b'{"value": "0x1", "n": 99999999999999999999999}'),
    "no value": answer(200, {}),
    "a number": answer(200, {"value": 1}),
    "a value in decimal words": answer(200, {"value": "one"}),
    "an escape sequence for a value": answer(200, {"value": "\x1b]0;owned\x07"}),
    "values": answer(200, {"values": ["0x1"]}),
}
# libcurl may make something of these; it must not take for ever, and not ask again.
TOLERATED = {"a huge chunk header", "endless interim answers"}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_answers(over, what):
    daemon, run = over([BROKEN[what]])
    watch = stopwatch.Stopwatch()
    result = run("--timeout", 10, "read", "edu:0x0")
    assert watch.lived < 9
    if what not in TOLERATED:
        assert (result.code, result.out) == (1, ""), result
        assert result.err.startswith("devregctl: ") and result.err.count("\n") == 1 and "\x1b" not in result.err
    assert len(daemon.requests) == 1, "a request must never be repeated"


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;x=y\r\n{\"value\"\r\n8 \r\n: \"0x1\"}\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
    b"content-length: 16\r\n\r\n{\"value\": \"0x1\"}",
    b"HTTP/1.1 200\r\nContent-Length: 16\r\nConnection: Keep-Alive, CLOSE\r\n\r\n{\"value\": \"0x1\"}",
    b"HTTP/1.0 200 OK\r\n\r\n{\"value\": \"0x1\"}",
    b"HTTP/1.1 200 OK\r\n\r\n{\"value\": \"0x1\"}",
])
def test_unusual_answers_that_are_right(over, raw):
    delimited = b"\r\n0\r\n" in raw or b"ength" in raw
    _, run = over([raw if delimited else Hangup(raw)])
    result = run("read", "edu:0x0", "edu:0x0", "edu:0x0")
    assert result.out == "edu:0x0  0x1\n" * 3, result
    _, run = over([Drip(raw, 0.001) if delimited else Hangup(raw)])
    assert run("read", "edu:0x0").out == "0x1\n"


def test_answers_in_one_packet_are_not_mixed_up(client, start):
    """Octets after an answer belong to nobody: the connection is not used again."""
    daemon = start([GOOD + answer(200, {"value": "0xbad"}), GOOD])
    result = client("-H", daemon.host, "read", "edu:0x0", "edu:0x4")
    assert result.out == "edu:0x0  0x00000001\nedu:0x4  0x00000001\n"
    assert daemon.connections == 2


def test_a_connection_closed_between_requests_is_opened_again(over):
    daemon, run = over([Hangup(GOOD), GOOD])
    result = run("read", "edu:0x0", "edu:0x4")
    assert result.code in (0, 1)
    # Closing races with the next request; what is sure is that nothing was sent twice.
    assert len(daemon.requests) <= 2


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\nfake line\x7f\u009b31m\u202eabc\u2066\t\u2028"


@pytest.mark.parametrize("words,document", [
    (["list"], {"regions": [{"name": HOSTILE, "device": HOSTILE, "state": HOSTILE, "reason": HOSTILE, "size": HOSTILE,
                             "widths": [HOSTILE, {HOSTILE: HOSTILE}], "endianness": HOSTILE}, 5, None, HOSTILE]}),
    (["list", "devices"], {"devices": [{"name": HOSTILE, "regions": HOSTILE}, [HOSTILE]]}),
    (["show", "x"], {"name": HOSTILE, HOSTILE: HOSTILE, "list": [HOSTILE, [HOSTILE]], "size": HOSTILE,
                     "deep": {HOSTILE: {HOSTILE: {HOSTILE: {HOSTILE: {HOSTILE: {HOSTILE: {HOSTILE: 1}}}}}}},
                     "objects": [{HOSTILE: HOSTILE}, HOSTILE, 5]}),
    (["status"], {"version": HOSTILE, "warnings": [HOSTILE, 5, {}], "listen": HOSTILE, "uptime_seconds": HOSTILE,
                  "backends": [{"name": HOSTILE, "summary": HOSTILE, "reason": HOSTILE}, HOSTILE], "limits": [[[HOSTILE]]]}),
    (["explain", "x"], {"name": HOSTILE, "state": HOSTILE, "reason": HOSTILE, "backend": HOSTILE, "device": HOSTILE,
                        "owner": HOSTILE, "aliases": [HOSTILE], "why": {HOSTILE: HOSTILE}, "widths": [HOSTILE, 8],
                        "candidates": [{"name": HOSTILE, "reason": HOSTILE}, {HOSTILE: HOSTILE}, HOSTILE, 5]}),
    (["explain", "x:0x3"], {"name": HOSTILE, "size": HOSTILE, "widths": [32, -8, 7, 9999999999, HOSTILE], "device": HOSTILE}),
    (["write", "x:0x0", "1", "--mask", "1"], {"before": HOSTILE, "value": HOSTILE}),
    (["whoami"], {"principal": HOSTILE, "kind": HOSTILE, "groups": [HOSTILE], "expires": HOSTILE, "permissions": HOSTILE,
                  "regions": [{"region": HOSTILE, "permissions": [HOSTILE], "restricted": {HOSTILE: HOSTILE}}, 5, HOSTILE]}),
    (["token", "create", "x"], {"token": HOSTILE, "name": HOSTILE, "permissions": [HOSTILE], "regions": [HOSTILE], "expires": HOSTILE,
                                HOSTILE: HOSTILE}),
    (["token", "list"], {"tokens": [{"name": HOSTILE, "permissions": [HOSTILE, 5], "regions": [HOSTILE], "created": HOSTILE,
                                     "expires": HOSTILE, "expired": True, "created_by": HOSTILE}, 5, None, [HOSTILE]]}),
    (["token", "revoke", "x"], {"name": HOSTILE}),
    (["access", "explain", "x", "y"], {"decisions": [{"permission": HOSTILE, "rule": HOSTILE, "why": HOSTILE}, 5, HOSTILE],
                                       "rules": [{"rule": HOSTILE, "why": HOSTILE}, HOSTILE, 5]}),
    (["reservations"], {"reservations": [{"id": HOSTILE, "target": HOSTILE, "state": HOSTILE, "holder": HOSTILE, "contact": HOSTILE,
                                          "note": HOSTILE, "reason": HOSTILE, "until_seconds": HOSTILE},
                                         {"state": "ended", "ended": HOSTILE}, 5, HOSTILE]}),
    (["reserve", "x"], {"id": HOSTILE, "state": "held", "until_seconds": HOSTILE}),
    (["renew", "x"], {"id": HOSTILE, "state": HOSTILE, "until_seconds": -1}),
    (["release", "r-1"], {"id": HOSTILE, "state": HOSTILE}),
    (["audit"], {"records": [{name: HOSTILE for name in ("time", "principal", "action", "region", "offset", "count", "subject", "old",
                                                         "new", "mask", "result", "status", "reason")}, 5, HOSTILE, {"old": [HOSTILE]}]}),
])
def test_strings_cannot_reach_the_terminal(client, start, words, document):
    daemon = start([answer(200, document)])
    for more in ([], ["--json"]):
        result = client("-H", daemon.host, *words, *more)
        # JSON has no need to escape DEL, which terminals ignore.
        printed = (result.out + result.err).replace("\n", "").replace("\x7f", "" if more else "\x7f")
        assert all(c.isprintable() for c in printed), printed
        assert "fake line" not in [line.strip() for line in result.out.splitlines()]
        assert result.code == 0


def test_hostile_details(over):
    _, run = over([problem(404, HOSTILE)])
    result = run("read", "x:0x0")
    assert result.err.count("\n") == 1 and result.err[:-1].isprintable()
    assert result.err.startswith("devregctl: \\x1b[2J\\x1b]0;owned\\x07\\x0d\\x0afake line\\x7f\\u{9b}31m\\u{202e}abc")


def test_hostile_command_lines_are_neutralised_too(client):
    assert client("-H", "/nowhere", b"\xff\x1b[2J".decode("utf-8", "surrogateescape")).err.isascii()


def test_long_names_do_not_blow_up_tables(client, start):
    long = "x" * 1000
    daemon = start([answer(200, {"regions": [{"name": long, "device": long, "state": "present"}] * 1000})])
    result = client("-H", daemon.host, "list")
    assert result.code == 0 and max(map(len, result.out.splitlines())) < 300


@pytest.mark.parametrize("what", [Silence(), Drip(GOOD, 0.2), Drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.1)])
def test_no_answer_in_time(over, what):
    daemon, run = over([what])

    def ask():
        before, watch = len(daemon.requests), stopwatch.Stopwatch()
        result = run("--timeout", "0.5", "read", "edu:0x0")
        assert 0.4 < watch.real and watch.lived < 3
        return result, len(daemon.requests) - before
    result, requests = stopwatch.undisturbed(ask)
    assert result.code == 7 and "did not answer within 0.5 seconds" in result.err
    assert requests == 1
    assert json.loads(run("--json", "--timeout", "0.2", "read", "x:0x0").err)["type"] == "urn:devreg:client:timeout"


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "1x", "nan", "inf", "1e9", "0.0001", "0s", "1.5m", "2d", "s", "5 s"])
def test_bad_timeouts(client, text):
    assert client("--timeout", text, "list").code == 2


def test_an_answer_that_comes_before_the_request_is_sent(client, start):
    """A daemon may refuse by the header alone, and close while the body is still coming."""

    def script(_):
        raise AssertionError

    daemon = start(script, "tcp")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    import threading

    def refuse():
        connection, _ = listener.accept()
        connection.recv(100)
        connection.sendall(problem(403, "not yours", **{}))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            time.sleep(0.001)
        connection.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    result = client("-H", "http://127.0.0.1:%d" % listener.getsockname()[1], "data", "put", "edu:0x0", input=bytes(1 << 20))
    thread.join()
    assert (result.code, result.err) == (3, "devregctl: not yours\n")
    assert daemon.requests == []


@pytest.mark.parametrize("words", [["read", "x:0x0"], ["list"], ["show", "x"], ["status"], ["explain", "x"], ["explain", "x:0x0"],
                                   ["write", "x:0x0", "1"], ["write", "x:0x0", "1", "--mask", "1"],
                                   ["data", "get", "x:0x0", "4"], ["data", "put", "x:0x0", "/etc/passwd"],
                                   ["whoami"], ["token", "create", "x"], ["token", "list"], ["token", "revoke", "x"],
                                   ["access", "explain", "x", "y"], ["reserve", "x"], ["reserve", "x", "--", "echo", "ran"],
                                   ["reserve", "x", "--wait=5", "--", "echo", "ran"], ["renew", "x"], ["release", "r-1"],
                                   ["release", "x"], ["reservations"], ["audit"], ["interrupts"], ["interrupts", "watch"],
                                   ["interrupts", "wait", "x"], ["interrupts", "wait", "x", "--", "echo", "ran"],
                                   ["interrupts", "mask", "x"], ["interrupts", "unmask", "x"]])
@pytest.mark.parametrize("what", ["unknown", "refused", "elsewhere", "absent", "hangup", "octets", "array"])
def test_every_verb_with_every_kind_of_failure(client, start, words, what):
    scripts = {"hangup": ([Hangup()], 1), "octets": ([octets(b"\x00\x01\xff")], 1), "array": ([answer(200, [1])], 1),
               "unknown": ([problem(401)], 3), "refused": ([problem(403)], 3), "elsewhere": ([problem(421)], 3)}
    if what == "absent":
        host, code = "/nowhere/devregd.sock", 8
    else:
        script, code = scripts[what]
        host = start(script).host
    result = client("-H", host, *words)
    assert (result.code, result.out) == (code, ""), result
    assert result.err.startswith("devregctl: ") and result.err.count("\n") == 1


def test_full_disk(client, start):
    regions = {"regions": [{"name": f"region{i}", "state": "present"} for i in range(2000)]}
    daemon = start([answer(200, regions)])
    for words in (["list"], ["--json", "list"], ["--help"], ["--version"], ["--list-verbs"]):
        with open("/dev/full", "wb") as full:
            result = client("-H", daemon.host, *words, stdout=full)
        assert result.code == 1 and "standard output: No space left on device" in result.err


def test_reader_gone(client, start):
    daemon = start([GOOD])
    reader, writer = os.pipe()
    os.close(reader)
    result = client("-H", daemon.host, "read", "x:0x0", stdout=writer)
    os.close(writer)
    assert result.code == 1 and "standard output: Broken pipe" in result.err


@pytest.mark.parametrize("status", [423, 429, 503])
def test_who_holds_it(over, status):
    facts = {"reservation": "r-1", "holder": "user:bob", "until_seconds": 250, "note": "flashing\x1b[2J", "contact": "bob@lab.example"}
    _, run = over([problem(status, "edu is reserved", **facts)])
    result = run("read", "edu:0x0")
    assert (result.code, result.err) == (5, "devregctl: edu is reserved\ndevregctl: held by user:bob for another 4 min 10 s; "
                                            "note: flashing\\x1b[2J; contact: bob@lab.example\n")
    assert json.loads(run("--json", "read", "edu:0x0").err)["holder"] == "user:bob"


@pytest.mark.parametrize("facts,line", [
    ({"holder": HOSTILE}, "held by \\x1b[2J"),
    ({"holder": "a", "until_seconds": "soon", "note": 5, "contact": None}, "held by a\n"),
    ({"holder": "a", "until_seconds": -5, "note": ""}, "held by a\n"),
    ({"holder": "", "until_seconds": 9223372036854775807}, "for another 106751991167300 d 15 h\n"),
    ({"holder": ["a"]}, None),
])
def test_strange_holders(over, facts, line):
    _, run = over([problem(423, "no", **facts)])
    result = run("read", "edu:0x0")
    assert result.code == 5 and result.err.count("\n") == (2 if line else 1) and result.err.replace("\n", "").isprintable()
    assert line is None or line in result.err


@pytest.mark.parametrize("after,line", [("5", "devregctl: try again in 5 s\n"), ("0", ""), ("-1", ""), ("x", ""), ("9" * 30, "")])
def test_when_to_try_again(over, after, line):
    document = {"type": "urn:devreg:problem:over-limit", "detail": "too many requests"}
    _, run = over([answer(429, document, "application/problem+json", Retry_After=after)])
    assert run("read", "edu:0x0").err == "devregctl: too many requests\n" + line
