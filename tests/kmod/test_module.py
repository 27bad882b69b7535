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
