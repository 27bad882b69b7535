# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buffers for DMA, from outside: how they are wished for, whose they are, and with what they end. What is in them is another
file's business. The principals are tokens, since all clients on one machine are one Unix user."""

import re
import time

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

MIB = 1 << 20
SOURCE, DESTINATION, COUNT, COMMAND = 0x80, 0x88, 0x90, 0x98
OWN_RAM = 0x40000
TO_MEMORY = 0b011


class Person:
    """A principal with a connection of its own."""

    def __init__(self, daemon, secret=None):
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.client = daemon.client()

    def ask(self, method, path, body=None, reservation=None):
        named = {"Devreg-Reservation": reservation} if reservation else {}
        return self.client.ask(method, path, body, headers={**self.headers, **named})

    def wish(self, reservation=None, **wish):
        return self.ask("POST", "/v1/buffers", {"device": "edu", "size": 4096, "address_bits": 28, **wish}, reservation)

    def allocate(self, **wish):
        answer = self.wish(**wish)
        assert answer.status == 201, answer
        assert answer.headers["location"] == f"/v1/buffers/{answer.json['id']}"
        return answer.json

    def get(self, identifier):
        return self.ask("GET", f"/v1/buffers/{identifier}")

    def free(self, identifier):
        return self.ask("DELETE", f"/v1/buffers/{identifier}")

    def listed(self):
        return [buffer["id"] for buffer in self.ask("GET", "/v1/buffers").ok().json["buffers"]]

    def segments(self, identifier, **arguments):
        return self.ask("GET", f"/v1/buffers/{identifier}/segments{board.query(arguments)}")

    def dma(self):
        return self.ask("GET", "/v1/devices/edu").ok().json["dma"]

    def counters(self):
        counters = self.ask("GET", "/v1/status").ok().json["counters"]
        return counters["buffers"], counters["buffer_bytes"]

    def take(self, **wish):
        answer = self.ask("POST", "/v1/reservations", {"region": "edu", **wish})
        assert answer.status == 201, answer
        return answer.json["id"]

    def write(self, offset, value):
        self.ask("PUT", f"/v1/regions/edu/registers/{offset:#x}?width=64", {"value": hex(value)}).ok()

    def start_dma(self, buffer):
        """The device writes its own memory into the buffer, which takes 0.1 s."""
        for offset, value in ((SOURCE, OWN_RAM), (DESTINATION, int(buffer["bus_address"], 16)), (COUNT, 4096), (COMMAND, TO_MEMORY)):
            self.write(offset, value)


@pytest.fixture
def people(start_daemon):
    """people(limit=...) is a function that gives a person by name; "root" is the Unix user, who may do everything."""
    stack = board.contextlib.ExitStack()

    def begin(**limits):
        daemon = start_daemon({"access": [{"principals": ["user:*"], "permissions": ["all"]},
                                          {"principals": ["token:weak"], "permissions": ["dma"], "deny": True},
                                          {"principals": ["token:*"], "permissions": ["list", "read", "write", "reserve", "dma"]}],
                               "limits": limits,
                               "devices": [board.sim("edu", "edu"), board.sim("ram", "ram", size=0x100)]})
        known = {}

        def person(name="root"):
            if name not in known:
                secret = None
                if name != "root":
                    secret = person().ask("POST", "/v1/tokens", {"name": name}).json["token"]
                known[name] = Person(daemon, secret)
                stack.callback(known[name].client.close)
            return known[name]
        person.daemon = daemon
        return person
    with stack:
        yield begin


def test_the_life_of_a_buffer(people):
    root = people()()
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    buffer = root.allocate(size="0x10000", note="ring 0", seconds=600)
    after = time.strftime("%Y-%m-%dT%H:%M:%S~", time.gmtime())
    assert re.fullmatch("b-[0-9a-f]{16}", buffer["id"])
    address = int(buffer["bus_address"], 16)
    assert re.fullmatch("0x[0-9a-f]{16}", buffer["bus_address"]) and address % 4096 == 0 and address + 65536 <= 1 << 28
    owner = root.ask("GET", "/v1/whoami").json["principal"]
    wanted = {"device": "edu", "kind": "coherent", "size": 65536, "mapped_size": 65536, "address_bits": 28, "alignment": 4096,
              "boundary": 0, "direction": "both", "count": 1, "segments": 1, "needs_sync": False, "translated": False,
              "reserved": False, "owner": owner, "note": "ring 0", "reservation": None, "state": "live"}
    assert {key: buffer[key] for key in wanted} == wanted
    assert set(buffer) - set(wanted) == {"id", "bus_address", "expires_in", "allocated"}
    assert 595 <= buffer["expires_in"] <= 600 and before <= buffer["allocated"] < after
    assert {**root.get(buffer["id"]).ok().json, "expires_in": 0} == {**buffer, "expires_in": 0}
    assert root.listed() == [buffer["id"]]
    assert root.segments(buffer["id"]).ok().json == {"first": 0, "total": 1, "segments": [
        {"bus_address": buffer["bus_address"], "offset": 0, "size": 65536}]}
    assert root.counters() == (1, 65536) and root.dma()["buffers"] == 1 and root.dma()["total"] == 65536
    freed = root.free(buffer["id"]).ok().json
    assert freed["state"] == "freed" and freed["id"] == buffer["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("GET", "/segments")):
        root.ask(method, f"/v1/buffers/{buffer['id']}{path}", {} if method == "PUT" else None).problem(404, "not-found")
    assert root.listed() == [] and root.counters() == (0, 0)
    assert (root.dma()["buffers"], root.dma()["total"], root.dma()["retained"]) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["coherent", "streaming", "scattered"])
@pytest.mark.parametrize("bits", [24, 28, 32, 64])
def test_kinds_and_widths(people, kind, bits):
    root = people()()
    buffer = root.allocate(kind=kind, address_bits=bits, size=5 * 4096 + 1)
    assert buffer["size"] == 5 * 4096 + 1 and buffer["mapped_size"] == 6 * 4096
    pieces = root.segments(buffer["id"]).ok().json
    assert pieces["total"] == buffer["segments"] == len(pieces["segments"])
    offset = 0
    for piece in pieces["segments"]:
        address = int(piece["bus_address"], 16)
        assert piece["offset"] == offset and address + piece["size"] <= 1 << bits
        offset += piece["size"]
    assert offset >= buffer["size"]
    assert pieces["segments"][0]["bus_address"] == buffer["bus_address"]
    assert (buffer["segments"] > 1) == (kind == "scattered")
    assert buffer["direction"] == "both"
    root.free(buffer["id"]).ok()


def test_a_pool(people):
    root = people()()
    buffer = root.allocate(kind="pool", size=48, count=300, alignment=64, boundary=4096)
    assert (buffer["size"], buffer["count"], buffer["segments"], buffer["alignment"]) == (48, 300, 300, 64)
    objects = root.segments(buffer["id"]).ok().json["segments"]
    assert len(objects) == 300
    addresses = [int(each["bus_address"], 16) for each in objects]
    assert all(each["size"] == 48 and each["offset"] + 48 <= buffer["mapped_size"] for each in objects)
    assert all(address % 64 == 0 and address // 4096 == (address + 47) // 4096 for address in addresses)
    assert len(set(addresses)) == len({each["offset"] for each in objects}) == 300
    assert root.allocate(kind="pool", size=8, count="2")["alignment"] == 8
    part = root.segments(buffer["id"], first=298, count=10).ok().json
    assert (part["first"], part["total"], part["segments"]) == (298, 300, objects[298:])


def test_segments_come_in_parts(people):
    root = people()()
    buffer = root.allocate(kind="scattered", size=20 * MIB, address_bits=32)
    total = buffer["segments"]
    assert total > 4096
    assert len(root.segments(buffer["id"]).ok().json["segments"]) == 1024
    seen = []
    while len(seen) < total:
        seen += root.segments(buffer["id"], first=len(seen), count=4096).ok().json["segments"]
    assert len(seen) == total and sum(piece["size"] for piece in seen) == buffer["mapped_size"]
    for arguments, status, kind in (({"count": 0}, 400, "malformed"), ({"count": 4097}, 400, "malformed"),
                                    ({"first": "x"}, 400, "malformed"), ({"first": total}, 416, "outside-region")):
        root.segments(buffer["id"], **arguments).problem(status, kind)


@pytest.mark.parametrize("wish, status, kind, text", [
    ({"device": None}, 400, "malformed", '"device" is missing'),
    ({"device": 5}, 400, "malformed", "not a string"),
    ({"device": "nope"}, 404, "not-found", "/v1/devices lists them"),
    ({"device": "ram"}, 422, "not-allowed", "no DMA"),
    ({"size": 0}, 400, "malformed", "1 octet"),
    ({"size": -1}, 400, "malformed", "negative"),
    ({"size": "64k"}, 400, "malformed", "not a number"),
    ({"size": 1.5}, 400, "malformed", "size"),
    ({"size": "0x10000000000000000"}, 400, "malformed", "64 bits"),
    ({"size": "0xffffffffffffffff", "address_bits": 64}, 413, "too-large", "more than there can be"),
    ({"kind": "dma"}, 400, "malformed", "coherent, streaming, scattered and pool"),
    ({"kind": "pool"}, 400, "malformed", '"count" is missing'),
    ({"kind": "pool", "count": 0}, 400, "malformed", "1 object"),
    ({"kind": "pool", "count": "0x8000000000000000", "size": 4}, 413, "too-large", "more than there can be"),
    ({"count": 2}, 400, "malformed", "of a pool's objects"),
    ({"address_bits": 23}, 400, "malformed", "24 to 64"),
    ({"address_bits": "0x100000020"}, 400, "malformed", "24 to 64"),
    ({"alignment": 3}, 400, "malformed", "power of two"),
    ({"alignment": 0}, 400, "malformed", "power of two"),
    ({"boundary": 3}, 400, "malformed", "power of two"),
    ({"boundary": 2048}, 400, "malformed", "boundary"),
    ({"direction": "up"}, 400, "malformed", "to_device"),
    ({"direction": "to_device"}, 400, "malformed", "streaming and scattered"),
    ({"seconds": 0}, 400, "malformed", "1 to 2592000"),
    ({"seconds": 2592001}, 400, "malformed", "1 to 2592000"),
    ({"seconds": "60"}, 400, "malformed", "1 to 2592000"),
    ({"note": "x" * 256}, 413, "too-large", "shorten"),
    ({"reservation": 1}, 400, "malformed", "not a string"),
    ({"reservation": "r-0123"}, 423, "reserved", "r-0123"),
    ({"flavour": 1}, 400, "malformed", "flavour"),
])
def test_what_can_not_be_had(people, wish, status, kind, text):
    root = people()()
    body = {key: value for key, value in {"device": "edu", "size": 4096, **wish}.items() if value is not None}
    assert text in root.ask("POST", "/v1/buffers", body).problem(status, kind)["detail"]
    assert root.counters() == (0, 0) and root.dma()["total"] == 0


def test_direction(people):
    root = people()()
    for kind in ("streaming", "scattered"):
        for direction in ("to_device", "from_device", "both"):
            assert root.allocate(kind=kind, direction=direction)["direction"] == direction


def test_others_buffers_are_not_there(people):
    person = people()
    alice, bob, root = person("alice"), person("bob"), person()
    mine, theirs = alice.allocate()["id"], bob.allocate()["id"]
    assert alice.listed() == [mine] and bob.listed() == [theirs] and root.listed() == [mine, theirs]
    for method, path, body in (("GET", "", None), ("PUT", "", {"seconds": 5}), ("DELETE", "", None), ("GET", "/segments", None)):
        real = bob.ask(method, f"/v1/buffers/{mine}{path}", body).problem(404, "not-found")
        none = bob.ask(method, f"/v1/buffers/b-0123456789abcdef{path}", body).problem(404, "not-found")
        assert real["detail"].replace(mine, "ID") == none["detail"].replace("b-0123456789abcdef", "ID")
        assert set(real) == set(none)
    assert alice.get(mine).ok().json["expires_in"] > 3000
    root.free(mine).ok()
    alice.get(mine).problem(404, "not-found")
    person("weak").wish().problem(403, "denied")
    person("weak").free(theirs).problem(403, "denied")
    assert person("weak").listed() == []


def test_limits(people):
    person = people(buffers=3, buffers_per_principal=2, buffer_bytes=5 * MIB, buffer_bytes_per_principal="2M")
    alice, bob = person("alice"), person("bob")
    for wish in ({"size": 2 * MIB + 1}, {"size": 1, "alignment": 4 * MIB}, {"kind": "pool", "size": 8, "count": 257, "alignment": 8192}):
        assert "buffer_bytes_per_principal" in alice.wish(**wish).problem(429, "over-limit")["detail"]
    first = alice.allocate(size=MIB)["id"]
    alice.allocate(size=MIB)
    assert "buffers_per_principal" in alice.wish().problem(429, "over-limit")["detail"]
    bob.allocate()
    answer = bob.wish()
    assert "(buffers)" in answer.problem(503, "busy")["detail"] and answer.headers["retry-after"]
    alice.free(first).ok()
    bob.allocate(size=MIB)
    assert person().counters() == (3, 2 * MIB + 4096)


def test_more_than_the_device_can_have(people):
    root = people(buffer_bytes="64G", buffer_bytes_per_principal="64G")()
    most = root.dma()["size_max"]
    root.wish(size=most + 4096, kind="scattered", address_bits=64).problem(413, "too-large")
    answer = root.wish(size=1 << 24, address_bits=24)
    assert answer.problem(503, "busy")["errno"] == "ENOMEM" if answer.status == 503 else answer.status == 201
    assert root.dma()["buffers"] == (answer.status == 201)


def test_time_is_over(people):
    person = people()
    root = person()
    stays = root.allocate(seconds=None)
    assert stays["expires_in"] is None

    def renew(seconds):
        buffer, renewed = root.allocate(seconds=seconds)["id"], root.allocate(seconds=seconds)["id"]
        answer = root.ask("PUT", f"/v1/buffers/{renewed}", {"seconds": 500})
        return (buffer, renewed, answer) if answer.status != 404 else None
    (buffer, renewed, answer), _ = stopwatch.within(renew, "it is renewed before its time is over")
    assert answer.ok().json["expires_in"] in (499, 500)
    board.wait_for(lambda: root.get(buffer).status == 404, "its time is over", 40)
    assert root.listed() == [stays["id"], renewed]
    assert root.ask("PUT", f"/v1/buffers/{renewed}", {"seconds": None}).ok().json["expires_in"] is None
    assert root.ask("PUT", f"/v1/buffers/{renewed}", {}).ok().json["expires_in"] is None
    root.ask("PUT", f"/v1/buffers/{renewed}", {"seconds": 0}).problem(400, "malformed")


def test_the_audit_has_how_they_began_and_ended(people):
    person = people()
    alice, root = person("alice"), person()
    freed, over, revoked = alice.allocate(size=65536)["id"], alice.allocate(seconds=1)["id"], alice.allocate()["id"]
    alice.free(freed).ok()
    board.wait_for(lambda: alice.get(over).status == 404, "its time is over")
    root.ask("DELETE", "/v1/tokens/alice").ok()
    board.wait_for(lambda: root.listed() == [], "they have ended")

    def records(action, subject):
        return [line for line in person.daemon.log().splitlines() if action in line and subject in line]
    for action, subject, text in (("buffer.allocate", freed, "64 KiB coherent on edu"), ("buffer.free", freed, "64 KiB coherent on edu"),
                                  ("buffer.end", over, "its time was over"), ("buffer.end", revoked, "token was revoked")):
        lines = board.wait_for(lambda: records(action, subject), f"{action} of {subject} is recorded")
        assert len(lines) == 1 and text in lines[0] and "token:alice" in lines[0], (action, lines)
    assert not records("buffer.end", freed)


def test_an_expired_token_has_no_buffers(people):
    person = people()
    root = person()

    def allocate(seconds):
        brief = Person(person.daemon, root.ask("POST", "/v1/tokens", {"name": f"brief-{seconds}", "seconds": seconds}).json["token"])
        answer = brief.wish(seconds=None)
        brief.client.close()
        return answer if answer.status != 401 else None
    answer, _ = stopwatch.within(allocate, "it is allocated before the token expires")
    assert answer.status == 201
    board.wait_for(lambda: root.listed() == [], "its owner's token has expired", 40)


def test_ends_with_its_reservation(people):
    person = people()
    alice, root = person("alice"), person()
    held = alice.take()
    by_header = alice.wish(reservation=held).json
    by_body = alice.ask("POST", "/v1/buffers", {"device": "edu", "size": 1, "reservation": held, "seconds": 1000}).json
    other = alice.allocate()["id"]
    assert by_header["reservation"] == by_body["reservation"] == held
    assert by_header["expires_in"] is None and 990 < by_body["expires_in"] <= 1000
    alice.ask("DELETE", f"/v1/reservations/{held}").ok()
    assert alice.listed() == [other]
    board.wait_for(lambda: root.counters()[0] == 1, "they are closed")
    assert held in alice.wish(reservation=held).problem(423, "reserved")["detail"]


def test_a_reservation_that_is_anothers(people):
    person = people()
    alice, bob = person("alice"), person("bob")
    held = alice.take()
    problem = bob.wish().problem(423, "reserved", holder="token:alice", reservation=held)
    assert "edu is reserved by token:alice" in problem["detail"]
    bob.ask("POST", "/v1/buffers", {"device": "edu", "size": 1, "reservation": held}).problem(423, "reserved")
    alice.allocate()


def test_what_the_device_may_still_write_to_is_retained(people):
    """Its owner's word frees it at once; otherwise it is kept until the device is through with it."""
    person = people()
    alice, root = person("alice"), person()
    for _ in range(20):     # 0.1 s may be over before anybody has looked twice
        held = alice.take()
        alice.start_dma(alice.wish(reservation=held).json)
        alice.ask("DELETE", f"/v1/reservations/{held}").ok()
        board.wait_for(lambda: root.counters()[0] == 0, "it is closed")
        seen = root.dma()["retained"], root.counters()
        if seen == (4096, (0, 4096)):       # nobody else has it
            break
    assert seen == (4096, (0, 4096))
    board.wait_for(lambda: root.dma()["retained"] == 0 and root.dma()["total"] == 0, "the device is through with it")
    assert root.counters() == (0, 0)
    buffer = alice.allocate()
    alice.start_dma(buffer)
    alice.free(buffer["id"]).ok()
    assert (root.dma()["retained"], root.dma()["total"], root.dma()["buffers"]) == (0, 0, 0)


@pytest.mark.parametrize("how", ["released", "revoked"])
def test_safe_writes_come_before_and_let_go(people, how):
    """The device still runs when its buffer ends: that safe writes were made counts as the word that it does not use it."""
    person = people()
    alice, root = person("alice"), person()
    alice.take(region="ram", safe_state=[{"offset": "0x4", "value": "0x1"}])
    held = alice.take(safe_state=[{"offset": "0x4", "value": "0x1"}])
    alice.start_dma(alice.wish(reservation=held).json)
    if how == "released":
        alice.ask("DELETE", f"/v1/reservations/{held}").ok()
    else:
        root.ask("DELETE", "/v1/tokens/alice").ok()
    board.wait_for(lambda: root.counters()[0] == 0, "they are closed")
    assert root.dma()["retained"] == 0 and root.dma()["total"] == 0


def test_many_come_and_go(people):
    root = people()()
    seen = set()
    for _ in range(300):
        buffer = root.allocate(kind="scattered", size=3 * 4096)
        seen.add(buffer["id"])
        root.free(buffer["id"]).ok()
    assert len(seen) == 300 and root.counters() == (0, 0) and root.dma()["total"] == 0


def test_the_daemon_stops_with_buffers(people):
    person = people()
    root = person()
    for kind in ("coherent", "scattered"):
        root.start_dma(root.allocate(kind=kind, seconds=None))
    person.daemon.stop()
    assert person.daemon.log().count("devregd stopped") >= 2


def test_devices_without_dma_say_so(people):
    root = people()()
    devices = {device["name"]: device for device in root.ask("GET", "/v1/devices").ok().json["devices"]}
    assert devices["ram"]["dma"] is None
    assert set(devices["edu"]["dma"]) == {"translated", "size_max", "total_max", "total", "retained", "reserved", "reserved_free", "buffers"}
