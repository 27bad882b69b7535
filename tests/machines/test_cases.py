# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cases of kmodtest on one machine, in one boot: in the order of this file."""
import os
import re

import pytest

from results import cases
from riglib import dmesg
from table import LEFT_OUT, MACHINES


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        machine = MACHINES[metafunc.config.option.machine]
        left_out = machine.left_out.union(LEFT_OUT)
        rows = cases(os.environ["KMODTEST_64"])
        metafunc.parametrize("case", [name for name, needs in rows.items() if needs <= machine.has and name not in left_out])


def test_left_out_cases_exist(machine):
    assert machine.left_out.union(LEFT_OUT) <= cases(os.environ["KMODTEST_64"]).keys()


def test_module_builds_without_warnings(module_build):
    _, _, warnings = module_build
    if warnings:
        pytest.fail("\n".join(warnings), pytrace=False)


def test_boots_and_takes_the_module(console):
    if not console.wait_for("machine: ready"):
        console.fail("the machine did not get as far as the cases")
    assert any(line.startswith("abi 1 ") for line in console.said), "\n".join(console.said)


def test_case(console, case):
    result = console.result(case)
    if result is None:
        console.fail(f"the machine did not finish {case}")
    good, said = result
    if not good:
        pytest.fail(said, pytrace=False)


def test_kernel_log_is_clean(console, machine):
    """All of it, from the boot to the end; and it is the machine that was asked for."""
    if not console.wait_for("machine: end"):
        console.fail("the machine did not tell its kernel's log")
    lines = console.running.serial_lines()
    trouble = dmesg.trouble(lines, re.compile("|".join(dmesg.ALLOWED)))
    if trouble:
        pytest.fail("\n".join(trouble), pytrace=False)
    missing = [text for text in machine.is_shown_by if not any(text in line for line in lines)]
    if missing:
        pytest.fail(f"this is another machine: its kernel's log does not have {missing}", pytrace=False)
