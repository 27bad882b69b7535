# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one client can take from the others: as little as is written in the limits."""

import contextlib
import statistics
import threading
import time

import pytest

import board
import certificates
import stopwatch

pytestmark = pytest.mark.sim

MIB = 1 << 20
OK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW = b"GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\nHost: localhost\r\n\r\n"
WRONG = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer devreg_x\r\n\r\n"
KINDS = ["unix", "tcp", "tls"]


def start(start_daemon, **limits):
    return start_daemon({"limits": limits, "devices": [
        board.sim("edu", "edu"), board.sim("odd", "odd"), board.sim("ram", "ram", size=1 << 24)]})


def ask(connection, octets=OK, timeout=5):
    connection.sendall(octets)
    return board.receive_answers(connection, 1, timeout)[0][0]


def counters(client):
    return client.get("/v1/status").ok().json["counters"]


def close(connections):
    while connections:
        connections.pop().close()


# Connections of all together

@pytest.mark.parametrize("kind", KINDS)
def test_connections_of_all_sockets(start_daemon, kind):
    """Whoever is over the limit is told so, on whichever socket; the next fits when another goes."""
    daemon = start(start_daemon, connections=9)
    held = [place.connect() for place in daemon.places * 3]
    for connection in held:
        ask(connection).ok()
    for _ in range(3):
        with daemon.place(kind).connect() as late:
            answer = ask(late)
            assert "9 connections" in answer.problem(503, "busy")["detail"]
            assert answer.headers["retry-after"] == "1" and answer.headers["connection"] == "close"
            assert board.receive_answers(late)[1]
    held.pop().close()

    def fits():
        with daemon.place(kind).connect() as connection:
            return ask(connection).status == 200
    board.wait_for(fits, "there is room again")
    close(held)
    with daemon.client() as client:
        assert counters(client)["connections_refused"] >= 3


def test_connections_beyond_the_spare_ones(start_daemon):
    """Those that say nothing at all are no way around it, and cost no more than a descriptor for a moment."""
    daemon = start(start_daemon, connections=4)
    before = daemon.settled_descriptors()
    held = [daemon.place("unix").connect() for _ in range(4)]
    for connection in held:
        ask(connection).ok()
    crowd = [daemon.places[index % 3].address for index in range(150)]
    waiting = []
    for index, address in enumerate(crowd):
        waiting.append(board.Place("unix" if isinstance(address, str) else "tcp", address).connect())
    board.wait_for(lambda: daemon.descriptors() <= before + 4 + 32, "no more than the spare ones")
    ask(held[0]).ok()
    # The spare ones get a few seconds, or nobody could be told anything.
    board.wait_for(lambda: daemon.descriptors() <= before + 4, "the silent ones are gone", 12)
    close(held)
    close(waiting)
    with daemon.client() as client:
        assert counters(client)["connections_refused"] >= 150 - 2 * 32    # for the network and for the Unix socket


def test_connections_are_given_back(start_daemon):
    """However they end."""
    daemon = start(start_daemon, connections=12)
    for index in range(150):
        place = daemon.places[index % 3]
        with contextlib.suppress(OSError):
            with place.connect() as connection:
                connection.sendall((OK, OK[:10], b"", b"\0\0\r\n\r\n", SLOW)[index // 3 % 5])
                if index % 2:
                    board.receive_answers(connection, 1, timeout=0.05)

    def all_fit():
        held = []
        try:
            for place in daemon.places * 4:
                held.append(place.connect())
                if ask(held[-1]).status != 200:
                    return False
            return True
        finally:
            close(held)
    board.wait_for(all_fit, "twelve fit again")


# What one principal has

@pytest.mark.parametrize("kind", KINDS)
def test_connections_per_principal(start_daemon, kind):
    daemon = start(start_daemon, connections_per_principal=4)
    place = daemon.place(kind)
    others = [daemon.place("tcp" if kind == "unix" else "unix"), daemon.place("tls").showing(certificates.client())]

    def hold():
        held = [place.connect() for _ in range(4)]
        if all([ask(connection).status == 200 for connection in held]):
            return held
        close(held)
        return None
    for _ in range(3):
        held = board.wait_for(hold, "four fit")     # again, when those of before have gone
        with place.connect() as late:
            answer = ask(late)
            assert "4 connections" in answer.problem(429, "over-limit")["detail"]
            assert answer.headers["retry-after"] == "1" and answer.headers["connection"] == "close"
        for other in others:
            with other.connect() as connection:
                ask(connection).ok()
        ask(held[0]).ok()
        close(held)


def test_silent_connections_of_a_user(start_daemon):
    """A user is known without a word, so silence does not help."""
    daemon = start(start_daemon, connections=40, connections_per_principal=4)
    crowd = [daemon.place("unix").connect() for _ in range(30)]
    with daemon.client("tcp") as client:
        client.get("/healthz").ok()
    with daemon.place("unix").connect() as late:
        ask(late).problem(429, "over-limit")
    close(crowd)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_per_principal(start_daemon, kind):
    daemon = start(start_daemon, requests_per_principal=3)
    place = daemon.place(kind)

    def fourth():
        waiting = [place.connect() for _ in range(3)]
        for connection in waiting:
            connection.sendall(SLOW)
            board.wait_until_read(connection)
        with place.client() as client:
            answer = client.get("/healthz")
            with daemon.client("tcp" if kind == "unix" else "unix") as other:
                other.get("/healthz").ok()
            waiting.pop().close()       # its request is under way until the device is done
            for connection in waiting:
                board.receive_answers(connection, 1)[0][0].ok()
            board.wait_for(lambda: client.get("/healthz").status == 200, "there is room again")
        close(waiting)
        return answer
    for _ in range(2):
        answer = stopwatch.undisturbed(fourth)
        assert "3 requests" in answer.problem(429, "over-limit")["detail"]
        assert answer.headers["retry-after"] == "1"
    with daemon.client("unix") as client:
        assert counters(client)["over_limit"] >= 1


def test_data_of_a_principal(start_daemon):
    """What one leaves lying about is not what others may use."""
    daemon = start(start_daemon, data_bytes=4 * MIB, data_principal_bytes=4 * MIB, data_total_bytes=16 * MIB)
    request = f"GET /v1/regions/ram/data?offset=0&length={4 * MIB} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with daemon.client("tcp") as client, daemon.client("unix") as other, daemon.place("tcp").connect() as stalled:
        stalled.setsockopt(board.socket.SOL_SOCKET, board.socket.SO_RCVBUF, 4096)
        stalled.sendall(request)
        ram = client.region("ram")
        board.wait_for(lambda: ram.get_data_answer(0, 4).status == 429, "the budget is used up")
        answer = ram.put_data_answer(0, bytes(MIB))
        assert "anonymous" in answer.problem(429, "over-limit")["detail"]
        assert len(other.region("ram").get_data(0, 4 * MIB)) == 4 * MIB
        stalled.close()
        board.wait_for(lambda: ram.get_data_answer(0, 4 * MIB).status == 200, "the budget is free again")


def test_head_bytes(start_daemon):
    daemon = start(start_daemon, head_bytes="64k")
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n"
    for place in daemon.places:
        assert board.exchange(place, head % (b"a" * 30000), count=1)[0][0].status == 200
        assert board.exchange(place, head % (b"a" * 70000), count=1)[0][0].status == 431


# A normal client beside others

@contextlib.contextmanager
def watched(place, most_s=0.1):
    """A client that goes on asking; checks that it is answered, and in time."""
    ended, taken, failures = threading.Event(), [], []

    def ask_on():
        try:
            with place.client() as client:
                while not ended.is_set():
                    watch = stopwatch.Stopwatch()
                    client.region("edu").read(0)
                    taken.append(watch.lived)
                    time.sleep(0.002)
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)
    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not failures, failures
    assert len(taken) > 50
    assert statistics.median(taken) < 0.02, statistics.median(taken)
    assert sorted(taken)[int(len(taken) * 0.98)] < most_s, sorted(taken)[-20:]


@pytest.mark.parametrize("kind", KINDS)
def test_slow_senders(start_daemon, kind):
    """Heads and bodies that come an octet at a time (slowloris)."""
    daemon = start(start_daemon, request_seconds=2, idle_seconds=5)
    beginnings = [b"GET /healthz HTTP/1.1\r\nX: ", b"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/octet-stream\r\nContent-Length: 100000\r\n\r\n"]
    with watched(daemon.place("unix")):
        crowd = [daemon.place(kind).connect() for _ in range(60)]
        for index, connection in enumerate(crowd):
            connection.sendall(beginnings[index % 2])
        watch = stopwatch.Stopwatch()
        gone = set()
        while len(gone) < len(crowd) and watch.lived < 25:
            for connection in crowd:
                if connection in gone:
                    continue
                try:
                    connection.setblocking(False)
                    connection.send(b"a")
                    if connection.recv(4096) == b"":
                        gone.add(connection)
                except BlockingIOError:
                    pass
                except OSError:
                    gone.add(connection)
            time.sleep(0.1)
    close(crowd)
    assert len(gone) == 60
    with daemon.client() as client:
        assert counters(client)["timed_out"] >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_clients_that_never_read(start_daemon, kind):
    daemon = start(start_daemon)
    request = b"GET /v1/regions/ram/data?offset=0&length=1048576 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    crowd = []
    with watched(daemon.place("tcp" if kind == "unix" else "unix")):
        for _ in range(20):
            connection = daemon.place(kind).connect()
            connection.setsockopt(board.socket.SOL_SOCKET, board.socket.SO_RCVBUF, 4096)
            connection.sendall(request * 5)
            crowd.append(connection)
        stopwatch.sleep(1)
        # It goes on until all buffers are full, which takes a while where encrypting is slow.
        board.wait_for(lambda: daemon.busy_seconds(0.5) < 0.4, "clients that never read to cost nothing")
        assert daemon.busy_seconds(2) < 1.6
    close(crowd)


# Guessing

@pytest.fixture
def guesser(start_daemon):
    return start(start_daemon)


@pytest.mark.parametrize("kind", KINDS)
def test_guessing_gets_slower(guesser, kind):
    """And nobody else does, not even from the same address."""
    place = guesser.place(kind)
    with place.connect() as connection, place.connect() as good:
        times = []
        for index in range(9):
            watch = stopwatch.Stopwatch()
            connection.sendall(WRONG)
            if index >= 7:
                for _ in range(5):
                    asked = stopwatch.Stopwatch()
                    ask(good).ok()
                    assert asked.lived < 0.15
            answers, _, _ = board.receive_answers(connection, 1)
            answers[0].problem(401, "unauthenticated")
            times.append((watch.real, watch.lived))
        assert max(lived for _, lived in times[:5]) < 0.09, times
        for index, least in ((5, 0.1), (6, 0.2), (7, 0.4), (8, 0.8)):
            real, lived = times[index]
            assert least - 0.02 < real and lived < least + 0.5, times       # counted from the loop's round
        ask(connection).ok()
    assert "wrong credentials from" in guesser.log()
    with guesser.client() as client:
        assert counters(client)["unauthenticated"] == 9


def test_guessing_from_many_connections(start_daemon):
    """So many wait and no more; the others are told at once."""
    def guess():
        guesser = start(start_daemon)
        with watched(guesser.place("unix")):
            crowd = [guesser.place("tcp").connect() for _ in range(100)]
            for connection in crowd:
                connection.sendall(WRONG)
            stopwatch.sleep(0.5)
            answered = 0
            for connection in crowd:
                answers, _, _ = board.receive_answers(connection, 1, timeout=0.005)
                answered += len(answers)
                if answers and answers[0].status == 429:
                    answers[0].problem(429, "over-limit")
                    assert answers[0].headers["retry-after"] == "1"
        with guesser.client() as client:
            over = counters(client)["over_limit"]
        close(crowd)
        assert guesser.log().count("wrong credentials from") <= 30
        return answered, over
    answered, over = stopwatch.undisturbed(guess, most=0.3)
    assert 100 - 64 <= answered < 60 and over >= 20


def test_guessing_with_a_body(guesser):
    """What follows is not read while the answer waits, nor after it."""
    octets = b"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n" \
             b"Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\n" + bytes(50)
    for index in range(7):
        watch = stopwatch.Stopwatch()
        answers, closed, rest = board.exchange(guesser.place("tls"), octets, timeout=5)
        assert [answer.status for answer in answers] == [401] and closed and rest == b""
        assert watch.real > 0.08 if index > 4 else watch.lived < 0.08


def test_guessers_that_go(guesser):
    """While their answers wait, and when the daemon ends."""
    before = guesser.settled_descriptors()
    for place in guesser.places:
        for _ in range(20):
            with place.connect() as connection:
                connection.sendall(WRONG)
                time.sleep(0.002)
    board.wait_for(lambda: guesser.descriptors() <= before, "all are gone", 15)
    waiting = [place.connect() for place in guesser.places * 5]
    for connection in waiting:
        connection.sendall(WRONG)
        board.wait_until_read(connection)
    watch = stopwatch.Stopwatch()
    assert guesser.stop() == 0
    assert watch.lived < 2
    for connection in waiting:
        answers, _, _ = board.receive_answers(connection, 1)
        assert all(answer.status == 401 for answer in answers)
        connection.close()


def test_pipelined_guesses(guesser):
    """One after the other: what comes behind waits too."""
    watch = stopwatch.Stopwatch()
    answers, _, rest = board.exchange(guesser.place("unix"), WRONG * 7 + OK, count=8)
    assert [answer.status for answer in answers] == [401] * 7 + [200] and rest == b""
    assert 0.28 < watch.real and watch.lived < 1.5


def test_strangers_keep_no_user_of_this_machine_out(start_daemon):
    """Connections that are nobody's fill what there is for the network, not what there is for the Unix socket."""
    daemon = start_daemon({"limits": {"connections": 8}, "devices": []})
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            with contextlib.suppress(OSError):
                stack.enter_context(daemon.place("tcp").connect())
        for _ in range(8):
            client = stack.enter_context(daemon.client())
            client.get("/v1/status").ok()
        with daemon.client() as one_more:
            one_more.get("/v1/status").problem(503, "busy")
