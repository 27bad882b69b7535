# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cases of kmodtest, driven by programs of 64 and of 32 bits; and that both mean the same ABI."""
import os
import re
import subprocess

from conftest import BITS, find_kernel, list_cases


def pytest_generate_tests(metafunc):
    if metafunc.function is test_case:
        # The debug kernel has fault injection, and Debian's have none; but it does not route interrupts as ACPI says
        # (riglib/debug_boot.py), so a line that only ACPI knows does not reach it.
        cases = list_cases() + list_cases("faults" if find_kernel() == "debug" else "routes")
        rows = [(bits, case) for bits in BITS for case in cases]
        metafunc.parametrize("bits,case", rows, ids=[f"{bits}-{case}" for bits, case in rows])


def test_case(batches, bits, case):
    batches(bits).check(case)


def layout(bits):
    command = [os.environ[f"KMODTEST_{bits}"], "--layout"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_layouts_are_the_same():
    """What the compiler made of the header, in both builds: each field of each structure, each number."""
    lines = layout("64").splitlines()
    assert lines == layout("32").splitlines()
    assert sum(re.match(r"devreg_\w+ \d+$", line) is not None for line in lines) == 23
    assert "devreg_access.data 24 8" in lines and "DEVREG_ACCESS 0xc028d508" in lines


def test_programs_are_of_both_kinds(guest):
    for bits, kind in zip(BITS, (b"\x02", b"\x01")):
        with open(os.environ[f"KMODTEST_{bits}"], "rb") as program:
            assert program.read(5) == b"\x7fELF" + kind
        assert guest.run(f"/run/kmodtest{bits} --info").stdout.startswith("abi 1 ")
