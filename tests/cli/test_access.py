# SPDX-License-Identifier: LGPL-2.1-or-later
"""What whoami, token, access explain and audit ask for and print."""

import json

import pytest

from fake import answer, problem

WHO = {"principal": "user:alice", "kind": "user", "peer": "uid=1000 pid=4711", "groups": ["lab", "1001"], "expires": None,
       "permissions": ["list", "read", "write"],
       "regions": [{"region": "edu", "permissions": ["list", "read"], "restricted": ["write"]},
                   {"region": "odd", "permissions": ["list"], "restricted": []}]}
TOKEN = "devreg_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
CI = {"name": "ci", "permissions": ["list", "read"], "regions": ["edu*", "odd"], "created": "2026-11-22T00:00:00Z",
      "expires": "2026-12-22T00:00:00Z", "expired": False, "created_by": "user:root"}
OLD = {**CI, "name": "old", "permissions": ["list"], "regions": None, "expired": True}
EVER = {**CI, "name": "ever", "regions": None, "expires": None}


def test_whoami(over):
    daemon, run = over([answer(200, WHO)])
    assert run("whoami").out == (
        "principal         user:alice\n"
        "expires           never\n"
        "kind              user\n"
        "peer              uid=1000 pid=4711\n"
        "groups            lab, 1001\n"
        "permissions       list, read, write\n"
        "\n"
        "REGION  MAY        MAY FOR A PART\n"
        "edu     list,read  write\n"
        "odd     list       -\n")
    assert json.loads(run("--json", "whoami").out) == WHO and daemon.lines == ["GET /v1/whoami"] * 2


def test_whoami_without_anything(over):
    _, run = over([answer(200, {"principal": "anonymous", "kind": "anonymous", "permissions": [], "regions": []})])
    assert run("whoami").out == "principal         anonymous\nkind              anonymous\npermissions       none\n"


def test_a_new_token_is_alone_on_standard_output(over):
    daemon, run = over([answer(201, {**CI, "token": TOKEN})])
    result = run("token", "create", "ci", "--for", "30d", "--permission", "list", "--permission", "read", "--region", "edu*", "--region", "odd")
    assert (result.code, result.out) == (0, TOKEN + "\n") and TOKEN not in result.err
    assert daemon.requests[0].line == "POST /v1/tokens"
    assert daemon.requests[0].json() == {"name": "ci", "permissions": ["list", "read"], "regions": ["edu*", "odd"], "seconds": 2592000}
    assert result.err == (
        "token             ci\n"
        "  regions           edu*,odd\n"
        "  expires           2026-12-22T00:00:00Z\n"
        "  permissions       list, read\n"
        "  created           2026-11-22T00:00:00Z\n"
        "  created by        user:root\n"
        "It is shown this once only.\n")
    result = run("--json", "token", "create", "ci")
    assert json.loads(result.out)["token"] == TOKEN and result.err == ""
    assert daemon.requests[1].json() == {"name": "ci"}


def test_a_token_that_cannot_be_written(over):
    _, run = over([answer(201, {**EVER, "token": TOKEN})])
    with open("/dev/full", "wb") as full:
        result = run("token", "create", "ever", stdout=full)
    assert result.code == 1 and TOKEN not in result.err and "expires           never" in result.err
    _, run = over([answer(201, EVER)])
    assert run("token", "create", "ever").code == 1


def test_tokens(over):
    daemon, run = over([answer(200, {"tokens": [CI, OLD, EVER]})])
    assert run("token", "list").out == (
        "TOKEN  PERMISSIONS  REGIONS   CREATED               EXPIRES                         BY\n"
        "ci     list,read    edu*,odd  2026-11-22T00:00:00Z  2026-12-22T00:00:00Z            user:root\n"
        "old    list         all       2026-11-22T00:00:00Z  2026-12-22T00:00:00Z (expired)  user:root\n"
        "ever   list,read    all       2026-11-22T00:00:00Z  never                           user:root\n")
    assert json.loads(run("token", "list", "--json").out) == {"tokens": [CI, OLD, EVER]}
    assert daemon.lines == ["GET /v1/tokens"] * 2


def test_revoking(over):
    daemon, run = over([answer(200, {"name": "ci"}), problem(404, "no token is called c/i")])
    result = run("token", "revoke", "ci")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert run("token", "revoke", "c/i").code == 4
    assert daemon.lines == ["DELETE /v1/tokens/ci", "DELETE /v1/tokens/c%2Fi"]


EXPLAINED = {"principal": "user:bob", "region": "edu", "offset": "0x80",
             "decisions": [{"permission": "read", "allowed": True, "rule": "lab", "why": "the rule lab allows it"},
                           {"permission": "write", "allowed": False, "rule": None, "why": "no rule allows it"}],
             "rules": [{"rule": "lab", "applies": True, "why": "group:lab is one of user:bob's"},
                       {"rule": "no-dma", "applies": False, "why": "its ranges end at 0x7f"}]}


def test_access_explain(over):
    daemon, run = over([answer(200, EXPLAINED)])
    assert run("access", "explain", "user:bob", "edu:0x80").out == (
        "user:bob and edu:0x80\n"
        "\n"
        "PERMISSION  ALLOWED  RULE  WHY\n"
        "read        yes      lab   the rule lab allows it\n"
        "write       no       -     no rule allows it\n"
        "\n"
        "RULE    APPLIES  WHY\n"
        "lab     yes      group:lab is one of user:bob's\n"
        "no-dma  no       its ranges end at 0x7f\n")
    assert json.loads(run("--json", "access", "explain", "user:bob", "edu").out) == EXPLAINED
    run("access", "explain", "a&b=c d", "edu:0x80", "--permission", "write", "--value", "0b11", "--mask", "0xf", "--width", 8)
    assert daemon.lines == [
        "GET /v1/access/explain?principal=user%3Abob&region=edu&offset=0x80",
        "GET /v1/access/explain?principal=user%3Abob&region=edu",
        "GET /v1/access/explain?principal=a%26b%3Dc%20d&region=edu&offset=0x80&width=8&permission=write&value=0x3&mask=0xf"]


RECORDS = [
    {"time": "2026-11-22T00:00:01Z", "principal": "user:alice", "peer": "uid=1000 pid=1", "request": "1", "action": "write",
     "region": "edu", "offset": "0x4", "width": "32", "count": "1", "old": "0x00000000", "new": "0x00000001", "result": "ok", "status": "200"},
    {"time": "2026-11-22T00:00:02Z", "principal": "token:ci", "action": "write", "region": "edu", "offset": "0x80", "width": 32, "count": 8,
     "new": "0x1,0x2", "result": "refused", "status": 403, "reason": "no-dma forbids it"},
    {"time": "2026-11-22T00:00:03Z", "principal": "user:root", "action": "token.create", "subject": "ci", "result": "ok", "status": 201},
    {"time": "2026-11-22T00:00:04Z", "principal": "user:a", "action": "modify", "region": "odd", "offset": "0x0", "mask": "0xf",
     "old": "0x0", "new": "0x3", "result": "ok"},
    {"time": "2026-11-22T00:00:05Z", "principal": "user:b", "action": "reservation.create", "subject": "r-1", "region": "odd",
     "result": "ok", "reason": "the rig burns"},
    {},
]


def test_audit(over):
    daemon, run = over([answer(200, {"records": RECORDS})])
    assert run("audit").out == (
        "TIME                  PRINCIPAL   ACTION              ON           VALUE                     RESULT\n"
        "2026-11-22T00:00:01Z  user:alice  write               edu:0x4      0x00000000 -> 0x00000001  ok\n"
        "2026-11-22T00:00:02Z  token:ci    write               edu:0x80 x8  0x1,0x2                   refused 403: no-dma forbids it\n"
        "2026-11-22T00:00:03Z  user:root   token.create        ci           -                         ok\n"
        "2026-11-22T00:00:04Z  user:a      modify              odd:0x0      0x0 -> 0x3 mask 0xf       ok\n"
        "2026-11-22T00:00:05Z  user:b      reservation.create  odd r-1      -                         ok: the rig burns\n"
        "-                     -           -                   -            -                         ?\n")
    assert json.loads(run("--json", "audit").out) == {"records": RECORDS}
    assert daemon.lines == ["GET /v1/audit"] * 2


@pytest.mark.parametrize("words,query", [
    (["--since", "1h"], "since=3600"),
    (["--since", "2026-12-01T09:30:00+01:00", "--until", "90"], "since=2026-12-01T09%3A30%3A00%2B01%3A00&until=90"),
    (["--principal", "user:a b", "--region", "edu", "--action", "token.create", "--result", "ok", "-n", "5"],
     "principal=user%3Aa%20b&region=edu&action=token.create&result=ok&limit=5"),
    (["--limit", "1000"], "limit=1000"),
])
def test_what_audit_asks_for(over, words, query):
    daemon, run = over([answer(200, {"records": []})])
    assert run("audit", *words).out == "TIME  PRINCIPAL  ACTION  ON  VALUE  RESULT\n"
    assert daemon.lines == [f"GET /v1/audit?{query}"]
