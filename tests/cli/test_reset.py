# SPDX-License-Identifier: LGPL-2.1-or-later
"""What reset asks for and prints, and how it goes with a daemon."""

import json

import pytest

from fake import Drip, answer, problem

RESET = {"name": "edu", "state": "present", "can_reset": True, "dma": {"retained": 0}, "given_back": 65536}


@pytest.mark.parametrize("octets,text", [(65536, "edu: reset; 64 KiB of retained memory given back"), (0, "edu: reset"),
                                         (77, "edu: reset; 77 octets of retained memory given back"), (-1, "edu: reset"),
                                         ("much", "edu: reset"), (None, "edu: reset")])
def test_what_is_said(over, octets, text):
    daemon, run = over([answer(200, {**RESET, "given_back": octets})])
    result = run("reset", "edu")
    assert (result.code, result.out, result.err) == (0, text + "\n", "")
    assert daemon.lines == ["POST /v1/devices/edu/reset"] and daemon.requests[0].json() == {}


def test_json(over):
    _, run = over([answer(200, RESET)])
    assert json.loads(run("--json", "reset", "edu").out) == RESET


@pytest.mark.parametrize("status,code", [(409, 5), (423, 5), (503, 5), (403, 3), (422, 3), (404, 4), (410, 6), (504, 7), (500, 1)])
def test_refusals(over, status, code):
    _, run = over([problem(status, "edu: 0000:00:07.0 can't be reset")])
    result = run("reset", "edu")
    assert (result.code, result.out) == (code, "") and "0000:00:07.0 can't be reset" in result.err


def test_one_that_takes_long(over):
    """The daemon may take longer for it than for other requests."""
    _, run = over([Drip(answer(200, RESET), 0.02)])
    result = run("--timeout", "1", "reset", "edu")
    assert (result.code, result.out) == (0, "edu: reset; 64 KiB of retained memory given back\n")


def test_names_are_escaped(over):
    daemon, run = over([answer(200, {**RESET, "name": "a\x1b[2J"})])
    assert run("reset", "a/../b?c").out == "a\\x1b[2J: reset; 64 KiB of retained memory given back\n"
    assert daemon.lines == ["POST /v1/devices/a%2F..%2Fb%3Fc/reset"]


@pytest.mark.parametrize("words", [["reset"], ["reset", "a", "b"], ["reset", ""], ["reset", "edu", "--force"], ["reset", "edu", "--driver", "x"]])
def test_wrong_command_lines(over, words):
    daemon, run = over([answer(200, RESET)])
    result = run(*words)
    assert (result.code, result.out) == (2, "") and result.err and daemon.lines == []


@pytest.mark.parametrize("body,text", [({}, "makes no sense"), ({"given_back": 1}, "makes no sense"), ([], "no JSON object")])
def test_senseless_answers(over, body, text):
    _, run = over([answer(200, body)])
    result = run("reset", "edu")
    assert (result.code, result.out) == (1, "") and text in result.err
