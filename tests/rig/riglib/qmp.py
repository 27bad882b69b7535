# SPDX-License-Identifier: LGPL-2.1-or-later
"""Talks to QEMU's machine protocol (QMP): lines of JSON on a Unix socket, one client at a time."""

import json
import os
import socket
import time

from .common import RigError

TIMEOUT_S = 60


class Qmp:
    """A connection to the QMP socket NAME in a folder; a context manager."""

    def __init__(self, folder, name):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            _connect(self._socket, folder, name)
        except OSError:
            self._socket.close()
            raise
        self._unread = b""
        self._events = []
        self._receive()                             # the greeting
        self.execute("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._socket.close()

    def execute(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._receive()
            if "error" in answer:
                raise RigError(f"QEMU refused {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self._events.append(answer)

    def wait_event(self, name, timeout_s, **data):
        """The first event of that name with that data since this connection was made, or None when it does not come."""
        limit = time.monotonic() + timeout_s
        while True:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            self._events.clear()
            self._socket.settimeout(max(limit - time.monotonic(), 0.001))
            try:
                self._events.append(self._receive())
            except TimeoutError:
                return None
            finally:
                self._socket.settimeout(TIMEOUT_S)

    def monitor(self, line):
        """A command of the human monitor, for the few things that QMP has no command for."""
        return self.execute("human-monitor-command", **{"command-line": line})

    def _receive(self):
        # Not through a file object, which is of no more use after a timeout.
        while b"\n" not in self._unread:
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise RigError("QEMU closed its QMP socket: it ended, see qemu.log in the state folder")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)


def _connect(client, folder, name):
    # Through a descriptor, as a socket's whole path may not be longer than 107 octets and state folders may be.
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        client.connect(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
