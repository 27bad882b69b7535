# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl interrupts: what it asks for and prints, and what it does when the daemon or the network do not behave."""

import json
import os
import re
import signal
import time

import pytest

from events import HEAD, IDENTITY, TIME, Events, Raw, frame, interrupt
from fake import Hangup, Silence, answer, problem
import stopwatch
from running import Running, wait_until

LINE = "2026-12-01 09:30:00.123456 "
GREETING = f"retry: 1000\n: devreg {IDENTITY}-0\n\n".encode()

SOURCES = [
    {"name": "edu", "device": "edu", "region": "edu", "vector": 0, "type": "msi", "state": "on", "count": 12, "missed": 3, "storms": 0,
     "rate": 3.5, "last": {"id": f"{IDENTITY}-120", "time": TIME, "value": "0x00000001"},
     "acknowledge": {"region": "edu", "width": 32, "read": "0x24", "write": "0x64", "value": None, "mask": "0xffffffff"}},
    {"name": "odd", "device": "odd", "region": "odd", "vector": 0, "type": "intx", "state": "masked", "masked_by": "user:root", "count": 0,
     "missed": 0, "storms": 1, "rate": 0, "last": None, "acknowledge": None},
    {"name": "gone", "device": "gone", "region": "gone", "vector": 3, "type": "msi-x", "state": "absent", "count": 0, "missed": 0,
     "storms": 0, "rate": 0.0, "last": None, "acknowledge": None,
     "absent": "the device is not bound to the driver devreg: devregctl bind gone binds it to it"},
]


@pytest.fixture
def rig(client, start):
    """rig(script) makes a daemon and gives run(words...), begin(words...) and the events."""
    begun = []
    client.variables["TZ"] = "UTC"

    class Rig:
        def __init__(self, script=None, family="unix"):
            self.events = script or Events()
            self.daemon = start(self.events, family)
            self.client = client

        def run(self, *words, **how):
            return client("-H", self.daemon.host, "interrupts", *words, **how)

        def begin(self, *words, **how):
            subscribers = getattr(self.events, "subscribers", 0)
            running = Running(client, "-H", self.daemon.host, "interrupts", *words, **how)
            begun.append(running)
            if isinstance(self.events, Events) and not self.events.held:
                wait_until(lambda: self.events.subscribers > subscribers or running.process.poll() is not None)
            return running

        def restart(self, events):
            self.daemon.stop()
            os.unlink(self.daemon.host)
            self.events.break_off()
            self.events = events
            self.daemon.__init__(events, self.daemon.host)

    yield Rig
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def lines_of(running, count):
    """The next lines of its standard output, as soon as they are there."""
    return [running.process.stdout.readline().decode() for _ in range(count)]


def shell(text):
    return ["--", "sh", "-c", text]


# --- The list and the masks ---

def test_list(client, start):
    daemon = start([answer(200, {"position": f"{IDENTITY}-120", "interrupts": SOURCES})])
    client.variables["TZ"] = "UTC"
    for words in (["interrupts"], ["interrupts", "list"]):
        assert client("-H", daemon.host, *words).out == (
            "NAME  DEVICE  TYPE   COUNT  MISSED  RATE   LAST                        VALUE       STATE\n"
            "edu   edu     msi    12     3       3.5/s  2026-12-01 09:30:00.123456  0x00000001  on\n"
            "odd   odd     intx   0      0       0/s    -                           -           masked by user:root\n"
            "gone  gone    msi-x  0      0       0/s    -                           -           absent: the device is not bound "
            "to the driver devreg: devregctl bind gone binds it to it\n")
        assert json.loads(client("-H", daemon.host, "--json", *words).out)["interrupts"] == SOURCES
    assert set(daemon.lines) == {"GET /v1/interrupts"}


def test_an_empty_list_and_strange_ones(over):
    _, run = over([answer(200, {"interrupts": []}),
                   answer(200, {"interrupts": [{}, {"name": 5, "last": "x", "rate": "y", "count": None},
                                               {"name": "\x1b[2J", "last": {"time": "\x1bsoon"}, "state": "absent", "absent": "\x07"}]}),
                   answer(200, {"sources": []})])
    assert run("interrupts").out == "NAME  DEVICE  TYPE  COUNT  MISSED  RATE  LAST  VALUE  STATE\n"
    strange = run("interrupts")
    assert strange.code == 0 and strange.out.count("\n") == 4 and strange.out.replace("\n", "").isprintable()
    assert run("interrupts").code == 1


def test_times_are_local(client, start):
    daemon = start([answer(200, {"interrupts": SOURCES})])
    client.variables["TZ"] = "XYZ-5:30"
    assert "2026-12-01 15:00:00.123456" in client("-H", daemon.host, "interrupts").out


@pytest.mark.parametrize("verb", ["mask", "unmask"])
def test_masks(over, verb):
    document = {**SOURCES[0], "position": f"{IDENTITY}-1"}
    daemon, run = over([answer(200, document)])
    result = run("interrupts", verb, "edu")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert daemon.lines == [f"POST /v1/interrupts/edu/{verb}"] and daemon.requests[0].json() == {}
    assert json.loads(run("--json", "interrupts", verb, "a/../b").out) == document
    assert daemon.lines[-1] == f"POST /v1/interrupts/a%2F..%2Fb/{verb}"


@pytest.mark.parametrize("verb", ["mask", "unmask"])
@pytest.mark.parametrize("made,code", [(answer(200, {}), 1), (problem(404), 4), (problem(403), 3), (problem(423), 5), (problem(410), 6)])
def test_masks_that_fail(over, verb, made, code):
    _, run = over([made])
    result = run("interrupts", verb, "edu")
    assert (result.code, result.out) == (code, "") and result.err.startswith("devregctl: ")


# --- Watching ---

def test_what_watch_asks_for(rig):
    one = rig(Events())
    one.events.refusal = 404
    client_words = [
        (["watch"], "/v1/events?heartbeat=15"),
        (["watch", "edu", "a&b"], "/v1/events?heartbeat=15&source=edu,a%26b"),
        (["watch", "--kind", "storm", "edu", "--kind", "mask", "--heartbeat", "3"], "/v1/events?heartbeat=3&source=edu&kind=storm,mask"),
        (["watch", "--since", "0"], "/v1/events?heartbeat=15&since=0"),
        (["wait", "edu"], "/v1/events?heartbeat=15&source=edu&kind=interrupt"),
    ]
    for words, path in client_words:
        assert one.run(*words).code == 4
        request = one.events.requests[-1]
        assert request.line == f"GET {path}"
        assert request.fields["accept"] == "text/event-stream" and "last-event-id" not in request.fields
    assert one.run("watch", "--since", f"{IDENTITY}-7").code == 4
    assert one.events.requests[-1].path == f"/v1/events?heartbeat=15&since={IDENTITY}-7"
    assert one.events.requests[-1].fields["last-event-id"] == f"{IDENTITY}-7"


def test_lines(rig):
    events = [
        ("interrupt", interrupt(1), "edu #1 0x00000001"),
        ("interrupt", interrupt(5, missed=3, value=None), "edu #5, 3 missed before it"),
        ("interrupt", interrupt(6, masked=True), "edu #6 0x00000001, masked until it is unmasked"),
        ("mask", {"source": "edu", "device": "edu", "masked": True, "by": "user:root", "time": TIME}, "*** edu is masked by user:root"),
        ("mask", {"source": "edu", "device": "edu", "masked": False, "by": "user:root", "time": TIME}, "*** edu is unmasked by user:root"),
        ("storm", {"source": "edu", "device": "edu", "storm": True, "reason": "20000 a second", "time": TIME},
         "*** edu storms and is masked: 20000 a second"),
        ("storm", {"source": "edu", "device": "edu", "storm": False, "reason": None, "time": TIME}, "*** edu: the storm is over"),
        ("device", {"device": "edu", "present": False, "reason": "it was removed", "time": TIME}, "*** device edu is gone: it was removed"),
        ("device", {"device": "edu", "present": True, "reason": None, "time": TIME}, "*** device edu is there"),
        ("driver", {"device": "edu", "driver": "devreg", "time": TIME}, "*** device edu is bound to devreg"),
        ("driver", {"device": "edu", "driver": None, "time": TIME}, "*** device edu has no driver now"),
        ("reset", {"device": "edu", "by": "token:ci", "time": TIME}, "*** device edu was reset by token:ci"),
        ("daemon", {"daemon": "stopping", "version": "0.1.0", "time": TIME}, "*** devregd 0.1.0: stopping"),
        ("news", {"of": "later", "time": TIME}, '*** news {"of":"later","time":"%s"}' % TIME),
        ("mask", {"source": "\x1b[2J", "by": "\x9b", "time": "\x07"}, None),
        ("interrupt", {}, None),
    ]
    one = rig()
    for kind, data, _ in events:
        one.events.add(kind, data)
    running = one.begin("watch", "--since", "0")
    lines = lines_of(running, len(events))
    for (kind, _, expected), line in zip(events, lines):
        assert expected is None or line == f"{LINE}{expected}\n"
    assert lines[-2] == "\\x07 *** \\x1b[2J is unmasked by \\u{9b}\n" and " ? is" not in lines[-2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} \?\n", lines[-1])


def test_json_lines(rig):
    one = rig()
    one.events.interrupt(value="0x5")
    one.events.add("storm", {"source": "edu", "storm": True, "reason": "é\x1b", "time": TIME})
    one.events.interrupt()
    result = one.run("watch", "--since", "0", "--count", 2, "--json")
    assert result.code == 0 and result.out.isascii()
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"id": f"{IDENTITY}-1", "event": "interrupt", "data": interrupt(1, value="0x5")},
        {"id": f"{IDENTITY}-2", "event": "storm", "data": {"source": "edu", "storm": True, "reason": "é\x1b", "time": TIME}},
        {"id": f"{IDENTITY}-3", "event": "interrupt", "data": interrupt(2)}]


def test_each_line_is_there_at_once(rig):
    one = rig()
    for words in ([], ["--json"]):
        running = one.begin("watch", *words)
        for _ in range(3):
            one.events.interrupt()
            assert "edu" in lines_of(running, 1)[0]
        running.signal(signal.SIGTERM)
        assert running.end()[0] == -signal.SIGTERM


def test_count(rig):
    one = rig()
    for _ in range(3):
        one.events.interrupt()
        one.events.add("mask", {"source": "edu", "masked": True, "by": "x", "time": TIME})
    result = one.run("watch", "--since", "0", "--count", 2)
    assert result.code == 0 and re.findall("#.|mask", result.out) == ["#1", "mask", "#2"]
    result = one.run("watch", "--since", "0", "--count", 4, "--kind", "interrupt", "--kind", "mask")
    assert result.code == 0 and re.findall("#.|mask", result.out) == ["#1", "mask", "#2", "mask"]


def test_patience_of_watch(rig):
    one = rig()
    watch = stopwatch.Stopwatch()
    result = one.run("watch", "--timeout", "0.4")
    assert (result.code, result.out, result.err) == (7, "", "devregctl: no event came for 0.4 seconds\n")
    assert 0.4 <= watch.real and watch.lived < 3

    def now_and_then():
        running, watch = one.begin("watch", "--timeout", "1s"), stopwatch.Stopwatch()
        for _ in range(4):
            time.sleep(0.5)
            one.events.interrupt()
        return running.end(), watch.real, watch.lived
    (code, out, _), real, lived = stopwatch.undisturbed(now_and_then, most=0.3)
    assert code == 7 and out.count("\n") == 4 and 2.9 < real and lived < 6
    assert one.client("-H", one.daemon.host, "--timeout", "0.2", "interrupts", "watch").code == 7, "before the verb, too"
    problem = json.loads(one.run("watch", "--timeout", "0.2", "--json").err)
    assert problem["type"] == "urn:devreg:client:timeout"


@pytest.mark.parametrize("pieces", [
    [GREETING + frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode()],
    [bytes([octet]) for octet in GREETING + frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode()],
    [GREETING.replace(b"\n", b"\r\n") + frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode().replace(b"\n", b"\r\n")],
    [GREETING.replace(b"\n", b"\r"), frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode().replace(b"\n", b"\r")],
    [b"\xef\xbb\xbf" + GREETING, 0.1, b"id: x\nevent: interrupt\ndata: {\ndata:", 0.1, b'"source": "edu",\ndata: "number": 1, "value": "0x1",\n',
     b'foo: bar\ndata: "time": "%s"}\n' % TIME.encode(), 0.1, b"\n"],
])
def test_odd_chunks(rig, pieces):
    result = rig([Raw(*pieces)]).run("watch", "--count", 1)
    assert result.code == 0 and re.fullmatch(LINE + "edu #1 0x0*1\n", result.out), result


@pytest.mark.parametrize("data,expected", [
    (b"data: " + b"x" * 70000 + b"\n\n", "a line of more than 65536 octets"),
    (b"x" * 700000, "a line of more than 65536 octets"),
    ((b"data: " + b"x" * 1000 + b"\n") * 70, "an event of more than 65536 octets"),
    (b"event: interrupt\ndata: 5\n\n", "an event without a JSON object"),
    (b"event: interrupt\ndata: {]\n\n", "an event without a JSON object"),
    (b"event: interrupt\ndata: {\"a\": \"\xff\"}\n\n", "an event without a JSON object"),
])
def test_streams_that_make_no_sense(rig, data, expected):
    one = rig([Raw(GREETING + frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode(), data)])
    result = one.run("watch")
    assert result.code == 1 and expected in result.err and one.daemon.host in result.err and result.err.count("\n") == 1
    assert result.out == f"{LINE}edu #1 0x00000001\n", "what came before is printed"


def test_events_without_type_id_or_data(rig):
    result = rig([Raw(GREETING, b'data: {"a": 1}\n\nid: nonsense\n\nid: \x7f\ndata: {"b": 2}\n\nid: 1\x002\ndata: {"c": 3}\n\n')]).run(
        "watch", "--json", "--no-reconnect")
    assert [(line["id"], line["event"]) for line in map(json.loads, result.out.splitlines())] == [
        ("", "message"), ("\x7f", "message"), ("\x7f", "message")]


def test_other_answers(rig):
    for made, code, text in [(answer(200, {"interrupts": []}), 1, "application/json instead of text/event-stream: is it devregd?"),
                             (answer(204, b"", None), 1, "answered 204"),
                             (answer(200, b"x", None), 1, "no Content-Type instead of text/event-stream"),
                             (Hangup(HEAD.replace(b"200", b"500") + b"0\r\n\r\n"), 1, "answered 500"),
                             (problem(503), 5, "it is like that"), (problem(429), 5, "it is like that"), (Hangup(), 1, "closed")]:
        for verb in (["watch"], ["wait", "edu"]):
            result = rig([made]).run(*verb)
            assert (result.code, result.out) == (code, "") and text in result.err, result
    result = rig([Raw(b":\n", head=HEAD.replace(b"event-stream", b"EVENT-stream; charset=utf-8")), problem(404)]).run("watch")
    assert result.code == 1 and "closed in the middle" in result.err


# --- Connections that break ---

@pytest.mark.parametrize("graceful", [False, True])
def test_it_goes_on_where_it_was(rig, family, graceful):
    one = rig(family=family)
    one.events.graceful = graceful
    running = one.begin("watch", "--count", 4)
    one.events.interrupt()
    lines_of(running, 1)
    one.events.break_off()
    wait_until(lambda: one.events.subscribers == 2)
    one.events.interrupt()
    assert "#2" in lines_of(running, 1)[0]
    with one.events.changed:
        one.events.round += 1
        one.events.numbers["edu"] += 1
        one.events.last += 1
        one.events.kept.append((one.events.last, "interrupt", interrupt(3)))
        one.events.changed.notify_all()
    wait_until(lambda: one.events.subscribers == 3)
    one.events.interrupt()
    code, out, err = running.end()
    assert code == 0 and re.findall("#.", out) == ["#3", "#4"]
    assert one.events.last_event_ids == [None, f"{IDENTITY}-1", f"{IDENTITY}-2"]
    reason = "ended the connection" if graceful else "closed in the middle of the answer"
    assert re.fullmatch(rf"(devregctl: note: the connection to \S+ is lost, trying to get it back: .*{reason}\n"
                        r"devregctl: note: \S+ is back\n){2}", err), err


def test_the_position_of_heartbeats_counts(rig):
    one = rig([Raw(GREETING, b": %s-77\n" % IDENTITY.encode(), b": hello\n: devreg\n: x-99\n: %s-\n" % IDENTITY.encode()),
               Raw(GREETING), problem(404)])
    result = one.run("watch")
    assert result.code == 4
    assert [request.fields.get("last-event-id") for request in one.daemon.requests] == [None, f"{IDENTITY}-77", f"{IDENTITY}-77"]


def test_a_comment_inside_an_event_that_is_cut(rig):
    one = rig([Raw(GREETING, b"id: %s-5\nevent: interrupt\n: %s-6\ndata: {}\n" % ((IDENTITY.encode(),) * 2)), problem(404)])
    assert one.run("watch").out == ""
    assert one.daemon.requests[1].fields["last-event-id"] == f"{IDENTITY}-0"


def test_nothing_is_printed_twice(rig):
    """By something in between that does not pass the position on."""
    both = b"".join(frame("interrupt", interrupt(i), f"{IDENTITY}-{i}").encode() for i in (9, 10))
    more = frame("interrupt", interrupt(11), f"{IDENTITY}-11").encode()
    other = frame("interrupt", interrupt(1), "5" * 16 + "-1").encode()
    result = rig([Raw(GREETING, both), Raw(GREETING, both, more), Raw(GREETING, both + more + other)]).run("watch", "--count", 4)
    assert result.code == 0 and re.findall(r"#\d+", result.out) == ["#9", "#10", "#11", "#1"]


def test_what_was_lost_is_told(rig):
    one = rig(Events(keep=3))
    running = one.begin("watch")
    one.events.interrupt()
    lines_of(running, 1)
    with one.events.changed:
        one.events.held = True
    one.events.break_off()
    wait_until(lambda: len(one.events.requests) == 2)
    for _ in range(10):
        one.events.interrupt()
    one.events.let_go()
    lines = lines_of(running, 4)
    assert lines[0].endswith(" *** LOST: 7 events: too slow\n") and [line.split()[3] for line in lines[1:]] == ["#9", "#10", "#11"]


def test_a_daemon_that_is_started_anew(rig):
    one = rig()
    running = one.begin("watch")
    one.events.interrupt()
    lines_of(running, 1)
    fresh = Events("5" * 16)
    fresh.add("daemon", {"daemon": "started", "version": "0.1.0", "time": TIME})
    one.restart(fresh)
    lines = lines_of(running, 2)
    assert lines[0].endswith(" *** LOST: nobody knows how many events: devregd was started anew\n")
    assert lines[1] == f"{LINE}*** devregd 0.1.0: started\n"
    assert fresh.last_event_ids == [f"{IDENTITY}-1"]
    fresh.interrupt()
    assert "#1" in lines_of(running, 1)[0]
    fresh.break_off()
    wait_until(lambda: fresh.subscribers == 2)
    assert fresh.last_event_ids[1] == "5" * 16 + "-2"
    running.signal(signal.SIGTERM)
    code, out, err = running.end()
    assert (code, out) == (-signal.SIGTERM, "")
    assert len(re.findall("is lost, trying to get it back", err)) == len(re.findall("is back", err)) == 2


def test_a_loss_that_is_told_on_a_connection_that_breaks(rig):
    """The daemon has greeted, with a position of its own, but the news of the loss did not come through."""
    new = b": devreg 5555555555555555-0\n\n"
    event = frame("interrupt", interrupt(1), f"{IDENTITY}-1").encode()
    one = rig([Raw(GREETING, event), Raw(new), Raw(new), problem(404)])
    assert one.run("watch").code == 4
    assert [request.fields.get("last-event-id") for request in one.daemon.requests] == [None] + [f"{IDENTITY}-1"] * 3
    one = rig([Raw(new), Raw(new), problem(404)])
    assert one.run("watch", "--since", f"{IDENTITY}-1").code == 4
    assert [request.fields.get("last-event-id") for request in one.daemon.requests] == [f"{IDENTITY}-1"] * 3


def test_it_does_not_pester(rig):
    def connections():
        one = rig([Raw(GREETING)])
        running = one.begin("watch")
        time.sleep(4)
        running.signal(signal.SIGTERM)
        assert running.end()[0] == -signal.SIGTERM
        return one.daemon.connections
    # After 0.2, 0.6, 1.4 and 3 seconds.
    assert 3 <= stopwatch.undisturbed(connections, most=0.5) <= 5


@pytest.mark.parametrize("status,code", [(401, 3), (403, 3), (404, 4), (400, 2)])
def test_a_refusal_is_final(rig, status, code):
    one = rig()
    running = one.begin("watch")
    one.events.refusal = status
    one.events.break_off()
    result = running.end()
    assert result[:2] == (code, "") and result[2].endswith("devregctl: it is like that\n")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_no_refusal(rig, status):
    one = rig()
    running = one.begin("watch", "--count", 1)
    one.events.refusal = status
    one.events.break_off()
    wait_until(lambda: len(one.events.requests) >= 3)
    one.events.refusal = None
    one.events.interrupt()
    code, out, err = running.end()
    assert code == 0 and "#1" in out and err.count("\n") == 2, "it is lost once, and found once"


def test_no_reconnect(rig):
    for graceful in (False, True):
        one = rig()
        one.events.graceful = graceful
        running = one.begin("watch", "--no-reconnect")
        one.events.break_off()
        code, out, err = running.end()
        assert (code, out) == (8, "") and err.count("\n") == 1, err
        assert len(one.events.requests) == 1


def test_patience_also_without_a_connection(rig):
    one = rig()
    running = one.begin("watch", "--timeout", "2")
    one.events.refusal = 503
    one.events.break_off()
    code, _, err = running.end()
    assert code == 7 and re.search(r"no event came for 2 seconds; the connection to \S+ is lost\n$", err)


def test_silence_is_a_dead_connection(rig):
    one = rig()
    one.events.silent = True
    watch = stopwatch.Stopwatch()
    running = one.begin("watch", "--heartbeat", 1, "--count", 1)
    wait_until(lambda: one.events.subscribers >= 2)
    assert 2.9 < watch.real and watch.lived < 6
    one.events.interrupt()
    code, out, err = running.end()
    assert code == 0 and "#1" in out and "said nothing for 3 seconds" in err and err.count("\n") == 2
    result = rig([Silence()]).run("watch", "--heartbeat", 1)
    assert result.code == 7 and "said nothing for 3 seconds" in result.err
    result = rig([Raw(GREETING, 10)]).run("watch", "--heartbeat", 1, "--no-reconnect")
    assert result.code == 8 and "said nothing for 3 seconds" in result.err


def test_heartbeats_keep_it_alive(rig):
    def watch():
        one = rig()
        running = one.begin("watch", "--heartbeat", 1, "--count", 1)
        time.sleep(4.5)
        one.events.interrupt()
        return running.end()[::2], len(one.events.requests)
    assert stopwatch.undisturbed(watch, most=1) == ((0, ""), 1)


def test_a_client_that_was_stopped_is_not_cut_off(rig):
    """What came meanwhile is taken before the silence is judged."""
    def watch():
        one = rig()
        running = one.begin("watch", "--heartbeat", 1, "--count", 2)
        one.events.interrupt()
        lines_of(running, 1)
        running.signal(signal.SIGSTOP)
        time.sleep(4.5)
        running.signal(signal.SIGCONT)
        time.sleep(0.5)
        one.events.interrupt()
        return running.end()[::2], len(one.events.requests)
    assert stopwatch.undisturbed(watch, most=1) == ((0, ""), 1)


# --- The end ---

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["watch"], ["wait", "edu"]])
def test_signals(rig, words, number):
    one = rig()
    running = one.begin(*words)
    running.signal(number)
    assert running.end(5) == (-number, "", "")


def test_a_reader_that_goes_away(rig):
    one = rig()
    for words in (["watch"], ["wait", "edu"]):
        running = one.begin(*words)
        running.process.stdout.close()
        running.process.stdout = open(os.devnull, "rb")
        code, _, err = running.end(5)
        assert (code, err) == (1, "devregctl: standard output: Broken pipe\n"), "also while nothing comes"
    with open("/dev/full", "wb") as full:
        running = one.begin("watch", stdout=full)
        one.events.interrupt()
        assert running.end()[::2] == (1, "devregctl: standard output: No space left on device\n")


def test_a_reader_that_is_slow_loses_nothing(rig):
    one = rig(Events(keep=100000))
    running = one.begin("watch", "--heartbeat", "1", "--count", "5000")
    for _ in range(5000):
        one.events.interrupt()
    time.sleep(4)
    code, out, err = running.end(60)
    assert (code, err) == (0, "") and re.findall(r"#(\d+)", out) == [str(i + 1) for i in range(5000)]


# --- Waiting ---

def test_wait(rig):
    one = rig()
    running = one.begin("wait", "edu", "--timeout", "20s")
    one.events.interrupt()
    one.events.interrupt()
    assert running.end() == (0, f"{LINE}edu #1 0x00000001\n", "")
    running = one.begin("wait", "edu", "--json", "--count", 2)
    one.events.interrupt()
    time.sleep(0.2)
    assert running.process.poll() is None
    one.events.interrupt()
    code, out, _ = running.end()
    assert code == 0 and [json.loads(line)["data"]["number"] for line in out.splitlines()] == [3, 4]
    assert one.run("wait", "edu", "--since", f"{IDENTITY}-3").out == f"{LINE}edu #4 0x00000001\n"


def test_wait_in_vain(rig):
    one = rig()
    watch = stopwatch.Stopwatch()
    result = one.run("wait", "edu", "--timeout", "0.5s")
    assert (result.code, result.out, result.err) == (7, "", "devregctl: no interrupt came within 0.5 seconds\n")
    assert 0.5 <= watch.real and watch.lived < 3

    def too_few():
        running, watch = one.begin("wait", "edu", "--timeout", "1", "--count", "3"), stopwatch.Stopwatch()
        for _ in range(2):
            time.sleep(0.4)
            one.events.interrupt()
        return running.end(), watch.lived
    (code, out, err), lived = stopwatch.undisturbed(too_few)
    assert (code, err) == (7, "devregctl: only 2 of 3 interrupts came within 1 seconds\n") and out.count("\n") == 2
    assert lived < 1.8, "the time is for all of them"


def test_wait_over_a_broken_connection(rig):
    one = rig(Events(keep=1))
    running = one.begin("wait", "edu", "--count", "2")
    one.events.interrupt()
    lines_of(running, 1)
    with one.events.changed:
        one.events.held = True
    one.events.break_off()
    for _ in range(3):
        one.events.interrupt()
    one.events.let_go()
    code, out, _ = running.end()
    assert code == 0 and "*** LOST: 2 events" in out and "#4" in out, "what is lost does not count"


def test_the_command_runs_when_nothing_can_be_missed(rig, tmp_path):
    one = rig()
    one.events.held = True
    ran = tmp_path / "ran"
    running = one.begin("wait", "edu", *shell(f"echo $DEVREG_HOST; touch {ran}; sleep 0.5; echo done"))
    wait_until(lambda: one.events.requests)
    time.sleep(0.5)
    assert not ran.exists()
    one.events.let_go()
    wait_until(ran.exists)
    one.events.interrupt()
    one.events.interrupt()
    assert running.end() == (0, f"{one.daemon.host}\n{LINE}edu #1 0x00000001\ndone\n", ""), "it waits for the command, too"


def test_the_time_counts_from_the_end_of_the_command(rig):
    one = rig()
    watch = stopwatch.Stopwatch()
    result = one.run("wait", "edu", "--timeout", "0.5", *shell("sleep 1"))
    assert (result.code, result.err) == (7, "devregctl: no interrupt came within 0.5 seconds\n")
    assert 1.5 <= watch.real and watch.lived < 4
    running = one.begin("wait", "edu", "--timeout", "20", *shell("exit 0"))
    time.sleep(0.5)
    one.events.interrupt()
    assert running.end()[0] == 0


def test_a_command_that_fails(rig):
    one = rig()
    result = one.run("wait", "edu", *shell("exit 3"))
    assert (result.code, result.out) == (3, "")
    assert result.err == "devregctl: note: sh ended with the exit code 3, so no interrupt is waited for\n"
    running = one.begin("wait", "edu", *shell("sleep 0.5; kill -9 $$"))
    one.events.interrupt()
    code, out, _ = running.end()
    assert code == 137 and "#1" in out, "whether one came or not"
    result = one.run("wait", "edu", "--", "/nowhere/command")
    assert (result.code, result.out) == (127, "") and "/nowhere/command: No such file" in result.err
    assert one.run("wait", "edu", "--", "/etc/passwd").code == 126


def test_no_command_without_a_subscription(rig, tmp_path):
    one = rig()
    one.events.refusal = 403
    result = one.run("wait", "edu", *shell(f"touch {tmp_path}/ran"))
    assert result.code == 3 and not (tmp_path / "ran").exists()


def test_a_refusal_while_the_command_runs(rig, tmp_path):
    for end, code in (("exit 0", 3), ("exit 9", 9)):
        one = rig()
        refused = tmp_path / f"refused{code}"
        running = one.begin("wait", "edu", *shell(f"echo on; while ! [ -e {refused} ]; do sleep 0.1; done; echo off; {end}"))
        assert lines_of(running, 1) == ["on\n"]
        one.events.refusal = 403
        one.events.break_off()
        wait_until(lambda: len(one.events.requests) >= 2)
        stopwatch.sleep(0.5)
        refused.touch()
        result = running.end()
        assert result[0] == code and result[1] == "off\n" and result[2].count("it is like that") == 1


def test_signals_and_commands(rig):
    one = rig()
    running = one.begin("wait", "edu", *shell("trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done"))
    assert lines_of(running, 1) == ["ready\n"]
    running.signal(signal.SIGTERM)
    assert running.end()[:2] == (5, "got\n")
    # After the command, and before it, they are for devregctl.
    running = one.begin("wait", "edu", *shell("echo $$"))
    wait_until(lambda command=lines_of(running, 1)[0].strip(): not os.path.exists(f"/proc/{command}"))
    running.signal(signal.SIGTERM)
    assert running.end()[0] == -signal.SIGTERM
    one.events.held = True
    running = one.begin("wait", "edu", *shell("echo ready"))
    wait_until(lambda: len(one.events.requests) >= 3)
    running.signal(signal.SIGINT)
    assert running.end()[:2] == (-signal.SIGINT, "")
    one.events.let_go()


def test_the_command_has_usual_signals(rig):
    one = rig()
    one.events.interrupt()
    result = one.run("wait", "edu", "--since", "0", *shell("grep SigBlk /proc/self/status; grep SigIgn /proc/self/status"))
    assert result.code == 0 and re.search(r"SigBlk:\s0+\n", result.out)


@pytest.mark.parametrize("words,expected", [
    (["interrupts", "poke"], "interrupts can list, watch, wait, mask and unmask, but not poke"),
    (["interrupts", "list", "x"], "interrupts does not take x"),
    (["interrupts", "wait"], "interrupts wait needs more: devregctl interrupts wait SOURCE..."),
    (["interrupts", "wait", ""], "a source of interrupts has a name"),
    (["interrupts", "watch", "edu", ""], "a source of interrupts has a name"),
    (["interrupts", "mask"], "interrupts mask needs more"),
    (["interrupts", "mask", ""], "a source of interrupts has a name"),
    (["interrupts", "unmask", "a", "b"], "does not take b"),
    (["interrupts", "wait", "edu", "--"], "no command after --"),
    (["interrupts", "wait", "edu", "--kind", "mask"], "interrupts wait has no option --kind"),
    (["interrupts", "watch", "--count", "0"], "is not a number of interrupts"),
    (["interrupts", "watch", "--heartbeat", "0"], "is not a number of seconds, from 1 to 300"),
    (["interrupts", "watch", "--heartbeat", "301"], "is not a number of seconds, from 1 to 300"),
    (["interrupts", "watch", "--timeout", "soon"], '--timeout: "soon" is not a time'),
    (["interrupts", "watch", "--timeout", "2d"], '--timeout: "2d" is not a time'),
    (["interrupts", "watch", "--timeout", "1m5x"], '--timeout: "1m5x" is not a time'),
    (["interrupts", "watch", "--since", ""], "--since: an empty text"),
    (["interrupts", "watch", "--kind", ""], "--kind: an empty text"),
])
def test_wrong_command_lines(client, start, words, expected):
    daemon = start([answer(200, {})])
    result = client("-H", daemon.host, *words)
    assert (result.code, result.out) == (2, "") and expected in result.err and result.err.count("\n") == 1
    assert daemon.requests == []
