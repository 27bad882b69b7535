# SPDX-License-Identifier: LGPL-2.1-or-later
"""Binding real devices to real drivers, and back; and what the machine needs stays bound: the disk with the root file system, the
only network card."""
import concurrent.futures
import json
import os
import subprocess
import time

import pytest

TEMPLATE = "/run/rig/devregd.json.in"
EDU = "0000:00:07.0"
DISK = "0000:00:03.0"


def wait_until_served(http):
    end = time.monotonic() + 60
    while True:
        try:
            return http.get("/v1/status")
        except OSError:
            assert time.monotonic() < end, "devregd did not come back"
            time.sleep(0.2)


@pytest.fixture(scope="module", autouse=True)
def drivers(guest, http, tmp_path_factory):
    """Drivers that take whatever they are told to, and the disk among the configured devices."""
    guest.run("modprobe -a uio_pci_generic pci-stub")
    before = guest.output(f"cat {TEMPLATE}")
    configuration = json.loads(before)
    configuration["devices"].append({"name": "disk", "backend": "pci", "address": DISK,
                                     "regions": [{"name": "disk", "bar": 4, "access": "read"}]})
    folder = tmp_path_factory.mktemp("bind")
    for name, text in (("with-disk", json.dumps(configuration)), ("before", before)):
        (folder / name).write_text(text)
    guest.push(folder / "with-disk", TEMPLATE)
    guest.run("systemctl restart devregd")
    wait_until_served(http)
    yield
    guest.push(folder / "before", TEMPLATE)
    guest.run("systemctl restart devregd")
    wait_until_served(http)


@pytest.fixture(autouse=True)
def edu_has_no_driver(drivers, http, guest):
    assert http.json("POST", "/v1/devices/edu/unbind", {})[0] == 200
    yield
    assert http.json("POST", "/v1/devices/edu/unbind", {})[0] == 200
    assert driver_of(guest, EDU) == "" and override_of(guest, EDU) == "(null)"


def driver_of(guest, address):
    return guest.output(f"basename $(readlink /sys/bus/pci/devices/{address}/driver) 2>/dev/null || true")


def override_of(guest, address):
    return guest.output(f"cat /sys/bus/pci/devices/{address}/driver_override")


def said(result):
    return (result.returncode, result.stdout, result.stderr)


def test_there_and_back(guest, http, devregctl):
    assert said(devregctl("bind", "edu", "--driver", "uio_pci_generic")) == (
        0, "edu is bound to uio_pci_generic now (was: no driver)\n", "")
    assert (driver_of(guest, EDU), override_of(guest, EDU)) == ("uio_pci_generic", "uio_pci_generic")
    assert http.get("/v1/devices/edu")["driver"] == "uio_pci_generic"
    assert devregctl("read", "edu:0x0").stdout == "0x010000ed\n", "it is open again"
    assert said(devregctl("bind", "edu", "--driver", "uio_pci_generic")) == (0, "edu is bound to uio_pci_generic already\n", "")
    assert said(devregctl("bind", "edu", "--driver", "pci-stub")) == (0, "edu is bound to pci-stub now (was: uio_pci_generic)\n", "")
    assert driver_of(guest, EDU) == "pci-stub"
    assert said(devregctl("unbind", "edu")) == (0, "edu has no driver now (was: pci-stub)\n", "")
    assert devregctl("read", "edu:0x0").stdout == "0x010000ed\n"


def test_audit_has_the_drivers(http, devregctl):
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    devregctl("bind", "edu", "--driver", "uio_pci_generic")
    devregctl("bind", "edu", "--driver", "pci-stub", "--force")
    devregctl("unbind", "edu")
    facts = [(r["action"], r["subject"], r.get("old"), r.get("new"), r.get("forced"), r["result"])
             for r in http.get(f"/v1/audit?limit=3&since={begun}")["records"]]
    assert facts == [("device.bind", "edu", None, "uio_pci_generic", None, "ok"),
                     ("device.bind", "edu", "uio_pci_generic", "pci-stub", True, "ok"),
                     ("device.unbind", "edu", "pci-stub", None, None, "ok")]


@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_only_network_link_stays(guest, http, devregctl, verb):
    words = ("--driver", "pci-stub") if verb == "bind" else ()
    result = devregctl(verb, "claimed", *words)
    assert (result.returncode, result.stdout) == (5, "") and "eth0 is the only network link that is up" in result.stderr
    assert http.get("/v1/devices/claimed")["driver"] == "virtio-pci"
    status, answer = http.json("POST", f"/v1/devices/claimed/{verb}", {"driver": "pci-stub"} if words else {})
    assert (status, answer["type"]) == (409, "urn:devreg:problem:conflict")
    assert http.get("/v1/audit?limit=1")["records"][0]["result"] == "refused"
    assert override_of(guest, http.get("/v1/devices/claimed")["address"]) == "(null)"


@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_disk_with_the_root_stays(guest, devregctl, verb):
    result = devregctl(verb, "disk", *(("--driver", "uio_pci_generic") if verb == "bind" else ()))
    assert (result.returncode, result.stdout) == (5, "") and "is mounted at /" in result.stderr and "force" in result.stderr
    assert (driver_of(guest, DISK), override_of(guest, DISK)) == ("virtio-pci", "(null)")


def test_missing_driver(guest, devregctl):
    result = devregctl("bind", "edu", "--driver", "nosuch")
    assert said(result) == (5, "", "devregctl: no driver nosuch on the pci bus: load the module first (modprobe nosuch)\n")
    assert override_of(guest, EDU) == "(null)"


@pytest.mark.parametrize("before", ["", "uio_pci_generic"])
def test_driver_that_does_not_take_it(guest, http, devregctl, before):
    """virtio-pci finds nothing of virtio in it."""
    if before:
        assert devregctl("bind", "edu", "--driver", before).returncode == 0
    result = devregctl("bind", "edu", "--driver", "virtio-pci")
    assert (result.returncode, result.stdout) == (5, "")
    assert f"did not take it (the kernel's log may say why); taken back: it has {before or 'no driver'}" in result.stderr
    assert (driver_of(guest, EDU), override_of(guest, EDU)) == (before, before or "(null)")
    assert devregctl("read", "edu:0x0").stdout == "0x010000ed\n"
    record = http.get("/v1/audit?limit=1&action=device.bind")["records"][0]
    assert (record["result"], record["status"]) == ("failed", 409) and "taken back" in record["reason"]


def test_devices_that_can_not_be_bound(devregctl):
    assert devregctl("bind", "hpet").returncode == 3
    assert "not as a device on a bus" in devregctl("unbind", "memory").stderr
    assert devregctl("bind", "absent").returncode == 6
    assert devregctl("bind", "nope").returncode == 4
    for name in ("../pci-stub", "a/b", "x" * 300, "a b", "."):
        result = devregctl("bind", "edu", "--driver", name)
        assert (result.returncode, result.stdout) == (2, ""), result


def token(http, name):
    status, answer = http.json("POST", "/v1/tokens", {"name": name})
    assert status == 201, answer

    def run(*words):
        command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "DEVREG_TOKEN": answer["token"]})
    return run


def test_who_may(http, devregctl):
    run = token(http, "binder")
    try:
        for verb in ("bind", "unbind"):
            result = run(verb, "edu", "--force")
            assert result.returncode == 3 and "admin" in result.stderr and "token:binder" in result.stderr
        assert run("reserve", "edu:0x80", "--note", "a long run").returncode == 0
        result = devregctl("bind", "edu", "--driver", "pci-stub")
        assert result.returncode == 5 and "token:binder" in result.stderr and "a long run" in result.stderr
        result = devregctl("bind", "edu", "--driver", "pci-stub", "--force")
        assert result.returncode == 0 and "it is reserved by token:binder" in result.stderr
    finally:
        http.json("DELETE", "/v1/tokens/binder")


def test_who_does_not_wait_changes_nothing(guest, devregctl, eventually):
    result = devregctl("--timeout", "0.001", "bind", "edu", "--driver", "pci-stub")
    assert result.returncode in (0, 7, 8)
    if result.returncode != 8:
        eventually(lambda: driver_of(guest, EDU) == "pci-stub")


def test_many_at_once(guest, http, devregctl):
    """Readers and writers, and binders of one device: nobody gets anything but an answer or `busy`, and no access faults."""
    faults = http.get("/v1/status")["counters"]["bus_faults"]
    binding_ends = time.monotonic() + 8
    # Binding takes the device away for most of the time, on a slow machine for all of it: who uses it goes on until it was
    # served once after that.
    using_ends = binding_ends + 60

    def repeat(function):
        seen = set()
        while time.monotonic() < binding_ends:
            seen.add(function())
        return seen

    def use(function):
        seen = repeat(function)
        while 200 not in seen and time.monotonic() < using_ends:
            seen.add(function())
        return seen

    def read():
        return http.request("GET", "/v1/regions/edu/registers/0x0?count=16")[0]

    def write():
        return http.json("PUT", "/v1/regions/edu/registers/0x4", {"value": "0x1"})[0]

    def bind(driver):
        return http.json("POST", "/v1/devices/edu/bind", {"driver": driver})[0]

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        binders = [threads.submit(repeat, lambda driver=driver: bind(driver)) for driver in ("uio_pci_generic", "pci-stub")]
        users = [threads.submit(use, function) for function in (read, read, write)]
        assert 200 in binders[0].result() | binders[1].result()
        for one in binders + users:
            assert one.result() <= {200, 503}, one.result()
        assert all(200 in one.result() for one in users)
    driver = driver_of(guest, EDU)
    assert driver in ("uio_pci_generic", "pci-stub") and override_of(guest, EDU) == driver
    assert http.get("/v1/status")["counters"]["bus_faults"] == faults
    assert devregctl("read", "edu:0x0").stdout == "0x010000ed\n"


def test_stays_bound_over_a_restart(guest, http, devregctl):
    assert devregctl("bind", "edu", "--driver", "pci-stub").returncode == 0
    guest.run("systemctl restart devregd")
    wait_until_served(http)
    assert http.get("/v1/devices/edu")["driver"] == "pci-stub"


def test_the_kernel_saw_nothing_wrong(guest):
    assert guest.output("dmesg --level=emerg,alert,crit,err | grep -Ei 'BUG|WARNING|Oops|Call Trace' || true") == ""
