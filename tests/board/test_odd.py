# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulated board whose registers misbehave: its map is at the head of daemon/backends/sim_odd.c."""

import time

import pytest

import board

pytestmark = pytest.mark.sim

IDENTIFICATION = 0x00
ALL_ONES = 0x04
EVENTS = 0x08       # reading clears
FLAGS = 0x0c        # writing 1 clears
TRIGGER = 0x10      # write-only
TRIGGERED = 0x14
SLOW = 0x18
FIFO = 0x20
FIFO_LEVEL = 0x24
SCRATCH = 0x100
FAULT = 0x10000     # from here on
SIZE = 0x20000

OVERFLOW = 0x1
UNDERFLOW = 0x2
FIFO_SIZE = 4096
ONES = 0xffffffff
SLOW_S = 0.2


@pytest.fixture
def odd(client):
    """The board with nothing pending."""
    region = client.region("odd")
    level = region.read(FIFO_LEVEL)
    if level:
        region.get_data(FIFO, level, width=8, fixed=1)
    region.read(EVENTS)
    region.write(FLAGS, ONES)
    return region


@pytest.fixture
def odd_trace(workspace):
    return board.TraceFile(workspace / "odd.trace")


def test_identification(odd):
    answer = odd.read_answer(IDENTIFICATION).ok().json
    assert answer == {"region": "odd", "offset": "0x0", "width": 32, "value": "0x0dd00001"}


# Side effects

def test_reading_clears(odd):
    odd.write(TRIGGER, 0x90)
    odd.write(TRIGGER, 0x01)
    assert [odd.read(EVENTS), odd.read(EVENTS)] == [0x91, 0]


def test_registers_that_nobody_asked_for_stay_untouched(odd, odd_trace):
    """Listings, refusals and neighbours: an event that gets lost is lost for good."""
    odd.write(TRIGGER, 0x40)
    with odd_trace.record() as accesses:
        for path in ("/v1/status", "/v1/devices", "/v1/regions", "/v1/devices/odd", "/v1/regions/odd"):
            odd.client.get(path).ok()
        odd.read_answer(EVENTS, count=2049).problem(413, "too-large")
        odd.read_answer(EVENTS + 2).problem(422, "not-allowed")
        odd.client.put(odd.register(EVENTS), {"value": True}).problem(400, "malformed")
        odd.client.ask("HEAD", odd.register(EVENTS))
        odd.client.ask("OPTIONS", odd.register(EVENTS)).problem(405, "method")
    assert accesses == []
    assert odd.read(EVENTS) == 0x40


def test_write_to_a_clearing_register_does_not_read_it(odd, odd_trace):
    odd.write(TRIGGER, 0x20)
    with odd_trace.record() as accesses:
        odd.write(EVENTS, 0)
    assert accesses == [("W", 32, EVENTS, 0)]
    assert odd.read(EVENTS) == 0x20


def test_writing_one_clears(odd):
    odd.write(TRIGGER, 0xf0)
    odd.write(FLAGS, 0x30)
    assert odd.read(FLAGS) == 0xc0
    odd.write(FLAGS, 0)
    assert odd.read(FLAGS) == 0xc0


def test_patch_of_a_clearing_register_writes_what_it_says(odd, odd_trace):
    """PATCH writes back what it read: that clears such bits, and the answer shows it rather than hiding it."""
    odd.write(TRIGGER, 0x50)
    with odd_trace.record() as accesses:
        assert odd.patch(FLAGS, 0x01, 0x01) == (0x50, 0x51)
    assert accesses == [("R", 32, FLAGS, 0x50), ("W", 32, FLAGS, 0x51)]
    assert odd.read(FLAGS) == 0


def test_write_only(odd, odd_trace):
    with odd_trace.record() as accesses:
        odd.write(TRIGGER, 0x08)
    assert accesses == [("W", 32, TRIGGER, 0x08)]
    answer = odd.read_answer(TRIGGER).ok().json
    assert (answer["value"], answer["suspect"]) == ("0xffffffff", True)
    assert odd.read(TRIGGERED) == 0x08


def test_all_ones_are_suspect(odd):
    answer = odd.read_answer(ALL_ONES).ok().json
    assert answer == {"region": "odd", "offset": "0x4", "width": 32, "value": "0xffffffff", "suspect": True}
    assert odd.read_answer(IDENTIFICATION, count=2).ok().json["suspect"] is True
    assert "suspect" not in odd.read_answer(IDENTIFICATION).ok().json
    assert odd.patch_answer(ALL_ONES, 1, 0).ok().json["suspect"] is True


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_suspect_in_every_width(odd, width):
    ones = (1 << width) - 1
    odd.write(SCRATCH, ones, width)
    assert odd.read_answer(SCRATCH, width=width).ok().json["suspect"] is True
    odd.write(SCRATCH, ones - 1, width)
    assert "suspect" not in odd.read_answer(SCRATCH, width=width).ok().json


@pytest.mark.parametrize("width", [8, 16, 64])
def test_wrong_width_reads_all_ones(odd, odd_trace, width):
    with odd_trace.record() as accesses:
        answer = odd.read_answer(IDENTIFICATION, width=width).ok().json
    ones = (1 << width) - 1
    assert (answer["value"], answer["suspect"]) == (f"{ones:#x}", True)
    assert accesses == [("R", width, IDENTIFICATION, ones)]


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_every_width(odd, odd_trace, width):
    size = width // 8
    values = [(0x0102030405060708 + 0x1111111111111111 * index) % (1 << width) for index in range(4)]
    with odd_trace.record() as accesses:
        odd.write_many_answer(SCRATCH, values, width).ok()
        assert odd.read_many(SCRATCH, 4, width) == values
    assert accesses == [(kind, width, SCRATCH + size * index, value)
                        for kind in "WR" for index, value in enumerate(values)]
    assert odd.get_data(SCRATCH, 4 * size, width=8) == b"".join(value.to_bytes(size, "little") for value in values)
    before, after = odd.patch(SCRATCH, 0x0f, 0x0a, width)
    assert (before, after) == (values[0], values[0] & ~0x0f | 0x0a)


# The FIFO at one address

OCTETS = bytes((7 * index + 3) % 251 for index in range(128))


@pytest.mark.parametrize("pushed", [8, 16, 32, 64])
@pytest.mark.parametrize("popped", [8, 16, 32, 64])
def test_fifo_both_ways(odd, odd_trace, pushed, popped):
    with odd_trace.record() as accesses:
        odd.put_data(FIFO, OCTETS, width=pushed, fixed=1)
        assert odd.read(FIFO_LEVEL) == len(OCTETS)
        assert odd.get_data(FIFO, len(OCTETS), width=popped, fixed=1) == OCTETS
    assert board.places(accesses) == ([("W", pushed, FIFO)] * (len(OCTETS) * 8 // pushed) +
                                      [("R", 32, FIFO_LEVEL)] +
                                      [("R", popped, FIFO)] * (len(OCTETS) * 8 // popped))
    assert (odd.read(FIFO_LEVEL), odd.read(FLAGS)) == (0, 0)


def test_fifo_by_registers(odd):
    odd.write(FIFO, 0x04030201)
    odd.write(FIFO, 0x05, 8)
    assert odd.read(FIFO_LEVEL) == 5
    assert odd.read(FIFO, 16) == 0x0201
    assert odd.read(FIFO, 8) == 0x03
    assert odd.read(FIFO, 16) == 0x0504
    assert odd.read(FIFO_LEVEL) == 0


def test_fifo_without_fixed_goes_on_to_the_next_address(odd, odd_trace):
    odd.put_data(FIFO, OCTETS[:8], width=32, fixed=1)
    with odd_trace.record() as accesses:
        odd.get_data(FIFO, 8, width=32, fixed=0)
    assert board.places(accesses) == [("R", 32, FIFO), ("R", 32, FIFO_LEVEL)]


def test_fifo_to_the_brim(odd):
    octets = bytes(index % 256 for index in range(FIFO_SIZE))
    odd.put_data(FIFO, octets, width=8, fixed=1)
    assert (odd.read(FIFO_LEVEL), odd.read(FLAGS)) == (FIFO_SIZE, 0)
    odd.put_data(FIFO, b"x", width=8, fixed=1)
    assert (odd.read(FIFO_LEVEL), odd.read(FLAGS)) == (FIFO_SIZE, OVERFLOW)
    assert odd.get_data(FIFO, FIFO_SIZE, width=8, fixed=1) == octets
    assert odd.read(FLAGS) == OVERFLOW
    odd.read(FIFO, 8)
    assert odd.read(FLAGS) == OVERFLOW | UNDERFLOW


# Bus faults

def alive(odd):
    assert odd.read(IDENTIFICATION) == 0x0dd00001
    assert odd.client.get("/healthz").ok().body == b"ok\n"


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize("offset", [FAULT, FAULT + 0x1008, SIZE - 8])
def test_bus_fault(odd, odd_trace, offset, width):
    facts = {"region": "odd", "offset": hex(offset), "errno": "EFAULT"}
    before = odd.client.get("/v1/status").json["counters"]["bus_faults"]
    with odd_trace.record() as accesses:
        document = odd.read_answer(offset, width=width).problem(502, "bus-fault", **facts)
        odd.write_answer(offset, 1, width).problem(502, "bus-fault", **facts)
        odd.patch_answer(offset, 1, 1, width).problem(502, "bus-fault", **facts)
        odd.get_data_answer(offset, 8, width=width).problem(502, "bus-fault", **facts)
        odd.put_data_answer(offset, bytes(8), width=width).problem(502, "bus-fault", **facts)
    assert f"odd:{offset:#x}" in document["detail"]
    assert accesses == [(kind, width, offset, None) for kind in "RWRRW"]
    assert odd.client.get("/v1/status").json["counters"]["bus_faults"] == before + 5
    alive(odd)


@pytest.mark.parametrize("count", [8, 300])
def test_several_registers_into_a_fault(odd, odd_trace, count):
    """A block that faults halfway says how far it came, and goes no further."""
    start = FAULT - 16
    facts = {"region": "odd", "offset": hex(FAULT), "done": 4}
    with odd_trace.record() as accesses:
        document = odd.read_answer(start, count=count).problem(502, "bus-fault", **facts)
        odd.write_many_answer(start, range(count)).problem(502, "bus-fault", **facts)
    assert f"4 of {count} accesses" in document["detail"]
    places = [start + 4 * index for index in range(5)]
    assert board.places(accesses) == ([("R", 32, offset) for offset in places] +
                                      [("W", 32, offset) for offset in places])
    alive(odd)


@pytest.mark.parametrize("width, done", [(8, 16), (16, 8), (32, 4), (64, 2)])
@pytest.mark.parametrize("length", [32, 0x2000])
def test_data_into_a_fault(odd, width, done, length):
    facts = {"region": "odd", "offset": hex(FAULT), "done": done}
    odd.get_data_answer(FAULT - 16, length, width=width).problem(502, "bus-fault", **facts)
    odd.put_data_answer(FAULT - 16, bytes(length), width=width).problem(502, "bus-fault", **facts)
    alive(odd)


def test_fixed_data_into_a_fault(odd):
    answer = odd.get_data_answer(FAULT, 16, width=32, fixed=1).problem(502, "bus-fault", offset=hex(FAULT))
    assert answer.get("done", 0) == 0
    alive(odd)


def test_many_faults(odd):
    """The guard must be armed anew each time."""
    for _ in range(100):
        odd.read_answer(FAULT).problem(502, "bus-fault")
    alive(odd)


# Slowness

def test_slow_register(odd):
    started = time.monotonic()
    first = odd.read(SLOW)
    odd.write(SLOW, 1)
    assert odd.patch(SLOW, 0, 0)[0] == first + 2
    assert odd.read(SLOW) == first + 4
    assert time.monotonic() - started >= 5 * SLOW_S


def test_slow_register_many_times_at_one_address(odd):
    first = odd.read(SLOW)
    values = odd.get_data(SLOW, 12, width=32, fixed=1)
    assert values == b"".join((first + 1 + index).to_bytes(4, "little") for index in range(3))
