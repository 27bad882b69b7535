# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon to test, and clients for it: over a Unix socket, TCP or TLS, through http.client or octet by octet."""

import collections
import contextlib
import fcntl
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import termios
import time
import urllib.parse

import certificates
import stopwatch

START_S = 20
STOP_S = 20
ANSWER_S = 20

PROBLEM = "urn:devreg:problem:"
SANITIZER = re.compile(r"Sanitizer|runtime error|Assertion .* failed")


class SecureSocket(ssl.SSLSocket):
    """One that can be used as those without TLS are."""

    def shutdown(self, how):
        socket.socket.shutdown(self, how)       # ssl's own would go on in the clear

    def recv(self, *arguments):
        try:
            return super().recv(*arguments)
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error

    def send(self, *arguments):
        try:
            return super().send(*arguments)
        except ssl.SSLWantWriteError as error:
            raise BlockingIOError from error
        except ssl.SSLError as error:
            raise ConnectionResetError from error


def secure_context(certificate=None, authority=None):
    context = ssl.create_default_context(cafile=(authority or certificates.authority()).certificate)
    context.sslsocket_class = SecureSocket
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    return context


class Place:
    """Where a daemon listens, and how it is spoken to there."""

    def __init__(self, kind, address, host="localhost", context=None, source=None):
        self.kind = kind
        self.address = address
        self.host = host
        self.context = context      # of "tls"
        self.source = source        # the address to come from; None: any

    def __repr__(self):
        return f"{self.kind}:{self.address}"

    def showing(self, certificate):
        """The same place for a client with a certificate."""
        return Place(self.kind, self.address, self.host, secure_context(certificate), self.source)

    def seen_from(self, source):
        """The same place for a client at another address."""
        return Place(self.kind, self.address, self.host, self.context, None if self.kind == "unix" else source)

    def connect(self, timeout=ANSWER_S):
        connection = socket.socket(socket.AF_UNIX if self.kind == "unix" else socket.AF_INET)
        connection.settimeout(timeout)
        if self.kind != "unix":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.source:
                connection.bind((self.source, 0))
            connection.connect(self.address)
            if self.context:
                connection = self.context.wrap_socket(connection, server_hostname=self.host)
        except OSError:
            connection.close()
            raise
        return connection

    def client(self, timeout=ANSWER_S):
        return Client(self, timeout)


def place_of_url(url):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"DEVREG_HOST={url}: expected http://ADDRESS:PORT")
    return Place("tcp", (parts.hostname, parts.port or 80), parts.hostname)


class Connection(http.client.HTTPConnection):
    def __init__(self, place, timeout):
        super().__init__(place.host, timeout=timeout)
        self.place = place

    def connect(self):
        self.sock = self.place.connect(self.timeout)


class Answer:
    """An answer that has come in whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers      # names in lower case
        self.body = body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"

    @property
    def json(self):
        kind = self.headers["content-type"]
        assert kind in ("application/json", "application/problem+json"), self
        return json.loads(self.body)

    def ok(self):
        assert self.status == 200, self
        return self

    def problem(self, status, kind, **facts):
        """Checks that this is the problem document (RFC 9457) of such a failure; returns it."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json", self
        document = json.loads(self.body)
        assert document["type"] == PROBLEM + kind, document
        assert document["status"] == status, document
        assert document["title"] and document["detail"], document
        assert re.fullmatch(r"E[A-Z0-9]+", document["errno"]), document
        for name, value in facts.items():
            assert document.get(name) == value, f"{name} is not {value!r}: {document}"
        return document


class Client:
    """One connection, kept as long as the daemon keeps it."""

    def __init__(self, place, timeout=ANSWER_S):
        self.place = place
        self.connection = Connection(place, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def ask(self, method, path, body=None, kind=None, headers=None):
        """A body that is no octets is sent as JSON. kind is its Content-Type; "" sends none."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            kind = "application/json" if kind is None else kind
        sent = dict(headers or {})
        if kind:
            sent["Content-Type"] = kind
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):    # it answers before it has read all
                self.connection.request(method, path, body, sent)
            answer = self.connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def put(self, path, body, **options):
        return self.ask("PUT", path, body, **options)

    def patch(self, path, body, **options):
        return self.ask("PATCH", path, body, **options)

    def region(self, name):
        return Region(self, name)


def query(arguments):
    given = {name: value for name, value in arguments.items() if value is not None}
    return "?" + urllib.parse.urlencode(given) if given else ""


class Region:
    """Registers by offset. The plain verbs expect success; those that end in _answer return whatever came."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.path = f"/v1/regions/{name}"

    def register(self, offset, **arguments):
        return f"{self.path}/registers/{offset:#x}{query(arguments)}"

    def read_answer(self, offset, **arguments):
        return self.client.get(self.register(offset, **arguments))

    def read(self, offset, width=None):
        return int(self.read_answer(offset, width=width).ok().json["value"], 16)

    def read_many(self, offset, count, width=None):
        answer = self.read_answer(offset, width=width, count=count).ok().json
        assert answer["count"] == count == len(answer["values"])
        return [int(value, 16) for value in answer["values"]]

    def write_answer(self, offset, value, width=None):
        return self.client.put(self.register(offset, width=width), {"value": f"{value:#x}"})

    def write(self, offset, value, width=None):
        return self.write_answer(offset, value, width).ok().json

    def write_many_answer(self, offset, values, width=None):
        return self.client.put(self.register(offset, width=width), {"values": [f"{value:#x}" for value in values]})

    def patch_answer(self, offset, mask, value, width=None):
        return self.client.patch(self.register(offset, width=width), {"mask": f"{mask:#x}", "value": f"{value:#x}"})

    def patch(self, offset, mask, value, width=None):
        """Returns the register's value before and the one that was written."""
        answer = self.patch_answer(offset, mask, value, width).ok().json
        return int(answer["before"], 16), int(answer["value"], 16)

    def get_data_answer(self, offset, length, **arguments):
        return self.client.get(f"{self.path}/data{query({'offset': hex(offset), 'length': length, **arguments})}")

    def get_data(self, offset, length, **arguments):
        answer = self.get_data_answer(offset, length, **arguments).ok()
        assert answer.headers["content-type"] == "application/octet-stream"
        assert len(answer.body) == length
        return answer.body

    def put_data_answer(self, offset, octets, **arguments):
        return self.client.put(f"{self.path}/data{query({'offset': hex(offset), **arguments})}", octets,
                               kind="application/octet-stream")

    def put_data(self, offset, octets, **arguments):
        answer = self.put_data_answer(offset, octets, **arguments).ok().json
        assert answer["length"] == len(octets)
        return answer


# Octet by octet

def receive_answers(connection, count=None, timeout=ANSWER_S, head_only=False):
    """Answers as they come: `count` of them, or all until the daemon closes. Returns (answers, closed, left over)."""
    answers, data, closed = [], b"", False
    watch = stopwatch.Stopwatch()
    while count is None or len(answers) < count:
        answer, data = take_answer(data, head_only)
        if answer:
            answers.append(answer)
            continue
        connection.settimeout(max(0.001, timeout - watch.lived))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            if watch.lived < timeout:
                continue
            break
        except ConnectionError:
            piece = b""
        if not piece:
            closed = True
            break
        data += piece
    return answers, closed, data


def take_answer(data, head_only=False):
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None, data
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    status = int(lines[0].split(" ")[1])
    size = 0 if head_only or status < 200 else int(headers.get("content-length", 0))
    if len(rest) < size:
        return None, data
    return Answer(status, headers, rest[:size]), rest[size:]


class Event(collections.namedtuple("Event", "id kind data")):
    """One of a stream, its data as a dict."""

    @property
    def sequence(self):
        return int(self.id.rpartition("-")[2])


class Subscription:
    """A stream of events (GET /v1/events) as it comes in. Its own connection, so that it can be left alone."""

    def __init__(self, place, path="/v1/events", headers=None, timeout=ANSWER_S, **arguments):
        self.connection = place.connect(timeout)
        self.received, self.text, self.over, self.closed = b"", b"", False, False
        lines = [f"GET {path}{query(arguments)} HTTP/1.1", f"Host: {place.host}",
                 *(f"{name}: {value}" for name, value in (headers or {}).items()), "", ""]
        self.connection.sendall("\r\n".join(lines).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def receive(self):
        try:
            piece = self.connection.recv(65536)
        except ConnectionError:
            piece = b""
        self.closed = self.closed or not piece
        self.received += piece

    def begin(self):
        """Takes the head and what comes with every stream; returns the position that it goes on from."""
        self.take_head()
        assert self.block() == ["retry: 1000"]
        (line,) = self.block()
        assert re.fullmatch(r": devreg [0-9a-f]{16}-\d+", line), line
        return line.rpartition(" ")[2]

    def take_head(self):
        while b"\r\n\r\n" not in self.received:
            assert not self.closed, self.received
            self.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        assert lines[0] == "HTTP/1.1 200 OK", (lines, self.received)
        assert headers["content-type"] == "text/event-stream" and headers["cache-control"] == "no-store", headers
        assert headers["transfer-encoding"] == "chunked", headers

    def take_chunk(self):
        """Moves one chunk to the text, when it is there."""
        size, found, rest = self.received.partition(b"\r\n")
        if not found or len(rest) < int(size, 16) + 2:
            return False
        length = int(size, 16)
        assert rest[length:length + 2] == b"\r\n", rest
        self.text += rest[:length]
        self.received = rest[length + 2:]
        self.over = length == 0
        return True

    def block(self):
        """The lines of the next one; None at the end of the stream."""
        while b"\n\n" not in self.text:
            if self.over:
                assert not self.text, self.text
                return None
            if not self.take_chunk():
                if self.closed:         # it was cut, maybe in the middle
                    return None
                self.receive()
        block, _, self.text = self.text.partition(b"\n\n")
        return block.decode().split("\n")

    def next(self):
        """The next event or, as text, comment; None at the end."""
        lines = self.block()
        if lines is None:
            return None
        if lines[0].startswith(": "):
            assert len(lines) == 1, lines
            return lines[0].removeprefix(": ")
        fields = dict(line.split(": ", 1) for line in lines)
        assert list(fields) == ["id", "event", "data"] and len(lines) == 3, lines
        return Event(fields["id"], fields["event"], json.loads(fields["data"]))

    def event(self, kind=None):
        """The next event; None at the end."""
        while isinstance(item := self.next(), str):
            pass
        assert item is None or kind is None or item.kind == kind, item
        return item

    def events(self, count):
        return [self.event() for _ in range(count)]

    def comment(self):
        """The next comment, which no event comes before."""
        item = self.next()
        assert isinstance(item, str), item
        return item

    def refused(self):
        """The answer instead of a stream."""
        (answer,), _, _ = receive_answers(self.connection, 1)
        return answer


def exchange(place, octets, timeout=ANSWER_S, half_close=False, count=None):
    """Sends the octets on a new connection and returns what receive_answers() does."""
    with place.connect(timeout) as connection:
        with contextlib.suppress(ConnectionError):      # it may close before it has read all
            connection.sendall(octets)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return receive_answers(connection, count, timeout)


def unread(connection):
    """How many of the octets that were sent the daemon has not taken yet."""
    if connection.family == socket.AF_UNIX:
        return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    try:
        mine, others = (f":{end[1]:04X}" for end in (connection.getsockname(), connection.getpeername()))
    except OSError:         # the daemon has gone
        return 0
    count = 0
    with open("/proc/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            _, local, remote, _, queues = line.split()[:5]
            sent, received = queues.split(":")
            if local.endswith(mine) and remote.endswith(others):
                count += int(sent, 16)
            elif local.endswith(others) and remote.endswith(mine):
                count += int(received, 16)
    return count


def wait_until_read(connection, timeout=5):
    """Until the daemon has taken what was sent: it comes before whatever is done next."""
    watch = stopwatch.Stopwatch()
    while unread(connection):
        assert watch.lived < timeout, "the daemon does not read"
        time.sleep(0)


def arrivals(client):
    """Gives a function that waits until so many requests of others have come to the daemon since."""
    def requests():
        return client.get("/v1/status").ok().json["counters"]["requests"]
    own, before = itertools.count(1), requests()

    def wait(count):
        wait_for(lambda: requests() - before - next(own) >= count, f"{count} requests come")
    return wait


def wait_for(condition, what, timeout=10):
    watch = stopwatch.Stopwatch()
    while True:
        value = condition()
        if value:
            return value
        assert watch.lived < timeout, f"{what}: not within {timeout} s"
        time.sleep(0.01)


# The daemon

def program():
    return os.path.abspath(os.environ["DEVREGD"])


class Daemon:
    """A devregd with a folder of its own, below a short path because a socket's path is short."""

    def __init__(self, config=None, arguments=(), environment=None, wrapper=(), listen=None, socket=True, folder=None,
                 access="all"):
        """With a configuration it has TLS too, unless it says where to listen, and rules that let everybody do everything,
        unless it has its own; access=None leaves it without any."""
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="devreg-")
        self.socket = os.path.join(self.folder, "socket")
        self.log_path = os.path.join(self.folder, f"log.{time.monotonic_ns()}")
        self.process = None
        self.stopped = None
        command = [*wrapper, program()]
        if config is not None and access:
            config = {"access": [{"principals": ["*"], "permissions": [access]}], **config}
        if config is not None and listen is None:
            config = {"tls": certificates.settings(), **config}
            listen = ["127.0.0.1:0", "https://127.0.0.1:0"]
        if listen is None:
            listen = ["127.0.0.1:0"]
        if config is not None:
            path = os.path.join(self.folder, "devregd.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(config, file)
            command += ["--config", path, "--state", os.path.join(self.folder, "state")]
        command += arguments
        if socket:
            command += ["--socket", self.socket]
        for address in listen:
            command += ["--listen", address]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            env={**os.environ, **(environment or {})})
        self.places = []

    def __enter__(self):
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            self.clear()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None and self.stopped is None:
                self.stop()
            elif self.stopped is None:
                assert kind is not None, f"the daemon ended by itself with {self.process.returncode}:\n{self.log()}"
        finally:
            self.kill()
            self.clear()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, f"devregd ended with {self.process.returncode}:\n{self.log()}"
            lines = re.findall(r"^(?:<\d>)?(?:devregd: )?listening on (\S+)$", self.log(), re.MULTILINE)
            wanted = sum(word in ("--socket", "--listen") for word in self.process.args)
            return lines if len(lines) >= wanted else None

        for name in wait_for(ready, "devregd listens", START_S):
            if name.startswith("/"):
                self.places.append(Place("unix", name))
            else:
                secure = name.startswith("https://")
                host, _, port = name.removeprefix("https://").rpartition(":")
                host = "127.0.0.1" if host == "0.0.0.0" else host
                self.places.append(Place("tls" if secure else "tcp", (host, int(port)), host,
                                         secure_context() if secure else None))
        with self.client() as client:
            client.get("/healthz").ok()

    def place(self, kind="unix"):
        return next(place for place in self.places if place.kind == kind)

    def client(self, kind=None, timeout=ANSWER_S):
        return (self.place(kind) if kind else self.places[0]).client(timeout)

    def check_log(self):
        assert not SANITIZER.search(self.log()), self.log()

    def wait(self, timeout=STOP_S):
        """Waits for its end; returns the exit status."""
        try:
            self.stopped = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"devregd does not end within {timeout} s:\n{self.log()}") from None
        self.check_log()
        return self.stopped

    def send_signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=STOP_S):
        """Ends it as an administrator does; it must end well."""
        self.send_signal(number)
        status = self.wait(timeout)
        assert status == 0, f"devregd ended with {status}:\n{self.log()}"
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def clear(self):
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def settled_descriptors(self):
        """Their number once connections that have just ended are closed here too."""
        numbers = [self.descriptors()]

        def settled():
            time.sleep(0.05)
            numbers.append(self.descriptors())
            return numbers[-3:] == numbers[-1:] * 3
        wait_for(settled, "no connection comes or goes")
        return numbers[-1]

    def busy_seconds(self, period):
        """How much of a processor it takes in a while; once more, when the machine stalled in it."""
        def used():
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        def measure():
            before = used()
            time.sleep(period)
            return used() - before
        return stopwatch.undisturbed(measure)

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def sim(model, name, trace=None, path=None, **region):
    """A simulated board's entry in a configuration."""
    device = {"name": name, "model": model, "regions": [{"name": name, **region}]}
    if trace:
        device["trace"] = trace
    if path:
        device["path"] = path
    return device


ACCESS = re.compile(r"([RW]) (\d+) (0x[0-9a-f]+) (0x[0-9a-f]+|fault)")


class TraceFile:
    """The accesses that a simulated board saw, as (kind, width, offset, value); value is None for a fault."""

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def record(self):
        """Gives a list that is filled in at the end of the block."""
        accesses = []
        start = os.path.getsize(self.path)
        yield accesses
        with open(self.path, encoding="ascii") as file:
            file.seek(start)
            for line in file.read().splitlines():
                kind, width, offset, value = ACCESS.fullmatch(line).groups()
                accesses.append((kind, int(width), int(offset, 16), None if value == "fault" else int(value, 16)))


def places(accesses):
    """The accesses without their values."""
    return [access[:3] for access in accesses]
