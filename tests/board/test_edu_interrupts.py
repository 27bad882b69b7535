# SPDX-License-Identifier: LGPL-2.1-or-later
"""edu's interrupts: the same tests for the simulation and, in the rig, for a message, a line of the module's, and a line
that UIO counts. Each source reads the status when one comes (0x24) and acknowledges it (0x64)."""

import pytest

import board

STATUS, FACTORIAL = 0x20, 0x08
INTERRUPT_STATUS, RAISE, ACKNOWLEDGE = 0x24, 0x60, 0x64
COMPUTING, INTERRUPT_WHEN_READY = 0x01, 0x80
MANY = 100000
BLOCK = 25000


class Source:
    """A source and the region of its device."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.region = client.region(name)

    def get(self):
        return self.client.get(f"/v1/interrupts/{self.name}").ok().json

    def post(self, verb):
        return self.client.ask("POST", f"/v1/interrupts/{self.name}/{verb}", body={}).ok().json

    def raise_it(self, status=1):
        self.region.write(RAISE, status)

    def settle(self):
        """Until what was raised has come and been acknowledged; returns what is said of it then."""
        def quiet():
            count = self.get()["count"]
            return not self.region.read(INTERRUPT_STATUS) and (facts := self.get())["count"] == count and facts
        return board.wait_for(quiet, f"{self.name} is quiet", timeout=30)


@pytest.fixture
def source(client, source_name):
    found = Source(client, source_name)
    found.post("unmask")
    found.region.write(STATUS, 0)
    found.region.write(ACKNOWLEDGE, 0xffffffff)
    found.settle()
    yield found
    found.region.write(STATUS, 0)
    found.post("unmask")


@pytest.fixture
def stream(place, source):
    with board.Subscription(place, source=source.name, kind="interrupt", timeout=60) as subscription:
        subscription.begin()
        yield subscription


def test_what_is_said_of_it(source):
    facts = source.get()
    assert (facts["name"], facts["device"], facts["region"], facts["state"]) == (*[source.name] * 3, "on")
    assert facts["acknowledge"] == {"region": source.name, "width": 32, "read": "0x24", "write": "0x64", "value": None,
                                    "mask": "0xffffffff"}
    assert facts["type"] == {"edu-intx": "intx", "edu-line": "uio"}.get(source.name, facts["type"])
    assert facts["type"] in ("sim", "msi", "intx", "uio")


def test_status_is_captured_and_acknowledged(source, stream):
    first = source.get()["count"] + 1
    times = []
    for number, status in enumerate([0x1, 0x80000000, 0xffffffff, 0x12345678], first):
        source.raise_it(status)
        event = stream.event("interrupt")
        assert (event.data["source"], event.data["device"], event.data["vector"]) == (source.name, source.name, 0)
        assert (event.data["number"], event.data["missed"]) == (number, 0)
        assert event.data["value"] == f"0x{status:08x}"
        assert source.region.read(INTERRUPT_STATUS) == 0
        times.append((event.data["time"], int(event.data["monotonic_ns"])))
    assert times == sorted(times)
    facts = source.get()
    assert facts["count"] == first + 3 and facts["state"] == "on"
    assert facts["last"] == {"id": event.id, "time": event.data["time"], "value": "0x12345678"}


def test_interrupt_when_the_factorial_is_ready(source, stream):
    source.region.write(STATUS, INTERRUPT_WHEN_READY)
    source.region.write(FACTORIAL, 6)
    assert stream.event("interrupt").data["value"] == "0x00000001"
    assert source.region.read(FACTORIAL) == 720


def test_one_that_comes_while_masked_comes_when_unmasked(source, stream):
    count = source.get()["count"]
    assert source.post("mask")["state"] == "masked"
    source.raise_it(0x5)
    source.region.read(0)
    assert source.get()["count"] == count and source.region.read(INTERRUPT_STATUS) == 0x5
    assert source.post("unmask")["state"] == "on"
    event = stream.event("interrupt")
    assert (event.data["number"], event.data["value"]) == (count + 1, "0x00000005")
    assert source.settle()["count"] == count + 1


def test_who_comes_back_gets_what_it_missed(place, source, stream):
    source.raise_it(0x1)
    seen = stream.event("interrupt")
    stream.close()
    for status in (0x2, 0x3, 0x4):
        source.raise_it(status)
        source.settle()
    with board.Subscription(place, headers={"Last-Event-ID": seen.id}, source=source.name, kind="interrupt") as again:
        again.begin()
        events = again.events(3)
        assert [event.data["value"] for event in events] == ["0x00000002", "0x00000003", "0x00000004"]
        assert [event.data["number"] for event in events] == [seen.data["number"] + i for i in (1, 2, 3)]


def test_very_many_are_all_accounted_for(place, source, stream):
    """As fast as the device can: what does not come as an event of its own is in the next one's `missed`, what a reader
    was too slow for is in a `lost`. Two that are raised before the first is served are one interrupt."""
    before = source.get()["count"]
    block = (1).to_bytes(4, "little") * BLOCK
    for _ in range(MANY // BLOCK):
        source.region.put_data(RAISE, block, fixed=1, width=32)
    final = board.wait_for(lambda: source.get()["state"] == "on" and source.settle(), "the storm is over", timeout=90)
    number, lost, events = before, 0, 0
    while number < final["count"]:
        event = stream.event()
        if event.kind == "lost":
            lost += event.data["count"]
            continue
        events += 1
        gap = event.data["number"] - number - 1
        assert gap >= event.data["missed"]
        lost -= gap - event.data["missed"]
        number = event.data["number"]
        # One that was raised while the one before was served is acknowledged with it.
        assert event.data["value"] in ("0x00000001", "0x00000000")
    # Lost ones may be of other sources and kinds too.
    assert number == final["count"] and lost >= 0
    assert 0 < final["count"] - before <= MANY
    print(f"{source.name}: {MANY} raised, {final['count'] - before} counted, {events} events")
