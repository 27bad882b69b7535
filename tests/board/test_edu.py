# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's educational device: the same tests for its simulation and for the real one in the rig.

The registers are those of QEMU's docs/specs/edu.rst. Nothing is assumed of their state, as others may have used them.
"""

import pytest

import board

IDENTIFICATION = 0x00
LIVENESS = 0x04
FACTORIAL = 0x08
STATUS = 0x20
INTERRUPT_STATUS = 0x24
INTERRUPT_RAISE = 0x60
INTERRUPT_ACKNOWLEDGE = 0x64
DMA_SOURCE = 0x80
DMA_DESTINATION = 0x88
DMA_COUNT = 0x90
DMA_COMMAND = 0x98
NOTHING = 0x10      # no register is there
SIZE = 0x100000

COMPUTING = 0x01
INTERRUPT_WHEN_READY = 0x80
FACTORIAL_INTERRUPT = 0x01

ONES_32 = 0xffffffff
ONES_64 = 0xffffffffffffffff


@pytest.fixture
def quiet(edu):
    """No interrupt is raised before and after, whatever the test does: on the rig its line is a real one."""
    def calm():
        edu.write(STATUS, 0)
        edu.write(INTERRUPT_ACKNOWLEDGE, ONES_32)
    calm()
    yield edu
    calm()


def compute(edu, operand):
    edu.write(FACTORIAL, operand)
    board.wait_for(lambda: not edu.read(STATUS) & COMPUTING, "the factorial is ready")
    return edu.read(FACTORIAL)


def factorial(operand):
    product = 1
    for factor in range(2, operand + 1):
        product = product * factor % 2**32
    return product


# Registers

def test_region_is_listed(edu):
    answer = edu.client.get(edu.path).ok().json
    assert answer["name"] == edu.name
    assert answer["state"] == "present"
    assert answer["widths"] == [32, 64]
    assert answer["default_width"] == 32
    assert int(answer["size"], 16) == SIZE
    assert answer["type"] == "mmio"
    assert answer["access"] == "read-write"
    assert answer["endianness"] == "little"
    assert answer in edu.client.get("/v1/regions").ok().json["regions"]


def test_identification(edu):
    answer = edu.read_answer(IDENTIFICATION).ok().json
    assert answer == {"region": edu.name, "offset": "0x0", "width": 32, "value": "0x010000ed"}


def test_identification_is_read_only(edu):
    edu.write(IDENTIFICATION, 0x12345678)
    assert edu.read(IDENTIFICATION) == 0x010000ed


@pytest.mark.parametrize("value", [0, 1, 0x12345678, 0x80000000, 0xfffffffe, ONES_32])
def test_liveness_is_the_inverse(edu, value):
    answer = edu.write(LIVENESS, value)
    assert answer == {"region": edu.name, "offset": "0x4", "width": 32, "count": 1}
    assert edu.read(LIVENESS) == value ^ ONES_32


def test_hexadecimal_is_padded_and_lower_case(edu):
    edu.write(LIVENESS, ~0xab & ONES_32)
    assert edu.read_answer(LIVENESS).json["value"] == "0x000000ab"
    edu.write(DMA_SOURCE, 0xcd, 64)
    assert edu.read_answer(DMA_SOURCE, width=64).json["value"] == "0x00000000000000cd"


@pytest.mark.parametrize("spelling", ["0x4", "0x04", "0X4", "0x0000000000000004"])
def test_offset_spellings(edu, spelling):
    edu.write(LIVENESS, 0x5a5a5a5a)
    answer = edu.client.get(f"{edu.path}/registers/{spelling}").ok().json
    assert (answer["offset"], answer["value"]) == ("0x4", "0xa5a5a5a5")


@pytest.mark.parametrize("value", ["0x1f", "0X1F", "31", 31, "0x0000001f", "0x000000000000000001f"])
def test_value_spellings(edu, value):
    edu.client.put(edu.register(LIVENESS), {"value": value}).ok()
    assert edu.read(LIVENESS) == 0x1f ^ ONES_32


@pytest.mark.parametrize("operand", [0, 1, 2, 5, 12])
def test_factorial(edu, operand):
    assert compute(edu, operand) == factorial(operand)


@pytest.mark.parametrize("operand", [13, 20, 33, 34, 100])
def test_factorial_overflows(edu, operand):
    """The device has 32 bits: 34! and all that follow are multiples of 2^32."""
    assert compute(edu, operand) == factorial(operand)
    assert operand < 34 or factorial(operand) == 0


@pytest.mark.sim
def test_factorial_is_busy_first(edu):
    """The simulation takes long enough to be seen; the real device is too quick for that."""
    def seen_busy():
        edu.write(FACTORIAL, 6)
        status, value = edu.read(STATUS), edu.read(FACTORIAL)
        board.wait_for(lambda: not edu.read(STATUS) & COMPUTING, "the factorial is ready")
        assert edu.read(FACTORIAL) == 720
        return status & COMPUTING and value == 6
    board.wait_for(seen_busy, "the busy bit is seen")


def test_status_keeps_only_its_bit(quiet):
    quiet.write(STATUS, ONES_32)
    assert quiet.read(STATUS) == INTERRUPT_WHEN_READY
    quiet.write(STATUS, ONES_32 & ~INTERRUPT_WHEN_READY)
    assert quiet.read(STATUS) == 0


def test_interrupt_raise_and_acknowledge(quiet):
    assert quiet.read(INTERRUPT_STATUS) == 0
    quiet.write(INTERRUPT_RAISE, 0x10)
    quiet.write(INTERRUPT_RAISE, 0x03)
    raised = quiet.read(INTERRUPT_STATUS)
    quiet.write(INTERRUPT_ACKNOWLEDGE, 0x11)
    left = quiet.read(INTERRUPT_STATUS)
    quiet.write(INTERRUPT_ACKNOWLEDGE, 0x02)
    assert (raised, left, quiet.read(INTERRUPT_STATUS)) == (0x13, 0x02, 0)


def test_factorial_raises_its_interrupt(quiet):
    compute(quiet, 3)
    assert quiet.read(INTERRUPT_STATUS) == 0
    quiet.write(STATUS, INTERRUPT_WHEN_READY)
    compute(quiet, 3)
    board.wait_for(lambda: quiet.read(INTERRUPT_STATUS) == FACTORIAL_INTERRUPT, "the interrupt is raised")


@pytest.mark.parametrize("offset", [DMA_SOURCE, DMA_DESTINATION, DMA_COUNT])
def test_dma_registers_have_64_bits(edu, offset):
    edu.write(offset, 0x0123456789abcdef, 64)
    answer = edu.read_answer(offset, width=64).ok().json
    assert (answer["width"], answer["value"]) == (64, "0x0123456789abcdef")
    assert edu.read(offset, 32) == 0x89abcdef
    edu.write(offset, 0x11223344, 32)
    assert edu.read(offset, 64) == 0x11223344
    edu.write(offset, 0, 64)


def test_dma_command_without_the_start_bit_is_ignored(edu):
    before = edu.read(DMA_COMMAND, 64)
    edu.write(DMA_COMMAND, before ^ 0x6, 64)
    assert edu.read(DMA_COMMAND, 64) == before


def test_where_nothing_answers(edu):
    """All ones are no error, but they may be a dead device, and the answer says so."""
    answer = edu.read_answer(NOTHING).ok().json
    assert (answer["value"], answer["suspect"]) == ("0xffffffff", True)
    answer = edu.read_answer(IDENTIFICATION, width=64).ok().json
    assert (answer["value"], answer["suspect"]) == ("0xffffffffffffffff", True)
    assert "suspect" not in edu.read_answer(IDENTIFICATION).ok().json


# Modifying

def test_patch(edu):
    edu.write(DMA_SOURCE, 0xaabbccdd)
    assert edu.patch(DMA_SOURCE, 0x00ff00f0, 0x00110020) == (0xaabbccdd, 0xaa11cc2d)
    assert edu.read(DMA_SOURCE) == 0xaa11cc2d


def test_patch_of_64_bits(edu):
    edu.write(DMA_SOURCE, 0x1111111122222222, 64)
    assert edu.patch(DMA_SOURCE, 0xff00000000000000, 0xaa00000000000000, 64) == (
        0x1111111122222222, 0xaa11111122222222)
    assert edu.read(DMA_SOURCE, 64) == 0xaa11111122222222


def test_patch_answers_what_was_written_not_what_is_there(quiet):
    """A read-back would be an access that nobody asked for."""
    quiet.write(LIVENESS, 0)
    assert quiet.patch(LIVENESS, 0xff, 0x12) == (ONES_32, 0xffffff12)
    assert quiet.read(LIVENESS) == 0x000000ed


def test_patch_with_an_empty_mask_writes_what_was_there(edu):
    edu.write(DMA_COUNT, 0x77)
    assert edu.patch(DMA_COUNT, 0, 0) == (0x77, 0x77)
    assert edu.read(DMA_COUNT) == 0x77


def test_patch_with_a_full_mask(edu):
    edu.write(DMA_COUNT, 0x77)
    assert edu.patch(DMA_COUNT, ONES_32, 0x88) == (0x77, 0x88)
    assert edu.read(DMA_COUNT) == 0x88


def test_patch_of_one_bit(quiet):
    assert quiet.patch(STATUS, INTERRUPT_WHEN_READY, INTERRUPT_WHEN_READY) == (0, INTERRUPT_WHEN_READY)
    assert quiet.read(STATUS) == INTERRUPT_WHEN_READY
    quiet.patch(STATUS, INTERRUPT_WHEN_READY, 0)
    assert quiet.read(STATUS) == 0


# Several, and raw octets

def test_count(edu):
    edu.write(LIVENESS, 0x01020304)
    answer = edu.read_answer(IDENTIFICATION, count=2).ok().json
    assert answer == {"region": edu.name, "offset": "0x0", "width": 32, "count": 2,
                      "values": ["0x010000ed", "0xfefdfcfb"]}


def test_count_of_one_is_a_list(edu):
    assert edu.read_many(IDENTIFICATION, 1) == [0x010000ed]


def test_write_several(edu):
    values = [0x1000, 0x2000, 0x3000]
    answer = edu.write_many_answer(DMA_SOURCE, values, 64).ok().json
    assert answer == {"region": edu.name, "offset": "0x80", "width": 64, "count": 3}
    assert edu.read_many(DMA_SOURCE, 3, 64) == values


def test_data_has_the_device_order_of_octets(edu):
    edu.write(LIVENESS, ~0x0a0b0c0d & ONES_32)
    assert edu.get_data(IDENTIFICATION, 8) == b"\xed\x00\x00\x01\x0d\x0c\x0b\x0a"
    assert edu.get_data(IDENTIFICATION, 4, width=32) == b"\xed\x00\x00\x01"


def test_data_written(edu):
    octets = bytes(range(1, 25))
    answer = edu.put_data(DMA_SOURCE, octets, width=64)
    assert answer == {"region": edu.name, "offset": "0x80", "width": 64, "length": 24}
    assert edu.get_data(DMA_SOURCE, 24, width=64) == octets
    assert edu.read(DMA_SOURCE, 64) == 0x0807060504030201


def test_data_at_one_address(edu):
    assert edu.get_data(IDENTIFICATION, 16, fixed=1) == b"\xed\x00\x00\x01" * 4
    edu.put_data(DMA_COUNT, b"\x01\0\0\0\x02\0\0\0\x03\0\0\0", width=32, fixed=1)
    assert edu.read(DMA_COUNT) == 3
    assert edu.get_data(IDENTIFICATION, 8, fixed=0)[:4] == b"\xed\x00\x00\x01"


# What the region does not take

@pytest.mark.parametrize("width", [8, 16])
def test_forbidden_widths(edu, width):
    facts = {"region": edu.name, "offset": "0x4"}
    detail = edu.read_answer(LIVENESS, width=width).problem(422, "not-allowed", **facts)["detail"]
    assert "32, 64" in detail and str(width) in detail
    edu.write_answer(LIVENESS, 1, width).problem(422, "not-allowed", **facts)
    edu.patch_answer(LIVENESS, 1, 1, width).problem(422, "not-allowed", **facts)
    edu.get_data_answer(LIVENESS, 4, width=width).problem(422, "not-allowed", **facts)
    edu.put_data_answer(LIVENESS, b"\0\0\0\0", width=width).problem(422, "not-allowed", **facts)


@pytest.mark.parametrize("offset, width", [(1, 32), (2, 32), (3, 32), (0x84, 64), (0xfffff, 32)])
def test_unaligned(edu, offset, width):
    facts = {"region": edu.name, "offset": hex(offset)}
    edu.read_answer(offset, width=width).problem(422, "not-allowed", **facts)
    edu.write_answer(offset, 1, width).problem(422, "not-allowed", **facts)
    edu.patch_answer(offset, 1, 1, width).problem(422, "not-allowed", **facts)
    edu.get_data_answer(offset, 8, width=width).problem(422, "not-allowed", **facts)
    edu.put_data_answer(offset, bytes(8), width=width).problem(422, "not-allowed", **facts)


@pytest.mark.parametrize("offset", [SIZE, SIZE + 4, 0x80000000, 0x100000000, 0x7ffffffffffffff8, 0xfffffffffffffff8])
def test_outside(edu, offset):
    facts = {"region": edu.name, "offset": hex(offset)}
    detail = edu.read_answer(offset).problem(416, "outside-region", **facts)["detail"]
    assert detail == f"{offset:#x} is outside {edu.name} (1 MiB)"
    edu.write_answer(offset, 1).problem(416, "outside-region", **facts)
    edu.patch_answer(offset, 1, 1).problem(416, "outside-region", **facts)
    edu.get_data_answer(offset, 8).problem(416, "outside-region", **facts)
    edu.put_data_answer(offset, bytes(8)).problem(416, "outside-region", **facts)


def test_beyond_64_bits(edu):
    answer = edu.client.get(f"{edu.path}/registers/0x10000000000000000")
    assert "64 bits" in answer.problem(416, "outside-region")["detail"]


def test_several_that_end_outside(edu):
    last = SIZE - 4
    assert edu.read_many(last, 1) == [ONES_32]
    edu.read_answer(last, count=2).problem(416, "outside-region", region=edu.name, offset=hex(last))
    edu.read_answer(last - 4, width=64, count=2).problem(416, "outside-region")
    edu.write_many_answer(last, [1, 2]).problem(416, "outside-region")
    edu.get_data_answer(last, 8).problem(416, "outside-region")
    edu.put_data_answer(last, bytes(8)).problem(416, "outside-region")
    assert edu.get_data(last, 4) == b"\xff" * 4


def test_too_wide_a_value(edu):
    edu.write(LIVENESS, 0)
    edu.write_answer(LIVENESS, 0x100000000).problem(422, "not-allowed", region=edu.name, offset="0x4")
    edu.write_answer(DMA_SOURCE, 0x10000000000000000, 64).problem(422, "not-allowed")
    edu.patch_answer(LIVENESS, 0x100000000, 0).problem(422, "not-allowed")
    assert edu.read(LIVENESS) == ONES_32


def test_patch_with_bits_outside_the_mask(edu):
    edu.write(DMA_COUNT, 0x55)
    edu.patch_answer(DMA_COUNT, 0x0f, 0x10).problem(400, "malformed", region=edu.name, offset=hex(DMA_COUNT))
    assert edu.read(DMA_COUNT) == 0x55


# Exact access: what the device itself saw

def test_one_get_is_one_access(edu, edu_trace):
    with edu_trace.record() as accesses:
        edu.read(IDENTIFICATION)
    assert accesses == [("R", 32, IDENTIFICATION, 0x010000ed)]


def test_one_wide_get_is_one_access(edu, edu_trace):
    edu.write(DMA_SOURCE, 0x0123456789abcdef, 64)
    with edu_trace.record() as accesses:
        edu.read(DMA_SOURCE, 64)
    assert accesses == [("R", 64, DMA_SOURCE, 0x0123456789abcdef)]


def test_put_makes_no_read(edu, edu_trace):
    with edu_trace.record() as accesses:
        edu.write(LIVENESS, 0xcafe0001)
        edu.write(DMA_SOURCE, 0x1122334455667788, 64)
    assert accesses == [("W", 32, LIVENESS, 0xcafe0001), ("W", 64, DMA_SOURCE, 0x1122334455667788)]


def test_patch_is_one_read_and_one_write(edu, edu_trace):
    edu.write(DMA_COUNT, 0xf0)
    with edu_trace.record() as accesses:
        edu.patch(DMA_COUNT, 0x0f, 0x05)
    assert accesses == [("R", 32, DMA_COUNT, 0xf0), ("W", 32, DMA_COUNT, 0xf5)]


@pytest.mark.parametrize("count", [3, 100])
def test_count_is_so_many_accesses_in_order(edu, edu_trace, count):
    """Few are read on the spot, many elsewhere: both must be exact."""
    with edu_trace.record() as accesses:
        edu.read_many(0x400, count)
    assert board.places(accesses) == [("R", 32, 0x400 + 4 * index) for index in range(count)]


def test_several_written_are_so_many_accesses_in_order(edu, edu_trace):
    with edu_trace.record() as accesses:
        edu.write_many_answer(0x400, range(100)).ok()
    assert accesses == [("W", 32, 0x400 + 4 * index, index) for index in range(100)]


@pytest.mark.parametrize("width", [32, 64])
def test_data_is_accesses_of_the_width(edu, edu_trace, width):
    """No copy loop that a compiler has widened: as many accesses as asked for, each as wide as asked for."""
    size = width // 8
    with edu_trace.record() as accesses:
        edu.get_data(0x400, 512, width=width)
        edu.put_data(0x400, bytes(512), width=width)
    expected = [0x400 + size * index for index in range(512 // size)]
    assert board.places(accesses) == ([("R", width, offset) for offset in expected] +
                                      [("W", width, offset) for offset in expected])


def test_fixed_data_stays_at_one_address(edu, edu_trace):
    with edu_trace.record() as accesses:
        edu.get_data(IDENTIFICATION, 12, width=32, fixed=1)
        edu.put_data(DMA_COUNT, b"\x01\0\0\0\x02\0\0\0", width=32, fixed=1)
    assert accesses == [("R", 32, IDENTIFICATION, 0x010000ed)] * 3 + [
        ("W", 32, DMA_COUNT, 1), ("W", 32, DMA_COUNT, 2)]


def test_listing_touches_nothing(edu, edu_trace):
    """Nobody asked for a register."""
    client = edu.client
    with edu_trace.record() as accesses:
        for path in ("/healthz", "/v1", "/v1/status", "/v1/devices", "/v1/regions", edu.path):
            client.get(path).ok()
        client.get(f"/v1/devices/{client.get(edu.path).json['device']}").ok()
    assert accesses == []


def test_refused_requests_touch_nothing(edu, edu_trace):
    client = edu.client
    with edu_trace.record() as accesses:
        edu.read_answer(LIVENESS, width=8).problem(422, "not-allowed")
        edu.read_answer(LIVENESS + 1).problem(422, "not-allowed")
        edu.read_answer(SIZE).problem(416, "outside-region")
        edu.read_answer(SIZE - 4, count=2).problem(416, "outside-region")
        edu.read_answer(LIVENESS, count=0).problem(400, "malformed")
        edu.write_answer(LIVENESS, 1 << 32).problem(422, "not-allowed")
        edu.write_many_answer(LIVENESS, [1, 2, 1 << 32]).problem(422, "not-allowed")
        client.put(edu.register(LIVENESS), {"value": 1, "other": 2}).problem(400, "malformed")
        client.put(edu.register(LIVENESS), b"{", kind="application/json").problem(400, "malformed")
        edu.patch_answer(LIVENESS, 0x1, 0x3).problem(400, "malformed")
        edu.patch_answer(LIVENESS, 0x1, 1 << 32).problem(422, "not-allowed")
        edu.put_data_answer(LIVENESS, b"\0\0\0").problem(422, "not-allowed")
        client.ask("DELETE", edu.register(LIVENESS)).problem(405, "method")
        client.ask("HEAD", edu.register(LIVENESS))
    assert accesses == []


@pytest.mark.rig
def test_both_ways_reach_one_device(client):
    """Through sysfs and through /dev/mem: what one writes the other reads; and no other device does."""
    regions = [region for region in client.get("/v1/regions").json["regions"]
               if region.get("address") and region["name"].startswith("edu")]
    names = [region["name"] for region in regions if region["address"] == client.get("/v1/regions/edu").json["address"]]
    others = sorted({region["name"] for region in regions} - set(names))
    assert len(names) >= 2, names
    for name in others:
        client.region(name).write(LIVENESS, 0)
    for value, name in enumerate(names, 0x1230):
        client.region(name).write(LIVENESS, value)
        assert [client.region(other).read(LIVENESS) for other in names] == [value ^ ONES_32] * len(names)
        assert [client.region(other).read(LIVENESS) for other in others] == [ONES_32] * len(others)
    for name in names:
        assert sorted(client.get(f"/v1/regions/{name}").json["aliases"]) == sorted(set(names) - {name})
