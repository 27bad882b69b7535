# SPDX-License-Identifier: LGPL-2.1-or-later
"""devregd on the module: claims, ports, what happens when device or module go, and which backend is chosen. The module
itself is tested in tests/kmod. The daemon under test is the rig's own; some tests start a second one with another
configuration, inside the guest."""
import contextlib
import json

import pytest

KMOD = "/v1/regions/edu-kmod"
DRIVERS = "/sys/bus/pci/drivers"


@pytest.fixture
def second(guest):
    """second(devices) starts another devregd in the guest; returns a function that runs devregctl on it there."""
    def start(devices):
        guest.run("cat > /run/second.json <<'END'\n" + json.dumps({"devices": devices}) + "\nEND\n"
                  "systemctl reset-failed second 2>/dev/null; systemd-run --quiet --unit=second -p Type=notify "
                  "/run/rig/devregd --config /run/second.json --socket /run/second.sock --state /run/second.state")
        return lambda words, check=False: guest.run(f"devregctl -H /run/second.sock {words}", check=check)
    yield start
    guest.run("systemctl stop second; rm -rf /run/second.*", check=False)


def address_of(http, name):
    return http.get(f"/v1/devices/{name}")["address"]


@contextlib.contextmanager
def unbound(guest, address):
    """The device without its driver for a while, by an administrator's own hands."""
    guest.run(f"echo {address} > {DRIVERS}/devreg/unbind")
    try:
        yield
    finally:
        guest.run(f"[ -e /sys/bus/pci/devices/{address}/driver ] || echo {address} > {DRIVERS}/devreg/bind")


def present(http, path):
    return lambda: http.get(path)["state"] == "present"


def absent(http, path):
    return lambda: http.get(path)["state"] == "absent"


def test_first_register_through_the_module(guest, http, devregctl):
    result = devregctl("read", "edu-kmod:0x0")
    assert (result.returncode, result.stdout, result.stderr) == (0, "0x010000ed\n", "")
    facts = http.get(KMOD)
    assert facts["backend"] == "kmod" and facts["owner"] == "devreg:edu-kmod"
    lines = guest.output("grep devreg:edu-kmod /proc/iomem").split()
    start, last = (int(part, 16) for part in lines[0].split("-"))
    assert (start, last - start + 1) == (int(facts["address"], 16), int(facts["size"], 16))


def test_a_window_smaller_than_a_page(second):
    """It can't be mapped without its neighbours: the accesses go through the module."""
    run = second([{"name": "hpet", "backend": "kmod", "regions": [
        {"name": "hpet", "base": "0xfed00000", "size": "0x400", "widths": [32, 64], "access": "read"}]}])
    assert run("read hpet:0x0").stdout == "0x8086a201\n"
    first, then = (int(run("read hpet:0xf0 --width 64", check=True).stdout, 16) for _ in range(2))
    assert then > first
    assert run("write hpet:0x10 0").returncode == 3


def test_signature_from_a_fifo_of_ports(devregctl):
    """QEMU's fw_cfg: select item 0 with 16 bits, then read its octets one by one from the same port."""
    for _ in range(2):
        assert devregctl("write", "fwcfg:0x0", 0, "--width", 16).returncode == 0
        result = devregctl("data", "get", "fwcfg:0x1", 4, "--fixed", "--width", 8, "--hex")
        assert result.returncode == 0 and "51 45 4d 55" in result.stdout, result


def test_clock_through_ports(guest, devregctl):
    """The CMOS' status register A says that the divider runs; its driver holds the ports, which ioport tells and bears."""
    assert devregctl("write", "cmos:0x0", 0x0a).returncode == 0
    assert int(devregctl("read", "cmos:0x1").stdout, 16) & 0x7f == 0x26
    assert "rtc" in devregctl("explain", "cmos").stdout


def test_ports_that_a_driver_holds(second):
    run = second([{"name": "cmos", "backend": "kmod", "regions": [
        {"name": "cmos", "type": "ioport", "base": "0x70", "size": 2, "widths": [8]}]}])
    shown = run("show cmos", check=True).stdout
    assert "absent" in shown and "rtc0" in shown, shown
    result = run("read cmos:0x0")
    assert result.returncode == 5 and "rtc0" in result.stderr


@pytest.mark.parametrize("backend", ["ioport", "kmod"])
def test_port_bar_as_raw_ports(guest, http, second, backend):
    """pci-testdev counts the writes that it asks for, of each width."""
    base = http.get("/v1/regions/testdev-io")["address"]
    run = second([{"name": "ports", "backend": backend, "regions": [
        {"name": "ports", "type": "ioport", "base": base, "size": 256, "widths": [8, 16, 32]}]}])

    def read(offset, width):
        return int(run(f"read ports:{offset:#x} --width {width}", check=True).stdout, 16)

    run("write ports:0x0 0 --width 8", check=True)
    width, offset, data = read(0x1, 8), read(0x4, 32), read(0x8, 8)
    before = read(0xc, 32)
    for _ in range(3):
        run(f"write ports:{offset:#x} {data} --width {width * 8}", check=True)
    assert read(0xc, 32) == before + 3
    owner = guest.output("grep -c devreg:ports /proc/ioports || true")
    assert owner == ("1" if backend == "kmod" else "0")


@pytest.mark.parametrize("region, reason", [
    ({"base": "0x1000000", "size": "0x1000"}, "System RAM"),
    ({"base": "0xfee00000", "size": "0x1000"}, "Local APIC"),
    ({"base": "0xffffffffffff0000", "size": "0x1000"}, "0xffffffffffff0000"),
    ({"base": "0xfff8", "size": 16, "type": "ioport"}, "0xfff8"),
])
def test_ranges_that_are_not_given(second, region, reason):
    run = second([{"name": "wrong", "backend": "kmod", "regions": [{"name": "wrong", **region}]}])
    shown = run("show wrong", check=True).stdout
    assert "absent" in shown and reason in shown, shown


def test_unbound_while_open(guest, http, devregctl, eventually):
    """Somebody takes the device away: gone with the reason and what to do; bound again: it is back."""
    address = address_of(http, "edu-kmod")
    pid = http.get("/v1/status")["pid"]
    assert devregctl("read", "edu-kmod:0x0").returncode == 0
    with unbound(guest, address):
        status, problem = http.json("GET", f"{KMOD}/registers/0x0")
        assert (status, problem["type"]) == (410, "urn:devreg:problem:gone"), problem
        eventually(absent(http, KMOD))
        assert "devregctl bind edu-kmod" in http.get(KMOD)["reason"]
        assert guest.output("grep -c devreg:edu-kmod /proc/iomem || true") == "0"
    eventually(present(http, KMOD))
    assert devregctl("read", "edu-kmod:0x0").stdout == "0x010000ed\n"
    assert http.get("/v1/status")["pid"] == pid


def test_bind_and_unbind_by_the_daemon(guest, http, devregctl, eventually):
    result = devregctl("unbind", "edu-kmod")
    assert result.returncode == 0, result.stderr
    assert "driver" not in http.get("/v1/devices/edu-kmod")
    result = devregctl("bind", "edu-kmod")
    assert result.returncode == 0 and "devreg" in result.stdout, result
    eventually(present(http, KMOD))
    assert devregctl("read", "edu-kmod:0x0").stdout == "0x010000ed\n"


def test_claim_of_what_is_mapped_elsewhere(guest, http, devregctl, second):
    """Another program claims what this daemon has mapped through /dev/mem and sysfs: each says so once, and then whose it
    is; when it lets go they are back."""
    pid = http.get("/v1/status")["pid"]
    base = http.get("/v1/regions/edu-mem")["address"]
    for region in ("edu", "edu-mem"):
        assert devregctl("read", f"{region}:0x0").stdout == "0x010000ed\n"
    run = second([{"name": "taken", "backend": "kmod", "regions": [
        {"name": "taken", "base": base, "size": "0x100000", "widths": [32, 64]}]}])
    assert run("read taken:0x0").stdout == "0x010000ed\n"
    for region in ("edu", "edu-mem"):
        first, then = devregctl("read", f"{region}:0x0"), devregctl("read", f"{region}:0x0")
        assert first.returncode == 6 and "bus fault" in first.stderr, first
        assert then.returncode == 5 and "devreg:taken" in then.stderr, then
    guest.run("systemctl stop second")
    for region in ("edu", "edu-mem"):
        assert devregctl("read", f"{region}:0x0").stdout == "0x010000ed\n"
    assert http.get("/v1/status")["pid"] == pid


def test_killed_daemon_holds_nothing(guest, second):
    run = second([{"name": "held", "backend": "kmod", "regions": [
        {"name": "held", "base": "0xfed00000", "size": "0x400", "access": "read"}]}])
    assert run("read held:0x0").returncode == 0
    assert guest.output("grep -c devreg:held /proc/iomem") == "1"
    guest.run("systemctl kill -s KILL second; while systemctl is-active -q second; do sleep 0.1; done")
    assert guest.output("grep -c devreg:held /proc/iomem || true") == "0"


def backend_of(run, device="auto"):
    facts = json.loads(run(f"--json show {device}", check=True).stdout)
    facts = facts.get("device", facts)
    return facts["backend"], facts["why"]


def test_the_best_backend_is_chosen_and_followed(guest, http, second, eventually):
    """Without "backend" in the configuration, a function is reached as its present driver allows."""
    address = address_of(http, "testdev")
    run = second([{"name": "auto", "address": address, "regions": [{"name": "auto", "bar": 0, "widths": [8, 32]}]}])
    backend, why = backend_of(run)
    assert backend == "pci" and "devreg" in why
    run("bind auto", check=True)
    assert backend_of(run)[0] == "kmod"
    run("write auto:0x0 0 --width 8", check=True)
    run("unbind auto", check=True)
    assert backend_of(run)[0] == "pci"
    explained = run("explain auto", check=True).stdout
    for name in ("kmod", "uio", "pci"):
        assert name in explained, explained


def test_hot_unplug_and_back(guest, http, rig, devregctl, eventually):
    """The card is pulled out as by hand, while a client reads it."""
    pid = http.get("/v1/status")["pid"]
    guest.run("for i in 1 2; do (for k in $(seq 200); do devregctl read edu-kmod:0x0; done >/dev/null 2>&1 &) done")
    rig("unplug", "edu-kmod")
    eventually(absent(http, KMOD))
    status, problem = http.json("GET", f"{KMOD}/registers/0x0")
    assert (status, problem["type"]) == (410, "urn:devreg:problem:gone"), problem
    rig("plug", "edu-kmod")
    eventually(lambda: "bound" in http.get(KMOD).get("reason", ""))
    result = devregctl("bind", "edu-kmod")
    assert result.returncode == 0, result.stderr
    assert devregctl("read", "edu-kmod:0x0").stdout == "0x010000ed\n"
    assert http.get("/v1/status")["pid"] == pid


def test_module_can_not_go_while_it_is_used(guest):
    result = guest.run("rmmod devreg", check=False)
    assert result.returncode != 0 and "in use" in result.stderr


def test_module_goes_and_comes_back(guest, second, eventually):
    """Unloaded while no region needs it: the daemon says what is missing, and goes on when it is loaded again."""
    guest.run("systemctl stop devregd")
    try:
        run = second([{"name": "timer", "backend": "kmod", "regions": [
            {"name": "timer", "base": "0xfed00000", "size": "0x400", "access": "read"}]},
            {"name": "absent", "backend": "kmod", "id": "dead:beef", "regions": [{"name": "absent", "bar": 0}]}])
        assert guest.run("rmmod devreg", check=False).returncode != 0
        guest.run("systemctl stop second; rmmod devreg")
        run = second([{"name": "timer", "backend": "kmod", "regions": [
            {"name": "timer", "base": "0xfed00000", "size": "0x400", "access": "read"}]}])
        shown = run("show timer", check=True).stdout
        assert "absent" in shown and "modprobe devreg" in shown, shown
        guest.run("insmod /run/rig/devreg.ko")
        eventually(lambda: run("read timer:0x0").stdout == "0x8086a201\n")
    finally:
        guest.run("[ -e /dev/devreg ] || insmod /run/rig/devreg.ko; systemctl stop second; systemctl start devregd")


def test_module_of_another_release(guest, second, module_of_abi):
    """A module that speaks another ABI is told apart before anything is done with it."""
    guest.run("systemctl stop devregd && rmmod devreg")
    try:
        guest.push(module_of_abi(99), "/run/abi99.ko")
        guest.run("insmod /run/abi99.ko")
        run = second([{"name": "timer", "backend": "kmod", "regions": [
            {"name": "timer", "base": "0xfed00000", "size": "0x400", "access": "read"}]}])
        shown = run("show timer", check=True).stdout
        assert "absent" in shown and "speaks ABI 99, this devregd speaks 1" in shown, shown
        assert "99" in run("status", check=True).stdout
    finally:
        guest.run("systemctl stop second; rmmod devreg; insmod /run/rig/devreg.ko; systemctl start devregd")


def test_kernel_log_is_clean(rig):
    """Last: nothing of all this made the kernel complain."""
    rig("dmesg-check")


def test_nothing_is_left(guest, eventually):
    """A clean stop gives everything back."""
    guest.run("systemctl stop devregd")
    try:
        assert guest.output("cat /proc/iomem /proc/ioports | grep -c devreg: || true") == "0"
    finally:
        guest.run("systemctl start devregd")
    eventually(lambda: guest.run("devregctl read edu-kmod:0x0", check=False).stdout.startswith("0x"))
