# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scripted stand-in for devregd: says exactly what a test tells it to, however wrong that is."""

import json
import os
import socket
import struct
import threading
import time


class Request:
    def __init__(self, method, path, fields, body):
        self.method = method
        self.path = path
        self.fields = fields
        self.body = body

    @property
    def line(self):
        return f"{self.method} {self.path}"

    def json(self):
        return json.loads(self.body)


def answer(status, body, content_type="application/json", **fields):
    """The octets of an ordinary answer."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode() + b"\n"
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n"
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    for name, value in fields.items():
        head += f"{name.replace('_', '-')}: {value}\r\n"
    return head.encode() + b"\r\n" + body


def problem(status, detail="it is like that", **facts):
    document = {"type": "urn:devreg:problem:test", "title": "Test", "status": status, "detail": detail, **facts}
    return answer(status, document, "application/problem+json")


def octets(data):
    return answer(200, data, "application/octet-stream")


class Drip:
    """Sends octets one by one."""

    def __init__(self, data, pause):
        self.data = data
        self.pause = pause

    def send(self, connection):
        for i in range(len(self.data)):
            connection.sendall(self.data[i:i + 1])
            time.sleep(self.pause)


class Silence:
    """Says nothing until the client gives up."""

    def send(self, connection):
        connection.settimeout(30)
        connection.recv(1)


class Hangup:
    """Sends what there is, then closes; with reset, as a killed daemon on TCP does."""

    def __init__(self, data=b"", reset=False):
        self.data = data
        self.reset = reset

    def send(self, connection):
        if self.data:
            connection.sendall(self.data)
        if self.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


class FakeDaemon:
    """Listens until stop(). `script` is a list with an answer for each request, or a function of the request;
    an answer is bytes or one of the above. Once a list is used up the last answer is repeated."""

    def __init__(self, script, path=None, tls=None, port=0):
        self.script = script
        self.tls = tls
        self.requests = []
        self.connections = 0
        self.mistakes = []
        if path:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(path)
            self.host = path
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", port))
            self.port = self.socket.getsockname()[1]
            self.host = f"http://127.0.0.1:{self.port}" if not tls else f"https://localhost:{self.port}"
        self.socket.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def stop(self):
        # Wakes accept(): closing alone would not.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)

    @property
    def lines(self):
        return [request.line for request in self.requests]

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection:
            try:
                if self.tls:
                    connection = self._secure(connection)
                stream = connection.makefile("rb")
                while True:
                    request = self._read_request(stream)
                    if not request:
                        return
                    self.requests.append(request)
                    self._send(connection, self._next_answer(request))
            except OSError:
                return

    def _secure(self, connection):
        secure = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            secure.do_handshake()
        except OSError:
            # Closing with octets unread would reset the connection, and the alert would be lost with it.
            with secure:
                socket.socket.shutdown(secure, socket.SHUT_WR)
                while os.read(secure.fileno(), 4096):
                    pass
            raise
        return secure

    def _read_request(self, stream):
        line = stream.readline()
        if not line:
            return None
        method, path, version = line.decode("ascii").split(" ")
        fields = {}
        while (field := stream.readline().decode("ascii").rstrip("\r\n")):
            name, _, value = field.partition(":")
            if name.lower() in fields:
                self.mistakes.append(f"two {name} fields")
            fields[name.lower()] = value.strip()
        if version != "HTTP/1.1\r\n" or "host" not in fields:
            self.mistakes.append("not HTTP/1.1 with a Host")
        if "expect" in fields or "transfer-encoding" in fields:
            self.mistakes.append("asks for more than it needs")
        body = stream.read(int(fields.get("content-length", 0)))
        return Request(method, path, fields, body)

    def _next_answer(self, request):
        if callable(self.script):
            return self.script(request)
        return self.script[min(len(self.requests), len(self.script)) - 1]

    @staticmethod
    def _send(connection, what):
        if isinstance(what, bytes):
            connection.sendall(what)
        else:
            what.send(connection)
