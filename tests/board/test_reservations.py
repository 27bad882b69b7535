# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reservations, from outside: who holds what, who is next, and that nobody else gets through. The principals are tokens,
since all clients on one machine are one Unix user."""

import contextlib
import os
import socket
import threading
import time

import pytest

import board
import stopwatch

ID = "0x0dd00001"       # what odd says it is
SLOW = 0x18             # each access takes 0.2 s
SCRATCH = 0x100

NAMES = ["alice", "bob", "carol", "dave"]


class Person:
    """A principal with a connection of its own."""

    def __init__(self, daemon, name, secret, timeout=board.ANSWER_S):
        self.name = name
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.client = daemon.client(timeout=timeout)

    def ask(self, method, path, body=None, reservation=None):
        named = {"Devreg-Reservation": reservation} if reservation else {}
        return self.client.ask(method, path, body, headers={**self.headers, **named})

    def reserve(self, region="odd", **wish):
        return self.ask("POST", "/v1/reservations", {"region": region, **wish})

    def take(self, region="odd", status=201, **wish):
        answer = self.reserve(region, **wish)
        assert answer.status in ([status] if status else [201, 202]), answer
        return answer.json

    def get(self, identifier, **arguments):
        answer = self.ask("GET", f"/v1/reservations/{identifier}{board.query(arguments)}")
        assert answer.status == 200, answer
        return answer.json

    def renew(self, identifier, **body):
        return self.ask("PUT", f"/v1/reservations/{identifier}", body)

    def release(self, identifier):
        return self.ask("DELETE", f"/v1/reservations/{identifier}")

    def wait_for_turn(self, identifier, timeout=60):
        watch = stopwatch.Stopwatch()
        while True:
            reservation = self.get(identifier, wait=20)
            if reservation["state"] != "waiting":
                assert reservation["state"] == "held", reservation
                return reservation
            assert watch.lived < timeout, reservation

    def read(self, region, offset, **options):
        return self.ask("GET", f"/v1/regions/{region}/registers/{offset:#x}", **options)

    def write(self, region, offset, value, **options):
        return self.ask("PUT", f"/v1/regions/{region}/registers/{offset:#x}", {"value": f"{value:#x}"}, **options)


class People:
    def __init__(self, daemon, secrets):
        self.daemon = daemon
        self.secrets = secrets
        self.stack = contextlib.ExitStack()

    def __call__(self, name, **options):
        """Another connection of a principal; "root" is the Unix user, who may do everything."""
        person = Person(self.daemon, name, self.secrets.get(name), **options)
        self.stack.callback(person.client.close)
        return person


def configuration(folder):
    return {"access": [{"principals": ["user:*"], "permissions": ["all"]},
                       {"principals": ["token:*"], "permissions": ["list", "read", "write", "reserve"]}],
            "devices": [board.sim("odd", "odd", trace=str(folder / "odd.trace")), board.sim("edu", "edu"),
                        board.sim("ram", "ram", size=0x1000)]}


def begin(folder, start_daemon, secrets=None):
    daemon = start_daemon(configuration(folder), ["--state", str(folder / "state")])
    people = People(daemon, secrets or {})
    if secrets is None:
        with daemon.client() as root:
            for name in NAMES:
                answer = root.ask("POST", "/v1/tokens", {"name": name})
                assert answer.status == 201, answer
                people.secrets[name] = answer.json["token"]
    return people


@pytest.fixture
def people(tmp_path, start_daemon):
    began = begin(tmp_path, start_daemon)
    with began.stack:
        yield began


@pytest.fixture
def trace(tmp_path):
    return board.TraceFile(tmp_path / "odd.trace")


class InBackground:
    """A request whose answer comes later."""

    def __init__(self, function, *arguments, **options):
        self.answer = self.failure = None
        self.thread = threading.Thread(target=self.run, args=(function, arguments, options))
        self.thread.start()

    def run(self, function, arguments, options):
        try:
            self.answer = function(*arguments, **options)
        except BaseException as failure:        # pylint: disable=broad-except
            self.failure = failure

    def result(self, timeout=board.ANSWER_S):
        board.wait_for(lambda: not self.thread.is_alive(), "an answer", timeout)
        if self.failure:
            raise self.failure
        return self.answer


# Who gets through

@pytest.mark.sim
def test_exclusive(people):
    alice, bob = people("alice"), people("bob")
    held = alice.take(note="flashing", contact="alice@lab.example", seconds=300)
    assert held["holder"] == "token:alice" and held["state"] == "held" and held["mode"] == "exclusive"
    alice.read("odd", 0).ok()
    for answer in (bob.read("odd", 0), bob.write("odd", SCRATCH, 1), people("root").read("odd", 0), bob.reserve(),
                   bob.reserve(mode="shared"), bob.ask("POST", "/v1/reservations", {"device": "odd"}), alice.reserve()):
        facts = answer.problem(423, "reserved", holder="token:alice", note="flashing", contact="alice@lab.example",
                               reservation=held["id"])
        assert 295 <= facts["until_seconds"] <= 300 and "token:alice" in facts["detail"]
    bob.read("edu", 0).ok()
    assert [row["id"] for row in bob.ask("GET", "/v1/reservations").ok().json["reservations"]] == [held["id"]]
    assert alice.release(held["id"]).ok().json["ended"] == "released"
    bob.read("odd", 0).ok()
    assert bob.ask("GET", "/v1/reservations").ok().json == {"reservations": []}


@pytest.mark.sim
def test_ranges(people):
    alice, bob = people("alice"), people("bob")
    alice.take("ram", offset="0x100", length="0x10")
    for offset in (0xfc, 0x110):
        bob.write("ram", offset, 1).ok()
    for path in ("registers/0x100", "registers/0x10c", "registers/0xfc?count=2", "registers/0xf8?width=64&count=2",
                 "data?offset=0x0&length=0x200", "data?offset=0x10f&length=1&width=8"):
        bob.ask("GET", f"/v1/regions/ram/{path}").problem(423, "reserved", region="ram")
    bob.take("ram", offset="0x110", length=4)
    bob.reserve("ram").problem(423, "reserved")


@pytest.mark.sim
def test_shared(people):
    alice, bob, carol = people("alice"), people("bob"), people("carol")
    shares = [alice.take(mode="shared"), bob.take(mode="shared")]
    alice.write("odd", SCRATCH, 1).ok()
    bob.read("odd", SCRATCH).ok()
    carol.read("odd", 0).problem(423, "reserved")
    carol.reserve().problem(423, "reserved")
    waiting = carol.take(status=202, wait=True)
    # Who comes later does not overtake, though a share could be had.
    assert "token:carol" in people("dave").reserve(mode="shared").problem(423, "reserved")["detail"]
    for person, share in zip((alice, bob), shares):
        assert carol.get(waiting["id"])["state"] == "waiting"
        person.release(share["id"]).ok()
    assert carol.get(waiting["id"])["state"] == "held"
    alice.read("odd", 0).problem(423, "reserved", holder="token:carol")


@pytest.mark.sim
def test_named_reservation(people):
    """What outlived its hold does nothing, also when nobody else has the region."""
    alice, bob = people("alice"), people("bob")
    held, waiting = alice.take()["id"], bob.take(status=202, wait=True)["id"]
    alice.write("odd", SCRATCH, 1, reservation=held).ok()
    alice.read("ram", 0, reservation=held).ok()
    bob.read("ram", 0, reservation=held).problem(423, "reserved")
    bob.read("ram", 0, reservation=waiting).problem(423, "reserved")
    bob.release(waiting).ok()
    alice.release(held).ok()
    assert "was released" in alice.write("odd", SCRATCH, 2, reservation=held).problem(423, "reserved")["detail"]
    alice.read("odd", 0, reservation="r-0000000000000000").problem(423, "reserved")
    assert alice.read("odd", SCRATCH).ok().json["value"] == "0x00000001"
    alice.ask("GET", "/v1/reservations", reservation=held).ok()


# How it ends

@pytest.mark.sim
def test_expiry(people):
    """A holder that is gone keeps nobody for longer than it asked for; its successor is told at once."""
    alice, bob = people("alice"), people("bob")

    def take(seconds):
        watch = stopwatch.Stopwatch()
        held, waiting = alice.take(seconds=seconds), bob.take(status=None, wait=True)
        if waiting["state"] == "waiting":
            return watch, held, waiting
        return bob.release(waiting["id"]) and None
    (watch, held, waiting), seconds = stopwatch.within(take, "it is waited for before it ends", (2, 10, 20))
    alice.client.close()
    assert bob.wait_for_turn(waiting["id"])["state"] == "held"
    assert seconds - 0.1 < watch.real and watch.lived < seconds + 1
    bob.write("odd", SCRATCH, 1).ok()
    alice.write("odd", SCRATCH, 2).problem(423, "reserved", holder="token:bob")
    assert alice.get(held["id"])["ended"] == "expired"
    assert "expired" in alice.renew(held["id"]).problem(410, "ended")["detail"]
    alice.release(held["id"]).problem(410, "ended")
    assert bob.get(waiting["id"])["state"] == "held"


@pytest.mark.sim
def test_renewal(people):
    alice, bob = people("alice"), people("bob")

    def renew(seconds):
        held = alice.take(seconds=seconds)["id"]
        for _ in range(5):
            time.sleep(0.3 * seconds)
            answer = alice.renew(held)
            if answer.status == 410:
                return None
            assert answer.ok().json["until_seconds"] == seconds
        answer = alice.renew(held, seconds=500)
        return (held, answer) if answer.status != 410 else None
    (held, answer), _ = stopwatch.within(renew, "it is renewed before it ends", (1, 5, 10))
    assert answer.ok().json["until_seconds"] == 500
    bob.renew(held).problem(403, "denied")
    bob.release(held).problem(403, "denied")
    assert people("root").release(held).ok().json["reason"] == "by " + people("root").ask(
        "GET", "/v1/whoami").ok().json["principal"]
    assert "by user:" in alice.renew(held).problem(410, "ended")["detail"]


@pytest.mark.sim
def test_takeover_of_what_is_under_way(people, trace):
    """What the old holder has begun is finished, what it has not begun is refused, the hardware is made safe, and only then
    the new holder has it."""
    alice, bob, root = people("alice"), people("bob"), people("root")

    def take_over():
        held = alice.take(safe_state=[{"offset": hex(SCRATCH), "value": "0x5afe"}, {"offset": hex(SCRATCH + 4), "value": 1}])
        bob.reserve(takeover="mine").problem(403, "denied")
        alice.write("odd", SCRATCH, 0xbad).ok()
        with trace.record() as accesses:
            writes, come = [], board.arrivals(root.client)
            for value in range(5):
                writes.append(InBackground(people("alice").write, "odd", SLOW, value))
                come(value + 1)         # in this order
            taken = root.take(takeover="the nightly run")
            assert root.read("odd", SCRATCH).ok().json["value"] == "0x00005afe"
            answers = [write.result() for write in writes]
        assert "the nightly run" in alice.renew(held["id"]).problem(410, "ended")["detail"]
        assert alice.get(held["id"])["ended"] == "taken-over"
        alice.read("odd", 0).problem(423, "reserved", reservation=taken["id"])
        root.release(taken["id"]).ok()
        return accesses, answers
    accesses, answers = stopwatch.undisturbed(take_over)
    statuses = [answer.status for answer in answers]
    assert statuses == sorted(statuses) and statuses[0] == 200 and statuses[-1] == 423, statuses
    for answer in answers[statuses.count(200):]:
        assert "before it was made" in answer.problem(423, "reserved", region="odd")["detail"]
    assert board.places(accesses) == [("W", 32, SLOW)] * statuses.count(200) + [
        ("W", 32, SCRATCH), ("W", 32, SCRATCH + 4), ("R", 32, SCRATCH)]


@pytest.mark.sim
def test_takeover_in_the_middle(people, trace):
    """A long transfer ends between two of its accesses, and says how many were made."""
    alice, root = people("alice"), people("root")
    alice.take()
    before = os.path.getsize(trace.path)
    watch = stopwatch.Stopwatch()
    transfer = InBackground(people("alice").ask, "GET", f"/v1/regions/odd/data?offset={SLOW:#x}&length=400&fixed=1")
    board.wait_for(lambda: os.path.getsize(trace.path) > before, "an access is made")
    root.take(takeover="no time")
    facts = transfer.result(5).problem(423, "reserved", region="odd")
    assert 1 <= facts["done"] <= 5 * watch.real + 1 and watch.lived < 3
    assert f"{facts['done']} of 100 accesses were completed" in facts["detail"]
    root.read("odd", 0).ok()


@pytest.mark.sim
@pytest.mark.parametrize("how", ["release", "expire"])
def test_safe_state(people, trace, how):
    alice, bob = people("alice"), people("bob")

    def pass_on(seconds):
        held = alice.take(seconds=seconds, safe_state=[{"offset": "0x104", "width": 16, "value": "0xbeef"}])
        assert held["safe_state"] == [{"region": "odd", "offset": "0x104", "width": 16, "value": "0xbeef"}]
        waiting = bob.take(status=None, wait=True)
        never = bob.take(status=None, wait=True, safe_state=[{"offset": "0x108", "value": 1}])
        with trace.record() as accesses:
            in_time = alice.get(held["id"])["state"] == "held"
            bob.release(never["id"]).ok()       # it was never held: there is nothing to make safe
            if how == "release" and in_time:
                alice.release(held["id"]).ok()
            bob.wait_for_turn(waiting["id"])
            bob.read("odd", 0).ok()
        bob.release(waiting["id"]).ok()
        return accesses if in_time else None
    accesses, _ = stopwatch.within(pass_on, "it is waited for before it ends", (600,) if how == "release" else (1, 5, 25))
    assert accesses == [("W", 16, 0x104, 0xbeef), ("R", 32, 0, int(ID, 16))]


@pytest.mark.sim
def test_safe_state_in_a_loop(people):
    """Taking and releasing again and again does not keep a slow device busy for hours."""
    alice = people("alice")
    writes = [{"offset": hex(SLOW), "value": 0}] * 16
    alice.reserve(safe_state=writes + writes[:1]).problem(413, "too-large")
    for _ in range(5):
        answer = alice.reserve(safe_state=writes)
        if answer.status != 201:
            break
        alice.release(answer.json["id"]).ok()
    assert "safe-state writes" in answer.problem(429, "over-limit")["detail"]
    alice.release(alice.take()["id"]).ok()
    board.wait_for(lambda: alice.reserve(safe_state=writes).status == 201, "the device has made them", 20)


@pytest.mark.sim
def test_revoked_token(people):
    alice, bob, root = people("alice"), people("bob"), people("root")
    alice.take()
    waiting = bob.take(status=202, wait=True)
    root.ask("DELETE", "/v1/tokens/alice").ok()
    assert bob.wait_for_turn(waiting["id"], 5)["state"] == "held"
    alice.read("odd", 0).problem(401, "unauthenticated")


# The queue

@pytest.mark.sim
def test_places(people):
    first = people("alice").take()
    rows = [(people(name), people(name).take(status=202, wait=True, **wish)["id"]) for name, wish in
            (("bob", {}), ("carol", {"offset": 0, "length": 4}), ("dave", {"offset": "0x100", "length": 4}))]
    assert [person.get(identifier)["position"] for person, identifier in rows] == [1, 2, 2]
    come = board.arrivals(people("root").client)
    polls = [InBackground(person.get, identifier, wait=20) for person, identifier in rows]
    come(3)
    watch = stopwatch.Stopwatch()
    people("alice").release(first["id"]).ok()
    answers = [poll.result(5) for poll in polls]
    assert watch.lived < 1
    assert [answer["state"] for answer in answers] == ["held", "waiting", "waiting"]
    assert [answer.get("position") for answer in answers] == [None, 1, 1]
    rows[0][0].release(rows[0][1]).ok()
    assert [person.get(identifier)["state"] for person, identifier in rows[1:]] == ["held", "held"]


@pytest.mark.sim
def test_long_poll(people):
    alice, bob = people("alice"), people("bob")
    held, waiting = alice.take()["id"], bob.take(status=202, wait=True)["id"]
    watch = stopwatch.Stopwatch()
    assert bob.get(waiting, wait=1)["position"] == 1
    assert 0.9 < watch.real and watch.lived < 3
    watch = stopwatch.Stopwatch()
    assert alice.get(held, wait=60)["state"] == "held"      # it does not wait
    assert watch.lived < 1
    come = board.arrivals(people("root").client)
    watching = InBackground(people("bob").get, held, wait=60, state="held")
    come(1)
    alice.release(held).ok()
    assert watching.result(2)["state"] == "ended"
    for bad in ("wait=0", "wait=61", "wait=x", "state=held", "wait=1&state=over"):
        alice.ask("GET", f"/v1/reservations/{held}?{bad}").problem(400, "malformed")


@pytest.mark.sim
def test_client_that_leaves_while_it_waits(people):
    """It is noticed, and costs nothing."""
    daemon = people.daemon
    alice, bob = people("alice"), people("bob")
    held, waiting = alice.take()["id"], bob.take(status=202, wait=True)["id"]
    before = daemon.settled_descriptors()
    lines = f"GET /v1/reservations/{waiting}?wait=60 HTTP/1.1\r\nHost: localhost\r\n" \
            f"Authorization: {bob.headers['Authorization']}\r\n\r\n"
    connections = [place.connect() for place in daemon.places for _ in range(10)]
    for index, connection in enumerate(connections):
        connection.sendall(lines.encode())
        board.wait_until_read(connection)
        if index % 2:
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    board.wait_for(lambda: daemon.settled_descriptors() <= before, "the connections are closed", 10)
    alice.release(held).ok()
    assert bob.wait_for_turn(waiting, 5)["state"] == "held"


@pytest.mark.sim
def test_long_polls_do_not_delay_the_end(people):
    alice, bob = people("alice"), people("bob")
    held, waiting = alice.take()["id"], bob.take(status=202, wait=True)["id"]
    come = board.arrivals(people("root").client)
    polls = [InBackground(people("bob").get, waiting, wait=60), InBackground(people("bob").get, held, wait=60, state="held")]
    come(2)
    watch = stopwatch.Stopwatch()
    people.daemon.stop()
    assert watch.lived < 2
    assert [poll.result()["state"] for poll in polls] == ["waiting", "held"]


@pytest.mark.sim
def test_race_of_many(people):
    """Each one adds one to a register without any lock but its reservation: nothing is lost, and never are two inside."""
    clients, inside, worst, failures = 50, [], [], []

    def run(index):
        try:
            person = people(NAMES[index % len(NAMES)], timeout=90)
            reservation = person.take("ram", None, wait=True, offset="0x40", length=8, seconds=60)
            person.wait_for_turn(reservation["id"], 90)
            inside.append(index)
            worst.append(len(inside))
            value = int(person.read("ram", 0x40).ok().json["value"], 16)
            time.sleep(0.002)
            person.write("ram", 0x40, value + 1, reservation=reservation["id"]).ok()
            inside.remove(index)
            person.release(reservation["id"]).ok()
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    stranger = people("root")
    while any(thread.is_alive() for thread in threads):
        held = [row for row in stranger.ask("GET", "/v1/reservations").ok().json["reservations"] if row["state"] == "held"]
        assert len(held) <= 1, held
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert worst == [1] * clients
    assert int(stranger.read("ram", 0x40).ok().json["value"], 16) == clients


@pytest.mark.sim
def test_limit_of_a_principal(people):
    alice = people("alice")
    for index in range(64):
        alice.take("ram", offset=hex(index * 4), length=4)
    alice.reserve("ram", offset="0x800", length=4).problem(429, "over-limit")
    people("bob").take("ram", offset="0x800", length=4)


# When the daemon stops

@pytest.mark.sim
@pytest.mark.parametrize("times", [1, 4])
def test_stop_makes_hardware_safe(people, trace, tmp_path, times):
    """What a slow device can make in the time to stop is made, and what it can't is told."""
    alice = people("alice")
    writes = [{"offset": hex(SLOW), "value": index} for index in range(8)]
    kept = alice.take("ram", safe_state=[{"offset": 0, "value": 1}])["id"]
    with trace.record() as accesses:
        for _ in range(times):
            alice.release(alice.take(safe_state=writes)["id"]).ok()
        assert people.daemon.stop() == 0
    log = people.daemon.log()
    if times == 1:
        assert board.places(accesses) == [("W", 32, SLOW)] * len(writes)
        assert "safe-state writes of" not in log
    else:
        assert len(writes) < len(accesses) < len(writes) * times
        assert "safe-state writes of reservations that have ended are left" in log
    assert saved(tmp_path, kept)        # what had not ended goes on


# Over a restart

def saved(folder, text):
    path = folder / "state" / "reservations.json"
    return path.exists() and text in path.read_text()


@pytest.mark.sim
def test_killed_daemon(people, tmp_path, start_daemon):
    """Whoever held it holds it, whoever waited has the same place, and nobody else gets in between."""
    alice, bob, carol = people("alice"), people("bob"), people("carol")
    held = alice.take(seconds=300, note="flashing", safe_state=[{"offset": "0x100", "value": 1}])
    places = [bob.take(status=202, wait=True)["id"], carol.take(status=202, wait=True, mode="shared")["id"]]
    alice.take("ram", seconds=4)
    board.wait_for(lambda: saved(tmp_path, '"ram"'), "the reservations are saved")
    people.daemon.kill()
    people.daemon.stopped = people.daemon.process.returncode
    time.sleep(4.2)

    again = begin(tmp_path, start_daemon, people.secrets)
    with again.stack:
        alice, bob, carol = again("alice"), again("bob"), again("carol")
        now = alice.get(held["id"])
        assert 270 <= now["until_seconds"] <= 300
        assert {**now, "until_seconds": 0} == {**held, "until_seconds": 0}
        alice.write("odd", SCRATCH, 7, reservation=held["id"]).ok()
        bob.read("odd", 0).problem(423, "reserved", holder="token:alice", note="flashing")
        bob.read("ram", 0).problem(423, "reserved")     # its holder may have been kept from renewing it
        assert [person.get(place)["position"] for person, place in zip((bob, carol), places)] == [1, 2]
        alice.release(held["id"]).ok()
        assert bob.get(places[0])["state"] == "held"
        assert bob.read("odd", SCRATCH).ok().json["value"] == "0x00000001"      # made safe
        bob.release(places[0]).ok()
        assert carol.get(places[1])["state"] == "held"


@pytest.mark.sim
def test_restart_without_the_region(people, tmp_path, start_daemon):
    kept = people("alice").take("ram")["id"]
    people("alice").take("edu")
    people.daemon.stop()
    smaller = configuration(tmp_path)
    del smaller["devices"][1]
    again = People(start_daemon(smaller, ["--state", str(tmp_path / "state")]), people.secrets)
    with again.stack:
        rows = again("root").ask("GET", "/v1/reservations").ok().json["reservations"]
        assert [row["id"] for row in rows] == [kept]
        assert "edu is dropped: this region is not configured any more" in again.daemon.log()


@pytest.mark.sim
def test_restart_with_other_rules(people, tmp_path, start_daemon):
    """Who may not reserve any more holds nothing and writes nothing, and whoever waited has its turn."""
    lost = people("alice").take("odd", safe_state=[{"offset": hex(SCRATCH), "value": 7}])["id"]
    waiting = people("bob").take("odd", status=202, wait=True)["id"]
    gone = people("carol").take("ram")["id"]
    kept = people("dave").take("edu")["id"]
    people.daemon.stop()
    tokens = tmp_path / "state" / "tokens.json"
    assert '"carol"' in tokens.read_text()
    tokens.write_text(tokens.read_text().replace('"carol"', '"caroline"'))
    other = configuration(tmp_path)
    other["access"].append({"principals": ["token:alice"], "permissions": ["reserve"], "deny": True})
    again = People(start_daemon(other, ["--state", str(tmp_path / "state")]), people.secrets)
    with again.stack:
        rows = again("root").ask("GET", "/v1/reservations").ok().json["reservations"]
        assert {row["id"]: row["state"] for row in rows} == {waiting: "held", kept: "held"}
        assert again("alice").get(lost)["ended"] == "revoked"
        assert again("bob").read("odd", SCRATCH).ok().json["value"] != "0x00000007"
        for identifier in (lost, gone):
            assert f"reservation {identifier}: " in again.daemon.log()
        assert "its 1 safe-state writes are not made" in again.daemon.log()


@pytest.mark.sim
@pytest.mark.parametrize("content", ["", "{", '{"version":1}', "\0" * 100], ids=["empty", "cut", "keys", "zeros"])
def test_malformed_file(tmp_path, start_daemon, content):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "reservations.json").write_text(content)
    people = begin(tmp_path, start_daemon)
    with people.stack:
        people("alice").take()
        assert "reservations.json is malformed" in people.daemon.log()
    assert (tmp_path / "state" / "reservations.json.malformed").read_text() == content


# Real hardware

@pytest.mark.rig
def test_two_windows_of_one_device(client):
    """Two regions that are the same hardware can't be reserved beside each other."""
    first, second = os.environ["DEVREG_EDU_REGIONS"].split()[:2]
    held = client.ask("POST", "/v1/reservations", {"region": first, "offset": "0x80", "length": "0x20"})
    assert held.status == 201, held
    try:
        client.ask("POST", "/v1/reservations", {"region": second}).problem(423, "reserved", reservation=held.json["id"])
        other = client.ask("POST", "/v1/reservations", {"region": second, "offset": 0, "length": "0x80"})
        assert other.status == 201, other
        client.ask("DELETE", f"/v1/reservations/{other.json['id']}").ok()
    finally:
        client.ask("DELETE", f"/v1/reservations/{held.json['id']}").ok()
