# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every route, every error status, and every way to ask wrongly that we could think of."""

import hashlib
import os
import random
import socket

import pytest

import board
import conftest
import stopwatch

pytestmark = pytest.mark.sim

PAGE = os.sysconf("SC_PAGESIZE")
MIB = 1024 * 1024
JSON_LIMIT = 64 * 1024
VALUES = 2048
REGISTER = "/v1/regions/ram/registers/0x0"
DATA = "/v1/regions/ram/data?offset=0x0"
OCTETS = "application/octet-stream"


@pytest.fixture
def ram(client):
    return client.region("ram")


@pytest.fixture
def traced(client):
    return client.region("traced")


@pytest.fixture
def traced_trace(workspace):
    return board.TraceFile(workspace / "traced.trace")


# Routes

def routes(client):
    return client.get("/v1").ok().json["routes"]


def concrete(path):
    return path.replace("{device}", "ram").replace("{region}", "ram").replace("{register}", "0x0").replace("{token}", "t") \
        .replace("{source}", "odd")


def test_healthz(client):
    answer = client.get("/healthz").ok()
    assert (answer.headers["content-type"], answer.body) == ("text/plain", b"ok\n")


def test_every_route_of_the_listing_answers(client):
    requests = {
        ("PUT", REGISTER): {"body": {"value": "0x1"}},
        ("PATCH", REGISTER): {"body": {"mask": "0x1", "value": "0x1"}},
        ("GET", "/v1/regions/ram/data"): {"query": "?offset=0&length=4"},
        ("PUT", "/v1/regions/ram/data"): {"query": "?offset=0", "body": b"abcd", "kind": OCTETS},
        ("POST", "/v1/tokens"): {"body": {"name": "t"}},
        ("POST", "/v1/devices/ram/bind"): {"body": {}},
        ("POST", "/v1/devices/ram/unbind"): {"body": {"force": True}},
        ("POST", "/v1/reservations"): {"body": {"region": "ram", "offset": "0x0", "length": "0x4"}},
        ("POST", "/v1/buffers"): {"body": {"device": "edu", "size": 4096}},
        ("GET", "/v1/access/explain"): {"query": "?principal=anonymous&region=ram"},
        ("POST", "/v1/interrupts/odd/mask"): {"body": {}},
        ("POST", "/v1/interrupts/odd/unmask"): {"body": {}},
        ("GET", "/v1/events"): {"query": "?since=0&count=1"},
        ("PUT", "/v1/reservations/{id}"): {"body": {}},
        ("PUT", "/v1/buffers/{id}"): {"body": {}},
        ("PUT", "/v1/buffers/{id}/data"): {"body": b"abcd", "kind": OCTETS},
        ("POST", "/v1/buffers/{id}/sync"): {"body": {"for": "cpu"}},
        ("POST", "/v1/buffers/{id}/fill"): {"body": {"value": 1}},
    }
    listed = routes(client)
    assert len(listed) == 41
    taken = None
    for route in listed:
        path = concrete(route["path"])
        request = requests.get((route["method"], path), {})
        path = path.replace("{id}", str(taken))
        answer = client.ask(route["method"], path + request.pop("query", ""), **request)
        if path == "/v1/audit" and answer.status == 503:
            answer.problem(503, "unavailable")  # a machine without a journal
        elif route["permission"] == "admin" and path.startswith("/v1/devices/"):
            assert "ram is simulated" in answer.problem(422, "not-allowed")["detail"]
        elif route["method"] == "POST" and path.count("/") == 2:    # it makes one
            assert answer.status == 201, answer
            taken = answer.json.get("id", taken)
        else:
            answer.ok()
        assert route["summary"] and route["permission"] in ("none", "list", "read", "write", "interrupt", "dma",
                                                            "reserve", "admin")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND",
                                    "get", "G", "X-" + "Y" * 100])
def test_methods_that_a_path_does_not_take(client, method):
    allowed = {}
    for route in routes(client):
        allowed.setdefault(concrete(route["path"]), []).append(route["method"])
    for path, methods in allowed.items():
        if method in methods:
            continue
        answer = client.ask(method, path)
        assert sorted(answer.headers["allow"].split(", ")) == sorted(methods), answer
        if method == "HEAD":
            assert (answer.status, answer.body) == (405, b"")
        else:
            answer.problem(405, "method")
    client.get("/healthz").ok()


def test_status(client, place):
    status = client.get("/v1/status").ok().json
    assert status["limits"] == {"connections": 256, "connections_per_principal": 128, "requests_per_principal": 64,
                                "head_bytes": 16384, "json_body_bytes": JSON_LIMIT, "data_bytes": 16 * MIB,
                                "data_principal_bytes": 32 * MIB, "data_total_bytes": 64 * MIB, "values": VALUES, "queue": 64,
                                "idle_seconds": 60,
                                "request_seconds": 30, "device_seconds": 30, "reservations": 1024,
                                "reservations_per_principal": 64, "events": 65536,
                                "interrupts_per_second": 20000, "tokens": 1024, "streams": 512,
                                "streams_per_principal": 16, "buffers": 1024, "buffers_per_principal": 64,
                                "buffer_bytes": 4096 * MIB, "buffer_bytes_per_principal": 1024 * MIB}
    backends = {backend["name"]: backend for backend in status["backends"]}
    assert backends["sim"]["usable"] is True
    assert {"pci", "devmem"} <= set(backends)
    for backend in backends.values():
        assert backend["summary"]
        assert backend["usable"] == ("reason" not in backend)
    assert not status["demo"] and not status["insecure"] and status["warnings"] == []
    assert status["uptime_seconds"] >= 0
    address = place.address if place.kind == "unix" else ":".join(map(str, place.address))
    assert ("https://" if place.kind == "tls" else "") + address in status["listen"]


def test_status_counts(client):
    before = client.get("/v1/status").json["counters"]
    client.get("/nothing")
    client.get("/healthz")
    client.region("odd").read_answer(0x10000)
    after = client.get("/v1/status").json["counters"]
    grown = {name: after[name] - before[name] for name in after}
    assert {name: number for name, number in grown.items() if number} == {
        "requests": 4, "refused": 1, "failed": 1, "bus_faults": 1}


def test_devices(client):
    devices = {device["name"]: device for device in client.get("/v1/devices").ok().json["devices"]}
    assert list(devices) == ["edu", "edu-msi", "odd", "ram", "traced", "big", "file", "readonly", "slowly", "octets",
                             "later", "absent"]
    assert devices["edu"]["backend"] == "sim"
    assert devices["edu"]["state"] == "present" and "reason" not in devices["edu"]
    assert devices["edu"]["regions"] == ["edu"]
    assert devices["edu"]["why"]
    assert client.get("/v1/devices/edu").ok().json["candidates"] == [{"name": "sim", "usable": True}]
    for name, device in devices.items():
        one = client.get(f"/v1/devices/{name}").ok().json
        assert one.pop("candidates"), "of one device it is told what each backend would do"
        assert one == device


def test_regions(client):
    regions = {region["name"]: region for region in client.get("/v1/regions").ok().json["regions"]}
    assert regions["big"]["endianness"] == "big"
    assert regions["readonly"]["access"] == "read"
    assert regions["octets"]["widths"] == [8] and regions["octets"]["default_width"] == 8
    assert regions["ram"]["widths"] == [8, 16, 32, 64] and regions["ram"]["default_width"] == 32
    assert int(regions["ram"]["size"], 16) == conftest.RAM_SIZE
    for name, region in regions.items():
        assert client.get(f"/v1/regions/{name}").ok().json == region
        assert region["device"] == name


# Paths

@pytest.mark.parametrize("path", [
    "/", "/v2", "/v1/nothing", "/v1/regions/nothing", "/v1/devices/nothing", "/v1/regions/ram/nothing",
    "/v1/regions/ram/registers", "/v1/regions/ram/registers/0x0/0x0", "/v1/regions/nothing/registers/0x0",
    "/v1/regions/nothing/data?offset=0&length=4", "/v1/regions/ram/registers/CONTROL", "/v1/regions/RAM",
    "/healthz/x", "/v1/regions/ram/registers/_", "/v1/regions/%20ram", "/v1/regions/%C3%A4", "/" + "x" * 3000,
    "/a/b/c/d/e/f/g/h/i/j", "/v1#x", "/*",
])
def test_paths_that_are_not_there(client, path):
    client.get(path).problem(404, "not-found")


@pytest.mark.parametrize("path", [
    "/v1/regions%2fram", "/v1/regions/ram%2Fdata", "/v1/regions/ram/registers%2f0x0", "/v1%2f..%2fhealthz",
    "/v1/../healthz", "/v1/./regions", "/v1/%2e%2e/healthz", "/v1/%2E/regions", "/v1/.%2e/healthz", "/..", "/.",
    "//v1", "/v1/", "/v1//regions", "/v1/regions/", "/healthz/", "/%00", "/healthz%00", "/v1/regions/ram%00",
    "/v1/regions/%00ram", "/v1/regions/ram%0a", "/v1/regions/%7f", "/v1/regions/%", "/v1/regions/%2", "/v1/regions/%zz",
    "/v1/regions/%2g", "/v1/regions/%ff", "/v1/regions/%c0%af", "/v1/regions/%ed%a0%80", "/v1/regions/%f4%90%80%80",
    "/v1/regions/%c3", "/healthz?%00", "/healthz?x=%0d%0a",
])
def test_paths_with_two_meanings(client, path):
    client.get(path).problem(400, "malformed")


@pytest.mark.parametrize("path", [
    "/v1/regions/%72am", "/%76%31/regions/%72%61%6d", "/v1/regions/ram?", "/v1/regions/ram/registers/0%78%30",
    "/v1/regions/ram/registers/0x0?w%69dth=%332", "/v1/regions/ram/data?length=4&offset=%30x0",
])
def test_paths_that_are_encoded_needlessly(client, path):
    client.get(path).ok()


# Query arguments

@pytest.mark.parametrize("path", [
    "/healthz?x=1", "/v1?a", "/v1/status?verbose=1", "/v1/devices?name=ram", "/v1/regions/ram?x=", REGISTER + "?wdith=32",
    REGISTER + "?offset=0", REGISTER + "?fixed=1", REGISTER + "?Width=32", REGISTER + "?width=32&", REGISTER + "?&",
    REGISTER + "?=32", REGISTER + "?width=32;count=1", REGISTER + "?width%00=32", DATA + "&length=4&count=1",
    REGISTER + "?width=32&width=32", REGISTER + "?count=1&count=2", DATA + "&length=4&offset=0",
    REGISTER + "?" + "&".join(f"a{index}=1" for index in range(100)),
])
def test_query_arguments_unknown_or_twice(client, path):
    client.get(path).problem(400, "malformed")


@pytest.mark.parametrize("path, says", [(REGISTER + "?wdith=32", "wdith"), (REGISTER + "?width=32&width=32", "width")])
def test_query_problems_name_the_argument(client, path, says):
    assert says in client.get(path).problem(400, "malformed")["detail"]


@pytest.mark.parametrize("width", ["", "0", "4", "24", "128", "032", "0x20", "-32", "+32", "32.0", "32bit", "a" * 1000,
                                   "%C3%A4", "%2032", "32%20"])
def test_widths_that_are_none(client, width):
    client.get(f"{REGISTER}?width={width}").problem(400, "malformed")
    client.put(f"{REGISTER}?width={width}", {"value": 1}).problem(400, "malformed")
    client.get(f"{DATA}&length=4&width={width}").problem(400, "malformed")


@pytest.mark.parametrize("count, status, kind", [
    ("0", 400, "malformed"), ("-1", 400, "malformed"), ("+1", 400, "malformed"), ("", 400, "malformed"),
    ("x", 400, "malformed"), ("0x", 400, "malformed"), ("1.5", 400, "malformed"), ("1e3", 400, "malformed"),
    (f"{VALUES + 1}", 413, "too-large"), ("0xffffffffffffffff", 413, "too-large"),
])
def test_counts(client, count, status, kind):
    client.get(f"{REGISTER}?count={count}").problem(status, kind)


def test_count_beyond_64_bits(client):
    assert client.get(f"{REGISTER}?count=18446744073709551616").status in (400, 413, 416)


@pytest.mark.parametrize("count", ["1", "0x10", "0010", f"{VALUES}"])
def test_counts_that_are_good(client, count):
    values = client.get(f"{REGISTER}?count={count}").ok().json["values"]
    assert len(values) == int(count, 16 if "x" in count else 10)


@pytest.mark.parametrize("offset, status, kind", [
    ("4", 400, "malformed"), ("0", 400, "malformed"), ("0x", 400, "malformed"), ("0xg", 400, "malformed"),
    ("0x-4", 400, "malformed"), ("-0x4", 400, "malformed"), ("-4", 400, "malformed"), ("+0x4", 400, "malformed"),
    ("0x4%20", 400, "malformed"), ("%200x4", 400, "malformed"), ("0x4.0", 400, "malformed"), ("0x0x4", 400, "malformed"),
    ("0x1_0", 400, "malformed"), ("0b100", 400, "malformed"), ("0o4", 400, "malformed"), ("4h", 400, "malformed"),
    ("%C3%A4", 400, "malformed"), ("%D9%A1", 400, "malformed"), ("0x%D9%A1", 400, "malformed"),
    ("0x10000000000000000", 416, "outside-region"), ("0x" + "f" * 1000, 416, "outside-region"),
    ("0xffffffffffffffff?width=8", 416, "outside-region"), ("0xfffffffffffffffc", 416, "outside-region"),
    ("0xffffffff00000000", 416, "outside-region"), ("0x100000000", 416, "outside-region"),
    ("0x8000000000000000", 416, "outside-region"), ("0x1000000", 416, "outside-region"),
    ("0xfffffffffffffffc?count=2048", 416, "outside-region"), ("0xfffffc?count=2", 416, "outside-region"),
    ("0xfffff8?width=64&count=2", 416, "outside-region"),
])
def test_offsets(client, offset, status, kind):
    client.get(f"/v1/regions/ram/registers/{offset}").problem(status, kind)


@pytest.mark.parametrize("arguments, status, kind", [
    ("", 400, "malformed"), ("?offset=0", 400, "malformed"), ("?length=4", 400, "malformed"),
    ("?offset=&length=4", 400, "malformed"), ("?offset=0&length=", 400, "malformed"),
    ("?offset=0&length=0", 400, "malformed"), ("?offset=-4&length=4", 400, "malformed"),
    ("?offset=0&length=-4", 400, "malformed"), ("?offset=x&length=4", 400, "malformed"),
    ("?offset=0&length=4&fixed=2", 400, "malformed"), ("?offset=0&length=4&fixed=true", 400, "malformed"),
    ("?offset=0&length=4&fixed=", 400, "malformed"), ("?offset=0&length=4&fixed", 400, "malformed"),
    ("?offset=0&length=5", 422, "not-allowed"), ("?offset=2&length=4", 422, "not-allowed"),
    ("?offset=1&length=4&width=16", 422, "not-allowed"), ("?offset=0&length=12&width=64", 422, "not-allowed"),
    ("?offset=0x1000000&length=4", 416, "outside-region"), ("?offset=0xfffffc&length=8", 416, "outside-region"),
    ("?offset=4&length=0x1000000", 416, "outside-region"),
    ("?offset=0x10000000000000000&length=4", 416, "outside-region"),
    ("?offset=0xfffffffffffffffc&length=8", 416, "outside-region"),
    ("?offset=0&length=0x1000001", 413, "too-large"), ("?offset=0&length=0xffffffffffffffff", 413, "too-large"),
    ("?offset=0&length=0xfffffffffffffffc&fixed=1", 413, "too-large"),
])
def test_data_arguments(client, arguments, status, kind):
    client.get("/v1/regions/ram/data" + arguments).problem(status, kind)


@pytest.mark.parametrize("arguments, octets, status, kind", [
    ("", b"abcd", 400, "malformed"), ("?offset=0&length=4", b"abcd", 400, "malformed"),
    ("?offset=0", b"", 400, "malformed"), ("?offset=0", b"abc", 422, "not-allowed"),
    ("?offset=2", b"abcd", 422, "not-allowed"), ("?offset=0xfffffc", b"abcdefgh", 416, "outside-region"),
    ("?offset=0x1000000", b"abcd", 416, "outside-region"), ("?offset=0&width=7", b"abcd", 400, "malformed"),
])
def test_data_written_wrongly(client, arguments, octets, status, kind):
    client.put("/v1/regions/ram/data" + arguments, octets, kind=OCTETS).problem(status, kind)


def test_data_offset_may_be_decimal(ram):
    ram.put_data(16, b"here")
    assert ram.client.get("/v1/regions/ram/data?offset=16&length=4").ok().body == b"here"


# Bodies

MALFORMED = [
    b"", b" ", b"\n", b"\0", b"{", b"}", b"{}", b"[]", b"[1]", b"null", b"true", b"1", b'"0x1"', b"value=0x1", b"\xef\xbb\xbf{}",
    b'{"value":"0x1"', b'{"value":"0x1",}', b'{"value":"0x1"}}', b'{"value":"0x1"} x', b'{"value":"0x1"}{"value":"0x1"}',
    b"{'value':'0x1'}", b'{value:"0x1"}', b'{"value":0x1}', b'{"value":01}', b'{"value":+1}', b'{"value":.5}',
    b'{"value":"0x1","value":"0x1"}', b'{"value":"0x1","value":"0x2"}', b'{"value":"0x1","v\\u0061lue":"0x2"}',
    b'{"value":"0x1","x":1}', b'{"valu":"0x1"}', b'{"value":"0x1","":1}', b'{"Value":"0x1"}', b'{"mask":"0x1","value":"0x1"}',
    b'{"value values":"0x1"}', b'{"value":"0x1","value values":1}', b'{"value":"0x1"," ":1}', b'{"value":"0x1","alue":1}',
    b'{"value":"0x1","value ":1}', b'{"value":"0x1","values":["0x1"]}', b'{"value":null}', b'{"value":true}', b'{"value":[]}',
    b'{"value":{}}', b'{"value":["0x1"]}', b'{"value":{"value":"0x1"}}', b'{"value":""}', b'{"value":" "}', b'{"value":"x"}',
    b'{"value":" 0x1"}', b'{"value":"0x1 "}', b'{"value":"0x"}', b'{"value":"+1"}', b'{"value":"-1"}', b'{"value":"0x-1"}',
    b'{"value":"1e3"}', b'{"value":"1.0"}', b'{"value":"0b1"}', b'{"value":"0x1\\u0000"}', b'{"value":"\\u0000"}',
    b'{"value":"0x1\0"}', b'{"value":"0x1"\0}', b'{"value":"0x1"}\0', b'{"value\\u0000":"0x1"}', b'{"value":"\\ud800"}',
    b'{"value":"\xff"}', b'{"value":"\xc0\xb1"}', b'{"value":"\xed\xa0\x80"}', b'{"\xff":"0x1"}', b'{"value":"\xd9\xa1"}',
    b'{"value":1.5}', b'{"value":1.0}', b'{"value":1e3}', b'{"value":-0.0}', b'{"value":-1}', b'{"value":-9223372036854775808}',
    b'{"value":9007199254740994}', b'{"value":9223372036854775807}', b'{"value":9223372036854775808}',
    b'{"value":18446744073709551615}', b'{"value":18446744073709551616}', b'{"value":1e999}', b'{"value":NaN}',
    b'{"value":' + b"1" * 4000 + b"}", b'{"value":Infinity}',
    b'{"values":[]}', b'{"values":"0x1"}', b'{"values":{"0":"0x1"}}', b'{"values":null}', b'{"values":[null]}',
    b'{"values":["0x1",[]]}', b'{"values":["0x1","x"]}', b'{"values":["0x1",-1]}', b'{"values":[["0x1"]]}',
    b"[" * 60000, b'{"value":' * 7000, b'{"value":' + b"[" * 30000 + b"]" * 30000 + b"}",
    b'{"value":[[[[[[[["0x1"]]]]]]]]}', b'{"values":[[[[[[[["0x1"]]]]]]]]}', b'"' + b"[" * 60000, b'{"' + b"\\" * 60001,
    b'{"' + b"a" * 60000 + b'":1}', b'{"value":"' + b"0" * 60000 + b'x"}', b" " * 65536, b"\\" * 65536,
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: f"{len(body)}-{body[:24]!r}")
def test_bodies_that_are_malformed(client, body):
    answer = client.put(REGISTER + "?width=64", body, kind="application/json")
    document = answer.problem(400, "malformed")
    assert len(document["detail"]) < 1000
    client.get("/healthz").ok()


@pytest.mark.parametrize("body", [
    {}, {"mask": "0x1"}, {"value": "0x1"}, {"mask": None, "value": "0x1"}, {"mask": "0x1", "value": None},
    {"mask": -1, "value": 0}, {"mask": "x", "value": 0}, {"mask": 1, "value": 2}, {"mask": 1, "value": 1, "values": [1]},
    {"mask": [1], "value": [1]}, {"mask": 2**53, "value": 0},
])
def test_patch_bodies_that_are_malformed(client, body):
    client.patch(REGISTER + "?width=64", body).problem(400, "malformed")


@pytest.mark.parametrize("width, value, good", [
    (8, "0xff", True), (8, "0x100", False), (8, 255, True), (8, 256, False), (8, "0x0000000000ff", True),
    (16, "0xffff", True), (16, "0x10000", False), (16, 65536, False),
    (32, "0xffffffff", True), (32, "4294967295", True), (32, "0x100000000", False), (32, 4294967296, False),
    (64, "0xffffffffffffffff", True), (64, "18446744073709551615", True), (64, "0x10000000000000000", False),
    (64, "18446744073709551616", False), (64, 2**53 - 1, True), (64, "0x" + "f" * 1000, False),
])
def test_values_and_widths(ram, width, value, good):
    ram.write(0x40, 0x77, width)
    answer = ram.client.put(ram.register(0x40, width=width), {"value": value})
    if good:
        answer.ok()
        assert ram.read(0x40, width) == (int(value, 0) if isinstance(value, str) else value)
    else:
        answer.problem(422, "not-allowed", region="ram", offset="0x40")
        assert ram.read(0x40, width) == 0x77


def test_one_bad_value_of_several_writes_nothing(traced, traced_trace):
    with traced_trace.record() as accesses:
        for bad, status in (("x", 400), ("0x100000000", 422), (-1, 400)):
            answer = traced.client.put(traced.register(0), {"values": ["0x1", "0x2", bad]})
            assert answer.status == status, answer
            assert "values[2]" in answer.json["detail"]
        traced.write_many_answer(0xffc, [1, 2]).problem(416, "outside-region")
    assert accesses == []


def test_values_limit(ram):
    values = list(range(VALUES))
    ram.client.put(ram.register(0), {"values": values}).ok()
    assert ram.read_many(0, VALUES) == values
    ram.client.put(ram.register(0), {"values": [0] * (VALUES + 1)}).problem(413, "too-large")
    assert ram.read_many(0, 4) == values[:4]


def test_body_of_just_the_limit(ram):
    body = b'{"value":"0x42"}'
    ram.client.put(ram.register(0), body + b" " * (JSON_LIMIT - len(body)), kind="application/json").ok()
    assert ram.read(0) == 0x42
    answer = ram.client.put(ram.register(0), body + b" " * (JSON_LIMIT + 1 - len(body)), kind="application/json")
    answer.problem(413, "too-large")
    assert ram.read(0) == 0x42


def head(method, path, kind, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *lines, "", ""]).encode()


@pytest.mark.parametrize("path, kind, limit", [(REGISTER, "application/json", JSON_LIMIT), (DATA, OCTETS, 16 * MIB)])
def test_too_large_is_refused_before_it_comes(place, path, kind, limit):
    """Whoever announces too much is told so at once, not after a gigabyte."""
    for length in (limit + 1, 10**9, 2**63, 2**64 - 1):
        watch = stopwatch.Stopwatch()
        answers, closed, _ = board.exchange(place, head("PUT", path, kind, f"Content-Length: {length}"))
        answers[0].problem(413, "too-large")
        assert len(answers) == 1 and closed
        assert watch.lived < 5


@pytest.mark.parametrize("path, kind", [(REGISTER, "application/json"), (DATA, OCTETS)])
def test_length_must_be_announced(place, ram, path, kind):
    """Chunked bodies have no length and a framing of their own: they are not taken, and the answer says what is."""
    octets = head("PUT", path, kind, "Transfer-Encoding: chunked") + b'f\r\n{"value":"0x77"}\r\n0\r\n\r\n'
    ram.write(0, 0x11)
    answers, closed, _ = board.exchange(place, octets)
    assert "Content-Length" in answers[0].problem(411, "length-required")["detail"]
    assert len(answers) == 1 and closed
    assert ram.read(0) == 0x11


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "application/jsonx", "application/json2", "json", "text/json", OCTETS, "*/*",
                                  "application/ json"])
def test_json_with_another_content_type(client, kind):
    answer = client.put(REGISTER, b'{"value":"0x1"}', kind=kind)
    assert "application/json" in answer.problem(415, "media-type")["detail"]
    client.patch(REGISTER, b'{"value":"0x1","mask":"0x1"}', kind=kind).problem(415, "media-type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8",
                                  "application/json;charset=utf-8", "application/json "])
def test_json_content_types(client, kind):
    client.put(REGISTER, b'{"value":"0x1"}', kind=kind).ok()


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "application/octet-streams"])
def test_data_with_another_content_type(client, kind):
    assert OCTETS in client.put(DATA, b"abcd", kind=kind).problem(415, "media-type")["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/v1", "/v1/regions/ram", REGISTER, DATA + "&length=4"])
def test_get_takes_no_body(place, path):
    with place.client() as client:
        client.get(path, body=b"x", kind="application/json").problem(400, "malformed")
        client.get("/healthz").ok()


def test_put_without_a_body(place):
    octets = f"PUT {REGISTER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n".encode()
    for request in (octets, octets.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")):
        answers, _, _ = board.exchange(place, request, count=1)
        assert "empty" in answers[0].problem(400, "malformed")["detail"]


def test_connection_goes_on_after_a_refusal(client, ram):
    """Scripts that probe keep their connection: only what can't be read on ends it."""
    before = client.get("/v1/status").json["counters"]["connections"]
    ram.read_answer(0x1000000).problem(416, "outside-region")
    client.get("/v1/nothing").problem(404, "not-found")
    client.put(REGISTER, b"{", kind="application/json").problem(400, "malformed")
    client.ask("DELETE", REGISTER).problem(405, "method")
    assert client.get("/v1/status").json["counters"]["connections"] == before


# Regions with properties

def test_read_only_region(client, workspace):
    region = client.region("readonly")
    assert region.get_data(0, 256) == bytes(range(256))
    assert region.read(0x10) == 0x13121110
    facts = {"region": "readonly", "offset": "0x10"}
    assert "read-only" in region.write_answer(0x10, 1).problem(422, "not-allowed", **facts)["detail"]
    region.write_many_answer(0x10, [1, 2]).problem(422, "not-allowed", **facts)
    region.patch_answer(0x10, 1, 1).problem(422, "not-allowed", **facts)
    region.put_data_answer(0x10, b"abcd").problem(422, "not-allowed", **facts)
    assert (workspace / "readonly").read_bytes() == bytes(range(256)) * 16


def test_region_of_octets(client):
    region = client.region("octets")
    region.put_data(3, b"\x01\x02\x03")
    assert region.read_many(3, 3) == [1, 2, 3]
    assert region.read_answer(4).ok().json["value"] == "0x02"
    for width in (16, 32, 64):
        region.read_answer(0, width=width).problem(422, "not-allowed", region="octets")


def test_region_that_is_slow_by_configuration(client):
    region = client.region("slowly")
    region.write_many_answer(0, range(100)).ok()
    assert region.read_many(0, 100) == list(range(100))
    assert region.patch(4, 0xff, 0x42) == (1, 0x42)


def test_big_endian(client, ram):
    """Values are numbers and have an order of octets; raw octets are what the memory has."""
    big = client.region("big")
    big.write(0, 0x11223344)
    assert big.get_data(0, 4) == b"\x11\x22\x33\x44"
    assert big.read(0) == 0x11223344
    assert big.read_many(0, 4, 8) == [0x11, 0x22, 0x33, 0x44]
    assert big.read_many(0, 2, 16) == [0x1122, 0x3344]
    big.write(8, 0x0102030405060708, 64)
    assert big.get_data(8, 8, width=64) == bytes(range(1, 9))
    assert big.read_many(8, 2) == [0x01020304, 0x05060708]
    big.write(16, 0xabcd, 16)
    assert big.get_data(16, 2, width=16) == b"\xab\xcd"
    assert big.patch(0, 0x00ff0000, 0x00990000) == (0x11223344, 0x11993344)
    assert big.get_data(0, 4) == b"\x11\x99\x33\x44"
    big.put_data(0, b"\xde\xad\xbe\xef")
    assert big.read(0) == 0xdeadbeef
    big.write_many_answer(0, [1, 2]).ok()
    assert big.get_data(0, 8, width=32) == b"\0\0\0\x01\0\0\0\x02"
    ram.put_data(0, b"\xde\xad\xbe\xef")
    assert ram.read(0) == 0xefbeadde


@pytest.mark.parametrize("width", [8, 64])
def test_sixteen_mebibytes_both_ways(ram, width):
    octets = random.Random(width).randbytes(16 * MIB)
    ram.put_data(0, octets, width=width)
    answer = ram.get_data(0, len(octets), width=64 + 8 - width)
    assert hashlib.sha256(answer).digest() == hashlib.sha256(octets).digest()
    ram.put_data_answer(0, octets + bytes(8)).problem(413, "too-large")


@pytest.mark.parametrize("length", [4, 64, 100, 128, 256, 260, 1000, 4096, 65536])
def test_data_of_many_lengths(ram, length):
    """Short transfers, those on the spot and those elsewhere take different ways through the daemon."""
    octets = random.Random(length).randbytes(length)
    ram.put_data(0x100, octets)
    assert ram.get_data(0x100, length) == octets
    assert ram.get_data(0x100, length, width=8) == octets


def test_file_truncated_while_mapped(client, workspace):
    """The other end of a mapping can go away at any time: that is this access's failure, not the daemon's."""
    region = client.region("file")
    path = workspace / "file"
    region.put_data(0, b"kept" * 4)
    try:
        os.truncate(path, PAGE)
        facts = {"region": "file", "offset": hex(PAGE), "errno": "EFAULT"}
        region.read_answer(PAGE).problem(502, "bus-fault", **facts)
        region.write_answer(PAGE, 1).problem(502, "bus-fault", **facts)
        region.patch_answer(PAGE, 1, 1).problem(502, "bus-fault", **facts)
        for length in (32, PAGE):       # on the spot, and elsewhere
            region.get_data_answer(PAGE - 16, length, width=64).problem(502, "bus-fault", done=2, **facts)
            region.put_data_answer(PAGE - 16, bytes(length), width=64).problem(502, "bus-fault", done=2, **facts)
        region.read_answer(PAGE - 16, count=1000).problem(502, "bus-fault", done=4, **facts)
        assert region.get_data(0, 16) == b"kept" * 4
        assert client.region("edu").read(0) == 0x010000ed
    finally:
        os.truncate(path, conftest.FILE_SIZE)
    region.write(PAGE, 0x12345678)
    assert path.read_bytes()[PAGE:PAGE + 4] == b"\x78\x56\x34\x12"


def test_file_and_region_are_one(client, workspace):
    region = client.region("file")
    region.write(0x200, 0x04030201)
    with open(workspace / "file", "r+b") as file:
        file.seek(0x200)
        assert file.read(4) == b"\x01\x02\x03\x04"
        file.write(b"\xaa")
    assert region.read(0x204, 8) == 0xaa


def test_region_of_an_absent_device(client):
    region = client.region("absent")
    listed = client.get(region.path).ok().json
    assert listed["state"] == "absent" and listed["reason"]
    device = client.get("/v1/devices/absent").ok().json
    assert device["state"] == "absent" and device["reason"] == listed["reason"]
    for answer in (region.read_answer(0), region.write_answer(0, 1), region.patch_answer(0, 1, 1),
                   region.get_data_answer(0, 4), region.put_data_answer(0, b"abcd")):
        assert listed["reason"] in answer.problem(410, "gone", region="absent", offset="0x0")["detail"]


@pytest.mark.parametrize("first", ["get_data", "put_data", "read", "write", "patch"])
def test_device_that_appears_later(start_daemon, tmp_path, transport, first):
    """It is opened by the request that asks for it, whose own limits must hold for what it then finds."""
    path = tmp_path / "later"
    daemon = start_daemon({"devices": [board.sim("ram", "later", path=str(path), size=0x1000)]})
    with daemon.client(transport) as client:
        region = client.region("later")
        assert str(path) in region.read_answer(0).problem(410, "gone")["detail"]
        path.write_bytes(bytes(0x800))
        region.read_answer(0).problem(410, "gone")
        path.write_bytes(b"here" * 0x400)
        if first == "get_data":
            assert region.get_data(0, 8) == b"herehere"
        elif first == "put_data":
            region.put_data(0, b"abcdefgh")
            assert path.read_bytes() == b"abcdefgh" + b"here" * 0x3fe
        elif first == "read":
            assert region.read(0, 8) == ord("h")
        elif first == "write":
            region.write(0, 0x64636261)
            assert path.read_bytes()[:8] == b"abcdhere"
        else:
            assert region.patch(0, 0xff, 0x61) == (0x65726568, 0x65726561)
        assert client.get(region.path).json["state"] == "present"


# What clients can grow

def stall(place, request, receive_bytes=4096):
    """Sends a request and never reads its answer."""
    connection = place.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.sendall(request)
    return connection


def small_daemon(start_daemon, **limits):
    return start_daemon({"limits": limits, "devices": [
        board.sim("edu", "edu"), board.sim("odd", "odd"), board.sim("ram", "ram", size=conftest.RAM_SIZE)]})


def test_raw_data_that_nobody_fetches(start_daemon, transport):
    """Answers that wait for their readers count against the budget, and give it back."""
    daemon = small_daemon(start_daemon, data_bytes=16 * MIB, data_principal_bytes=64 * MIB, data_total_bytes=32 * MIB)
    place = daemon.place(transport)
    request = f"GET {DATA}&length={16 * MIB} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    stalled = [stall(place, request) for _ in range(2)]
    with place.client() as client:
        ram = client.region("ram")

        # A probe must be small, or it takes from the budget itself.
        board.wait_for(lambda: ram.get_data_answer(0, 4).status == 503, "the budget is used up")
        ram.get_data_answer(0, 16 * MIB).problem(503, "busy")
        ram.put_data_answer(0, bytes(MIB)).problem(503, "busy")
        client.region("edu").read(0)        # registers need no such memory
        for connection in stalled:
            connection.close()
        board.wait_for(lambda: ram.get_data_answer(0, 16 * MIB).status == 200, "the budget is free again")
        ram.put_data(0, bytes(16 * MIB))


def test_raw_data_that_does_not_come(start_daemon, transport):
    daemon = small_daemon(start_daemon, data_bytes=4 * MIB, data_total_bytes=8 * MIB)
    place = daemon.place(transport)
    uploads = []
    for _ in range(2):
        connection = place.connect()
        connection.sendall(head("PUT", DATA, OCTETS, f"Content-Length: {4 * MIB}") + bytes(4 * MIB - 1))
        uploads.append(connection)
    for connection in uploads:
        board.wait_until_read(connection)       # a probe while they still come could be what is too much for them
    with place.client() as client:
        ram = client.region("ram")
        board.wait_for(lambda: ram.get_data_answer(0, 4).status == 503, "the budget is used up")
        ram.put_data_answer(0, bytes(4 * MIB)).problem(503, "busy")
        uploads[0].sendall(b"x")
        answers, _, _ = board.receive_answers(uploads[0], 1)
        answers[0].ok()
        uploads[1].close()
        board.wait_for(lambda: ram.get_data_answer(0, 4 * MIB).status == 200, "the budget is free again")
    uploads[0].close()


def test_budget_survives_failures(start_daemon, transport):
    """Every way a transfer can end gives back what it had."""
    daemon = small_daemon(start_daemon, data_bytes=MIB, data_total_bytes=MIB)
    with daemon.client(transport) as client:
        ram, odd = client.region("ram"), client.region("odd")
        for _ in range(3):
            ram.get_data_answer(conftest.RAM_SIZE, MIB).problem(416, "outside-region")
            ram.get_data_answer(1, MIB).problem(422, "not-allowed")
            ram.put_data_answer(1, bytes(MIB)).problem(422, "not-allowed")
            ram.put_data_answer(conftest.RAM_SIZE, bytes(MIB)).problem(416, "outside-region")
            odd.get_data_answer(0x8000, 0x10000).problem(502, "bus-fault", done=0x2000)
            odd.put_data_answer(0x8000, bytes(0x10000)).problem(502, "bus-fault", done=0x2000)
            ram.put_data_answer(0, bytes(MIB + 1)).problem(413, "too-large")
            ram.put_data(0, bytes(MIB))
            assert len(ram.get_data(0, MIB)) == MIB


def test_full_queue(start_daemon, transport):
    """A device that is too slow for its clients refuses the next one at once, and all others are answered."""
    place = small_daemon(start_daemon, queue=3).place(transport)

    def fourth():
        waiting = [place.connect() for _ in range(3)]
        for connection in waiting:
            connection.sendall(b"GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            board.wait_until_read(connection)
        with place.client() as client:
            watch = stopwatch.Stopwatch()
            answer, took = client.region("odd").read_answer(0x0), watch.lived
            assert client.region("edu").read(0) == 0x010000ed
        for connection in waiting:
            board.receive_answers(connection, 1)[0][0].ok()
            connection.close()
        return answer, took
    answer, took = stopwatch.undisturbed(fourth)
    assert "waiting" in answer.problem(503, "busy", region="odd")["detail"]
    assert took < 0.15


def test_device_time_limit(start_daemon, transport):
    """What a slow device has not done in time is given up, and so is what waits behind it."""
    place = small_daemon(start_daemon, device_seconds=1).place(transport)

    def given_up():
        with place.connect() as first, place.client() as client:
            watch = stopwatch.Stopwatch()
            first.sendall(b"GET /v1/regions/odd/data?offset=0x18&length=400&fixed=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            board.wait_until_read(first)
            behind = client.region("odd").read_answer(0x0)      # it came a little later, so it may still just make it
            assert behind.status in (200, 504), behind
            answers, _, _ = board.receive_answers(first, 1)
            assert 0.8 < watch.real and watch.lived < 3
            assert client.region("odd").read(0x0) == 0x0dd00001
            return answers[0].problem(504, "timeout", region="odd")
    document = stopwatch.undisturbed(given_up)
    assert 3 <= document["done"] <= 8 and f"{document['done']} of 100" in document["detail"]


def test_smaller_limits(start_daemon, transport):
    daemon = small_daemon(start_daemon, json_body_bytes=1024, values=4, data_bytes=MIB, data_total_bytes=MIB)
    with daemon.client(transport) as client:
        ram = client.region("ram")
        assert client.get("/v1/status").json["limits"]["values"] == 4
        ram.read_many(0, 4)
        ram.read_answer(0, count=5).problem(413, "too-large")
        ram.write_many_answer(0, range(5)).problem(413, "too-large")
        client.put(ram.register(0), b" " * 1025, kind="application/json").problem(413, "too-large")
        ram.put_data(0, bytes(MIB))
        ram.put_data_answer(0, bytes(MIB + 4)).problem(413, "too-large")
        ram.get_data_answer(0, MIB + 4).problem(413, "too-large")
