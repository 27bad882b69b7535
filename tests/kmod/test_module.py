# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module as a whole: it can't be taken away while it is used, leaves nothing behind, and comes back."""
import os
import pathlib

import pytest

pytestmark = pytest.mark.usefixtures("quiet_log")

EDU = "0000:00:0b.0"


@pytest.fixture(autouse=True)
def loaded(guest):
    yield
    guest.run("[ -e /dev/devreg ] || /run/rig/load-module")
    guest.run("/run/rig/bind-devices")


@pytest.mark.parametrize("what", ["control", "device", "region", "mapping"])
def test_not_unloaded_while_used(guest, what):
    done = guest.run(f"""
        /run/kmodtest64 --hold {what} > /run/held & holder=$!
        tries=0
        until grep -q held /run/held; do
            sleep 0.05
            tries=$((tries + 1))
            [ $tries -lt 200 ] || exit 1
        done
        rmmod devreg 2>&1 && echo unloaded
        cat /sys/module/devreg/refcnt
        kill -9 $holder
        wait $holder 2>/dev/null
        rmmod devreg && echo unloaded afterwards
        """)
    lines = done.stdout.splitlines()
    assert "in use" in lines[0], done
    assert "unloaded" not in lines and int(lines[-2]) > 0
    assert lines[-1] == "unloaded afterwards"


def test_gone_region_still_holds_it(guest):
    """A descriptor with nothing behind it is still a file of the module."""
    done = guest.run(f"""
        /run/kmodtest64 --hold region > /run/held & holder=$!
        until grep -q held /run/held; do sleep 0.05; done
        echo {EDU} > /sys/bus/pci/drivers/devreg/unbind
        rmmod devreg 2>&1 && echo unloaded
        kill -9 $holder
        wait $holder 2>/dev/null
        rmmod devreg && echo unloaded afterwards
        """)
    assert "in use" in done.stdout and done.stdout.splitlines()[-1] == "unloaded afterwards", done


def test_unloaded_with_a_bound_device(guest):
    """Nobody uses it, so a device that is bound is no obstacle; nothing is left of the module."""
    before = guest.output(f"cat /proc/iomem /proc/ioports; lspci -vvs {EDU} | grep Control:")
    guest.run(f"[ -e /sys/bus/pci/drivers/devreg/{EDU} ] && rmmod devreg")
    assert guest.output("""
        ls -d /dev/devreg /sys/module/devreg /sys/bus/*/drivers/devreg /sys/class/misc/devreg 2>/dev/null
        grep -w devreg /proc/misc /proc/modules /proc/filesystems /proc/iomem /proc/ioports || true
        grep -w devreg: /proc/kallsyms || true
        """) == ""
    assert guest.run(f"readlink /sys/bus/pci/devices/{EDU}/driver", check=False).returncode == 1
    guest.run("/run/rig/load-module")
    # driver_override is the device's own: what was bound is bound again.
    assert guest.output(f"basename $(readlink /sys/bus/pci/devices/{EDU}/driver)") == "devreg"
    assert guest.output(f"cat /proc/iomem /proc/ioports; lspci -vvs {EDU} | grep Control:") == before
    assert guest.output("/run/kmodtest64 abi_get_info device_info_of_edu").count("ok ") == 2


def test_loaded_and_unloaded_while_programs_call(guest):
    """Openers that never cease: each time the module goes or stays, and nothing breaks."""
    done = guest.run("""
        for i in 1 2 3; do
            while [ ! -e /run/enough ]; do /run/kmodtest64 --info; done > /dev/null 2>&1 &
        done
        loaded=0 end=$(($(date +%s) + 40))      # a kernel that checks everything loads it in ten seconds
        for i in $(seq 15); do
            [ $(date +%s) -lt $end ] || break
            rmmod devreg 2> /dev/null && /run/rig/load-module && loaded=$((loaded + 1))
        done
        touch /run/enough
        wait
        rm /run/enough
        echo $loaded
        """)
    assert int(done.stdout) > 0


def test_memory_set_aside(guest, new_batch):
    """Set aside when the module is loaded, handed out, and given back to the kernel when it is unloaded."""
    # All that was before has left memory in small pieces, and the kernel has given up on making them large.
    guest.run("rmmod devreg && sync && echo 3 > /proc/sys/vm/drop_caches && echo 1 > /proc/sys/vm/compact_memory")
    guest.run("/run/rig/load-module reserve_count=3 reserve_mib=6 reserve_bits=28")
    available = "grep MemAvailable: /proc/meminfo | tr -dc 0-9"
    with_reserve = int(guest.output(available))
    new_batch("64", ["buffers_with_reserve"]).check("buffers_with_reserve")
    guest.run("rmmod devreg")
    assert int(guest.output(available)) - with_reserve > 20 << 10


def test_wrong_parameters(guest):
    guest.run("rmmod devreg")
    for parameters in ("reserve_count=1 reserve_bits=23", "reserve_count=1 reserve_mib=0", "reserve_count=9999",
                       "reserve_count=1 reserve_mib=4000000000"):
        done = guest.run(f"insmod /run/rig/devreg.ko {parameters}", check=False)
        assert done.returncode == 1 and "Invalid parameters" in done.stderr, parameters
        assert "out of range" in guest.output("dmesg | tail -n 3")


def test_more_than_there_is(guest):
    """What can't be set aside is told, and is no reason not to be there."""
    guest.run("rmmod devreg; /run/rig/load-module reserve_count=1000 reserve_mib=1")
    said = guest.output("dmesg | grep 'could be set aside' | tail -n 1")
    assert "of 1000 pieces of 1 MiB" in said and "compact_memory" in said
    assert guest.output("/run/kmodtest64 abi_get_info").count("ok ") == 1
    guest.run("rmmod devreg")


def test_limit_of_all(guest):
    guest.run("rmmod devreg; /run/rig/load-module buffer_mib=3")
    out = guest.output("/run/kmodtest64 buffers_exhaustion")
    assert "\nok 1" in f"\n{out}", out
    guest.run("rmmod devreg")


def test_another_abi(guest, kernel):
    """A module that is newer than its programs says so; see build-check, which made it."""
    if kernel == "debug":
        pytest.skip("build-check builds for Debian's kernels")
    release = guest.output("uname -r")
    module = pathlib.Path(os.environ["KMOD_BUILDS"]) / release / "abi99" / "devreg.ko"
    assert module.exists(), f"{module} is missing: kmod.build makes it"
    guest.push(module, "/run/devreg-abi99.ko")
    guest.run("rmmod devreg && insmod /run/devreg-abi99.ko")
    assert guest.output("/run/kmodtest64 --info").startswith("abi 99 ")
    assert guest.output("/run/kmodtest32 --info").startswith("abi 99 ")
    guest.run("rmmod devreg")
