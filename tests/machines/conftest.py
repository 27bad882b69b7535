# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module's tests on machines other than the rig's: another kernel, another processor, an initramfs for a disk.

    pytest tests/machines/test_cases.py --machine NAME --state FOLDER      with KMODTEST_64 and KMODTEST_32
    pytest tests/machines/test_builds.py --state FOLDER

What is written, serial.log too, is in the state folder.
"""
import os
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(TESTS / "rig"), str(TESTS / "kmod")]

# pylint: disable=wrong-import-position
import builds
import emulator
from kit import ready_kit
from results import Results
from riglib.common import RigError
from table import MACHINES, TARGETS

# For a boot and all cases: many times what two processors need that have nothing else to do.
LIMIT_S = 1800


def pytest_addoption(parser):
    parser.addoption("--machine", choices=MACHINES, help="where the cases run")
    parser.addoption("--state", type=pathlib.Path, required=True, help="a folder for what is written")


def pytest_configure(config):
    missing = [name for name in ("KMODTEST_64", "KMODTEST_32") if not os.environ.get(name)]
    if config.option.machine and missing:
        raise pytest.UsageError(f"{', '.join(missing)} missing: see tests/machines/CMakeLists.txt")


@pytest.fixture(scope="session")
def state(request):
    folder = request.config.option.state.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def machine(request):
    return MACHINES[request.config.option.machine]


@pytest.fixture(scope="session")
def module_build(request, state):
    """(kit, module, warnings) of the machine."""
    try:
        with ready_kit(TARGETS[request.config.option.machine]) as kit:
            yield kit, *builds.build_for(kit, state)
    except RigError as error:
        pytest.exit(str(error), returncode=1)


class Console(Results):
    """What the machine says; when it goes down too early, no further test can run."""

    def __init__(self, running, session):
        super().__init__(running.console)
        self.running = running
        self._session = session

    def fail(self, text):
        self._session.shouldstop = "the machine is down"
        pytest.fail(f"{text}; {self.running.why_it_ended()}", pytrace=False)


@pytest.fixture(scope="session")
def console(request, state, machine, module_build):
    kit, module, _ = module_build
    cases = [item.callspec.params["case"] for item in request.session.items if hasattr(item, "callspec")]
    try:
        program = builds.build_kmodtest(kit, state) if kit.target.triplet else os.environ["KMODTEST_32"]
        initramfs = state / "initramfs"
        emulator.write_initramfs(initramfs, kit, module, program, cases)
        running = emulator.Emulator(machine, kit.kernel(), initramfs, state, LIMIT_S)
    except RigError as error:
        pytest.exit(str(error), returncode=1)
    yield Console(running, request.session)
    running.end()
