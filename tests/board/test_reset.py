# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resetting devices, from outside: what a board has forgotten then, what stays, who may, and what others see meanwhile. The
principals are tokens, since all clients on one machine are one Unix user."""

import statistics
import threading
import time

import pytest

import board

pytestmark = pytest.mark.sim

LIVENESS, RAISE, SLOW = 0x4, 0x60, 0x18
SOURCE, DESTINATION, COUNT, COMMAND = 0x80, 0x88, 0x90, 0x98
OWN_RAM = 0x40000
TO_MEMORY = 0b011
ODD_S = 0.2         # what a reset of it takes
JSON = {"Content-Type": "application/json"}


def configuration():
    return {"access": [{"principals": ["user:*"], "permissions": ["all"]},
                       {"principals": ["token:part"], "permissions": ["list", "write"], "regions": ["edu"], "ranges": ["0x0-0x7"]},
                       {"principals": ["token:looker"], "permissions": ["list"], "regions": ["edu"]},
                       {"principals": ["token:looker"], "permissions": ["interrupt"], "regions": ["odd"]},
                       {"principals": ["token:reader"], "permissions": ["list", "read", "reserve", "dma", "interrupt"]},
                       {"principals": ["token:alice", "token:bob"], "permissions": ["list", "read", "write", "reserve", "dma"]}],
            "devices": [{**board.sim("edu", "edu"), "interrupts": [{}]}, board.sim("odd", "odd"), board.sim("ram", "ram", size=0x100)]}


@pytest.fixture
def daemon(start_daemon):
    return start_daemon(configuration())


@pytest.fixture
def root(daemon):
    with daemon.client() as client:
        yield client


@pytest.fixture
def headers(root):
    """headers(name): those of the token of this name."""
    return lambda name: {"Authorization": f"Bearer {root.ask('POST', '/v1/tokens', {'name': name}).json['token']}"}


def reset(client, device, headers=None, body=None):
    return client.ask("POST", f"/v1/devices/{device}/reset", body, headers=headers)


def dma(client):
    return client.get("/v1/devices/edu").ok().json["dma"]


@pytest.mark.parametrize("body", [None, {}])
def test_registers_are_as_at_the_start(root, body):
    for name, offset, value in (("edu", LIVENESS, 0x1234), ("edu", RAISE, 0xf0), ("odd", 0x10, 0x55), ("ram", 0xfc, 0x99)):
        root.region(name).write(offset, value)
    assert root.region("edu").read(0x24) == 0xf0 and root.region("odd").read(0x14) == 0x55
    for name in ("edu", "odd", "ram"):
        answer = reset(root, name, body=body).ok().json
        assert answer.pop("given_back") == 0
        assert answer == root.get(f"/v1/devices/{name}").ok().json
        assert answer["can_reset"] is True and answer["state"] == "present"
    assert [root.region(*place).read(offset) for *place, offset in (("edu", LIVENESS), ("edu", 0x24), ("odd", 0x14), ("ram", 0xfc))] == [0] * 4


@pytest.mark.parametrize("body,status,text", [({"force": True}, 400, "unknown key \"force\""), (b"[]", 400, "object"), (b"{", 400, "")])
def test_wrong_bodies(root, body, status, text):
    root.region("edu").write(LIVENESS, 0)
    answer = root.ask("POST", "/v1/devices/edu/reset", body, headers=JSON if isinstance(body, bytes) else None)
    assert answer.status == status and text in answer.json["detail"], answer
    root.ask("POST", "/v1/devices/edu/reset", b"{}").problem(415, "media-type")
    assert root.region("edu").read(LIVENESS) == 0xffffffff     # nothing was done


def test_unknown_device(root):
    assert "/v1/devices" in reset(root, "nothing").problem(404, "not-found")["detail"]


def test_who_may(root, headers):
    """Writing all of it is what it takes; not to read, nor to administer."""
    root.region("edu").write(LIVENESS, 0)
    for name in ("part", "reader"):
        assert f"token:{name}" in reset(root, "edu", headers(name)).problem(403, "denied")["detail"]
    assert root.region("edu").read(LIVENESS) == 0xffffffff
    reset(root, "edu", headers("alice")).ok()
    assert root.region("edu").read(LIVENESS) == 0


def test_reserved(root, headers):
    """Any part of it that another has keeps everybody else from it; who has it may."""
    alice, bob = headers("alice"), headers("bob")
    held = root.ask("POST", "/v1/reservations", {"region": "edu", "offset": "0x80", "length": "0x8", "note": "bring-up"}, headers=alice).json["id"]
    problem = reset(root, "edu", bob).problem(423, "reserved")
    assert problem["holder"] == "token:alice" and problem["note"] == "bring-up"
    reset(root, "odd", bob).ok()
    reset(root, "edu", alice).ok()
    reset(root, "edu", {**alice, "Devreg-Reservation": held}).ok()
    root.ask("DELETE", f"/v1/reservations/{held}", headers=alice).ok()
    reset(root, "edu", {**alice, "Devreg-Reservation": held}).problem(423, "reserved")
    reset(root, "edu", bob).ok()


def start_dma(client, headers, buffer):
    """The device writes its own memory into the buffer, which takes 0.1 s."""
    for offset, value in ((SOURCE, OWN_RAM), (DESTINATION, int(buffer["bus_address"], 16)), (COUNT, 4096), (COMMAND, TO_MEMORY)):
        client.put(f"/v1/regions/edu/registers/{offset:#x}?width=64", {"value": hex(value)}, headers=headers).ok()


def test_retained_memory_goes_back(root, headers):
    """Of a buffer that ended in the middle of a transfer; one that is live stays, and what it has."""
    alice, bob = headers("alice"), headers("bob")
    wish = {"device": "edu", "size": 65536, "address_bits": 28}
    live = root.ask("POST", "/v1/buffers", wish, headers=bob).json["id"]
    root.ask("POST", f"/v1/buffers/{live}/fill", {"value": 0x5a, "width": 8}, headers=bob).ok()
    for _ in range(20):     # 0.1 s may be over before the reset has come
        held = root.ask("POST", "/v1/reservations", {"region": "edu"}, headers=alice).json["id"]
        start_dma(root, alice, root.ask("POST", "/v1/buffers", {**wish, "reservation": held}, headers=alice).json)
        root.ask("DELETE", f"/v1/reservations/{held}", headers=alice).ok()
        answer = reset(root, "edu", bob).ok().json
        assert answer["dma"]["retained"] == 0
        if answer["given_back"]:
            break
    assert answer["given_back"] == 65536 and answer["dma"]["buffers"] == 1 and answer["dma"]["total"] == 65536
    assert root.get("/v1/status").json["counters"]["buffer_bytes"] == 65536     # bob's alone
    assert root.get(f"/v1/buffers/{live}", headers=bob).json["state"] == "live"
    assert root.get(f"/v1/buffers/{live}/data", headers=bob).body == b"\x5a" * 65536
    assert root.region("edu").read(COMMAND, width=64) == 0


def test_interrupts(root):
    """One that pends is dropped; the mask stays, and so does what came before."""
    root.region("edu").write(RAISE, 1)
    board.wait_for(lambda: root.get("/v1/interrupts/edu").json["count"] == 1, "it comes")
    root.ask("POST", "/v1/interrupts/edu/mask", {}).ok()
    root.region("edu").write(RAISE, 2)
    reset(root, "edu").ok()
    assert root.get("/v1/interrupts/edu").json["state"] == "masked"
    root.ask("POST", "/v1/interrupts/edu/unmask", {}).ok()
    time.sleep(0.2)
    assert root.get("/v1/interrupts/edu").json["count"] == 1
    root.region("edu").write(RAISE, 4)
    board.wait_for(lambda: root.get("/v1/interrupts/edu").json["count"] == 2, "it comes")


def test_event(daemon, root, headers):
    alice, reader = headers("alice"), headers("reader")
    with board.Subscription(daemon.place(), since=0, kind="reset") as stream, \
            board.Subscription(daemon.place(), headers=reader, since=0, kind="reset") as other:
        stream.begin()
        other.begin()
        reset(root, "edu", alice).ok()
        reset(root, "edu", reader).problem(403, "denied")
        reset(root, "odd").ok()
        for one in (stream, other):
            first, second = one.events(2)
            assert first.kind == second.kind == "reset"
            assert list(first.data) == ["device", "by", "time"]
            assert (first.data["device"], first.data["by"], second.data["device"]) == ("edu", "token:alice", "odd")


def test_who_is_told_by_whom(daemon, root, headers):
    """Whoever may list the device: they see who has reserved or masked some of it, too."""
    looker, alice = headers("looker"), headers("alice")
    by = root.ask("POST", "/v1/interrupts/edu/mask", {}).ok().json["masked_by"]
    held = root.ask("POST", "/v1/reservations", {"region": "edu"}, headers=alice).json["id"]
    assert root.get(f"/v1/reservations/{held}", headers=looker).json["holder"] == "token:alice"
    assert root.get("/v1/interrupts/edu", headers=looker).json["masked_by"] == by != ""
    with board.Subscription(daemon.place(), headers=looker, since=0, kind="reset") as stream:
        stream.begin()
        reset(root, "odd").ok()     # of which nothing may be listed
        reset(root, "edu", alice).ok()
        event = stream.events(1)[0]
        assert (event.data["device"], event.data["by"]) == ("edu", "token:alice")


def test_unknown_kind_of_event(root):
    assert "driver, reset and daemon" in root.get("/v1/events?kind=nothing").problem(400, "malformed")["detail"]


def test_audit(daemon, root, headers):
    reset(root, "edu", headers("alice")).ok()
    reset(root, "edu", headers("reader")).problem(403, "denied")
    reset(root, "edu", body={"x": 1}).problem(400, "malformed")
    lines = [line for line in daemon.log().splitlines() if "action=device.reset" in line]
    assert len(lines) == 2, lines
    assert "principal=token:alice" in lines[0] and "subject=edu" in lines[0] and "result=ok" in lines[0]
    assert "principal=token:reader" in lines[1] and "result=refused status=403" in lines[1]


def test_others_are_not_delayed(daemon, root):
    """A reset of odd takes 0.2 s: its own clients wait, those of other devices do not, and devices are listed meanwhile."""
    ended, resets, taken = threading.Event(), [], []

    def again_and_again():
        with daemon.client() as client:
            while not ended.is_set():
                resets.append(reset(client, "odd").status)
    thread = threading.Thread(target=again_and_again)
    thread.start()
    try:
        time.sleep(0.05)
        for path in ("/v1/regions/edu/registers/0x0", "/v1/devices", "/v1/devices/odd") * 40:
            started = time.perf_counter()
            root.get(path).ok()
            taken.append(time.perf_counter() - started)
        started = time.perf_counter()
        assert root.region("odd").read(0x0) == 0x0dd00001
        waited = time.perf_counter() - started
    finally:
        ended.set()
        thread.join()
    assert set(resets) == {200}
    assert statistics.median(taken) < ODD_S / 4, taken      # they would take as long as a reset
    assert waited < 2


def test_client_leaves_meanwhile(daemon, root):
    """It is done all the same."""
    root.region("odd").write(0x10, 0x77)
    connection = daemon.place().connect()
    connection.sendall(b"POST /v1/devices/odd/reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    board.wait_until_read(connection)
    connection.close()
    board.wait_for(lambda: root.region("odd").read(0x14) == 0, "it is reset")


def test_stops_meanwhile(daemon, root):
    connections = [daemon.place().connect() for _ in range(3)]
    for connection in connections:
        connection.sendall(b"POST /v1/devices/odd/reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        board.wait_until_read(connection)
    root.get("/healthz").ok()
    daemon.stop()
    for connection in connections:
        connection.close()
