# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl interrupts and devregd together, on the simulated boards: edu raises what is written to 0x60, odd a burst of as many as
are written to 0x28."""

import json
import re
import signal

import pytest

from conftest import Client
from running import Running
from test_daemon import Daemon


@pytest.fixture
def directory(tmp_path):
    return tmp_path


@pytest.fixture
def daemon(directory):
    one = Daemon(directory)
    yield one
    if one.process.poll() is None:
        assert one.stop() == 0


@pytest.fixture
def run(daemon, directory):
    return Client(directory, DEVREG_HOST=daemon.socket)


@pytest.fixture
def begin(run):
    begun = []

    def begin(*words):
        begun.append(Running(run, "interrupts", *words))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def row(run, name):
    return next(one for one in json.loads(run("--json", "interrupts").out)["interrupts"] if one["name"] == name)


def test_wait_for_what_a_command_provokes(run):
    for number in range(1, 6):
        result = run("interrupts", "wait", "edu", "--timeout", "10", "--", run.path, "write", "edu:0x60", "0x8")
        assert result.code == 0 and re.search(rf" edu #{number} 0x00000008\n$", result.out), result
        assert run("read", "edu:0x24").out == "0x00000000\n", "it is acknowledged"
    assert row(run, "edu")["count"] == 5
    assert run("interrupts", "wait", "edu", "--timeout", "0.3", "--", "true").code == 7
    assert re.search(r"^edu +edu +\S+ +5 +0 +\S+/s +2\d{3}-\S+ \S+ +0x00000008 +on$", run("interrupts").out, re.M)


def test_masks(run):
    assert run("interrupts", "mask", "edu").code == 0
    assert " masked by " in run("interrupts").out
    assert run("interrupts", "wait", "edu", "--timeout", "0.5", "--", run.path, "write", "edu:0x60", "1").code == 7
    result = run("interrupts", "wait", "edu", "--timeout", "10", "--", run.path, "interrupts", "unmask", "edu")
    assert result.code == 0 and " edu #" in result.out, "what waited comes then"
    lines = run("interrupts", "watch", "--since", "0", "--count", "2", "--kind", "mask").out.splitlines()
    assert "*** edu is masked by user:" in lines[0] and "*** edu is unmasked by user:" in lines[1]


def test_what_is_refused(run):
    for words in (["wait", "nope"], ["watch", "nope"], ["mask", "nope"]):
        result = run("interrupts", *words)
        assert (result.code, result.out) == (4, "") and "nope" in result.err
    for words in (["--since", "x"], ["--since", "4fa1-7"], ["--kind", "nope"]):
        result = run("interrupts", "watch", *words)
        assert (result.code, result.out) == (2, ""), result


def test_every_interrupt_of_a_burst_is_accounted_for(run, begin):
    watching = begin("watch", "odd", "--json", "--kind", "interrupt", "--since", "0", "--timeout", "3")
    assert run("write", "odd:0x2c", "200").code == run("write", "odd:0x28", "2000").code == 0
    code, out, err = watching.end(60)
    assert code == 7 and json.loads(err)["detail"] == "no event came for 3 seconds"
    number = lost = 0
    for line in map(json.loads, out.splitlines()):
        if line["event"] == "lost":
            lost += line["data"]["count"]
            continue
        gap = line["data"]["number"] - number - 1 - line["data"]["missed"]
        assert gap == 0 or 0 < gap <= lost, line
        number, lost = line["data"]["number"], 0
    assert number == row(run, "odd")["count"] == 2000


def test_a_storm(run):
    run("write", "odd:0x2c", "0")
    run("write", "odd:0x28", "1000000")
    result = run("interrupts", "watch", "odd", "--since", "0", "--kind", "storm", "--count", "1", "--timeout", "20")
    assert result.code == 0 and "*** odd storms and is masked: " in result.out, result
    assert row(run, "odd")["storms"] >= 1


def test_through_a_restart(daemon, directory, run, begin):
    watching = begin("watch", "--json", "--since", "0", "--kind", "daemon,interrupt", "--count", "5")
    lines = [json.loads(watching.process.stdout.readline())]
    assert run("write", "edu:0x60", "1").code == 0
    lines += [json.loads(watching.process.stdout.readline())]
    assert daemon.stop() == 0
    after = Daemon(directory)
    try:
        assert run("write", "edu:0x60", "2").code == 0
        code, out, err = watching.end()
    finally:
        assert after.stop() == 0
    lines += [json.loads(line) for line in out.splitlines()]
    assert code == 0 and err.count("is lost, trying to get it back") == err.count("is back") == 1, err
    assert [(line["event"], line["data"].get("value") or line["data"].get("daemon")) for line in lines] == [
        ("daemon", "started"), ("interrupt", "0x00000001"), ("daemon", "stopping"), ("lost", None), ("daemon", "started"), ("interrupt", "0x00000002")]
    assert lines[3]["data"]["count"] is None and lines[0]["id"].split("-")[0] != lines[4]["id"].split("-")[0]


def test_the_daemon_is_killed(daemon, begin):
    watching = begin("watch", "--no-reconnect", "--since", "0", "--kind", "daemon")
    assert b"started" in watching.process.stdout.readline()
    daemon.process.send_signal(signal.SIGKILL)
    code, out, err = watching.end()
    daemon.log.close()
    assert (code, out) == (8, "") and err.count("\n") == 1
