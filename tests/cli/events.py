# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scripted event stream for the fake daemon: events are kept and sent to whoever asks, and a test has its hand on every
connection."""

import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

from fake import problem

IDENTITY = "4fa1000000000000"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
TIME = "2026-12-01T09:30:00.123456789Z"


def interrupt(number, source="edu", value="0x00000001", missed=0, **more):
    return {"source": source, "device": "edu", "vector": 0, "number": number, "missed": missed, "time": TIME,
            "monotonic_ns": "123456789012345678", "value": value, "masked": False, **more}


def frame(kind, data, id=None):
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"id: {id}\n" if id else "") + f"event: {kind}\ndata: {text}\n\n"


class Raw:
    """A stream of just these octets: bytes are sent in one chunk, numbers are pauses in seconds. Then it hangs up."""

    def __init__(self, *pieces, head=HEAD):
        self.pieces = pieces
        self.head = head

    def send(self, connection):
        connection.sendall(self.head)
        for piece in self.pieces:
            if isinstance(piece, bytes):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            else:
                time.sleep(piece)
        raise ConnectionAbortedError


class Stream:
    """One subscriber."""

    def __init__(self, events, request):
        query = parse_qs(urlsplit(request.path).query)
        self.events = events
        self.round = events.round
        self.heartbeat = int(query["heartbeat"][0])
        self.after = request.fields.get("last-event-id") or query.get("since", [None])[0]
        self.reported = 0

    def _write(self, text):
        data = text.encode()
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def _begin(self):
        """What a daemon says first. Returns the sequence number to go on from."""
        events = self.events
        identity, _, number = (self.after or "").partition("-")
        oldest = events.kept[0][0] - 1 if events.kept else events.last
        after, lost = events.last, None
        if identity == events.identity:
            after = max(int(number), oldest)
            if after > int(number):
                lost = {"count": after - int(number), "reason": "too slow"}
        elif self.after:
            after = oldest
            if self.after != "0":
                lost = {"count": None, "reason": "devregd was started anew"}
        self._write(f"retry: 1000\n: devreg {events.identity}-{after}\n\n")
        if lost:
            self._write(frame("lost", lost, f"{events.identity}-{after}"))
        return after

    def send(self, connection):
        events = self.events
        self.connection = connection
        connection.sendall(HEAD)
        with events.changed:
            events.changed.wait_for(lambda: not events.held)
            after = self._begin()
            events.subscribers += 1
        while self.round == events.round:
            with events.changed:
                if events.last == after and self.round == events.round:
                    events.changed.wait(self.heartbeat)
                if self.round != events.round:
                    break
                new = events.kept[after - events.last:] if events.last > after else []
            # Outside: a client that does not read must not stop the test.
            for number, kind, data in new:
                self._write(frame(kind, data, f"{events.identity}-{number}"))
                after = number
            if not new and not events.silent:
                self._write(f": {events.identity}-{after}\n")
        if events.graceful:
            connection.sendall(b"0\r\n\r\n")
        raise ConnectionAbortedError


class Events:
    def __init__(self, identity=IDENTITY, keep=1000):
        self.identity = identity
        self.keep = keep
        self.kept = []
        self.last = 0
        self.subscribers = 0  # that there ever were
        self.numbers = {}
        self.round = 0
        self.graceful = False  # streams end as they should
        self.silent = False  # no heartbeats
        self.held = False  # nobody is answered
        self.refusal = None  # an answer instead of a stream
        self.requests = []
        self.changed = threading.Condition()

    def add(self, kind, data):
        with self.changed:
            self.last += 1
            self.kept.append((self.last, kind, data))
            del self.kept[:-self.keep]
            self.changed.notify_all()

    def interrupt(self, source="edu", missed=0, **more):
        number = self.numbers[source] = self.numbers.get(source, 0) + 1 + missed
        self.add("interrupt", interrupt(number, source, missed=missed, **more))

    def let_go(self):
        with self.changed:
            self.held = False
            self.changed.notify_all()

    def break_off(self):
        """All connections that there are."""
        with self.changed:
            self.round += 1
            self.changed.notify_all()

    @property
    def last_event_ids(self):
        return [request.fields.get("last-event-id") for request in self.requests]

    def __call__(self, request):
        self.requests.append(request)
        if self.refusal:
            return problem(self.refusal)
        return Stream(self, request)
