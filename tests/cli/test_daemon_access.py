# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregctl and devregd together: tokens, access rules, reservations, the audit trail."""

import getpass
import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import Client
from test_daemon import Daemon
from test_reserve import Running, is_alive, wait_until

pytestmark = pytest.mark.access

ME = f"user:{getpass.getuser()}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("access"))
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def run(daemon, tmp_path):
    """Over the Unix socket, as this user."""
    return Client(tmp_path, DEVREG_HOST=daemon.socket)


@pytest.fixture
def other(daemon, run, tmp_path):
    """Over TCP, as a token."""
    run("token", "revoke", "other")
    token = run("token", "create", "other")
    assert token.code == 0, token
    yield Client(tmp_path, DEVREG_HOST=f"http://127.0.0.1:{daemon.port}", DEVREG_TOKEN=token.out.strip())
    run("token", "revoke", "other")


def held(run):
    return [r for r in json.loads(run("--json", "reservations").out)["reservations"] if r["state"] != "ended"]


def test_whoami(run, other, daemon, tmp_path):
    document = json.loads(run("--json", "whoami").out)
    assert (document["principal"], document["kind"]) == (ME, "user") and f"pid=" in document["peer"]
    assert {row["region"] for row in document["regions"]} >= {"edu", "odd"}
    assert run("whoami").out.startswith(f"principal         {ME}\n")
    assert json.loads(other("--json", "whoami").out)["principal"] == "token:other"
    stranger = Client(tmp_path, DEVREG_HOST=f"http://127.0.0.1:{daemon.port}")
    assert json.loads(stranger("--json", "whoami").out)["principal"] == "anonymous"


def test_tokens(run, daemon, tmp_path):
    result = run("token", "create", "ci", "--for", "1h", "--permission", "list", "--permission", "read", "--region", "edu*")
    assert result.code == 0 and re.fullmatch(r"devreg_[A-Za-z0-9_-]{43}\n", result.out) and result.out.strip() not in result.err
    assert run("token", "create", "ci").code == 5, "the name is taken"
    assert result.out.strip() not in run("token", "list").out and re.search(r"^ci +list,read +edu\* ", run("token", "list").out, re.M)
    ci = Client(tmp_path, DEVREG_HOST=f"http://127.0.0.1:{daemon.port}", DEVREG_TOKEN=result.out.strip())
    assert ci("read", "edu:0x0").out == "0x010000ed\n"
    for words in (["write", "edu:0x4", "1"], ["read", "odd:0x0"], ["token", "list"], ["audit"]):
        refused = ci(*words)
        assert (refused.code, refused.out) == (3, "") and refused.err.startswith("devregctl: "), refused
    assert run("token", "revoke", "ci").code == 0
    assert ci("read", "edu:0x0").code == 3
    assert run("token", "revoke", "ci").code == 4
    assert run("token", "create", "a b").code == 2


def test_access_explain(run, other):
    result = run("access", "explain", "user:nobody", "edu:0x4", "--permission", "write")
    assert result.code == 0 and re.search(r"^write +yes +demo ", result.out, re.M), result
    document = json.loads(run("--json", "access", "explain", "token:other", "edu").out)
    assert {row["permission"] for row in document["decisions"]} >= {"list", "read", "write", "reserve", "admin"}
    assert other("access", "explain", "token:other", "edu:0x0").code == 0
    assert run("access", "explain", "user:nobody", "nowhere").code == 4


def test_one_holds_and_another_is_kept_out(run, other):
    taken = run("reserve", "edu", "--for", "1h", "--note", "bring-up", "--contact", "me@lab.example")
    assert taken.code == 0
    number = taken.out.split()[0]
    for words in (["write", "edu:0x4", "1"], ["reserve", "edu"], ["reserve", "device:edu", "--", "touch", "ran"]):
        result = other(*words)
        assert result.code == 5 and f"held by {ME} for another " in result.err, result
        assert "note: bring-up; contact: me@lab.example" in result.err
    assert run("write", "edu:0x4", "1").code == 0
    assert other("release", number).code in (0, 3), "an administrator may"
    run("release", number)
    assert other("write", "edu:0x4", "1").code == 0 and held(run) == []


def test_ranges(run, other):
    assert run("reserve", "edu:0x4+4").code == 0
    assert other("write", "edu:0x10", "1").code == 5
    assert other("write", "edu:0x20", "0").code == 0
    assert held(run)[0]["windows"] == [{"region": "edu", "offset": "0x4", "length": "0x10"}]
    assert run("release", "edu").code == 4
    assert run("release", "edu:0x4+4").code == 0 and held(run) == []


def test_a_device(run, other):
    assert run("reserve", "device:edu").code == 0
    assert other("write", "edu:0x4", "1").code == 5
    assert run("release", "device:edu").code == 0 and held(run) == []


def test_sharing(run, other):
    assert run("reserve", "edu", "--shared").code == 0
    assert other("reserve", "edu").code == 5
    assert other("reserve", "edu", "--shared").code == 0
    assert other("release", "edu").code == 0 and run("release", "edu").code == 0 and held(run) == []


def test_a_command(run, other):
    code, out, err = Running(run, "reserve", "edu", "--", "sh", "-c", f"{run.path} write edu:0x4 1 && {run.path} read edu:0x4; exit 4").end()
    assert (code, out, err) == (4, "0xfffffffe\n", "") and held(run) == []


def test_renewing(run):
    begun = Running(run, "reserve", "edu", "--for", "5s", "--", "sleep", "8")
    time.sleep(6.5)
    assert len(held(run)) == 1
    assert begun.end() == (0, "", "") and held(run) == []


def test_renew(run):
    number = run("reserve", "edu", "--for", "10s").out.split()[0]
    assert run("renew", number, "--for", "1h").code == 0
    assert held(run)[0]["until_seconds"] > 3500
    assert run("release", number).code == 0
    assert run("renew", number).code == 5 and run("release", number).code in (4, 5)


def test_the_queue(run, other):
    assert run("reserve", "edu").code == 0
    waiting = Running(other, "reserve", "edu", "--wait", "--", "echo", "hello")
    wait_until(lambda: len(held(run)) == 2)
    assert [(r["state"], r.get("position")) for r in held(run) if r["holder"] == "token:other"] == [("waiting", 1)]
    assert run("release", "edu").code == 0
    assert waiting.end()[:2] == (0, "hello\n") and held(run) == []


def test_leaving_the_queue(run, other):
    assert run("reserve", "edu").code == 0
    assert other("reserve", "edu", "--wait=1").code == 7
    waiting = Running(other, "reserve", "edu", "--wait")
    wait_until(lambda: len(held(run)) == 2)
    waiting.signal(signal.SIGINT)
    assert waiting.end()[0] == -signal.SIGINT
    assert len(held(run)) == 1 and run("release", "edu").code == 0


def test_a_takeover(run, other):
    begun = Running(other, "reserve", "edu", "--for", "3s", "--", "sh", "-c", f"trap 'exec {run.path} write edu:0x4 5' TERM; while :; do sleep 0.1; done")
    wait_until(lambda: len(held(run)) == 1)
    assert run("write", "edu:0x4", "1").code == 5
    assert run("reserve", "edu", "--takeover", "the rig burns").code == 0
    code, _, err = begun.end()
    assert code == 5 and "is lost" in err and "the rig burns" in err
    assert "devregctl: " in err.splitlines()[1], "its last write was refused, too"
    assert run("release", "edu").code == 0


def test_a_revoked_token(run, other):
    begun = Running(other, "reserve", "edu", "--for", "3s", "--", "sleep", "60")
    wait_until(lambda: len(held(run)) == 1)
    assert run("token", "revoke", "other").code == 0
    assert begun.end()[0] == 5 and held(run) == []


def test_safe_state(run):
    assert run("reserve", "odd", "--safe", "odd:0x100=0x5afe", "--", run.path, "write", "odd:0x100", "1", "--width", 32).code == 0
    assert run("read", "odd:0x100", "--width", 32).out == "0x00005afe\n"


def test_what_a_killed_client_leaves(run):
    begun = Running(run, "reserve", "edu", "--for", "2s", "--", "sh", "-c", "echo $$; exec sleep 60")
    pid = int(begun.process.stdout.readline())
    begun.signal(signal.SIGKILL)
    begun.process.wait()
    wait_until(lambda: not is_alive(pid), 5)
    wait_until(lambda: held(run) == [], 10)


def test_an_outlived_hold_writes_nothing(run):
    number = run("reserve", "edu").out.split()[0]
    run("release", number)
    run.variables["DEVREG_RESERVATION"] = number
    result = run("write", "edu:0x4", "1")
    assert result.code == 5 and "released" in result.err
    assert run("reservations").code == 0


def test_a_restart_of_the_daemon(client, tmp_path):
    daemon = Daemon(tmp_path)
    client.variables["DEVREG_HOST"] = daemon.socket
    begun = Running(client, "reserve", "edu", "--for", "12s", "--", "sleep", "8")
    wait_until(lambda: len(held(client)) == 1)
    before = held(client)[0]["id"]
    assert daemon.stop() == 0
    time.sleep(2)
    daemon = Daemon(tmp_path)
    assert held(client)[0]["id"] == before
    assert begun.end()[0] == 0 and held(client) == []
    assert daemon.stop() == 0


def test_audit(run, other):
    if subprocess.run(["journalctl", "-n", "0"], capture_output=True).returncode != 0 or not os.path.exists("/run/systemd/journal/socket"):
        # Without a journal the daemon must say so, rather than show nothing.
        result = run("audit")
        assert result.code != 0 or result.out.count("\n") >= 1
        return
    number = run("reserve", "edu").out.split()[0]
    assert other("write", "edu:0x4", "1").code == 5
    assert run("write", "edu:0x4", "0x12").code == 0
    run("release", number)
    wait_until(lambda: number in run("audit", "--since", "1m").out)
    out = run("audit", "--since", "1m").out
    assert re.search(rf"{ME} +write +edu:0x4 .*0x00000012 +ok", out), out
    assert re.search(r"token:other +write +edu:0x4 .* refused 423", out), out
    assert number in out
    refused = run("audit", "--result", "refused", "--principal", "token:other", "-n", 1).out.splitlines()
    assert len(refused) == 2 and "refused" in refused[1]
