# SPDX-License-Identifier: LGPL-2.1-or-later
"""DMA buffers of QEMU's devices, from devregctl to the memory that the device really writes to, and what becomes of them when
clients, the daemon, drivers and devices go away in the middle of a transfer. The module's own part is tested in tests/kmod, the
daemon's in tests/board; the example runs on the rig in tests/board/test_example.py."""
import os
import re
import signal
import subprocess
import time

import pytest

# It has no interrupts configured, so it masters the bus for its buffers alone; the other one always does.
EDU, MSI = "edu-kmod", "edu-msi"
RESETS = "reset-edu"        # the only one that can be reset
ADDRESS = {EDU: "0000:00:0b.0", MSI: "0000:00:0c.0", RESETS: "0000:02:01.0"}
SOURCE, DESTINATION, COUNT, COMMAND = "0x80", "0x88", "0x90", "0x98"
RUNNING, TO_MEMORY = 1, 2
# The device's own memory. A transfer that reaches its last octet ends QEMU 7.2.
OWN_MEMORY, OWN_MOST = "0x40000", 4095
KINDS = ["coherent", "streaming", "scattered"]


@pytest.fixture(autouse=True)
def nothing_left(http, guest):
    yield
    for buffer in http.get("/v1/buffers")["buffers"]:
        http.request("DELETE", f"/v1/buffers/{buffer['id']}")
    assert kept(http, EDU) == (0, 0)
    assert guest.output("dmesg --level=emerg,alert,crit,err,warn | grep -Ei 'BUG|WARNING|Oops|DMA-API|lost for good' || true") == ""


def dma(http, device):
    return http.get(f"/v1/devices/{device}")["dma"]


def kept(http, device):
    """How many buffers, and octets of those that were closed. Other devices have theirs, so the total is theirs too."""
    row = dma(http, device)
    return row["buffers"], row["retained"]


@pytest.fixture
def bind_anew(devregctl, http, eventually):
    """bind_anew(device): what is kept of it goes when it is unbound."""
    def bind(device):
        assert devregctl("unbind", device).returncode == 0
        assert devregctl("bind", device).returncode == 0
        eventually(lambda: http.get(f"/v1/devices/{device}")["state"] == "present")
        eventually(lambda: kept(http, device) == (0, 0))
    return bind


@pytest.fixture
def allocate(devregctl):
    def allocate(device, size, *words):
        result = devregctl("buffer", "alloc", device, size, "--bits", 28, *words)
        assert result.returncode == 0, result
        return result.stdout.split()
    return allocate


@pytest.fixture
def edu(devregctl):
    """edu(device, source, destination, count, command) starts a transfer; edu.wait(device) waits for its end."""
    class Edu:
        @staticmethod
        def run(*words):
            result = devregctl(*words)
            assert result.returncode == 0, result
            return result.stdout

        def __call__(self, device, source, destination, count, command):
            for place, value in ((SOURCE, source), (DESTINATION, destination), (COUNT, count), (COMMAND, command | RUNNING)):
                self.run("write", f"{device}:{place}", value, "--width", 64)

        def running(self, device):
            return int(self.run("read", f"{device}:{COMMAND}", "--width", 64), 16) & RUNNING

        def wait(self, device):
            end = time.monotonic() + 60
            while self.running(device):
                assert time.monotonic() < end
                time.sleep(0.05)
    return Edu()


@pytest.fixture
def put(tmp_path):
    def put(identifier, octets, *words):
        command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "buffer", "put", identifier, "-", *words]
        subprocess.run(command, input=octets, check=True, capture_output=True, timeout=60)
    return put


@pytest.fixture
def get():
    def get(identifier, *words):
        command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "buffer", "get", identifier, *words]
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    return get


def is_master(guest, device):
    return "BusMaster+" in guest.output(f"lspci -vvs {ADDRESS[device]} | grep Control:")


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(http, guest, devregctl, allocate, edu, put, get, kind):
    """Out of a buffer into the device, and back into another one."""
    assert not is_master(guest, EDU)
    out, out_bus = allocate(EDU, "64k", "--kind", kind)
    back, back_bus = allocate(EDU, "64k", "--kind", kind)
    assert is_master(guest, EDU)
    octets = os.urandom(65536)
    put(out, octets)
    assert devregctl("buffer", "sync", out, "device").returncode == 0
    edu(EDU, int(out_bus, 16) + 100, OWN_MEMORY, OWN_MOST, 0)
    edu.wait(EDU)
    edu(EDU, OWN_MEMORY, int(back_bus, 16) + 7, 3000, TO_MEMORY)
    edu.wait(EDU)
    assert devregctl("buffer", "sync", back, "cpu").returncode == 0
    assert get(back) == bytes(7) + octets[100:3100] + bytes(65536 - 3007)
    assert devregctl("buffer", "free", out, back).returncode == 0
    assert not is_master(guest, EDU)
    assert kept(http, EDU) == (0, 0)


def test_pool(http, devregctl, edu, get):
    """Each object has its own bus address, and the device finds it there."""
    result = devregctl("buffer", "alloc", EDU, 96, "--kind", "pool", "--count", 300, "--alignment", 64, "--bits", 28)
    assert result.returncode == 0, result
    identifier = result.stdout.split()[0]
    objects = http.get(f"/v1/buffers/{identifier}/segments?count=4096")["segments"]
    assert len(objects) == 300 and {one["size"] for one in objects} == {96}
    assert len({one["bus_address"] for one in objects}) == 300
    for number in (0, 77, 299):
        assert devregctl("buffer", "fill", identifier, hex(number & 0xff), "--offset", objects[number]["offset"],
                         "--length", 96).returncode == 0
    edu(EDU, objects[77]["bus_address"], OWN_MEMORY, 96, 0)
    edu.wait(EDU)
    edu(EDU, OWN_MEMORY, objects[200]["bus_address"], 96, TO_MEMORY)
    edu.wait(EDU)
    assert get(identifier, "--offset", str(objects[200]["offset"]), "--length", "96") == bytes([77]) * 96
    assert devregctl("buffer", "free", identifier).returncode == 0


def test_more_than_there_is(http, devregctl, allocate):
    """More than may be, and more in one piece than there is: refused with what would help, and nothing is lost."""
    for kind in KINDS:
        result = devregctl("buffer", "alloc", EDU, "200M", "--kind", kind, "--bits", 28)
        assert result.returncode not in (0, 1) and result.stdout == "", result
        assert str(dma(http, EDU)["size_max"]) in result.stderr and "ask for less" in result.stderr, result
    if not dma(http, EDU)["translated"]:
        result = devregctl("buffer", "alloc", EDU, "16M", "--kind", "coherent", "--bits", 24)
        assert result.returncode != 0 and "scattered" in result.stderr and "reserve_mib" in result.stderr, result
    identifier, _ = allocate(EDU, "4M", "--kind", "scattered")
    assert devregctl("buffer", "free", identifier).returncode == 0


def test_large_ones_move_whole(allocate, put, get, devregctl):
    result = devregctl("buffer", "alloc", EDU, "16M", "--kind", "scattered", "--bits", 64)
    assert result.returncode == 0, result
    identifier = result.stdout.split()[0]
    octets = os.urandom(1 << 20) * 16
    put(identifier, octets)
    assert get(identifier) == octets
    assert devregctl("buffer", "free", identifier).returncode == 0


def test_script_dies_mid_transfer(http, guest, eventually, bind_anew):
    """kill -9 of the client that holds the device: the reservation runs out, the buffer ends, the device can't write any more, and
    as nobody said how it is stopped the memory is kept until it is bound anew."""
    script = (f"set -e; ctl() {{ {os.environ['DEVREGCTL']} -H {os.environ['DEVREG_HOST']} \"$@\"; }}\n"
              f"words=$(ctl buffer alloc {EDU} 64k --bits 28); echo $words; ctl write {EDU}:{SOURCE} {OWN_MEMORY} --width 64\n"
              f"ctl write {EDU}:{DESTINATION} ${{words#* }} --width 64; ctl write {EDU}:{COUNT} 4000 --width 64\n"
              f"ctl write {EDU}:{COMMAND} 3 --width 64; echo started; sleep 60")
    process = subprocess.Popen([os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "reserve", f"device:{EDU}", "--for", "3s", "--",
                                "bash", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        identifier = process.stdout.readline().split()[0]
        assert process.stdout.readline() == "started\n"
        assert http.get(f"/v1/buffers/{identifier}")["reservation"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    eventually(lambda: http.request("GET", f"/v1/buffers/{identifier}")[0] == 404)
    eventually(lambda: kept(http, EDU) == (0, 65536))
    assert not is_master(guest, EDU)
    bind_anew(EDU)


def test_script_dies_and_the_device_is_told(http, guest, devregctl, allocate, edu, eventually):
    """With a safe-state write that stops it the memory is free as soon as that was made."""
    result = devregctl("reserve", EDU, "--for", "2s", "--safe", f"{EDU}:0x4=0x1234")
    assert result.returncode == 0, result
    identifier, bus = allocate(EDU, "64k", "--reservation", re.search(r"r-[0-9a-f]+", result.stdout)[0])
    edu(EDU, OWN_MEMORY, bus, 4000, TO_MEMORY)
    eventually(lambda: http.request("GET", f"/v1/buffers/{identifier}")[0] == 404)
    eventually(lambda: kept(http, EDU) == (0, 0))
    assert devregctl("read", f"{EDU}:0x4").stdout == f"{~0x1234 & 0xffffffff:#010x}\n"
    assert not is_master(guest, EDU)


def test_daemon_dies_mid_transfer(http, guest, devregctl, allocate, edu, eventually):
    """kill -9 of the daemon: the kernel stops the device, makes the safe-state writes of who held it, and frees the memory."""
    result = devregctl("reserve", EDU, "--for", "5m", "--safe", f"{EDU}:0x4=0x12345678")
    assert result.returncode == 0, result
    reservation = re.search(r"r-[0-9a-f]+", result.stdout)[0]
    identifier, bus = allocate(EDU, "64k", "--reservation", reservation)
    edu(EDU, OWN_MEMORY, bus, 4000, TO_MEMORY)
    guest.run("systemctl stop devregd.socket 2>/dev/null; systemctl kill -s KILL devregd; systemctl reset-failed devregd;"
              "for i in $(seq 100); do systemctl is-active --quiet devregd || break; sleep 0.05; done")
    guest.run("systemctl restart devregd")
    eventually(lambda: answers(http))
    assert http.request("GET", f"/v1/buffers/{identifier}")[0] == 404
    assert kept(http, EDU) == (0, 0)
    assert not is_master(guest, EDU)
    assert devregctl("read", f"{EDU}:0x4").stdout == f"{~0x12345678 & 0xffffffff:#010x}\n"
    assert devregctl("release", reservation).returncode == 0


def answers(http):
    try:
        return http.request("GET", "/healthz")[0] == 200
    except OSError:
        return False


def test_kept_while_the_device_may_write(http, devregctl, allocate, edu, eventually, bind_anew):
    """Its interrupts are messages, so it goes on mastering the bus: what ended by itself is kept, shown, and freed when the device is
    bound anew."""
    before = dma(http, MSI)["retained"]
    identifier, bus = allocate(MSI, "64k", "--for", "1s")
    edu(MSI, OWN_MEMORY, bus, 4000, TO_MEMORY)
    eventually(lambda: http.request("GET", f"/v1/buffers/{identifier}")[0] == 404)
    eventually(lambda: dma(http, MSI)["retained"] == before + 65536)
    assert re.search(r"retained +\d+ KiB", devregctl("show", MSI).stdout)
    other, _ = allocate(MSI, "64k")
    assert devregctl("buffer", "free", other).returncode == 0
    assert dma(http, MSI)["retained"] == before + 65536
    bind_anew(MSI)


def test_kept_goes_with_a_reset(http, guest, devregctl, allocate, edu, eventually):
    """The module resets the device, which then can't write there any more. The device stays open, and a live buffer of it goes on."""
    live, live_bus = allocate(RESETS, "4k")
    before = http.get("/v1/status")["counters"]["buffer_bytes"]
    identifier, bus = allocate(RESETS, "64k", "--for", "1s")
    edu(RESETS, OWN_MEMORY, bus, 4000, TO_MEMORY)
    edu.wait(RESETS)        # QEMU's edu would go on after a reset, which no hardware does
    eventually(lambda: http.request("GET", f"/v1/buffers/{identifier}")[0] == 404)
    eventually(lambda: kept(http, RESETS) == (1, 65536))
    assert http.get("/v1/status")["counters"]["buffer_bytes"] == before + 65536
    assert re.search(r"retained +64 KiB: .*; reset the device", devregctl("show", RESETS).stdout)
    result = devregctl("reset", RESETS)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{RESETS}: reset; 64 KiB of retained memory given back\n", "")
    assert kept(http, RESETS) == (1, 0)
    assert http.get("/v1/status")["counters"]["buffer_bytes"] == before
    assert is_master(guest, RESETS)
    for octet, (source, destination, command) in ((0x99, (int(live_bus, 16), OWN_MEMORY, 0)), (0, (OWN_MEMORY, int(live_bus, 16), TO_MEMORY))):
        assert devregctl("buffer", "fill", live, hex(octet)).returncode == 0
        edu(RESETS, source, destination, 64, command)
        edu.wait(RESETS)
    assert http.request("GET", f"/v1/buffers/{live}/data?offset=0&length=65")[1] == bytes([0x99]) * 64 + b"\0"
    assert devregctl("buffer", "free", live).returncode == 0
    assert devregctl("reset", RESETS).stdout == f"{RESETS}: reset\n"
    assert kept(http, RESETS) == (0, 0) and not is_master(guest, RESETS)


@pytest.mark.parametrize("how", ["unbound", "pulled out"])
def test_device_goes_with_live_buffers(http, guest, rig, devregctl, allocate, edu, eventually, how):
    if how == "pulled out" and dma(http, EDU)["translated"]:
        pytest.skip("devices of this machine can't be pulled out")
    identifier, bus = allocate(EDU, "64k", "--kind", "scattered")
    edu(EDU, OWN_MEMORY, bus, 4000, TO_MEMORY)
    if how == "unbound":
        guest.run(f"echo {ADDRESS[EDU]} > /sys/bus/pci/drivers/devreg/unbind")
    else:
        rig("unplug", EDU)
    eventually(lambda: http.get(f"/v1/buffers/{identifier}")["state"] == "lost")
    for words in (["get", identifier], ["sync", identifier, "cpu"], ["fill", identifier, "0"]):
        result = devregctl("buffer", *words)
        assert result.returncode not in (0, 1) and EDU in result.stderr, result
    if how == "pulled out":
        rig("plug", EDU)
    guest.run("/run/rig/bind-devices")
    eventually(lambda: http.get(f"/v1/devices/{EDU}")["state"] == "present")
    assert http.get(f"/v1/buffers/{identifier}")["state"] == "lost"
    assert kept(http, EDU) == (0, 0)
    assert devregctl("buffer", "free", identifier).returncode == 0
    fresh, _ = allocate(EDU, "64k")
    assert devregctl("buffer", "free", fresh).returncode == 0


def test_pulled_out_while_octets_move(http, guest, rig, devregctl, eventually):
    """A download of a buffer whose device is pulled out ends with what came, and the daemon lives."""
    if dma(http, EDU)["translated"]:
        pytest.skip("devices of this machine can't be pulled out")
    result = devregctl("buffer", "alloc", EDU, "32M", "--kind", "scattered", "--bits", 64)
    assert result.returncode == 0, result
    identifier = result.stdout.split()[0]
    with subprocess.Popen([os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "buffer", "get", identifier, "-"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert len(process.stdout.read(65536)) == 65536
        rig("unplug", EDU)
        rest = len(process.stdout.read()) + 65536
        assert process.wait(timeout=60) != 0 and rest < 32 << 20
        assert process.stderr.read() != b""
    rig("plug", EDU)
    guest.run("/run/rig/bind-devices")
    eventually(lambda: http.get(f"/v1/devices/{EDU}")["state"] == "present")
    assert devregctl("buffer", "free", identifier).returncode == 0
    assert devregctl("read", f"{EDU}:0x0").stdout == "0x010000ed\n"


def test_binding_asks_for_force(devregctl, http, allocate, eventually):
    identifier, _ = allocate(EDU, "4k")
    result = devregctl("unbind", EDU)
    assert result.returncode == 5 and "1 DMA buffer" in result.stderr and "force" in result.stderr, result
    assert http.get(f"/v1/buffers/{identifier}")["state"] == "live"
    assert devregctl("unbind", EDU, "--force").returncode == 0
    assert http.get(f"/v1/buffers/{identifier}")["state"] == "lost"
    assert devregctl("bind", EDU).returncode == 0
    assert devregctl("buffer", "free", identifier).returncode == 0
    assert kept(http, EDU) == (0, 0)


def test_two_principals(http, bind_anew, eventually):
    """Neither sees the other's."""
    runs = {}
    for name in ("dma-alice", "dma-bob"):
        status, answer = http.json("POST", "/v1/tokens", {"name": name})
        assert status == 201, answer
        environment = {**os.environ, "DEVREG_TOKEN": answer["token"]}
        runs[name] = lambda *words, environment=environment: subprocess.run(
            [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], "buffer", *words], capture_output=True, text=True, timeout=60,
            env=environment)
    try:
        alice, bob = runs.values()
        identifier = alice("alloc", EDU, "8k", "--bits", "28").stdout.split()[0]
        assert identifier in alice("list").stdout and identifier not in bob("list").stdout
        for words in (["show"], ["get"], ["free"], ["renew"], ["sync", "cpu"], ["fill", "1"]):
            unknown = bob(words[0], "b-0123456789abcdef", *words[1:])
            others = bob(words[0], identifier, *words[1:])
            assert others.returncode == unknown.returncode == 4, others
            assert others.stderr.replace(identifier, "b-0123456789abcdef") == unknown.stderr
        assert alice("free", identifier).returncode == 0
        of_nobody = alice("alloc", EDU, "8k", "--bits", "28").stdout.split()[0]
    finally:
        for name in runs:
            http.json("DELETE", f"/v1/tokens/{name}")
    # Its owner is no more, so it is not.
    eventually(lambda: http.request("GET", f"/v1/buffers/{of_nobody}")[0] == 404)
    eventually(lambda: kept(http, EDU) == (0, 8192))
    bind_anew(EDU)


def test_again_and_again(http):
    """Allocated and freed again and again: the kernel's memory, the daemon's and its descriptors are as before."""
    def figures():
        return http.get("/v1/status")["counters"]["buffers"], dma(http, EDU)["total"]
    before = figures()
    for number in range(100):
        status, buffer = http.json("POST", "/v1/buffers", {"device": EDU, "size": 4096 + number, "address_bits": 28,
                                                           "kind": KINDS[number % 3]})
        assert status == 201, buffer
        assert http.json("DELETE", f"/v1/buffers/{buffer['id']}")[0] == 200
    assert figures() == before
