# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bind and unbind ask for and print."""

import json

import pytest

from fake import answer, problem

BOUND = {"name": "edu", "driver_before": None, "driver": "devreg", "changed": True, "device": {"name": "edu", "state": "present"}}


def test_bind(over):
    daemon, run = over([answer(200, BOUND)])
    result = run("bind", "edu")
    assert (result.code, result.out, result.err) == (0, "edu is bound to devreg now (was: no driver)\n", "")
    assert daemon.lines == ["POST /v1/devices/edu/bind"] and daemon.requests[0].json() == {"force": False}
    assert json.loads(run("--json", "bind", "edu").out) == BOUND
    run("bind", "edu", "--driver", "uio_pci_generic", "--force")
    assert daemon.requests[-1].json() == {"driver": "uio_pci_generic", "force": True}


@pytest.mark.parametrize("verb,before,now,changed,text", [
    ("bind", "e1000e", "devreg", True, "net is bound to devreg now (was: e1000e)"),
    ("bind", "devreg", "devreg", False, "net is bound to devreg already"),
    ("unbind", "devreg", "e1000e", True, "net is bound to e1000e now (was: devreg)"),
    ("unbind", "devreg", None, True, "net has no driver now (was: devreg)"),
    ("unbind", None, None, True, "net has no driver now (was: no driver)"),
    ("bind", "e\x1b[2J", "devreg", True, "net is bound to devreg now (was: e\\x1b[2J)"),
])
def test_what_is_said(over, verb, before, now, changed, text):
    daemon, run = over([answer(200, {"name": "net", "driver_before": before, "driver": now, "changed": changed})])
    result = run(verb, "net")
    assert (result.code, result.out, result.err) == (0, text + "\n", "")
    assert daemon.lines == [f"POST /v1/devices/net/{verb}"] and daemon.requests[0].json() == {"force": False}


def test_force_says_what_was_in_the_way(over):
    daemon, run = over([answer(200, {**BOUND, "driver_before": "nvme", "despite": "nvme0n1p2 is mounted at /srv"})])
    result = run("unbind", "edu", "--force")
    assert (result.code, result.out) == (0, "edu is bound to devreg now (was: nvme)\n")
    assert result.err == "devregctl: forced, although nvme0n1p2 is mounted at /srv\n"
    assert daemon.requests[0].json() == {"force": True}


@pytest.mark.parametrize("status,code", [(409, 5), (423, 5), (503, 5), (403, 3), (422, 3), (404, 4), (410, 6), (504, 7), (500, 1)])
def test_refusals(over, status, code):
    _, run = over([problem(status, "edu: vda1 is mounted at /: let go of that first, or force it")])
    for verb in ("bind", "unbind"):
        result = run(verb, "edu")
        assert (result.code, result.out) == (code, "") and "vda1 is mounted at /" in result.err


def test_names_are_escaped(over):
    daemon, run = over([answer(200, BOUND)])
    run("bind", "a/../b?c")
    assert daemon.lines == ["POST /v1/devices/a%2F..%2Fb%3Fc/bind"]


@pytest.mark.parametrize("words", [["bind"], ["bind", "a", "b"], ["bind", ""], ["bind", "edu", "--driver", ""], ["bind", "edu", "--driver"],
                                   ["unbind", "edu", "--driver", "x"], ["bind", "edu", "--force=yes"], ["read", "edu:0x0", "--force"]])
def test_wrong_command_lines(over, words):
    daemon, run = over([answer(200, BOUND)])
    result = run(*words)
    assert (result.code, result.out) == (2, "") and result.err and daemon.lines == []


@pytest.mark.parametrize("body,text", [({}, "makes no sense"), ({"name": "edu"}, "makes no sense"), ([], "no JSON object")])
def test_senseless_answers(over, body, text):
    _, run = over([answer(200, body)])
    result = run("bind", "edu")
    assert (result.code, result.out) == (1, "") and text in result.err
