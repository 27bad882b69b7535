# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resetting real PCI functions: through the module, through UIO and through sysfs alone, and those for which there is no way.
Retained memory is in test_buffers.py. QEMU's pci-testdev forgets in a reset which test was chosen, so that it shows."""

import pytest

TESTDEV = "reset-testdev"       # alone behind a bridge, so its bus can be reset
NAME = f"{TESTDEV}:0x10"


@pytest.fixture
def testdev(devregctl):
    """testdev(driver) binds it; it has no driver before, and none afterwards."""
    def bind(driver):
        if driver:
            result = devregctl("bind", TESTDEV, "--driver", driver)
            assert result.returncode == 0, result
    yield bind
    devregctl("unbind", TESTDEV)


def choose_test(devregctl):
    """The first octet of the chosen test's name, which is 0 without one."""
    assert devregctl("write", f"{TESTDEV}:0x0", 0, "--width", 8).returncode == 0
    return int(devregctl("read", NAME, "--width", 8).stdout, 16)


@pytest.mark.parametrize("driver,backend", [(None, "pci"), ("uio_pci_generic", "uio"), ("devreg", "kmod")])
def test_ways(http, guest, devregctl, testdev, driver, backend):
    testdev(driver)
    device = http.get(f"/v1/devices/{TESTDEV}")
    assert (device["backend"], device["state"], device["can_reset"]) == (backend, "present", True), device
    command = guest.output(f"setpci -s {device['address']} COMMAND")
    for _ in range(2):
        assert choose_test(devregctl) != 0
        result = devregctl("reset", TESTDEV)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{TESTDEV}: reset\n", "")
        assert devregctl("read", NAME, "--width", 8).stdout == "0x00\n"
        assert guest.output(f"setpci -s {device['address']} COMMAND") == command
    assert choose_test(devregctl) != 0, "it is decoded as before"
    record = http.get("/v1/audit?limit=1&action=device.reset")["records"][0]
    assert (record["subject"], record["result"], record["status"]) == (TESTDEV, "ok", 200)


@pytest.mark.parametrize("device,text", [("edu", "can't be reset"), ("edu-uio", "can't be reset"), ("edu-kmod", "can't be reset"),
                                         ("sound", "can't be reset"), ("fwcfg", "describe the device itself"),
                                         ("hpet", "the backend devmem, through which hpet is reached, has no reset")])
def test_no_way(http, devregctl, device, text):
    assert http.get(f"/v1/devices/{device}")["can_reset"] is False
    result = devregctl("reset", device)
    assert (result.returncode, result.stdout) == (3, "") and text in result.stderr, result
    assert http.get(f"/v1/devices/{device}")["state"] == "present"


def test_driver_in_the_way(guest, http, devregctl):
    """The guest's network card, which must not notice."""
    result = devregctl("reset", "claimed")
    assert (result.returncode, result.stdout) == (5, "") and "virtio-pci has 0000:00:04.0" in result.stderr, result
    assert http.json("POST", "/v1/devices/claimed/reset", {})[0] == 409
    assert guest.output("cat /sys/class/net/eth0/operstate") == "up"


def test_module_in_the_way(devregctl):
    """Through sysfs, a program that has it through the module would not be told."""
    try:
        assert devregctl("bind", "edu", "--driver", "devreg").returncode == 0
        result = devregctl("reset", "edu")
        assert (result.returncode, result.stdout) == (5, "") and "the driver devreg has 0000:00:07.0" in result.stderr, result
    finally:
        assert devregctl("unbind", "edu").returncode == 0


def test_absent(devregctl):
    result = devregctl("reset", "absent")
    assert result.returncode == 6 and "dead:beef" in result.stderr, result
