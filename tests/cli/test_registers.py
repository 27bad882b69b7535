# SPDX-License-Identifier: LGPL-2.1-or-later
"""read and write: what is sent, and how the answers are printed."""

import json

import pytest

from fake import answer, problem

REGION = {"name": "edu", "device": "edu", "widths": [32, 64], "default_width": 32, "size": "0x100000"}


def registers(request):
    """Answers reads as a region whose registers hold their own offset."""
    path, _, query = request.path.partition("?")
    parameters = dict(pair.split("=") for pair in query.split("&")) if query else {}
    parts = path.split("/")
    if len(parts) == 4:
        return answer(200, REGION)
    offset, width = int(parts[5], 16), int(parameters.get("width", 32))
    facts = {"region": "edu", "offset": hex(offset), "width": width}
    if "count" not in parameters:
        return answer(200, {**facts, "value": f"0x{offset:0{width // 4}x}"})
    values = [f"0x{offset + i * width // 8:0{width // 4}x}" for i in range(int(parameters["count"]))]
    return answer(200, {**facts, "count": len(values), "values": values})


def test_one_register_is_one_bare_value(over):
    daemon, run = over(registers)
    result = run("read", "edu:0x10")
    assert (result.code, result.out, result.err) == (0, "0x00000010\n", "")
    assert daemon.lines == ["GET /v1/regions/edu/registers/0x10"]


def test_several_places_are_lines_and_requests_in_order(over):
    daemon, run = over(registers)
    result = run("read", "edu:0x1000", "edu:0x4", "--width", 64)
    assert result.out == "edu:0x1000  0x0000000000001000\nedu:0x4     0x0000000000000004\n"
    assert daemon.lines == ["GET /v1/regions/edu/registers/0x1000?width=64", "GET /v1/regions/edu/registers/0x4?width=64"]


def test_each_request_has_its_own_connection(client, start):
    """On a kept connection that turns out dead, libcurl would ask again by itself."""
    daemon = start(registers)
    assert client("-H", daemon.host, "read", *["edu:0x0"] * 20).code == 0
    assert (len(daemon.requests), daemon.connections) == (20, 20)


@pytest.mark.parametrize("words,count", [(["edu:0x8+3"], 3), (["edu:0x8", "--count", "3"], 3), (["edu:0x8+1"], 1)])
def test_counts(client, start, words, count):
    daemon = start(registers)
    result = client("-H", daemon.host, "read", *words)
    lines = ["edu:0x8   0x00000008", "edu:0xc   0x0000000c", "edu:0x10  0x00000010"] if count == 3 else ["edu:0x8  0x00000008"]
    assert result.out.splitlines() == lines
    assert daemon.lines == [f"GET /v1/regions/edu/registers/0x8?count={count}"]


@pytest.mark.parametrize("end,width,count", [("0x8", 32, 3), ("0xb", 32, 3), ("0xc", 32, 4), ("0x0", 32, 1), ("0xf", 64, 2)])
def test_a_range_ends_with_the_register_at_its_end(client, start, end, width, count):
    daemon = start(registers)
    words = ["--width", width] if width != 32 else []
    result = client("-H", daemon.host, "read", f"edu:0x0-{end}", *words)
    assert len(result.out.splitlines()) == count
    # Only a range whose width was not said needs the region's.
    assert daemon.lines == (["GET /v1/regions/edu"] if width == 32 else []) + [
        f"GET /v1/regions/edu/registers/0x0?width={width}&count={count}"]


def test_json_is_the_daemons_document(over):
    _, run = over(registers)
    one = run("--json", "read", "edu:0x4")
    assert json.loads(one.out) == {"region": "edu", "offset": "0x4", "width": 32, "value": "0x00000004"}
    two = run("read", "edu:0x4", "edu:0x0+2", "--json")
    assert [len(r.get("values", [1])) for r in json.loads(two.out)["results"]] == [1, 2]
    assert two.out.count("\n") == 1


def test_what_was_read_before_a_failure_is_printed(client, start):
    """The first register may have changed by being read: its value must not be lost."""
    daemon = start([answer(200, {"value": "0x01"}), problem(502, "bus fault", done=0)])
    result = client("-H", daemon.host, "read", "odd:0x0", "odd:0x4")
    assert (result.code, result.out) == (6, "odd:0x0  0x01\n")
    assert result.err == "devregctl: bus fault\n"
    assert len(daemon.requests) == 2
    result = client("-H", daemon.host, "--json", "read", "odd:0x0", "odd:0x4")
    assert (result.code, result.out) == (6, "")
    assert json.loads(result.err)["status"] == 502


def test_nothing_is_touched_when_one_place_is_wrong(client, start):
    daemon = start(registers)
    assert client("-H", daemon.host, "read", "edu:0x0", "edu:4").code == 2
    assert daemon.requests == []


def test_all_ones_get_a_note(client, start):
    daemon = start([answer(200, {"value": "0xffffffff", "suspect": True})])
    result = client("-H", daemon.host, "read", "edu:0x0")
    assert (result.code, result.out) == (0, "0xffffffff\n")
    assert "edu:0x0 reads all ones" in result.err
    assert client("-H", daemon.host, "--json", "read", "edu:0x0").err == ""


def test_names_go_to_the_daemon_as_they_are(client, start):
    daemon = start([problem(404, "edu has no register called STATUS")])
    result = client("-H", daemon.host, "read", "edu:STATUS")
    assert (result.code, result.err) == (4, "devregctl: edu has no register called STATUS\n")
    client("-H", daemon.host, "read", "e/u:a b/../%00é.FIELD")
    client("-H", daemon.host, "read", "..:..")
    assert daemon.lines == ["GET /v1/regions/edu/registers/STATUS",
                            "GET /v1/regions/e%2Fu/registers/a%20b%2F..%2F%2500%C3%A9.FIELD",
                            "GET /v1/regions/../registers/.."]


def test_write_one(over):
    daemon, run = over([answer(200, {"region": "edu", "offset": "0x4", "width": 32, "count": 1})])
    result = run("write", "edu:0x4", "305419896")
    assert (result.code, result.out, result.err) == (0, "", "")
    request = daemon.requests[0]
    assert request.line == "PUT /v1/regions/edu/registers/0x4"
    assert request.fields["content-type"] == "application/json"
    assert request.json() == {"value": "0x12345678"}
    assert json.loads(run("--json", "write", "edu:0x4", 1).out)["count"] == 1


def test_write_several(client, start):
    daemon = start([answer(200, {"count": 3})])
    assert client("-H", daemon.host, "write", "edu:0x80", 1, "0b101", "0xffffffffffffffff", "--width", 64).code == 0
    assert daemon.requests[0].line == "PUT /v1/regions/edu/registers/0x80?width=64"
    assert daemon.requests[0].json() == {"values": ["0x1", "0x5", "0xffffffffffffffff"]}


def test_write_bits(over):
    daemon, run = over([answer(200, {"before": "0x00000001", "value": "0x00000081"})])
    result = run("write", "edu:0x20", "0x80", "--mask", "0x80")
    assert (result.code, result.out) == (0, "0x00000001 -> 0x00000081\n")
    assert daemon.requests[0].line == "PATCH /v1/regions/edu/registers/0x20"
    assert daemon.requests[0].json() == {"mask": "0x80", "value": "0x80"}


@pytest.mark.parametrize("words,expected", [
    (["read"], "read needs more"),
    (["read", "edu"], '"edu" is not a place: write REGION:0xOFFSET'),
    (["read", "edu:"], "nothing after the colon"),
    (["read", ":0x0"], "names no region"),
    (["read", "edu:16"], "did you mean edu:0x16?"),
    (["read", "edu:0x"], '"0x" is not an offset'),
    (["read", "edu:0x1g"], '"0x1g" is not an offset'),
    (["read", "edu:0x1_0"], '"0x1_0" is not an offset'),
    (["read", "edu:0x10000000000000000"], "does not fit 64 bits"),
    (["read", "edu:0x8-0x4"], "ends at 0x4, before it starts"),
    (["read", "edu:0x8-4"], '"4" is not an offset'),
    (["read", "edu:0x8+0"], '"0" is not a count'),
    (["read", "edu:0x8+"], '"" is not a count'),
    (["read", "edu:0x0-0xffffffffffffffff", "--width", "8"], "the range does not fit 64 bits"),
    (["read", "edu:0x0+2", "--count", "2"], "already says how many"),
    (["read", "edu:0x0", "--count", "0"], "--count: "),
    (["read", "edu:0x0", "--width", "24"], "none of 8, 16, 32 and 64"),
    (["read", "edu:0x0", "--width"], "--width needs an argument"),
    (["read", "edu:0x0", "--mask", "1"], "read has no option --mask"),
    (["write", "edu:0x0"], "write needs more"),
    (["write", "edu:0x0+2", "1"], "one place, not the range"),
    (["write", "edu:0x0", "-1"], "values have no sign"),
    (["write", "edu:0x0", "-12"], "values have no sign"),
    (["write", "edu:0x0", "12ab"], '"12ab" is not a value'),
    (["write", "edu:0x0", "0b12"], '"0b12" is not a value'),
    (["write", "edu:0x0", "0b"], '"0b" is not a value'),
    (["write", "edu:0x0", "1_000"], '"1_000" is not a value'),
    (["write", "edu:0x0", ""], '"" is not a value'),
    (["write", "edu:0x0", "18446744073709551616"], "does not fit 64 bits"),
    (["write", "edu:0x0", "0b1" + "0" * 64], "does not fit 64 bits"),
    (["write", "edu:0x0", "1", "256", "--width", "8"], "256 does not fit 8 bits"),
    (["write", "edu:0x0", "1", "--width", "8", "--mask", "0x100"], "the mask does not fit 8 bits"),
    (["write", "edu:0x0", "1", "2", "--mask", "3"], "give one VALUE"),
])
def test_wrong_command_lines(client, start, words, expected):
    daemon = start([answer(200, REGION)])
    result = client("-H", daemon.host, *words)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err and result.err.startswith("devregctl: ") and result.err.count("\n") == 1
    assert not any(line for line in daemon.lines if "registers" in line)
    document = json.loads(client("--json", *words).err)
    assert document["type"] == "urn:devreg:client:usage" and expected in document["detail"]
