# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interrupts of QEMU's devices, from the wire to a line of devregctl's. What the module does with them is tested in
tests/kmod, edu's on each way in tests/board/test_edu_interrupts.py; here are several vectors, and devices, drivers and the
daemon that come and go while somebody watches."""
import contextlib
import json
import os
import queue
import subprocess
import threading
import time

import pytest

RAISE = "0x60"
# e1000e: which vector each cause has, which causes are let through or not, and setting and clearing them.
NIC_VECTORS, NIC_ENABLE, NIC_DISABLE, NIC_SET, NIC_CLEAR = "0xe4", "0xd0", "0xd8", "0xc8", "0xc0"
NIC_CAUSES = ["nic-0", "nic-1", "nic-2", "nic-3"]   # bits 20 to 23; bit 24, nic-other, changes of its link raise too
LINE_S = 60


class Watch:
    """devregctl interrupts watch --json, and the lines that it prints as they come."""

    def __init__(self, *words):
        command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "interrupts", "watch", "--json", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def next(self, kind):
        """The data of the next event of this kind; others are passed over."""
        end = time.monotonic() + LINE_S
        passed = []
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=left)
                if line["event"] == kind:
                    return line["data"]
                passed.append(line)
        pytest.fail(f"no {kind} came in {LINE_S} s, but {passed}")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        return self.process.stderr.read()


@pytest.fixture
def watch(http):
    """watch(words) follows what happens from now on."""
    watches = []

    def start(*words):
        watches.append(Watch("--since", http.get("/v1/interrupts")["position"], *words))
        return watches[-1]
    yield start
    for one in watches:
        one.close()


@pytest.fixture
def write(devregctl):
    def write(place, value):
        result = devregctl("write", place, value)
        assert result.returncode == 0, result
    return write


@pytest.fixture
def nic(write):
    """The card is ready, and quiet afterwards: QEMU aborts when MSI-X is switched off while it means to raise one again."""
    write(f"nic:{NIC_VECTORS}", "0x000cba98")
    write(f"nic:{NIC_CLEAR}", "0xffffffff")
    write(f"nic:{NIC_ENABLE}", "0x00f00000")
    yield
    write(f"nic:{NIC_DISABLE}", "0xffffffff")
    write(f"nic:{NIC_CLEAR}", "0xffffffff")
    time.sleep(1)


def source(http, name):
    return http.get(f"/v1/interrupts/{name}")


def test_types(http):
    rows = {row["name"]: row for row in http.get("/v1/interrupts")["interrupts"]}
    assert {name: row["type"] for name, row in rows.items()} == {
        "edu-msi": "msi", "edu-intx": "intx", "edu-line": "uio", "sound": "line", **dict.fromkeys([*NIC_CAUSES, "nic-other"], "msi-x")}
    assert all(row["state"] == "on" for row in rows.values())
    assert [rows[name]["vector"] for name in [*NIC_CAUSES, "nic-other"]] == [0, 1, 2, 3, 4]


def test_each_vector_is_a_source(nic, http, watch, write):
    before = {name: source(http, name)["count"] for name in NIC_CAUSES}
    watched = watch(*NIC_CAUSES)
    for _ in range(3):
        for bit, name in enumerate(NIC_CAUSES, 20):
            write(f"nic:{NIC_SET}", hex(1 << bit))
            # The card raises one again by itself when it was set faster than it thinks good.
            while (event := watched.next("interrupt"))["source"] != name:
                pass
            assert (event["vector"], event["value"]) == (bit - 20, None)
            write(f"nic:{NIC_CLEAR}", hex(1 << bit))
    assert all(source(http, name)["count"] - before[name] >= 3 for name in NIC_CAUSES)


def test_masking_one_vector_leaves_the_others(nic, http, devregctl, watch, write):
    assert devregctl("interrupts", "mask", "nic-1").returncode == 0
    time.sleep(1)           # what the card has raised again before is read
    watched = watch("--kind", "interrupt", *NIC_CAUSES)
    write(f"nic:{NIC_SET}", hex(1 << 21))
    write(f"nic:{NIC_SET}", hex(1 << 22))
    while (name := watched.next("interrupt")["source"]) != "nic-2":
        assert name != "nic-1"
    assert source(http, "nic-1")["state"] == "masked"
    assert devregctl("interrupts", "unmask", "nic-1").returncode == 0
    while watched.next("interrupt")["source"] != "nic-1":
        pass
    write(f"nic:{NIC_CLEAR}", "0xffffffff")


def test_line_of_a_platform_device(http, watch, devregctl):
    """QEMU's sb16: its command 0xf2 raises the line and has an answer, of which the status tells."""
    watched = watch("sound")
    for _ in range(3):
        assert devregctl("write", "sound:0xc", "0xf2", "--width", 8).returncode == 0
        event = watched.next("interrupt")
        assert (event["value"], event["masked"]) == ("0x80", False)
    assert source(http, "sound")["state"] == "on"


@pytest.mark.parametrize("name", ["edu-msi", "edu-intx", "edu-line"])
def test_wait_while_a_command_raises_it(devregctl, name):
    host = os.environ["DEVREG_HOST"]
    for value in ("0x5", "0x80000000"):
        result = devregctl("interrupts", "wait", name, "--timeout", "60s", "--", os.environ["DEVREGCTL"], "-H", host,
                           "write", f"{name}:{RAISE}", value)
        assert result.returncode == 0 and f"0x{int(value, 16):08x}" in result.stdout, result
    assert devregctl("interrupts", "wait", name, "--timeout", "1s").returncode == 7


def test_through_a_restart(guest, watch, write, http, eventually):
    """Nothing that is not told: what came before, that the daemon went, and what came afterwards."""
    watched = watch("edu-msi")
    write(f"edu-msi:{RAISE}", "0x1")
    assert watched.next("interrupt")["value"] == "0x00000001"
    for how in ("systemctl restart devregd", "systemctl kill -s KILL devregd; systemctl reset-failed devregd;"
                                             "systemctl restart devregd"):
        guest.run(how)
        assert watched.next("lost")["count"] is None
        assert watched.next("daemon")["daemon"] == "started"
        eventually(lambda: source(http, "edu-msi")["state"] == "on")
        write(f"edu-msi:{RAISE}", "0x2")
        event = watched.next("interrupt")
        assert (event["value"], event["number"]) == ("0x00000002", 1)
    assert "lost" in watched.close()


def test_unbound_while_watched(watch, write, devregctl, http):
    watched = watch("edu-msi")
    assert devregctl("unbind", "edu-msi").returncode == 0
    assert watched.next("device")["present"] is False
    row = source(http, "edu-msi")
    assert row["state"] == "absent" and "devregctl bind edu-msi" in row["absent"]
    assert devregctl("interrupts", "mask", "edu-msi").returncode not in (0, 1)
    assert devregctl("bind", "edu-msi").returncode == 0
    assert watched.next("device")["present"] is True
    assert watched.next("driver")["driver"] == "devreg"
    count = source(http, "edu-msi")["count"]
    write(f"edu-msi:{RAISE}", "0x3")
    event = watched.next("interrupt")
    assert (event["value"], event["number"]) == ("0x00000003", count + 1)


def test_by_another_driver(watch, write, devregctl, http):
    """The same device, now through UIO, with the type that it has there."""
    if http.get("/v1/devices/edu-msi").get("backend") != "kmod":
        pytest.skip("its backend is not named")
    assert devregctl("bind", "edu-msi", "--driver", "uio_pci_generic").returncode == 0
    row = source(http, "edu-msi")
    assert row["state"] == "absent" and "uio_pci_generic" in row["absent"], row
    assert devregctl("bind", "edu-msi").returncode == 0
    watched = watch("edu-msi")
    write(f"edu-msi:{RAISE}", "0x4")
    assert watched.next("interrupt")["value"] == "0x00000004"


def test_pulled_out_while_watched(guest, rig, watch, write, http, eventually):
    watched = watch("edu-msi")
    rig("unplug", "edu-msi")
    assert watched.next("device")["present"] is False
    assert source(http, "edu-msi")["state"] == "absent"
    rig("plug", "edu-msi")
    guest.run("/run/rig/bind-devices")
    assert watched.next("device")["present"] is True
    eventually(lambda: source(http, "edu-msi")["state"] == "on")
    write(f"edu-msi:{RAISE}", "0x6")
    assert watched.next("interrupt")["value"] == "0x00000006"


def test_module_goes_and_comes(guest, watch, write, http, eventually):
    """It can't be unloaded while its devices are open; taken from them first, it can."""
    assert guest.run("rmmod devreg", check=False).returncode != 0
    watched = watch("edu-msi", "edu-intx")
    guest.run("systemctl stop devregd; rmmod devreg; systemctl start devregd")
    assert watched.next("daemon")["daemon"] == "stopping"
    eventually(lambda: source(http, "edu-msi")["state"] == "absent")
    guest.run("/run/rig/load-module; /run/rig/bind-devices")
    for name in ("edu-msi", "edu-intx"):
        eventually(lambda name=name: source(http, name)["state"] == "on")
        write(f"{name}:{RAISE}", "0x7")
    assert {watched.next("interrupt")["source"] for _ in range(2)} == {"edu-msi", "edu-intx"}


def test_many_watchers_of_one_device(watch, write, http):
    watches = [watch("--kind", "interrupt", "edu-msi") for _ in range(8)]
    first = source(http, "edu-msi")["count"] + 1
    for _ in range(20):
        write(f"edu-msi:{RAISE}", "0x1")
    for watched in watches:
        assert [watched.next("interrupt")["number"] for _ in range(20)] == list(range(first, first + 20))
