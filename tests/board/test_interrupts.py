# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sources of interrupts: what is said of them, who may see and mask them, and what masking does."""

import re
import time

import pytest

import board

pytestmark = pytest.mark.sim

RAISE, STATUS = 0x60, 0x24
POSITION = re.compile(r"[0-9a-f]{16}-\d+")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
MEMBERS = ["name", "device", "region", "vector", "type", "state", "count", "missed", "storms", "rate", "last",
           "acknowledge"]


def configuration(**more):
    return {"devices": [
        {**board.sim("edu", "edu"), "interrupts": [
            {"description": "of the edu board", "acknowledge": {"read": "0x24", "write": "0x64"}}]},
        {**board.sim("edu", "second"), "interrupts": [
            {"name": "other", "acknowledge": {"read": "0x24", "write": "0x64", "value": "0x1", "mask": "0xff"}}]},
        {**board.sim("odd", "odd"), "interrupts": [{}]},
        board.sim("ram", "ram", size=0x1000)], **more}


@pytest.fixture
def running(start_daemon):
    return start_daemon(configuration())


def get(client, name="edu"):
    return client.get(f"/v1/interrupts/{name}").ok().json


def post(client, name, verb, body=None, **options):
    return client.ask("POST", f"/v1/interrupts/{name}/{verb}", body={} if body is None else body, **options)


def wait_for_count(client, count, name="edu"):
    return board.wait_for(lambda: (row := get(client, name))["count"] == count and row, f"{count} interrupts")


def test_list_and_one(running):
    with running.client() as client:
        answer = client.get("/v1/interrupts").ok().json
        assert list(answer) == ["position", "interrupts"] and POSITION.fullmatch(answer["position"])
        rows = answer["interrupts"]
        assert [row["name"] for row in rows] == ["edu", "odd", "other"]
        for row in rows:
            assert get(client, row["name"]) == {"position": answer["position"], **row}
        edu, odd, other = rows
        assert list(odd) == MEMBERS and list(edu) == ["name", "description", *MEMBERS[1:]]
        assert edu == {"name": "edu", "description": "of the edu board", "device": "edu", "region": "edu", "vector": 0,
                       "type": "sim", "state": "on", "count": 0, "missed": 0, "storms": 0, "rate": 0.0, "last": None,
                       "acknowledge": {"region": "edu", "width": 32, "read": "0x24", "write": "0x64", "value": None,
                                       "mask": "0xffffffff"}}
        assert other["acknowledge"] == {"region": "second", "width": 32, "read": "0x24", "write": "0x64",
                                        "value": "0x00000001", "mask": "0x000000ff"}
        assert (other["device"], other["region"]) == ("second", "second")
        assert odd["acknowledge"] is None


def test_after_interrupts(running):
    with running.client() as client:
        for count, value in enumerate((1, 2, 0x30), 1):
            client.region("edu").write(RAISE, value)
            row = wait_for_count(client, count)
        assert row["state"] == "on" and row["missed"] == 0 and row["rate"] >= 0
        assert row["last"]["value"] == "0x00000030" and TIME.fullmatch(row["last"]["time"])
        assert row["last"]["id"] == row["position"]
        with board.Subscription(running.place(), since=0, kind="interrupt") as stream:
            stream.begin()
            last = stream.events(3)[-1]
            assert (last.id, last.data["time"]) == (row["last"]["id"], row["last"]["time"])


def test_unknown(running):
    with running.client() as client:
        for path in ("nothing", "second", "EDU"):
            assert "/v1/interrupts" in client.get(f"/v1/interrupts/{path}").problem(404, "not-found")["detail"]
            post(client, path, "mask").problem(404, "not-found")
            post(client, path, "unmask").problem(404, "not-found")
        assert "it takes none" in post(client, "edu", "mask", {"seconds": 1}).problem(400, "malformed")["detail"]
        client.ask("POST", "/v1/interrupts/edu/mask").problem(415, "media-type")
        assert client.get("/v1/interrupts/edu/mask").headers["allow"] == "POST"
        assert get(client)["state"] == "on"


def test_mask_and_unmask(running):
    with running.client() as client, board.Subscription(running.place()) as stream:
        stream.begin()
        masked = post(client, "edu", "mask").ok().json
        assert masked["state"] == "masked" and masked["masked_by"].startswith("user:")
        assert masked["name"] == "edu" and masked["position"] != ""
        event = stream.event("mask")
        assert (event.data["source"], event.data["device"], event.data["masked"]) == ("edu", "edu", True)
        assert event.data["by"] == masked["masked_by"] and TIME.fullmatch(event.data["time"])
        client.region("edu").write(RAISE, 4)
        time.sleep(0.3)
        assert get(client)["count"] == 0 and get(client, "other")["state"] == "on"
        assert client.region("edu").read(STATUS) == 4       # nobody has acknowledged it
        unmasked = post(client, "edu", "unmask").ok().json
        assert unmasked["state"] == "on" and "masked_by" not in unmasked
        assert stream.event("mask").data["masked"] is False
        assert stream.event("interrupt").data["value"] == "0x00000004"      # what was pending comes now
        wait_for_count(client, 1)


ACCESS = [
    {"principals": ["user:*"], "permissions": ["all"]},
    {"principals": ["token:lister"], "permissions": ["list"], "regions": ["edu"]},
    {"principals": ["token:watcher"], "permissions": ["list", "interrupt"], "regions": ["edu", "odd"]},
    {"principals": ["token:writer"], "permissions": ["list", "write"], "regions": ["edu"]},
    {"principals": ["token:part"], "permissions": ["list", "write"], "regions": ["edu"], "ranges": ["0x0-0x7f"]},
]


@pytest.fixture
def people(start_daemon):
    """A client for each principal of the rules."""
    daemon = start_daemon(configuration(access=ACCESS))
    with daemon.client() as root:
        headers = {}
        for name in ("lister", "watcher", "writer", "part"):
            secret = root.ask("POST", "/v1/tokens", body={"name": name}).json["token"]
            headers[name] = {"Authorization": f"Bearer {secret}"}
        yield daemon, root, headers


def test_who_may_see(people):
    daemon, root, headers = people
    root.region("edu").write(RAISE, 5)
    wait_for_count(root, 1)
    with daemon.client("tcp") as client:
        def names(who):
            answer = client.get("/v1/interrupts", headers=headers[who]).ok()
            return [row["name"] for row in answer.json["interrupts"]]
        assert names("lister") == names("writer") == ["edu"]
        assert names("watcher") == ["edu", "odd"]
        client.get("/v1/interrupts/edu", headers=headers["lister"]).ok()
        client.get("/v1/interrupts/other", headers=headers["lister"]).problem(403, "denied")
        client.get("/v1/interrupts").problem(401, "unauthenticated")
        # What the status register had is for those who may be told.
        for who, value in (("lister", None), ("watcher", "0x00000005")):
            last = client.get("/v1/interrupts/edu", headers=headers[who]).ok().json["last"]
            assert last["value"] == value and last["id"]


def test_who_may_mask(people):
    daemon, root, headers = people
    with daemon.client("tcp") as client:
        for who in ("lister", "watcher", "part"):
            post(client, "edu", "mask", headers=headers[who]).problem(403, "denied")
            post(client, "edu", "unmask", headers=headers[who]).problem(403, "denied")
        post(client, "other", "mask", headers=headers["writer"]).problem(403, "denied")
        assert get(root)["state"] == "on"
        assert post(client, "edu", "mask", headers=headers["writer"]).ok().json["masked_by"] == "token:writer"
        post(client, "edu", "unmask", headers=headers["writer"]).ok()


def test_reserved(running):
    with running.client() as alice, running.client("tcp") as bob:
        held = alice.ask("POST", "/v1/reservations", body={"region": "edu"}).json["id"]
        problem = post(bob, "edu", "mask").problem(423, "reserved", reservation=held)
        assert "reserved by" in problem["detail"]
        post(bob, "other", "mask").ok()
        post(alice, "edu", "mask").ok()
        post(bob, "edu", "unmask").problem(423, "reserved")
        post(alice, "edu", "unmask", headers={"Devreg-Reservation": held}).ok()
        alice.ask("DELETE", f"/v1/reservations/{held}").ok()
        post(bob, "edu", "mask").ok()
        assert "released" in post(alice, "edu", "unmask", headers={"Devreg-Reservation": held}).problem(
            423, "reserved")["detail"]

