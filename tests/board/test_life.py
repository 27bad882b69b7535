# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the daemon starts and ends, and what it leaves behind: nothing."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

SLOW = b"GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
NOBODY = 65534


def demo(start_daemon, *arguments, **options):
    return start_daemon(arguments=["--demo", *arguments], **options)


def fails(*arguments, status=1, timeout=board.START_S, **options):
    """Runs a devregd that must not start; returns what it says."""
    done = subprocess.run([board.program(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout, **options)
    assert done.returncode == status, (done.returncode, done.stdout)
    assert not board.SANITIZER.search(done.stdout), done.stdout
    return done.stdout


# Stopping

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered(start_daemon, number):
    """The access was made, so its result must arrive; the next request must not be taken for one that was made."""
    def stop():
        daemon = demo(start_daemon)
        connections = [place.connect() for place in daemon.places]
        for connection in connections:
            connection.sendall(SLOW)
            board.wait_until_read(connection)
        daemon.send_signal(number)
        received = [board.receive_answers(connection, timeout=5) for connection in connections]
        for connection in connections:
            connection.close()
        assert daemon.wait() == 0
        return received
    for answers, closed, rest in stopwatch.undisturbed(stop):
        assert [answer.status for answer in answers] == [200] and closed and rest == b""
        assert answers[0].headers["connection"] == "close"


def test_idle_connections_do_not_delay_the_end(start_daemon):
    daemon = demo(start_daemon)
    connections = [place.connect() for place in daemon.places * 10]
    for index, connection in enumerate(connections):
        if index % 3:
            connection.sendall(OK if index % 3 == 1 else OK[:10])
            board.wait_until_read(connection)
    watch = stopwatch.Stopwatch()
    assert daemon.stop() == 0
    assert watch.lived < 2
    for connection in connections:
        connection.close()


def test_upload_that_never_ends_does_not_delay_the_end(start_daemon):
    daemon = demo(start_daemon)
    with daemon.place().connect() as connection:
        connection.sendall(b"PUT /v1/regions/odd/data?offset=0x100 HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                           b"application/octet-stream\r\nContent-Length: 100\r\n\r\nabc")
        board.wait_until_read(connection)
        watch = stopwatch.Stopwatch()
        assert daemon.stop() == 0
        assert watch.lived < 5


def test_full_queue_is_refused_at_the_end(start_daemon):
    """What has begun is answered, what waits too long is refused, and the end comes in bounded time."""
    def stop():
        daemon = demo(start_daemon)
        connections = [daemon.place().connect() for _ in range(60)]
        for connection in connections:
            connection.sendall(SLOW)
            board.wait_until_read(connection)
        watch = stopwatch.Stopwatch()
        assert daemon.stop() == 0
        assert watch.lived < 6
        statuses = []
        for connection in connections:
            answers, closed, rest = board.receive_answers(connection, timeout=5)
            assert len(answers) == 1 and closed and rest == b"", answers
            statuses.append(answers[0].status)
            if answers[0].status != 200:
                assert "stopping" in answers[0].problem(503, "busy", region="odd")["detail"]
            connection.close()
        assert statuses == sorted(statuses)
        return statuses
    statuses = stopwatch.undisturbed(stop, most=0.5)
    assert 5 <= statuses.count(200) <= 30, statuses


def test_long_block_is_ended_between_two_accesses(start_daemon):
    """It says how far it came: those accesses were made."""
    def stop():
        daemon = demo(start_daemon)
        with daemon.place().connect() as connection:
            connection.sendall(b"GET /v1/regions/odd/data?offset=0x18&length=4000&fixed=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            board.wait_until_read(connection)
            watch = stopwatch.Stopwatch()
            assert daemon.stop() == 0
            assert watch.lived < 6
            answers, closed, _ = board.receive_answers(connection, timeout=5)
        assert closed and not os.path.exists(daemon.socket)
        return answers[0].problem(503, "busy", region="odd")
    document = stopwatch.undisturbed(stop, most=0.5)
    assert 5 <= document["done"] <= 30 and f"{document['done']} of 1000" in document["detail"]


def test_signal_after_signal(start_daemon):
    daemon = demo(start_daemon)
    with daemon.place().connect() as connection:
        connection.sendall(SLOW)
        board.wait_until_read(connection)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            daemon.send_signal(number)
        board.receive_answers(connection, 1)[0][0].ok()
    assert daemon.wait() == 0


def test_connection_in_use_at_the_end(start_daemon):
    """A client that asks again and again is told to go, and sees only whole answers."""
    daemon = demo(start_daemon)
    ended = threading.Event()
    statuses = []

    def ask():
        with daemon.client() as client:
            with contextlib.suppress(OSError, board.http.client.HTTPException):
                while not ended.is_set():
                    statuses.append(client.region("odd").read_answer(0).status)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        board.wait_for(lambda: len(statuses) > 20, "answers come")
        assert daemon.stop() == 0
    finally:
        ended.set()
        thread.join()
    assert set(statuses) <= {200, 503}


def test_nothing_is_left_behind(start_daemon):
    daemon = demo(start_daemon)
    port = daemon.place("tcp").address
    daemon.stop()
    assert not os.path.exists(daemon.socket)
    with pytest.raises(ConnectionRefusedError):
        board.Place("tcp", port).connect()


def test_same_port_again_at_once(start_daemon):
    """An upgrade must not wait for old connections to be forgotten."""
    daemon = demo(start_daemon)
    address = "{}:{}".format(*daemon.place("tcp").address)
    connection = daemon.place("tcp").connect()
    connection.sendall(OK)
    board.receive_answers(connection, 1)
    daemon.stop()
    demo(start_daemon, listen=[address])
    connection.close()


# Sockets

def test_second_daemon_on_one_socket(start_daemon):
    """It says why, and the first goes on."""
    daemon = demo(start_daemon)
    said = fails("--demo", "--socket", daemon.socket)
    assert f"another devregd listens on {daemon.socket}" in said
    with daemon.client("unix") as client:
        client.get("/healthz").ok()


def test_second_daemon_on_one_port(start_daemon, tmp_path):
    daemon = demo(start_daemon)
    address = "{}:{}".format(*daemon.place("tcp").address)
    said = fails("--demo", "--socket", str(tmp_path / "s"), "--listen", address)
    assert address in said and "another program" in said
    assert not (tmp_path / "s").exists()
    with daemon.client("tcp") as client:
        client.get("/healthz").ok()


def test_many_daemons_race_for_one_socket(start_daemon):
    """Of those that start at once exactly one wins, and it is reachable."""
    daemon = demo(start_daemon)
    daemon.process.kill()
    assert daemon.wait() == -signal.SIGKILL
    logs = [open(os.path.join(daemon.folder, f"race.{index}"), "wb") for index in range(5)]
    racers = [subprocess.Popen([board.program(), "--demo", "--socket", daemon.socket], stderr=log) for log in logs]
    try:
        board.wait_for(lambda: sum(racer.poll() is None for racer in racers) == 1, "one is left")
        with daemon.place("unix").client() as client:
            winner = client.get("/v1/status").ok().json["pid"]
        assert [racer.pid for racer in racers if racer.poll() is None] == [winner]
    finally:
        for racer, log in zip(racers, logs):
            racer.terminate()
            racer.wait(board.STOP_S)
            log.close()
    assert sorted(racer.returncode for racer in racers) == [0, 1, 1, 1, 1]


def test_socket_of_a_dead_daemon_is_replaced(start_daemon):
    daemon = demo(start_daemon)
    daemon.process.kill()
    assert daemon.wait() == -signal.SIGKILL
    assert stat.S_ISSOCK(os.lstat(daemon.socket).st_mode)
    following = demo(start_daemon, folder=daemon.folder)
    with following.client("unix") as client:
        client.get("/healthz").ok()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_path_that_is_no_socket(tmp_path, kind):
    """What is not ours stays."""
    path, other = tmp_path / "s", tmp_path / "other"
    other.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(other)
    said = fails("--demo", "--socket", str(path))
    assert str(path) in said and "no socket" in said
    assert os.path.lexists(path) and other.read_text() == "precious"


def test_socket_in_a_place_that_is_not_there():
    said = fails("--demo", "--socket", "/nonexistent/deep/socket")
    assert "/nonexistent/deep/socket" in said and "No such file" in said


def test_socket_path_that_is_too_long():
    said = fails("--demo", "--socket", "/tmp/" + "x" * 120)
    assert "107" in said


def test_socket_is_not_open_to_everybody(start_daemon):
    daemon = demo(start_daemon)
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) & 0o007 == 0


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:7373"])
def test_open_address_is_refused(tmp_path, address):
    """Whoever reaches the port may do everything: that takes a word that nobody says by accident."""
    said = fails("--demo", "--socket", str(tmp_path / "s"), "--listen", address)
    assert address in said and "--insecure" in said and "loopback" in said


def test_open_address_in_the_configuration_is_refused(tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text('{"listen": ["0.0.0.0:0"], "devices": []}')
    said = fails("--config", str(path), status=2)
    assert "--insecure" in said and f"{path}:1:" in said


def test_insecure_is_said(start_daemon):
    daemon = demo(start_daemon, "--insecure")
    assert "--insecure" in daemon.log()
    with daemon.client() as client:
        status = client.get("/v1/status").ok().json
        assert status["insecure"] is True and any("--insecure" in warning for warning in status["warnings"])


@pytest.mark.parametrize("address", ["", "7373", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
                                     "256.0.0.1:1", "example.org:1", "[::1:1", "::1", "127.0.0.1:0x0 "])
def test_addresses_that_are_none(tmp_path, address):
    said = fails("--demo", "--socket", str(tmp_path / "s"), "--listen", address)
    assert "no place to listen at" in said


def test_loopback_addresses(start_daemon):
    daemon = demo(start_daemon, listen=["127.0.0.1:0", "127.0.0.2:0", "localhost:0"])
    assert [place.kind for place in daemon.places] == ["unix", "tcp", "tcp", "tcp"]
    for place in daemon.places:
        with place.client() as client:
            client.get("/healthz").ok()


# Starting

def test_demo(start_daemon):
    daemon = demo(start_daemon)
    with daemon.client() as client:
        assert [region["name"] for region in client.get("/v1/regions").ok().json["regions"]] == ["edu", "odd"]
        assert client.region("edu").read(0) == 0x010000ed
        status = client.get("/v1/status").ok().json
        assert status["demo"] is True and any("--demo" in warning for warning in status["warnings"])
        assert status["pid"] == daemon.pid


def test_demo_needs_no_privileges(start_daemon):
    """The quick start is for people who are not root."""
    folder = pathlib.Path(board.tempfile.mkdtemp(prefix="devreg-"))
    try:
        wrapper = []
        if os.geteuid() == 0:
            shutil.copy(board.program(), folder / "devregd")
            (folder / "devregd").chmod(0o755)
            os.chown(folder, NOBODY, NOBODY)
            wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
                       "--inh-caps=-all", "sh", "-c", f'shift; exec {folder}/devregd "$@"', "sh"]
        daemon = demo(start_daemon, wrapper=wrapper, folder=str(folder))
        assert os.geteuid() != 0 or os.stat(daemon.socket).st_uid == NOBODY
        with daemon.client() as client:
            assert client.region("edu").read(0) == 0x010000ed
            client.region("odd").read_answer(0x10000).problem(502, "bus-fault")
            assert client.region("odd").read(0) == 0x0dd00001
        daemon.stop()
    finally:
        shutil.rmtree(folder)


def test_configuration_that_can_not_be_read(tmp_path):
    said = fails("--config", str(tmp_path / "nothing.json"), status=2)
    assert str(tmp_path / "nothing.json") in said and "No such file" in said


def test_configuration_directory_that_can_not_be_read(tmp_path):
    """A directory's place may be taken by something else, or closed to this user: neither is passed over."""
    path = tmp_path / "devregd.json"
    path.write_text('{"devices": []}')
    (tmp_path / "devices.d").write_text("")
    said = fails("--config", str(path), "--check-config", status=2)
    assert str(tmp_path / "devices.d") in said


class Notices:
    """A service manager's end of sd_notify()."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(board.START_S)

    def wait_for(self, word):
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            if word in lines:
                return lines


def test_readiness_is_notified():
    """READY when it serves, not before; STOPPING as soon as it does no more."""
    def run():
        folder = board.tempfile.mkdtemp(prefix="devreg-")
        try:
            notices = Notices(folder)
            daemon = board.Daemon(arguments=["--demo"], environment={"NOTIFY_SOCKET": notices.path}, folder=folder)
            try:
                lines = notices.wait_for("READY=1")
                assert any(line.startswith("STATUS=") for line in lines)
                with board.Place("unix", daemon.socket).client() as client:
                    client.get("/healthz").ok()
                with board.Place("unix", daemon.socket).connect() as connection:
                    connection.sendall(SLOW)
                    board.wait_until_read(connection)
                    daemon.send_signal()
                    notices.wait_for("STOPPING=1")
                    runs = daemon.process.poll() is None
                    board.receive_answers(connection, 1)[0][0].ok()
                assert daemon.wait() == 0
            finally:
                daemon.kill()
            notices.socket.close()
        finally:
            shutil.rmtree(folder)
        return runs
    assert stopwatch.undisturbed(run), "it says so when it ends"


def test_watchdog_is_fed():
    folder = board.tempfile.mkdtemp(prefix="devreg-")
    try:
        notices = Notices(folder)
        with board.Daemon(arguments=["--demo"], folder=folder,
                          environment={"NOTIFY_SOCKET": notices.path, "WATCHDOG_USEC": "400000"}):
            for _ in range(3):
                notices.wait_for("WATCHDOG=1")
        notices.socket.close()
    finally:
        shutil.rmtree(folder)


def test_trace_that_can_not_be_written(start_daemon):
    """A trace with a gap proves nothing, so the access fails, and says what is wrong."""
    daemon = start_daemon({"devices": [board.sim("edu", "edu", trace="/dev/full"), board.sim("odd", "odd")]})
    with daemon.client() as client:
        answer = client.region("edu").read_answer(0)
        assert answer.status >= 500
        assert "trace" in answer.json["detail"] or "No space left" in answer.json["detail"], answer
        assert client.region("odd").read(0) == 0x0dd00001


def test_trace_that_can_not_be_opened(start_daemon):
    daemon = start_daemon({"devices": [board.sim("edu", "edu", trace="/nonexistent/trace")]})
    with daemon.client() as client:
        assert "/nonexistent/trace" in client.region("edu").read_answer(0).problem(410, "gone")["detail"]


# Staying

def abort(connection):
    """Closes with a reset rather than an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def test_no_descriptor_is_lost(start_daemon):
    """A thousand connections that end in every way, on both sockets."""
    daemon = demo(start_daemon)
    ways = [b"", OK, OK[:20], OK.replace(b"\r\n", b"\n"), OK * 20, b"GET /v1/regions/odd/registers/0x0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /v1/regions/odd/data?offset=0&length=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"PUT /v1/regions/odd/data?offset=0x100 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 100\r\n\r\nabc", b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\nabc", b"\0" * 100]
    with daemon.client() as client:
        client.region("odd").read(0)        # its thread is there from now on
        with daemon.place("tcp").client() as other:
            other.get("/healthz").ok()
        before = daemon.settled_descriptors()
        dice = random.Random(1)
        for index in range(1000):
            connection = daemon.places[index % 2].connect()
            with contextlib.suppress(ConnectionError):
                connection.sendall(ways[index // 2 % len(ways)])
                if dice.random() < 0.3:
                    connection.settimeout(0.002)
                    with contextlib.suppress(TimeoutError):
                        connection.recv(100)
            if dice.random() < 0.5:
                abort(connection)
            else:
                connection.close()
        client.get("/healthz").ok()
        board.wait_for(lambda: daemon.descriptors() <= before, f"{before} descriptors again", 10)


def test_memory_stays_flat(start_daemon):
    """Twenty thousand requests, good and bad. The bound is generous: sanitizers keep freed memory for a while."""
    options = os.environ.get("ASAN_OPTIONS", "")
    daemon = start_daemon({"devices": [board.sim("edu", "edu"), board.sim("odd", "odd"), board.sim("ram", "ram", size=0x10000)]},
                          environment={"ASAN_OPTIONS": f"{options}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"})

    def put(path, body, kind):
        return b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (path, kind, len(body), body)
    batch = [OK, b"GET /v1/regions HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /v1/regions/edu/registers/0x0?count=40 HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /v1/regions/odd/registers/0x10000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /v1/regions/ram/data?offset=0&length=4000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
             put(b"/v1/regions/ram/data?offset=0", bytes(4000), b"application/octet-stream"),
             put(b"/v1/regions/ram/registers/0x0", b'{"values":["0x1","0x2"]}', b"application/json"),
             put(b"/v1/regions/ram/registers/0x0", b'{"values":["0x1","x"', b"application/json"),
             b"GET /v1/regions/ram/registers/0x0?%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"]

    def ask(times):
        for _ in range(times // 100):
            answers, _, _ = board.exchange(daemon.place("unix"), b"".join(batch) * 10, count=100)
            assert [answer.status for answer in answers[:10]] == [200, 200, 404, 200, 502, 200, 200, 200, 400, 400]
            assert len(answers) == 100
    ask(4000)
    before = daemon.resident_bytes()
    ask(20000)
    assert daemon.resident_bytes() - before < 8 << 20


def test_two_clients_change_one_register(place):
    """PATCH is atomic: each client owns an octet of the register, and none ever loses what it wrote."""
    clients, rounds = 4, 250
    failures = []

    def count(lane):
        try:
            with place.client() as client:
                for value in range(rounds):
                    before, after = client.region("odd").patch(0x100, 0xff << 8 * lane, (value + 1) % 256 << 8 * lane)
                    assert before >> 8 * lane & 0xff == value % 256
                    assert after >> 8 * lane & 0xff == (value + 1) % 256
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)
    with place.client() as client:
        client.region("odd").write(0x100, 0)
        threads = [threading.Thread(target=count, args=(lane,)) for lane in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert client.region("odd").read_many(0x100, 4, 8) == [rounds % 256] * clients


def test_signals_that_are_not_for_ending(start_daemon):
    """A client that goes while it is written to is no reason to end."""
    daemon = demo(start_daemon)
    for _ in range(20):
        with daemon.place("unix").connect() as connection:
            connection.sendall(b"GET /v1/regions/odd/data?offset=0&length=65536 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
    daemon.send_signal(signal.SIGPIPE)
    with daemon.client() as client:
        client.get("/healthz").ok()
