# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scripted reservation API for the fake daemon: one reservation, and a test's hand on every answer."""

import re
import threading
import time
from urllib.parse import parse_qs, urlsplit

import stopwatch
from fake import answer, problem

ID = "r-00c0ffee"


class Reservations:
    """`place` is where in the queue it starts, 0: held at once. on["PUT"] and so on is called before the usual answer; what it
    returns, if anything, is the answer."""

    def __init__(self, seconds=600, place=0, **on):
        self.seconds = seconds
        self.place = place
        self.on = on
        self.ended = None
        self.reason = None
        self.asked = None
        self.until = 0
        self.times = {}
        self.changed = threading.Condition()

    # --- What tests do ---

    def move(self, place):
        """Gives it another place in the queue; 0: it is held now."""
        with self.changed:
            self.place = place
            self.until = time.monotonic() + self.seconds
            self.changed.notify_all()

    def end(self, how, reason=None):
        with self.changed:
            self.ended, self.reason = how, reason
            self.changed.notify_all()

    def count(self, method):
        return len(self.times.get(method, []))

    def wait_for(self, method, count=1, seconds=20):
        """Until it was asked so many times."""
        watch = stopwatch.Stopwatch()
        while self.count(method) < count:
            assert watch.lived < seconds, f"no {count} {method} but {self.times}"
            time.sleep(0.01)

    def since_first(self, method):
        """A stopwatch that runs from when it was asked first."""
        self.wait_for(method)
        return stopwatch.Stopwatch(self.times[method][0])

    # --- What the daemon does ---

    def document(self):
        state = "ended" if self.ended else "waiting" if self.place else "held"
        document = {"id": ID, "state": state, "mode": "exclusive", "target": "edu", "holder": "user:me", "seconds": self.seconds,
                    "windows": [{"region": "edu", "offset": "0x0", "length": "0x100000"}]}
        if state == "waiting":
            document["position"] = self.place
        if state == "held":
            document["until_seconds"] = max(0, round(self.until - time.monotonic()))
        if self.ended:
            document.update(ended=self.ended, reason=self.reason or "")
        return document

    def over(self):
        return problem(410, f"{ID} is over: {self.ended}" + (f": {self.reason}" if self.reason else ""))

    def __call__(self, request):
        self.times.setdefault(request.method, []).append(time.monotonic())
        said = self.on[request.method](request) if request.method in self.on else None
        return said or self.usual(request)

    def usual(self, request):
        url = urlsplit(request.path)
        if request.method == "POST" and url.path == "/v1/reservations":
            self.asked = request.json()
            self.move(self.place)
            return answer(202 if self.place else 201, self.document())
        if url.path == "/v1/whoami":
            return answer(200, {"principal": "user:me", "kind": "user"})
        if url.path == "/v1/reservations":
            return answer(200, {"reservations": [self.document()]})
        if not re.fullmatch(f"/v1/reservations/{ID}", url.path):
            return problem(404, f"no {url.path}")
        if request.method == "GET":
            return self.get(float(parse_qs(url.query).get("wait", ["0"])[0]))
        if self.ended:
            return self.over()
        if request.method == "PUT":
            self.move(0)
        if request.method == "DELETE":
            self.end("released")
        return answer(200, self.document())

    def get(self, seconds):
        with self.changed:
            before = (self.place, self.ended)
            self.changed.wait_for(lambda: (self.place, self.ended) != before, timeout=seconds)
            return answer(200, self.document())
