# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stream of events: what comes when, where it goes on after a gap, and what those who do not read cost the others."""

import contextlib
import re
import socket
import struct
import threading
import time

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

KINDS = ["unix", "tcp", "tls"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
RAISE = 0x60        # of an edu board
BURST, PACE = 0x28, 0x2c        # of an odd board
ACKNOWLEDGE = {"read": "0x24", "write": "0x64"}


def edu(name, **more):
    return {**board.sim("edu", name), "interrupts": [{"acknowledge": ACKNOWLEDGE, **more}]}


def configuration(access=None, **limits):
    document = {"limits": limits, "devices": [edu("edu"), edu("second"), {**board.sim("odd", "odd"), "interrupts": [{}]}]}
    return {**document, "access": access} if access else document


@pytest.fixture
def running(start_daemon):
    return start_daemon(configuration(streams_per_principal=64))


def count_of(client, name):
    return client.get(f"/v1/interrupts/{name}").ok().json["count"]


def interrupt(client, value=1, name="edu"):
    """Returns when it has become an event, so that the next one is another."""
    before = count_of(client, name)
    client.region(name).write(RAISE, value)
    board.wait_for(lambda: count_of(client, name) > before, "it comes")


def many(client, count, pace_us=0):
    """Interrupts of the odd board, as fast as it can or at a pace; they are still coming when this returns."""
    client.region("odd").write(PACE, pace_us)
    client.region("odd").write(BURST, count)


def flood(client, count):
    """More than fits into what is between the daemon and one of its clients; returns when all are there."""
    before = count_of(client, "odd")
    many(client, count)
    board.wait_for(lambda: count_of(client, "odd") >= before + count, "all come", 60)


def names(events):
    return [event.data.get("source") for event in events]


def values(events):
    return [int(event.data["value"], 16) for event in events]


def position(client):
    return client.get("/v1/interrupts").ok().json["position"]


# What comes

@pytest.mark.parametrize("kind", KINDS)
def test_subscribe_raise_event(running, kind):
    with running.client() as client, board.Subscription(running.place(kind)) as stream:
        start = stream.begin()
        assert start == position(client)
        before = time.time()
        interrupt(client, 0x5a)
        event = stream.event("interrupt")
        assert time.time() - before < 5
        assert event.id == position(client) and event.sequence == int(start.rpartition("-")[2]) + 1
        assert list(event.data) == ["source", "device", "vector", "number", "missed", "time", "monotonic_ns", "value",
                                    "masked"]
        assert event.data["source"] == event.data["device"] == "edu"
        assert (event.data["vector"], event.data["number"], event.data["missed"]) == (0, 1, 0)
        assert (event.data["value"], event.data["masked"]) == ("0x0000005a", False)
        assert TIME.fullmatch(event.data["time"]), event
        assert abs(int(event.data["monotonic_ns"]) - time.monotonic_ns()) < 5e9
        interrupt(client, 2)
        assert stream.event("interrupt").data["number"] == 2
        assert client.region("edu").read(0x24) == 0     # it was acknowledged


def test_sources_and_kinds(running):
    with running.client() as client, contextlib.ExitStack() as stack:
        def subscribe(**arguments):
            stream = stack.enter_context(board.Subscription(running.place(), **arguments))
            stream.begin()
            return stream
        every, one, other, both, masks = (subscribe(**arguments) for arguments in (
            {}, {"source": "edu"}, {"source": "second"}, {"source": "second,edu,edu"}, {"kind": "mask,storm"}))
        interrupt(client, 1)
        interrupt(client, 2, "second")
        client.ask("POST", "/v1/interrupts/edu/mask", body={}).ok()
        client.ask("POST", "/v1/interrupts/edu/unmask", body={}).ok()
        interrupt(client, 3, "second")
        interrupt(client, 4)
        for stream in (every, both):
            events = stream.events(6)
            assert names(events) == ["edu", "second", "edu", "edu", "second", "edu"]
            assert [event.kind for event in events] == ["interrupt"] * 2 + ["mask"] * 2 + ["interrupt"] * 2
        assert values(event for event in one.events(4) if event.kind == "interrupt") == [1, 4]
        assert values(other.events(2)) == [2, 3]
        first, second = masks.events(2)
        assert first.data["masked"] is True and second.data["masked"] is False
        assert list(first.data) == ["source", "device", "masked", "by", "time"]
        assert first.data["by"].startswith("user:")


def test_count(running):
    """The stream ends, and the connection goes on."""
    with running.client() as client, board.Subscription(running.place(), count=2) as stream:
        stream.begin()
        interrupt(client, 6)
        interrupt(client, 7)
        interrupt(client, 8)
        assert values(stream.events(2)) == [6, 7]
        assert stream.event() is None and stream.over
        stream.connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        board.receive_answers(stream.connection, 1)[0][0].ok()


def test_heartbeat(running):
    """They come when nothing else does, and say where to go on."""
    with running.client() as client, board.Subscription(running.place(), heartbeat=1, kind="daemon") as stream:
        start = stream.begin()
        watch = stopwatch.Stopwatch()
        assert stream.comment() == start
        assert 0.5 < watch.real and watch.lived < 3
        interrupt(client)       # not for it, but it is past it now
        wait = position(client)
        assert wait != start
        while (comment := stream.comment()) == start:       # of before, on a machine that stalls
            assert watch.lived < 5
        assert comment == wait


def test_idle_streams_cost_nothing(running):
    with contextlib.ExitStack() as stack:
        for kind in KINDS:
            for _ in range(5):
                stack.enter_context(board.Subscription(running.place(kind), heartbeat=300)).begin()
        time.sleep(0.5)
        assert running.busy_seconds(3) < 0.3


def test_daemon_and_device_events(running):
    """From the start on, for those who come later."""
    with running.client() as client, board.Subscription(running.place(), since=0) as stream:
        assert stream.begin().endswith("-0")
        first, *devices = stream.events(4)
        assert first.kind == "daemon" and first.sequence == 1
        version = client.get("/v1/status").ok().json["version"]
        assert first.data == {"daemon": "started", "version": version, "time": first.data["time"]}
        assert sorted(event.data["device"] for event in devices) == ["edu", "odd", "second"]
        for event in devices:
            assert event.kind == "device"
            assert list(event.data) == ["device", "present", "reason", "time"]
            assert (event.data["present"], event.data["reason"]) == (True, None)
            assert TIME.fullmatch(event.data["time"])


# Where it goes on

def test_since_and_last_event_id(running):
    with running.client() as client:
        interrupt(client, 1)
        interrupt(client, 2)
        interrupt(client, 3)
        with board.Subscription(running.place(), since=0, kind="interrupt") as stream:
            assert stream.begin().endswith("-0")
            first, second, third = stream.events(3)
            assert values([first, second, third]) == [1, 2, 3]
        with board.Subscription(running.place(), since=first.id, kind="interrupt") as stream:
            assert stream.begin() == first.id
            assert stream.events(2) == [second, third]
            interrupt(client, 4)
            assert values([stream.event()]) == [4]
        with board.Subscription(running.place(), since=0, headers={"Last-Event-ID": second.id}) as stream:
            assert stream.begin() == second.id      # the header wins
            assert stream.event() == third
        with board.Subscription(running.place()) as stream:
            stream.begin()
            interrupt(client, 5)
            assert values([stream.event()]) == [5]


@pytest.mark.parametrize("since", ["x", "1", "-1", "00", "0123456789abcdef", "0123456789abcdef-", "0123456789ABCDEF-1",
                                   "0123456789abcdef-01", "0123456789abcdef-99999999999999999999", "%00", "a" * 300])
def test_malformed_ids(running, since):
    with running.client() as client:
        client.get(f"/v1/events?since={since}").problem(400, "malformed")
        if "%" not in since:
            client.get("/v1/events", headers={"Last-Event-ID": since}).problem(400, "malformed")


def test_ids_of_the_future(running):
    with running.client() as client:
        identity, _, sequence = position(client).rpartition("-")
        detail = client.get(f"/v1/events?since={identity}-{int(sequence) + 1}").problem(400, "malformed")["detail"]
        assert "yet" in detail


def test_several_ids(running):
    octets = (b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\nLast-Event-ID: 0\r\n\r\n")
    answers, _, _ = board.exchange(running.place(), octets, count=1)
    answers[0].problem(400, "malformed")


def test_a_gap_is_reported(start_daemon):
    daemon = start_daemon(configuration(events=16))
    with daemon.client() as client:
        interrupt(client, 1)
        seen = position(client)
        for value in range(40):
            interrupt(client, value + 1)
        last = position(client)
        with board.Subscription(daemon.place(), since=seen) as stream:
            assert stream.begin() == seen
            lost = stream.event("lost")
            events = stream.events(16)
            assert lost.data == {"count": 24, "reason": lost.data["reason"]} and "kept" in lost.data["reason"]
            assert lost.sequence == int(seen.rpartition("-")[2]) + 24
            assert values(events) == list(range(25, 41)) and events[-1].id == last
            assert events[0].sequence == lost.sequence + 1
        with board.Subscription(daemon.place(), since=lost.id) as stream:   # whoever goes on after it misses no more
            stream.begin()
            assert values(stream.events(16)) == list(range(25, 41))
        with board.Subscription(daemon.place(), since=0) as stream:         # asked for all that is kept, and gets it
            stream.begin()
            assert values(stream.events(16)) == list(range(25, 41))


def test_another_start(start_daemon):
    """An id of before is not taken for one of now."""
    daemon = start_daemon(configuration())
    with daemon.client() as client:
        interrupt(client, 1)
        interrupt(client, 2)
        old = position(client)
        daemon.stop()
    again = start_daemon(configuration())
    with again.client() as client:
        interrupt(client, 3)
        with board.Subscription(again.place(), since=old, kind="interrupt") as stream:
            start = stream.begin()
            lost = stream.event("lost")
            assert lost.id == start and lost.data["count"] is None and "anew" in lost.data["reason"]
            assert lost.id.split("-")[0] != old.split("-")[0]
            assert values([stream.event()]) == [3]


# What is refused

@pytest.mark.parametrize("arguments, status, kind, text", [
    ("source=nothing", 404, "not-found", "/v1/interrupts lists them"),
    ("source=edu,nothing", 404, "not-found", "nothing"),
    ("source=", 404, "not-found", "''"),
    ("source=edu,", 404, "not-found", "''"),
    ("kind=interrupts", 400, "malformed", "interrupts"),
    ("kind=", 400, "malformed", "kind"),
    ("kind=lost", 400, "malformed", "lost"),
    ("heartbeat=0", 400, "malformed", "300"),
    ("heartbeat=301", 400, "malformed", "300"),
    ("heartbeat=x", 400, "malformed", "heartbeat"),
    ("count=0", 400, "malformed", "count"),
    ("count=-1", 400, "malformed", "count"),
    ("count=1&count=1", 400, "malformed", "twice"),
    ("since=0&until=1", 400, "malformed", "until"),
])
def test_refused(running, arguments, status, kind, text):
    with running.client() as client:
        assert text in client.get(f"/v1/events?{arguments}").problem(status, kind)["detail"]


def test_other_methods(running):
    with running.client() as client:
        assert client.ask("HEAD", "/v1/events").status == 405
        for method in ("POST", "PUT", "DELETE"):
            assert client.ask(method, "/v1/events").headers["allow"] == "GET"
        client.ask("GET", "/v1/events", body={}).problem(400, "malformed")


def test_http_1_0(running):
    """Without chunks the end of the connection is the end of the stream."""
    with running.client() as client, running.place().connect() as connection:
        connection.sendall(b"GET /v1/events?count=1 HTTP/1.0\r\n\r\n")
        data = b""
        while b": devreg" not in data:
            data += connection.recv(65536)
        interrupt(client, 9)
        while piece := connection.recv(65536):
            data += piece
        assert b"chunked" not in data.lower() and data.endswith(b"\n\n") and b'"value":"0x00000009"' in data


# Limits

def test_limits(start_daemon):
    daemon = start_daemon(configuration(streams=3, streams_per_principal=2, requests_per_principal=1))
    with daemon.client() as client, contextlib.ExitStack() as stack:
        def subscribe(kind):
            return stack.enter_context(board.Subscription(daemon.place(kind)))
        streams = [subscribe("unix"), subscribe("unix")]
        for stream in streams:
            stream.begin()
        detail = client.get("/v1/events").problem(429, "over-limit")["detail"]
        assert "2 streams" in detail
        client.get("/v1/regions").ok()      # they do not count as requests under way
        subscribe("tcp").begin()
        with daemon.client("tcp") as stranger:
            answer = stranger.get("/v1/events")
            assert "3 streams" in answer.problem(503, "busy")["detail"] and answer.headers["retry-after"] == "1"
        streams[0].close()

        def fits():
            with board.Subscription(daemon.place("tcp")) as stream:
                stream.connection.settimeout(5)
                with contextlib.suppress(AssertionError):
                    return stream.begin()
        board.wait_for(fits, "a place is free again")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["close", "shutdown", "reset"])
def test_who_has_gone_is_noticed(start_daemon, kind, how):
    """Although nothing happens, and no heartbeat comes for long."""
    daemon = start_daemon(configuration(streams=1))
    stream = board.Subscription(daemon.place(kind), heartbeat=300)
    stream.begin()
    if how == "shutdown":
        stream.connection.shutdown(socket.SHUT_RDWR)
    elif how == "reset" and kind != "unix":
        stream.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how != "shutdown":
        stream.close()

    def fits():
        with board.Subscription(daemon.place(kind), heartbeat=300) as other:
            with contextlib.suppress(AssertionError):
                return other.begin()
    board.wait_for(fits, "its place is free again", 5)
    stream.close()
    daemon.stop()


# Those who do not read

@pytest.mark.parametrize("kind", KINDS)
def test_slow_subscriber_hurts_nobody(start_daemon, kind):
    daemon = start_daemon(configuration(events=1000, interrupts_per_second=10000000))
    with daemon.client() as client, board.Subscription(daemon.place(kind)) as slow, \
            board.Subscription(daemon.place(kind), kind="interrupt") as fast:
        position = int(slow.begin().rpartition("-")[2])
        fast.begin()
        flood(client, 20000)
        before = daemon.resident_bytes()
        seen = 0
        for _ in range(4):
            flood(client, 10000)
        interrupt(client, 0x77)
        while True:
            event = fast.event()
            seen += 1
            if event.kind == "interrupt" and event.data["value"] == "0x00000077":
                break
        assert daemon.resident_bytes() - before < 8 << 20
        assert daemon.busy_seconds(1) < 0.3         # waiting for it costs nothing
        watch = stopwatch.Stopwatch()
        for _ in range(50):
            client.get("/healthz").ok()
        assert watch.lived < 2
        events = []                                 # when it reads at last, it is told what it has missed
        while not events or events[-1].data.get("value") != "0x00000077":
            events.append(slow.event())
        lost = [event for event in events if event.kind == "lost"]
        assert lost and all(event.data["count"] > 0 for event in lost)
        sequences = [event.sequence for event in events]
        for event, before, after in zip(events, [position, *sequences], sequences):
            assert after == before + (event.data["count"] if event.kind == "lost" else 1)


def test_who_takes_nothing_is_cut(start_daemon):
    """After half a minute, but only when there is something to take; and an idle one is left alone."""
    daemon = start_daemon(configuration(interrupts_per_second=10000000))
    with daemon.client() as client, contextlib.ExitStack() as stack:
        def subscribe(transport, **arguments):
            stream = stack.enter_context(board.Subscription(daemon.place(transport), heartbeat=300, **arguments))
            stream.begin()
            return stream
        slow = [subscribe(transport) for transport in KINDS]
        idle = [subscribe(transport, kind="daemon") for transport in KINDS]
        flood(client, 60000)
        descriptors = daemon.descriptors()
        time.sleep(20)
        assert daemon.descriptors() == descriptors
        board.wait_for(lambda: daemon.descriptors() == descriptors - len(slow), "they are cut", 20)
        for stream in slow:
            assert stream.event()
            while stream.event():
                pass
            assert stream.closed and not stream.over
        assert client.get("/v1/status").ok().json["counters"]["timed_out"] == len(slow)
        daemon.send_signal()
        for stream in idle:
            assert stream.event("daemon").data["daemon"] == "stopping"
            assert stream.event() is None and stream.over
        daemon.wait()


def test_five_hundred_of_which_half_never_read(start_daemon):
    daemon = start_daemon(configuration(streams=512, streams_per_principal=512, connections=640,
                                        connections_per_principal=640, events=400, interrupts_per_second=10000000))
    with daemon.client() as client, contextlib.ExitStack() as stack:
        streams = [stack.enter_context(board.Subscription(daemon.place(KINDS[i % 3]))) for i in range(500)]
        for stream in streams:
            stream.begin()
        before = daemon.resident_bytes()
        readers, ends = streams[250:], {}

        def read(stream):
            while (event := stream.event()) and event.data.get("value") != "0x00000077":
                pass
            ends[stream] = event.id
        threads = [threading.Thread(target=read, args=(stream,)) for stream in readers]
        for thread in threads:
            thread.start()
        flood(client, 1000)
        interrupt(client, 0x77)
        for thread in threads:
            thread.join(60)
        assert len({ends[stream] for stream in readers}) == 1
        assert daemon.resident_bytes() - before < 64 << 20
        for stream in streams[:125]:        # killed in the middle
            stream.close()
        interrupt(client, 0x78)
        for stream in readers:
            assert values([stream.event("interrupt")]) == [0x78]
        watch = stopwatch.Stopwatch()
        daemon.stop()
        assert watch.lived < 3


def test_killed_in_the_middle(running):
    with running.client() as client:
        for kind in KINDS * 5:
            with board.Subscription(running.place(kind)) as stream:
                stream.begin()
                many(client, 200)
        many(client, 100)
        descriptors = running.settled_descriptors()
        for kind in KINDS * 5:
            stream = board.Subscription(running.place(kind))
            stream.begin()
            many(client, 100)
            stream.close()
        board.wait_for(lambda: running.settled_descriptors() <= descriptors, "all are closed", 15)


# Who may see what

ACCESS = [
    {"principals": ["*"], "permissions": ["list", "interrupt"], "regions": ["edu"]},
    {"principals": ["user:*", "token:admin"], "permissions": ["all"]},
    {"principals": ["token:both"], "permissions": ["list", "interrupt"]},
    {"principals": ["token:range"], "permissions": ["interrupt"], "regions": ["second"], "ranges": ["0x24-0x27"]},
    {"principals": ["token:only"], "permissions": ["list"], "regions": ["odd"]},
]


def make_token(client, name, **wish):
    return client.ask("POST", "/v1/tokens", body={"name": name, **wish}).json["token"]


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_two_principals(start_daemon):
    daemon = start_daemon(configuration(ACCESS))
    tcp = daemon.place("tcp")
    with daemon.client() as client:
        both = bearer(make_token(client, "both"))
        only = bearer(make_token(client, "only", permissions=["list"]))
        with board.Subscription(tcp, headers=both) as more, board.Subscription(tcp) as less:
            more.begin()
            less.begin()
            interrupt(client, 1, "second")
            interrupt(client, 2, "edu")
            assert names(more.events(2)) == ["second", "edu"]
            assert names([less.event()]) == ["edu"]
        with daemon.client("tcp") as stranger:
            stranger.get("/v1/events?source=second").problem(401, "unauthenticated")
            part = bearer(make_token(client, "range"))
            stranger.get("/v1/events?source=edu,second", headers=part).problem(403, "denied")
            stranger.get("/v1/events", headers=only).problem(403, "denied")


def test_revoked_token(start_daemon):
    daemon = start_daemon(configuration())
    with daemon.client() as client:
        secret = make_token(client, "ci")
        with board.Subscription(daemon.place("tcp"), headers=bearer(secret), heartbeat=300) as stream, \
                board.Subscription(daemon.place("tcp"), heartbeat=300) as other:
            stream.begin()
            other.begin()
            assert client.ask("DELETE", "/v1/tokens/ci").status in (200, 204)
            interrupt(client)
            assert stream.event() is None and stream.over
            assert values([other.event("interrupt")]) == [1]


def test_expired_token(start_daemon):
    daemon = start_daemon(configuration())
    with daemon.client() as client:
        def subscribe(seconds):
            secret = make_token(client, f"ci-{seconds}", seconds=seconds)
            stream = board.Subscription(daemon.place("tcp"), headers=bearer(secret), heartbeat=300, timeout=40)
            if client.get("/v1/whoami", headers=bearer(secret)).status != 200:
                return stream.close()
            stream.begin()
            interrupt(client)
            return stream if stream.event("interrupt") else stream.close()
        stream, _ = stopwatch.within(subscribe, "it comes before the token expires", (2, 10, 30))
        with stream:
            assert stream.event() is None and stream.over


# The end

@pytest.mark.parametrize("kind", KINDS)
def test_stop(start_daemon, kind):
    """The last event arrives, and whoever does not read does not delay it."""
    daemon = start_daemon(configuration(interrupts_per_second=10000000))
    with daemon.client() as client, board.Subscription(daemon.place(kind)) as slow, \
            board.Subscription(daemon.place(kind), kind="daemon") as stream:
        slow.begin()
        stream.begin()
        flood(client, 5000)
        watch = stopwatch.Stopwatch()
        daemon.stop()
        assert watch.lived < 3
        stopping = stream.event("daemon")
        assert stopping.data["daemon"] == "stopping"
        assert stream.event() is None and stream.over


def test_stop_with_streams_alone_is_fast(start_daemon):
    daemon = start_daemon(configuration())
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(board.Subscription(daemon.place(kind))) for kind in KINDS * 4]
        for stream in streams:
            stream.begin()
        watch = stopwatch.Stopwatch()
        daemon.stop()
        assert watch.lived < 1.5
        for stream in streams:
            assert stream.event("daemon").data["daemon"] == "stopping"
            assert stream.event() is None and stream.over
