# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl reserve: taking, waiting, and holding while a command runs, with real processes and signals."""

import contextlib
import glob
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from fake import FakeDaemon, Hangup, Silence, answer, problem
import stopwatch
from reservations import ID, Reservations
from running import Running, wait_until


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.fixture
def rig(client, start):
    """rig(reservations) makes a daemon, and gives run(words...) and begin(words...)."""
    begun = []

    class Rig:
        def __init__(self, reservations):
            self.reservations = reservations
            self.daemon = start(reservations)
            self.client = client

        def run(self, *words, **how):
            return client("-H", self.daemon.host, *words, **how)

        def begin(self, *words, **how):
            begun.append(Running(client, "-H", self.daemon.host, *words, **how))
            return begun[-1]

        def restart(self):
            self.daemon.stop()
            os.unlink(self.daemon.host)
            self.daemon.__init__(self.reservations, self.daemon.host)

    yield Rig
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def shell(text):
    return ["--", "sh", "-c", text]


# --- Taking ---

def test_without_a_command(rig):
    one = rig(Reservations(seconds=3600))
    result = one.run("reserve", "edu", "--for", "1h")
    assert result.code == 0 and re.fullmatch(ID + r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", result.out), result
    until = time.mktime(time.strptime(result.out.split()[1], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert abs(until - time.time() - 3600) < 10
    assert one.reservations.asked == {"region": "edu", "seconds": 3600}
    assert json.loads(one.run("--json", "reserve", "edu").out)["id"] == ID
    assert one.reservations.count("DELETE") == 0


@pytest.mark.parametrize("words,asked", [
    (["edu:0x4"], {"region": "edu", "offset": "0x4", "length": "0x4"}),
    (["edu:0x4+4"], {"region": "edu", "offset": "0x4", "length": "0x10"}),
    (["edu:0x4+4", "--width", "8"], {"region": "edu", "offset": "0x4", "length": "0x4"}),
    (["edu:0x0-0xb"], {"region": "edu", "offset": "0x0", "length": "0xc"}),
    (["edu:0x0-0x7", "--width", 64], {"region": "edu", "offset": "0x0", "length": "0x8"}),
    (["device:edu"], {"device": "edu"}),
    (["device:0x4"], {"region": "device", "offset": "0x4", "length": "0x4"}),
    (["device"], {"region": "device"}),
    (["edu", "--shared", "--note", "n \x1b", "--contact", "c", "--takeover", "broken", "--for=1h30m"],
     {"region": "edu", "mode": "shared", "seconds": 5400, "note": "n \x1b", "contact": "c", "takeover": "broken"}),
    (["edu", "--safe", "edu:0x20=0x0", "--safe", "edu:0x80=5"],
     {"region": "edu", "safe_state": [{"region": "edu", "offset": "0x20", "width": 32, "value": "0x0"},
                                      {"region": "edu", "offset": "0x80", "width": 32, "value": "0x5"}]}),
    (["edu", "--wait"], {"region": "edu", "wait": True}),
    (["edu", "--wait=5m"], {"region": "edu", "wait": True}),
])
def test_what_is_asked_for(rig, words, asked):
    one = rig(Reservations())
    assert one.run("reserve", *words).code == 0
    assert one.reservations.asked == asked


@pytest.mark.parametrize("words,expected", [
    ([], "reserve needs more"),
    (["edu", "x"], "reserve does not take x"),
    ([""], "names nothing"),
    (["device:"], "names nothing"),
    (["edu:NAME"], "reservations are of offsets"),
    (["edu:4"], "did you mean edu:0x4"),
    (["edu:0x0+0xffffffffffffffff"], "does not fit 64 bits"),
    (["edu:0x0-0xffffffffffffffff", "--width", "8"], "does not fit 64 bits"),
    (["edu", "--for", "x"], '--for: "x" is not a time'),
    (["edu", "--for", "0"], "is not a time"),
    (["edu", "--wait=0"], "is not a time"),
    (["edu", "--wait", "10m"], "reserve does not take 10m"),
    (["edu", "--note", ""], "--note: an empty text"),
    (["edu", "--safe", "edu:0x20"], "is not PLACE=VALUE"),
    (["edu", "--safe", "edu:0x20=x"], "is not a value"),
    (["edu", "--safe", "edu:0x20+2=1"], "takes one place"),
    (["edu", "--safe", "edu:NAME=1"], "write REGION:0xOFFSET=VALUE"),
    (["edu", *["--safe", "edu:0x0=0"] * 65], "given more than 64 times"),
    (["edu", "--"], "no command after --"),
    (["--", "true"], "reserve needs more"),
    (["edu", "true"], "reserve does not take true"),
])
def test_wrong_command_lines(rig, words, expected):
    one = rig(Reservations())
    result = one.run("reserve", *words)
    assert (result.code, result.out) == (2, "") and expected in result.err, result
    assert one.daemon.connections == 0


def test_held_by_another(rig):
    facts = {"holder": "user:bob", "until_seconds": 61, "note": "flashing"}
    one = rig(Reservations(POST=lambda _: problem(423, "edu is reserved", **facts)))
    for more in ([], ["--", "touch", "ran"]):
        result = one.run("reserve", "edu", *more)
        assert (result.code, result.out) == (5, "")
        assert result.err == "devregctl: edu is reserved\ndevregctl: held by user:bob for another 1 min 1 s; note: flashing\n"
    assert not (one.client.home / "ran").exists()


@pytest.mark.parametrize("document", [{}, {"id": "", "state": "held"}, {"id": ID}, {"id": 5, "state": "held"}, {"id": ID, "state": 5}])
def test_answers_that_make_no_sense(rig, document):
    one = rig(Reservations(POST=lambda _: answer(201, document)))
    result = one.run("reserve", "edu", "--", "touch", "ran")
    assert result.code == 1 and "makes no sense" in result.err and not (one.client.home / "ran").exists()


@pytest.mark.parametrize("document", [{"id": ID, "state": "waiting"}, {"id": "../../x", "state": "?"}])
def test_waiting_without_having_asked_for_it(rig, document):
    one = rig(Reservations(POST=lambda _: answer(202, document)))
    result = one.run("reserve", "edu", "--", "touch", "ran")
    assert result.code == 1 and "is not held" in result.err and one.reservations.count("DELETE") == 1
    assert one.daemon.lines[-1].startswith("DELETE /v1/reservations/") and "../" not in one.daemon.lines[-1]


# --- Waiting ---

def test_waiting_for_ones_turn(rig):
    one = rig(Reservations(place=2))
    run = one.begin("reserve", "edu", "--wait", "--", "echo", "hello")
    one.reservations.wait_for("GET")
    assert one.daemon.lines[-1] == f"GET /v1/reservations/{ID}?wait=30"
    one.reservations.move(1)
    one.reservations.wait_for("GET", 2)
    one.reservations.move(0)
    assert run.end() == (0, "hello\n", ""), "the place is for terminals"
    assert one.reservations.count("GET") == 2 and one.reservations.ended == "released"


def test_the_place_in_the_queue_on_a_terminal(rig):
    one = rig(Reservations(place=3))
    master, slave = pty.openpty()
    run = one.begin("reserve", "edu", "--wait", stderr=slave)
    os.close(slave)
    one.reservations.wait_for("GET")
    one.reservations.move(1)
    one.reservations.wait_for("GET", 2)
    one.reservations.move(0)
    assert run.process.wait(20) == 0
    text = os.read(master, 4096).decode().replace("\r", "")
    os.close(master)
    assert text == "devregctl: waiting for edu: place 3 in the queue\ndevregctl: waiting for edu: place 1 in the queue\n"


def test_giving_up(rig):
    one = rig(Reservations(place=1))
    watch = stopwatch.Stopwatch()
    result = one.run("reserve", "edu", "--wait=1", "--", "touch", "ran")
    assert result.code == 7 and "was not free in time" in result.err
    assert 0.9 < watch.real and watch.lived < 5 and one.reservations.ended == "released"
    assert f"GET /v1/reservations/{ID}?wait=1" in one.daemon.lines and not (one.client.home / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_waiting(rig, number):
    one = rig(Reservations(place=1))
    run = one.begin("reserve", "edu", "--wait", "--", "touch", "ran", preexec_fn=lambda: os.system("ulimit -c 0"))
    one.reservations.wait_for("GET")
    run.signal(number)
    assert run.end(5) == (-number, "", "")
    assert one.reservations.ended == "released" and not (one.client.home / "ran").exists()


def test_a_signal_before_the_first_answer(rig):
    signalled = threading.Event()

    def slowly(_):
        signalled.wait(20)
        stopwatch.sleep(0.5)

    one = rig(Reservations(POST=slowly))
    run = one.begin("reserve", "edu", "--", "touch", "ran")
    one.reservations.wait_for("POST")
    run.signal(signal.SIGINT)
    signalled.set()
    assert run.end(5) == (-signal.SIGINT, "", "") and one.reservations.ended == "released", "the answer is waited for"
    one = rig(Reservations(POST=lambda _: Silence()))
    run = one.begin("reserve", "edu")
    one.reservations.wait_for("POST")
    run.signal(signal.SIGTERM)
    assert run.end(6) == (-signal.SIGTERM, "", ""), "but not for ever"


def test_the_place_is_lost(rig):
    one = rig(Reservations(place=1))
    run = one.begin("reserve", "edu", "--wait")
    one.reservations.wait_for("GET")
    one.reservations.end("expired", "nobody asked\x1b[2J")
    code, _, err = run.end()
    assert code == 5 and "the place in the queue for edu is lost: nobody asked\\x1b[2J" in err
    one = rig(Reservations(place=1, GET=lambda _: problem(404, "there is none")))
    result = one.run("reserve", "edu", "--wait")
    assert result.code == 4 and "there is none" in result.err


def test_a_restart_while_waiting(rig):
    one = rig(Reservations(place=1))
    run = one.begin("reserve", "edu", "--wait", "--", "echo", "hello")
    one.reservations.wait_for("GET")
    one.restart()
    one.reservations.move(1)
    time.sleep(1.5)
    one.reservations.move(0)
    assert run.end()[:2] == (0, "hello\n")


def test_a_daemon_that_does_not_let_wait(rig):
    one = rig(Reservations(place=1, GET=lambda _: answer(200, one.reservations.document())))
    assert one.run("reserve", "edu", "--wait=3").code == 7
    assert one.reservations.count("GET") <= 5


# --- A command ---

def test_the_command_gets_what_it_needs(rig):
    one = rig(Reservations())
    result = one.run("reserve", "edu", "--", "env", "-0")
    variables = dict(line.split("=", 1) for line in result.out.split("\0") if line)
    assert result.code == 0 and variables["DEVREG_RESERVATION"] == ID and variables["DEVREG_HOST"] == one.daemon.host
    assert one.reservations.ended == "released" and result.err == ""
    one = rig(Reservations())
    one.client.variables["DEVREG_HOST"] = one.daemon.host
    one.client.variables["DEVREG_RESERVATION"] = "r-0123"
    run = Running(one.client, "reserve", "edu", "--", "sh", "-c", "echo $DEVREG_RESERVATION $DEVREG_HOST")
    assert run.end() == (0, f"{ID} {one.daemon.host}\n", "")
    assert all("devreg-reservation" not in request.fields for request in one.daemon.requests)


def test_its_requests_are_part_of_the_reservation(rig):
    one = rig(Reservations(PATCH=lambda _: answer(200, {"before": "0x0", "value": "0x1"})))
    assert one.run("reserve", "edu", "--", one.client.path, "write", "edu:0x0", "1", "--mask", "1").out == "0x0 -> 0x1\n"
    assert [r.fields.get("devreg-reservation") for r in one.daemon.requests] == [None, ID, None]


def test_the_commands_options_are_its_own(rig):
    one = rig(Reservations())
    for words in (["reserve", "edu", "--for", "1h"], ["reserve", "--for", "1h", "edu"], ["reserve", "--json", "edu"]):
        result = one.run(*words, "--", "printf", "%s,", "--help", "-H", "x", "--", "--for", "-n")
        assert (result.code, result.out) == (0, "--help,-H,x,--,--for,-n,"), result
        one.reservations.ended = None


@pytest.mark.parametrize("command,code", [("exit 0", 0), ("exit 1", 1), ("exit 77", 77), ("exit 255", 255), ("kill -9 $$", 137),
                                          ("kill -TERM $$", 143), ("kill -INT $$", 130)])
def test_exit_codes(rig, command, code):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell(command))
    assert run.end() == (code, "", "") and one.reservations.ended == "released"


def test_commands_that_cannot_be_executed(rig):
    one = rig(Reservations())
    result = one.run("reserve", "edu", "--", "no-such-command")
    assert (result.code, result.err) == (127, "devregctl: no-such-command: No such file or directory\n")
    assert one.reservations.ended == "released"
    for word in (str(one.client.home), "/etc/passwd"):
        one = rig(Reservations())
        result = one.run("--json", "reserve", "edu", "--", word)
        assert result.code == 126 and json.loads(result.err)["detail"] == f"{word}: Permission denied"
        assert one.reservations.ended == "released"
    # As execvp() has it, a text without #! is a script of sh.
    script = one.client.home / "script"
    script.write_text("exit 3\n")
    script.chmod(0o755)
    assert rig(Reservations()).run("reserve", "edu", "--", "./script").code == 3


def test_input_and_output_are_the_commands(rig):
    one = rig(Reservations())
    result = one.run("reserve", "edu", *shell("cat; echo problem >&2"), input=b"hello")
    assert (result.out, result.err) == ("hello", "problem\n")


def test_the_command_starts_as_if_alone(rig):
    """Signals and descriptors are as devregctl got them."""
    one = rig(Reservations(place=1))
    read, write = os.pipe()
    run = one.begin("reserve", "edu", "--wait", *shell("ls /proc/self/fd; grep ^Sig /proc/self/status"), pass_fds=[write])
    one.reservations.wait_for("GET")
    one.reservations.move(0)
    code, out, _ = run.end()
    os.close(read)
    os.close(write)
    *fds, blocked_line = re.match(r"((?:\d+\n)+)", out).group(1).split() + [re.search(r"SigBlk:\s*(\S+)", out).group(1)]
    # ls itself has the folder open.
    assert code == 0 and {int(fd) for fd in fds} - {0, 1, 2, write} <= {3, 4} and len(fds) == 5
    plain = subprocess.run(["grep", "^Sig", "/proc/self/status"], capture_output=True, text=True).stdout
    for name in ("SigBlk", "SigIgn"):
        assert re.search(rf"{name}:\s*(\S+)", out).group(1) == re.search(rf"{name}:\s*(\S+)", plain).group(1), out
    assert int(blocked_line, 16) == 0


def test_sigchld_that_was_ignored(rig):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell("exit 9"), preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert run.end()[0] == 9


# --- Signals ---

SAYS = "trap 'echo got {0}; exit 3' {0}; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_signals_are_passed_on(rig, name):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell(SAYS.format(name)))
    assert run.process.stdout.readline() == b"ready\n"
    run.signal(getattr(signal, "SIG" + name))
    assert run.end() == (3, f"got {name}\n", "") and one.reservations.ended == "released"


def test_a_command_that_does_not_mind(rig):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell("trap '' TERM INT; echo ready; sleep 1; echo done"))
    assert run.process.stdout.readline() == b"ready\n"
    run.signal(signal.SIGTERM)
    run.signal(signal.SIGINT)
    assert run.end() == (0, "done\n", "")


def test_a_signal_during_a_renewal_that_hangs(rig):
    one = rig(Reservations(seconds=30, POST=lambda r: short_first(one, r), PUT=lambda _: Silence()))
    run = one.begin("reserve", "edu", *shell(SAYS.format("TERM")))
    assert run.process.stdout.readline() == b"ready\n"
    one.reservations.wait_for("PUT")
    watch = stopwatch.Stopwatch()
    run.signal(signal.SIGTERM)
    assert run.end() == (3, "got TERM\n", "") and watch.lived < 3 and one.reservations.ended == "released"


def short_first(one, request):
    """The first hold is short, so that it is renewed soon."""
    one.reservations.asked = request.json()
    one.reservations.until = time.monotonic() + 30
    return answer(201, {**one.reservations.document(), "until_seconds": 3})


def test_the_command_ends_with_devregctl(rig):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell("trap '' TERM INT HUP; echo $$; exec sleep 60"))
    pid = int(run.process.stdout.readline())
    run.signal(signal.SIGKILL)
    run.process.wait()
    wait_until(lambda: not is_alive(pid), 5)


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, client):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(client.home)
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], {**client.variables, "PS1": "ready> ", "TERM": "dumb"})
        self.text = ""
        self.expect("ready> ")

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, seconds=20):
        """Reads until the pattern comes, and forgets what was up to there."""
        watch = stopwatch.Stopwatch()
        while not (match := re.search(pattern, self.text)):
            assert watch.lived < seconds, f"{pattern} does not come: {self.text!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096).decode().replace("\r", "")
        found, self.text = self.text[:match.end()], self.text[match.end():]
        return found

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.master)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(client):
    terminal = Terminal(client)
    yield terminal
    terminal.close()


COUNTER = """
import signal, sys, time
count = 0
def count_it(number, frame):
    global count
    count += 1
signal.signal(signal.SIGINT, count_it)
print("begun", flush=True)
while count == 0:
    time.sleep(0.05)
time.sleep(1)
print("interrupts:", count, flush=True)
"""


def test_ctrl_c_comes_once(rig, terminal):
    one = rig(Reservations())
    (one.client.home / "counter.py").write_text(COUNTER)
    terminal.type(f"{one.client.path} -H {one.daemon.host} reserve edu -- {sys.executable} counter.py; echo code $?\n")
    terminal.expect("begun\n")
    terminal.type("\x03")
    terminal.expect("interrupts: 1\n")
    terminal.expect("code 0\n")
    assert one.reservations.ended == "released"


def test_ctrl_c_ends_a_command(rig, terminal):
    one = rig(Reservations())
    terminal.type(f"{one.client.path} -H {one.daemon.host} reserve edu -- sh -c 'echo be''gun; exec sleep 60'; echo code $?\n")
    terminal.expect("begun\n")
    terminal.type("\x03")
    terminal.expect("code 130\n")
    assert one.reservations.ended == "released"


def stop(terminal):
    """Ctrl-Z, but not while sh starts sleep: what stops between vfork() and exec() keeps its parent from stopping."""
    wait_until(lambda: "sleep" in programs_of(terminal.pid))
    terminal.type("\x1a")


def programs_of(session):
    """The names of what runs in it."""
    names = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
            if int(rest.split()[3]) == session:
                names.append(name)
    return names


def test_ctrl_z_and_fg(rig, terminal):
    one = rig(Reservations(seconds=600))
    terminal.type(f"{one.client.path} -H {one.daemon.host} reserve edu -- sh -c 'echo be''gun; sleep 5; echo do''ne'\n")
    terminal.expect("begun\n")
    stop(terminal)
    text = terminal.expect(r"Stopped[^\n]*\n")
    assert "nothing renews the hold on edu now, which ends in 9 min 5" in text
    terminal.expect("ready> ")
    assert one.reservations.count("PUT") == 0
    terminal.type("fg\n")
    terminal.expect("done\n")
    terminal.expect("ready> ")
    assert one.reservations.count("PUT") >= 1, "it is renewed at once"
    assert one.reservations.ended == "released"


def test_ctrl_z_and_a_hold_that_ends_meanwhile(rig, terminal):
    one = rig(Reservations(seconds=600))
    terminal.type(f"{one.client.path} -H {one.daemon.host} reserve edu -- sh -c 'echo be''gun; sleep 60'; echo code $?\n")
    terminal.expect("begun\n")
    stop(terminal)
    terminal.expect("ready> ")
    one.reservations.end("expired")
    terminal.type("fg; echo code $?\n")
    terminal.expect("is lost, so the command is ended: r-00c0ffee is over: expired\n")
    terminal.expect("code 5\n")


def test_in_a_pipeline(rig, terminal):
    """The reader keeps the terminal."""
    one = rig(Reservations())
    terminal.type(f"{one.client.path} -H {one.daemon.host} reserve edu -- echo hello | "
                  "(cat; read -r line < /dev/tty; echo got $line)\n")
    terminal.expect("hello\n")
    terminal.type("answer\n")
    terminal.expect("got answer\n")


def test_a_command_that_alone_is_stopped(rig):
    """Nobody would let devregctl continue: it goes on."""
    one = rig(Reservations(seconds=3))
    run = one.begin("reserve", "edu", *shell("echo $$; exec sleep 3"))
    pid = int(run.process.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T")
    one.reservations.wait_for("PUT", 2)
    assert state_of(run.pid) != "T"
    os.kill(pid, signal.SIGCONT)
    assert run.end()[0] == 0


def test_sigtstp_and_sigcont_by_kill(rig):
    """In a process group of its own: nothing stops in one whose parent is in another session, as the suite's may be."""
    one = rig(Reservations())
    run = one.begin("reserve", "edu", *shell("echo $$; exec sleep 2"), start_new_session=False, process_group=0)
    pid = int(run.process.stdout.readline())
    run.signal(signal.SIGTSTP)
    wait_until(lambda: state_of(pid) == "T")
    run.signal(signal.SIGCONT)
    wait_until(lambda: state_of(pid) != "T")
    assert run.end()[0] == 0 and one.reservations.count("PUT") >= 1


# --- The hold ---

def test_it_is_renewed_at_a_third_of_its_time(rig):
    one = rig(Reservations(seconds=3))
    assert one.run("reserve", "edu", "--for", "3s", "--", "sleep", "3.6").code == 0
    asked, lost = [one.reservations.times["POST"][0], *one.reservations.times["PUT"]], stopwatch.lost_between
    # On a machine that stalls the server sees late what was asked in time, so that the next one comes sooner after it.
    assert all(after - before > 0.9 - lost(before - 1, before) for before, after in zip(asked, asked[1:])), asked
    asked.append(time.monotonic())
    assert all(after - before - lost(before, after) < 1.4 for before, after in zip(asked, asked[1:])), asked
    assert all(request.json() == {"seconds": 3} for request in one.daemon.requests if request.method == "PUT")


def lost(one, command="exec sleep 60", wait=20):
    """Runs until the hold is lost; (exit code, standard error, a stopwatch from the first refusal, standard output)."""
    run = one.begin("reserve", "edu", *shell(command))
    watch = one.reservations.since_first("PUT")
    code, out, err = run.end(wait)
    return code, err, watch, out


def test_taken_over(rig):
    one = rig(Reservations(seconds=3))
    run = one.begin("reserve", "edu", "--", "sleep", "60")
    one.reservations.wait_for("PUT")
    one.reservations.end("taken-over", "user:bob: the rig burns\x1b[2J")
    code, _, err = run.end(5)
    assert (code, err) == (5, f"devregctl: the hold on edu ({ID}) is lost, so the command is ended: "
                              f"{ID} is over: taken-over: user:bob: the rig burns\\x1b[2J\n")


def test_taken_over_in_json(rig):
    one = rig(Reservations(seconds=3))
    run = one.begin("--json", "reserve", "edu", "--", "sleep", "60")
    one.reservations.wait_for("PUT")
    one.reservations.end("taken-over", "user:bob: no")
    code, out, err = run.end(5)
    assert (code, out) == (5, "") and json.loads(err)["type"] == "urn:devreg:client:conflict"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 421, 423])
def test_renewing_is_refused(rig, status):
    one = rig(Reservations(seconds=3, PUT=lambda _: problem(status, "not any more")))
    code, err, watch, _ = lost(one)
    assert code == 5 and watch.lived < 2 and err.endswith("so the command is ended: not any more\n")
    assert one.reservations.count("PUT") == 1


@pytest.mark.parametrize("state", ["ended", "waiting", "\x1b[2J"])
def test_a_renewal_that_does_not_hold(rig, state):
    one = rig(Reservations(seconds=3, PUT=lambda _: answer(200, {"id": ID, "state": state, "reason": "so it is"})))
    code, err, _, _ = lost(one)
    assert code == 5 and err.endswith(": so it is\n")


def test_a_command_that_does_not_end(rig):
    one = rig(Reservations(seconds=3, PUT=lambda _: problem(410, "over")))
    code, err, watch, out = lost(one, "trap 'echo asked' TERM; echo begun; while :; do sleep 0.1; done")
    assert (code, out) == (5, "begun\nasked\n") and 4.5 < watch.real and watch.lived < 8 and err.count("\n") == 1


def test_a_stopped_command_ends_as_well(rig):
    one = rig(Reservations(seconds=3, PUT=lambda _: problem(410, "over")))
    code, _, watch, out = lost(one, "trap 'echo asked; exit' TERM; echo begun; kill -STOP $$; while :; do sleep 0.1; done")
    assert (code, out) == (5, "begun\nasked\n") and watch.lived < 3


@pytest.mark.parametrize("what", [problem(500), problem(502), problem(503), problem(504), problem(429), problem(408),
                                  answer(404, b"<html>", "text/html"), answer(403, b"", None), Hangup(), answer(200, {}),
                                  answer(200, b"no json")])
def test_failures_that_pass(rig, what):
    answers = [what, what]
    one = rig(Reservations(seconds=6, PUT=lambda _: answers.pop() if answers else None))
    renewed = one.client.home / "renewed"
    run = one.begin("reserve", "edu", *shell(f"while ! [ -e {renewed} ]; do sleep 0.1; done"))
    one.reservations.wait_for("PUT", 3)
    renewed.touch()
    code, _, err = run.end()
    assert code == 0 and err.startswith("devregctl: note: the hold on edu is not renewed yet: ") and err.count("\n") == 1
    assert one.reservations.count("PUT") >= 3 and one.reservations.ended == "released"


def test_a_restart(rig):
    one = rig(Reservations(seconds=6))
    run = one.begin("reserve", "edu", "--", "sleep", "6")
    one.reservations.wait_for("POST")
    path = one.daemon.host
    one.daemon.stop()
    time.sleep(3)
    os.unlink(path)
    one.daemon.__init__(one.reservations, path)
    code, _, err = run.end()
    assert code == 0 and "nobody listens there" in err and err.count("\n") == 1
    assert one.reservations.count("PUT") >= 1 and one.reservations.ended == "released"


def test_a_daemon_that_is_gone(rig):
    one = rig(Reservations(seconds=3))
    run = one.begin("reserve", "edu", "--", "sleep", "60")
    watch = one.reservations.since_first("POST")
    one.daemon.stop()
    code, _, err = run.end()
    one.daemon.__init__(one.reservations)
    assert code == 5 and 2 < watch.real and watch.lived < 5
    assert "is lost, so the command is ended: it expired while it could not be renewed: no connection to" in err


def test_a_daemon_that_hangs(rig):
    """A slow answer does not use up all of the time."""
    slow = [Silence(), Silence()]
    one = rig(Reservations(seconds=6, PUT=lambda _: slow.pop() if slow else None))
    code, _, err = one.begin("reserve", "edu", "--", "sleep", "9").end()
    assert code == 0 and "did not answer" in err and one.reservations.count("PUT") >= 3
    one = rig(Reservations(seconds=3, PUT=lambda _: Silence()))
    code, err, _, _ = lost(one)
    assert code == 5 and "it expired" in err


def test_a_daemon_that_says_nonsense_about_time(rig):
    for left in (0, -5, "soon", None, 10 ** 18):
        one = rig(Reservations(POST=lambda _, left=left: answer(201, {"id": ID, "state": "held", "target": "x", "until_seconds": left}),
                               PUT=lambda _, left=left: answer(200, {"id": ID, "state": "held", "until_seconds": left})))
        assert one.run("reserve", "edu", "--", "sleep", "1").code == 0
        assert one.reservations.count("PUT") <= 6


def test_it_is_over_when_the_command_is(rig):
    one = rig(Reservations(DELETE=lambda _: one.reservations.end("expired", "too late")))
    result = one.run("reserve", "edu", *shell("exit 4"))
    assert result.code == 5 and "was lost before the command ended (with 4)" in result.err and "too late" in result.err


def test_a_command_that_releases_it_itself(rig):
    one = rig(Reservations())
    result = one.run("reserve", "edu", *shell(f"{one.client.path} release {ID} && exit 4"))
    assert (result.code, result.err) == (4, "")


def test_releasing_that_fails(rig):
    one = rig(Reservations(DELETE=lambda _: problem(403, "not you")))
    result = one.run("reserve", "edu", *shell("exit 4"))
    assert (result.code, result.err) == (4, f"devregctl: note: edu ({ID}) could not be released, so it ends when its time is over: not you\n")


def test_releasing_during_a_restart(rig):
    one = rig(Reservations())
    run = one.begin("reserve", "edu", "--", "sleep", "1")
    one.reservations.wait_for("POST")
    path = one.daemon.host
    one.daemon.stop()
    time.sleep(2.5)
    os.unlink(path)
    one.daemon.__init__(one.reservations, path)
    assert run.end() == (0, "", "") and one.reservations.ended == "released"


# --- The other verbs ---

def test_renew(rig):
    one = rig(Reservations())
    one.reservations.move(0)
    assert one.run("renew", ID).out.startswith(ID + " 2")
    assert one.run("renew", ID, "--for", "2h").code == 0
    assert [r.json() for r in one.daemon.requests] == [{}, {"seconds": 7200}]
    one.reservations.end("expired")
    result = one.run("renew", ID)
    assert (result.code, result.err) == (5, f"devregctl: {ID} is over: expired\n")
    assert one.run("renew", "r-1").code == 4
    assert one.run("renew", "").code == 2
    one.run("renew", "../x?y")
    assert one.daemon.lines[-1] == "PUT /v1/reservations/..%2Fx%3Fy"


def test_release(rig):
    one = rig(Reservations())
    result = one.run("release", ID)
    assert (result.code, result.out, one.daemon.lines) == (0, "", [f"DELETE /v1/reservations/{ID}"])
    assert one.run("release", ID).code == 5
    assert one.run("release", "r-1").code == 4


def reservation(number, target, holder="user:me", state="held", windows=()):
    return {"id": f"r-{number}", "state": state, "target": target, "holder": holder, "mode": "exclusive", "until_seconds": 61,
            "windows": [{"region": r, "offset": o, "length": n} for r, o, n in windows]}


OTHERS = [
    reservation(1, "edu", windows=[("edu", "0x0", "0x100000")]),
    reservation(2, "edu", "user:bob", "waiting"),
    reservation(3, "edu:0x4-0x7", windows=[("edu", "0x4", "0x4")]),
    reservation(4, "device edu", windows=[("edu", "0x0", "0x100000"), ("edu2", "0x0", "0x10")]),
    reservation(5, "edu", state="waiting", windows=[("edu", "0x0", "0x100000")]),
    reservation(6, "edu", state="ended"),
    5, None, {}, {"holder": "user:me", "windows": [5, {"region": 5}]},
]


@pytest.mark.parametrize("words,released", [
    (["edu"], ["r-1", "r-5"]),
    (["edu:0x4"], ["r-3"]),
    (["edu:0x4-0x4"], ["r-3"]),
    (["edu:0x4+4", "--width", "8"], ["r-3"]),
    (["device:edu"], ["r-4"]),
])
def test_release_what_one_has(rig, words, released):
    def answers(request):
        if request.method == "DELETE":
            return answer(200, {"id": request.path.rpartition("/")[2], "state": "ended"})
        return answer(200, {"principal": "user:me"} if request.path == "/v1/whoami" else {"reservations": OTHERS})

    one = rig(answers)
    result = one.run("release", *words)
    assert (result.code, result.out) == (0, ""), result
    assert one.daemon.lines == ["GET /v1/whoami", "GET /v1/reservations", *[f"DELETE /v1/reservations/{i}" for i in released]]
    assert [r["id"] for r in json.loads(one.run("--json", "release", *words).out)["reservations"]] == released
    result = one.run("release", "odd")
    assert result.code == 4 and "user:me has no reservation of exactly odd; you hold edu (r-1), edu:0x4-0x7 (r-3)" in result.err


def test_reservations(rig):
    one = rig(lambda _: answer(200, {"reservations": OTHERS[:6] + [
        {**reservation(7, "odd"), "mode": "shared", "note": "n", "contact": "c"}, {**OTHERS[4], "position": 2},
        {**OTHERS[5], "ended": "taken-over", "reason": "user:bob: so"}]}))
    lines = one.run("reservations").out.splitlines()
    assert lines[0].split() == ["RESERVATION", "TARGET", "STATE", "HOLDER", "LEFT", "CONTACT", "NOTE"]
    assert lines[1].split() == ["r-1", "edu", "held", "user:me", "1", "min", "1", "s", "-", "-"]
    assert re.search(r"^r-7 +odd +held, shared +user:me +1 min 1 s  c +n$", lines[7])
    assert "waiting, place 2" in lines[8] and "taken-over: user:bob: so" in lines[9]
