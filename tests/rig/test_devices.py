# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only real devices under a real kernel show: both ways to one device, port BARs, RAM behind a BAR, mappings that
the kernel takes back, devices that are unplugged. The tests run in this order; the last ones pull the device out."""
import hashlib
import os
import random
import time

import pytest

EDU = "/v1/regions/edu"


def test_first_register_through_both_backends(devregctl):
    for region in ("edu", "edu-mem"):
        result = devregctl("read", f"{region}:0x0")
        assert (result.returncode, result.stdout, result.stderr) == (0, "0x010000ed\n", "")


def test_inverter_written_one_way_and_read_the_other(devregctl):
    assert devregctl("write", "edu:0x4", "0x12345678").returncode == 0
    assert devregctl("read", "edu-mem:0x4").stdout == "0xedcba987\n"
    assert devregctl("write", "edu-mem:0x4", "0xffff0000").returncode == 0
    assert devregctl("read", "edu:0x4").stdout == "0x0000ffff\n"


def test_factorial(devregctl, eventually):
    assert devregctl("write", "edu:0x8", 10).returncode == 0
    eventually(lambda: int(devregctl("read", "edu:0x20").stdout, 16) & 1 == 0)
    assert int(devregctl("read", "edu:0x8").stdout, 16) == 3628800


def test_devmem_agrees_with_busybox(guest, http):
    address = http.get("/v1/regions/edu-mem")["address"]
    assert int(guest.output(f"busybox devmem {address} 32"), 16) == 0x010000ed


def test_facts_about_a_pci_region(guest, http):
    region, device = http.get(EDU), http.get("/v1/devices/edu")
    assert device["id"] == "1234:11e8" and device["backend"] == "pci" and "driver" not in device
    resource = guest.output(f"head -n 1 /sys/bus/pci/devices/{device['address']}/resource").split()
    assert int(region["address"], 16) == int(resource[0], 16)
    assert int(region["size"], 16) == 0x100000 and region["type"] == "mmio"
    assert region["owner"] == device["address"]
    assert region["aliases"] == ["edu-mem"] and http.get("/v1/regions/edu-mem")["aliases"] == ["edu"]


def test_absent_device_is_listed_with_the_reason(http, devregctl):
    region = http.get("/v1/regions/absent")
    assert region["state"] == "absent" and "dead:beef" in region["reason"]
    result = devregctl("read", "absent:0x0")
    assert result.returncode == 6 and "dead:beef" in result.stderr


def test_hpet_is_read_only_and_runs(devregctl):
    assert int(devregctl("read", "hpet:0x0").stdout, 16) == 0x8086a201
    assert devregctl("write", "hpet:0x10", 0).returncode == 3
    values = [int(devregctl("read", "hpet:0xf0", "--width", 64).stdout, 16) for _ in range(2)]
    assert values[0] <= values[1]


@pytest.mark.parametrize("region", ["testdev-mem", "testdev-io"])
def test_testdev(devregctl, region):
    """QEMU's pci-testdev: choose a test, then it says where to write what, and counts the matching writes."""
    def read(offset, width):
        result = devregctl("read", f"{region}:{offset:#x}", "--width", width)
        assert result.returncode == 0, result.stderr
        return int(result.stdout, 16)

    def write(offset, value, width):
        result = devregctl("write", f"{region}:{offset:#x}", value, "--width", width)
        assert result.returncode == 0, result.stderr

    write(0x0, 0, 8)
    width, offset, data = read(0x1, 8), read(0x4, 32), read(0x8, 8)
    assert width in (1, 2, 4)
    before = read(0xc, 32)
    for _ in range(3):
        write(offset, data, width * 8)
    assert read(0xc, 32) == before + 3
    name = bytes(read(0x10 + i, 8) for i in range(8))
    assert name.split(b"\0")[0].isascii() and name[0] != 0


def test_port_region_facts(http):
    region = http.get("/v1/regions/testdev-io")
    assert region["type"] == "ioport" and region["widths"] == [8, 16, 32] and int(region["size"], 16) == 256
    status, problem = http.json("GET", "/v1/regions/testdev-io/registers/0x0?width=64")
    assert status == 422, problem


@pytest.mark.parametrize("region", ["ivshmem-ram", "ivshmem-wc"])
@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_blocks_of_real_memory(http, region, width):
    octets = random.Random(width).randbytes(0x10000)
    path = f"/v1/regions/{region}/data?offset=0x1000&width={width}"
    status, answer = http.request("PUT", path, octets, "application/octet-stream")
    assert status == 200, answer
    status, back = http.request("GET", f"{path}&length={len(octets)}")
    assert status == 200 and hashlib.sha256(back).digest() == hashlib.sha256(octets).digest()


def test_big_endian_region_of_real_memory(http):
    path = "/v1/regions/ivshmem-big"
    assert http.json("PUT", f"{path}/registers/0x0?width=32", {"value": "0x11223344"})[0] == 200
    assert http.request("GET", f"{path}/data?offset=0&length=4")[1] == bytes([0x11, 0x22, 0x33, 0x44])
    assert http.get(f"{path}/registers/0x0?width=16")["value"] == "0x1122"


def test_write_combining_is_said(http):
    assert http.get("/v1/regions/ivshmem-wc")["write_combining"] is True
    assert http.get("/v1/regions/ivshmem-ram")["write_combining"] is False


def test_unprivileged_user(guest):
    """The daemon's socket is root's; another user gets a clear word and the code for no connection."""
    result = guest.run("setpriv --reuid 65534 --regid 65534 --clear-groups devregctl read edu:0x0", check=False)
    assert result.returncode == 8, result
    assert "Permission denied" in result.stderr and "/run/devregd/devregd.sock" in result.stderr


def test_decoding_is_switched_on_when_it_was_off(guest, http):
    device = http.get("/v1/devices/testdev")["address"]
    command = f"setpci -s {device} COMMAND"
    assert int(guest.output(command), 16) & 2
    guest.run(f"{command}=0000 && systemctl restart devregd")
    assert http.get("/v1/regions/testdev-mem")["state"] == "present"
    assert int(guest.output(command), 16) & 3 == 3


@pytest.mark.parametrize("region", ["edu", "edu-mem"])
def test_bus_fault_of_a_mapping_that_was_taken_back(guest, http, devregctl, region):
    """A driver claims the BAR for a moment: the kernel revokes the mappings, and the next access is a SIGBUS."""
    pid = http.get("/v1/status")["pid"]
    faults = http.get("/v1/status")["counters"]["bus_faults"]
    assert http.get(f"/v1/regions/{region}/registers/0x0")["value"] == "0x010000ed"
    guest.run("/run/rig/revoke")
    result = devregctl("read", f"{region}:0x0")
    assert result.returncode == 6 and "bus fault" in result.stderr
    status = http.get("/v1/status")
    assert status["pid"] == pid and status["counters"]["bus_faults"] == faults + 1
    assert devregctl("read", f"{region}:0x0").stdout == "0x010000ed\n", "it is mapped anew"
    for other in ("edu", "edu-mem"):
        devregctl("read", f"{other}:0x0")  # both mappings were taken back: let both be mapped anew


@pytest.mark.parametrize("region", ["claimed", "claimed-mem"])
def test_claimed_by_a_driver(http, devregctl, region):
    """What a driver holds is a conflict that says what to do."""
    facts = http.get(f"/v1/regions/{region}")
    assert facts["state"] == "absent" and "unbind" in facts["reason"]
    status, problem = http.json("GET", f"/v1/regions/{region}/registers/0x0")
    assert (status, problem["type"]) == (409, "urn:devreg:problem:conflict")
    result = devregctl("read", f"{region}:0x0")
    assert result.returncode == 5 and "unbind" in result.stderr


def test_driver_is_named(http):
    assert http.get("/v1/devices/claimed")["driver"] == "virtio-pci"
    assert "virtio-pci" in http.get("/v1/regions/claimed-mem")["reason"]


def test_system_memory_is_refused(http, devregctl):
    assert "kernel's own memory" in http.get("/v1/regions/memory")["reason"]
    assert devregctl("read", "memory:0x0").returncode == 6


def test_unplugged_and_back(guest, http, devregctl, eventually):
    """Last, because the BAR comes back at another address."""
    device = http.get("/v1/devices/edu")["address"]
    assert http.get(f"{EDU}/registers/0x0")["value"] == "0x010000ed"
    guest.run(f"echo 1 > /sys/bus/pci/devices/{device}/remove")
    eventually(lambda: http.get(EDU)["state"] == "absent")
    assert device in http.get(EDU)["reason"]
    result = devregctl("read", "edu:0x0")
    assert result.returncode == 6 and "absent" in result.stderr
    status, problem = http.json("GET", f"{EDU}/registers/0x0")
    assert (status, problem["type"]) == (410, "urn:devreg:problem:gone")
    assert devregctl("list").returncode == 0, "the daemon lives"
    guest.run("echo 1 > /sys/bus/pci/rescan")
    eventually(lambda: http.get(EDU)["state"] == "present")
    assert devregctl("read", "edu:0x0").stdout == "0x010000ed\n"


def test_stop_under_load_is_clean(guest, http):
    """systemctl stop while clients read: the unit ends well, nothing is left of its socket."""
    guest.run("for i in 1 2 3 4; do (while devregctl read edu:0x0; do :; done) >/dev/null 2>&1 & done; sleep 1; "
              "systemctl stop devregd")
    assert guest.output("systemctl show -p Result devregd") == "Result=success"
    assert guest.run("test -e /run/devregd/devregd.sock", check=False).returncode == 1
    guest.run("systemctl start devregd")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if http.request("GET", "/healthz")[0] == 200:
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"devregd did not come back at {os.environ['DEVREG_HOST']}")
