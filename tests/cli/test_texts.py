# SPDX-License-Identifier: LGPL-2.1-or-later
"""What list, show, status and explain print for people, and the same as JSON."""

import json
import os
import pty

import pytest

from fake import answer, problem

EDU = {"name": "edu", "device": "board", "description": "QEMU's edu", "backend": "pci", "type": "mmio", "state": "present",
       "size": "0x100000", "widths": [32, 64], "default_width": 32, "endianness": "little", "access": "read-write",
       "address": "0xfea00000", "page_size": 4096, "write_combining": False, "aliases": [], "owner": "0000:00:07.0",
       "reset_line": {"number": 3, "active": "low"}}
GONE = {"name": "gone", "device": "lost", "backend": "devmem", "state": "absent", "endianness": "big",
        "reason": "kernel lockdown forbids /dev/mem: load devreg.ko or bind the device to it"}
BOARD = {"name": "board", "description": "the board", "backend": "pci", "why": "the best that is usable here", "state": "present",
         "address": "0000:00:07.0", "id": "1234:11e8", "driver": "edu", "regions": ["edu"],
         "candidates": [{"name": "kmod", "usable": False, "reason": "the module devreg is not loaded: modprobe devreg"},
                        {"name": "pci", "usable": True}]}
LOST = {"name": "lost", "backend": "devmem", "why": "the configuration says so", "state": "absent", "reason": "no such device",
        "regions": ["gone"]}
STATUS = {"version": "0.1.0", "uptime_seconds": 3725, "pid": 17, "demo": False, "insecure": True, "listen": ["/run/x", "127.0.0.1:1"],
          "limits": {"connections": 256, "data_bytes": 16777216}, "counters": {"requests": 5},
          "backends": [{"name": "pci", "summary": "PCI BARs through sysfs", "usable": True},
                       {"name": "devmem", "summary": "physical memory", "usable": False, "reason": "/dev/mem: Permission denied"}],
          "warnings": ["--insecure: whoever reaches its port may do everything"]}
DOCUMENTS = {
    "/v1/status": STATUS,
    "/v1/regions": {"regions": [EDU, GONE]},
    "/v1/devices": {"devices": [BOARD, LOST]},
    "/v1/regions/edu": EDU, "/v1/regions/gone": GONE, "/v1/devices/board": BOARD, "/v1/devices/lost": LOST,
    "/v1/regions/both": {**EDU, "name": "both", "device": "both"}, "/v1/devices/both": {**BOARD, "name": "both"},
}


@pytest.fixture
def daemon(start):
    return start(lambda request: answer(200, DOCUMENTS[request.path]) if request.path in DOCUMENTS else problem(404, "no such thing"))


@pytest.fixture
def run(client, daemon):
    return lambda *words, **how: client("-H", daemon.host, *words, **how)


def test_list(run):
    assert run("list").out == run("list", "regions").out == (
        "REGION  DEVICE  BACKEND  TYPE  SIZE   WIDTHS  ENDIAN  STATE\n"
        "edu     board   pci      mmio  1 MiB  32,64   little  present\n"
        "gone    lost    devmem   -     -      -       big     absent: kernel lockdown forbids /dev/mem: "
        "load devreg.ko or bind the device to it\n")
    assert run("list", "devices").out == (
        "DEVICE  BACKEND  ADDRESS       ID         DRIVER  REGIONS  STATE\n"
        "board   pci      0000:00:07.0  1234:11e8  edu     edu      present\n"
        "lost    devmem   -             -          -       gone     absent: no such device\n")
    assert json.loads(run("--json", "list").out) == {"regions": [EDU, GONE]}
    assert json.loads(run("list", "devices", "--json").out) == {"devices": [BOARD, LOST]}


def test_show_tells_everything_known_or_not(run):
    out = run("show", "edu").out
    assert out.splitlines()[0].split() == ["region", "edu"]
    facts = {line[2:20].strip(): line[20:] for line in out.splitlines()[1:]}
    assert facts["size"] == "0x100000 (1 MiB)" and facts["widths"] == "32, 64" and facts["aliases"] == "none"
    assert facts["write combining"] == "no" and facts["page size"] == "4096" and facts["owner"] == "0000:00:07.0"
    assert "  reset line\n    number            3\n    active            low\n" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_show_finds_devices_and_both(run):
    assert run("show", "board").out.startswith("device            board\n  description")
    assert "region            both" in run("show", "both").out and "\n\ndevice            both" in run("show", "both").out
    assert json.loads(run("--json", "show", "edu").out) == {"region": EDU}
    assert json.loads(run("--json", "show", "board").out) == {"device": BOARD}
    assert set(json.loads(run("--json", "show", "both").out)) == {"region", "device"}


def test_unknown_names(run):
    for verb in ("show", "explain"):
        result = run(verb, "nope")
        assert (result.code, result.err) == (
            4, "devregctl: no region or device is called nope; devregctl list shows those there are\n")
    assert run("explain", "nope:0x0").code == 4


def test_status(run, daemon):
    out = run("status").out
    assert out.startswith("warning           --insecure")
    assert "uptime            1 h 2 min\n" in out and f"daemon            {daemon.host}\n" in out
    assert "listen            /run/x, 127.0.0.1:1\n" in out
    assert "\nBACKEND  USABLE  SUMMARY\npci      yes     PCI BARs through sysfs\n" in out
    assert "devmem   no      /dev/mem: Permission denied\n" in out
    assert json.loads(run("status", "--json").out) == STATUS


def test_explain_a_place_that_can_be_reached(run, daemon):
    result = run("explain", "edu:0x4")
    assert result.code == 0
    assert result.out == (
        "edu:0x4           can be reached\n"
        "  region            edu: mmio, 1 MiB, 0xfea00000, little, read-write, present\n"
        "  device            board: the board, 0000:00:07.0, 1234:11e8, present\n"
        "  backend           pci: PCI BARs through sysfs\n"
        "  why this backend  the best that is usable here\n"
        "  candidate         kmod: the module devreg is not loaded: modprobe devreg\n"
        "  candidate         pci (chosen): usable\n"
        "  kernel driver     edu\n"
        "  owner             0000:00:07.0\n"
        "  32 bits           yes\n"
        "  64 bits           no: 0x4 is not a multiple of 8; that register is at 0x0\n")
    assert daemon.lines == ["GET /v1/regions/edu", "GET /v1/devices/board", "GET /v1/status"], "no register is touched"


@pytest.mark.parametrize("place,expected", [
    ("edu:0x6", ["not a multiple of 4; that register is at 0x4", "not a multiple of 8; that register is at 0x0"]),
    ("edu:0x100000", ["0x100000 is outside edu (1 MiB)"]),
    ("edu:0xffffffffffffffff", ["is not a multiple of 4"]),
    ("edu:0xfffffffffffffff8", ["0xfffffffffffffff8 is outside edu"]),
])
def test_explain_a_place_that_cannot_be_reached(run, place, expected):
    result = run("explain", place)
    assert result.code == 0 and f"{place} " in result.out and "cannot be reached" in result.out
    assert all(text in result.out for text in expected)
    document = json.loads(run("--json", "explain", place).out)
    assert document["reachable"] is False and document["reasons"] == ["no width of the region fits this offset"]
    assert [row["reachable"] for row in document["widths"]] == [False, False]


def test_explain_the_end_of_a_region(run):
    document = json.loads(run("--json", "explain", "edu:0xffffc").out)
    assert document["reachable"] and [row["reachable"] for row in document["widths"]] == [True, False]


def test_explain_what_is_absent(run):
    for what in ("gone", "gone:0x0"):
        out = run("explain", what).out
        assert "cannot be reached\n" in out and "  because           kernel lockdown forbids /dev/mem" in out
        assert "  because           /dev/mem: Permission denied\n" in out and "the configuration says so" in out
    assert "because           no such device" in run("explain", "lost").out


def test_explain_says_each_reason_once(start, client):
    """What is wrong with the backend is often what is wrong with the device and its region."""
    why = "the module devreg is not loaded: modprobe devreg"
    status = {**STATUS, "backends": [{"name": "kmod", "summary": "the module", "usable": False, "reason": why}]}
    documents = {"/v1/status": status, "/v1/regions/gone": {**GONE, "backend": "kmod", "reason": why},
                 "/v1/devices/gone": LOST, "/v1/devices/lost": {**LOST, "backend": "kmod", "reason": why}}
    daemon = start(lambda request: answer(200, documents[request.path]))
    document = json.loads(client("-H", daemon.host, "--json", "explain", "gone").out)
    assert document["reasons"] == [why] and document["reachable"] is False


def test_explain_a_region_a_device_and_a_name(run):
    assert "edu               can be reached\n" in run("explain", "edu").out
    assert "board             can be reached\n" in run("explain", "board").out
    assert json.loads(run("--json", "explain", "edu:STATUS").out)["widths"] == []


def test_json_is_indented_on_a_terminal_only(run):
    assert run("--json", "status").out.count("\n") == 1
    master, slave = pty.openpty()
    run("--json", "show", "board", stdout=slave)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert shown.count("\n") > 5 and json.loads(shown) == {"device": BOARD}


def test_empty_lists(client, start):
    daemon = start([answer(200, {"regions": [], "devices": []})])
    assert client("-H", daemon.host, "list").out == "REGION  DEVICE  BACKEND  TYPE  SIZE  WIDTHS  ENDIAN  STATE\n"
    assert client("-H", daemon.host, "list", "devices").code == 0
