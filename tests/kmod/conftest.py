# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests here run on the host, beside a rig that `rig run --no-daemon` has started for them with the module loaded.

The guest gets kmodtest in a build of 64 and one of 32 bits (KMODTEST_64, KMODTEST_32). Its cases run in one command for
each build, as a login costs more than most cases do; each is a test of its own here.
"""
import os
import pathlib
import subprocess

import pytest

from results import Results, cases

RIG = pathlib.Path(__file__).parent.parent / "rig" / "rig"
BITS = ("64", "32")
# Of one case; the debug kernel takes several times as long for everything.
CASE_TIMEOUT_S = {"debug": 600}
DEFAULT_CASE_TIMEOUT_S = 300
# What cases need that every rig has.
HAS = {"pc", "disk"}


def pytest_sessionstart():
    missing = [name for name in ("RIG_STATE", "KMODTEST_64", "KMODTEST_32") if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(f"{', '.join(missing)} missing: run through 'rig run -- ...', see CMakeLists.txt")


def rig(*words, check=True):
    return subprocess.run([RIG, *words], check=check, capture_output=True, text=True)


class Guest:
    """Commands inside the virtual machine."""

    def run(self, command, check=True):
        done = rig("exec", "--", "sh", "-c", command, check=False)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    def output(self, command):
        return self.run(command).stdout.strip()

    def push(self, source, destination):
        rig("push", str(source), destination)

    def trouble(self):
        """What the kernel's log has complained of since the module was loaded."""
        return rig("dmesg-check", check=False).stdout.splitlines()


def find_kernel():
    """The name of the rig's kernel: 6.1, 6.12 or debug."""
    rows = dict(line.split(maxsplit=1) for line in rig("status").stdout.splitlines())
    return rows["kernel"].split()[0]


def list_cases(word=None):
    """The cases of kmodtest that need what the word says, or nothing that the rig is without.

    It lists them on the host too.
    """
    rows = cases(os.environ["KMODTEST_64"])
    return [name for name, needs in rows.items() if needs - HAS == ({word} if word else set())]


class Batch(Results):
    """kmodtest of one build, running these cases in the guest."""

    def __init__(self, bits, names, timeout_s):
        command = [RIG, "exec", "--", "env", f"KMODTEST_TIMEOUT_S={timeout_s}", f"/run/kmodtest{bits}", *names]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        super().__init__(self.process.stdout)

    def wait_for_word(self, word):
        """Until the case says this in a comment."""
        if not self.wait_for(f"# {word}"):
            pytest.fail("\n".join(["the case ended too early", *self.said]))

    def check(self, name):
        result = self.result(name)
        if result is None:
            self.process.wait()
            words = [*self.said, f"the guest did not finish {name}", *Guest().trouble()]
            pytest.fail("\n".join(words), pytrace=False)
        good, said = result
        if not good:
            pytest.fail(said, pytrace=False)


@pytest.fixture(scope="session")
def guest():
    inside = Guest()
    for bits in BITS:
        inside.push(os.environ[f"KMODTEST_{bits}"], f"/run/kmodtest{bits}")
    return inside


@pytest.fixture(scope="session")
def kernel():
    return find_kernel()


@pytest.fixture(scope="session")
def new_batch(guest, kernel):
    """new_batch(BITS, CASES) starts cases."""
    def start(bits, names):
        return Batch(bits, names, CASE_TIMEOUT_S.get(kernel, DEFAULT_CASE_TIMEOUT_S))
    return start


@pytest.fixture(scope="session")
def batches(request, new_batch):
    """One running kmodtest for each build, with the cases that were selected."""
    running = {}

    def get(bits):
        if bits not in running:
            calls = [item.callspec.params for item in request.session.items
                     if getattr(item, "originalname", "") == "test_case"]
            running[bits] = new_batch(bits, [call["case"] for call in calls if call["bits"] == bits])
        return running[bits]
    return get


@pytest.fixture
def quiet_log(guest):
    """The kernel's log has no new complaint after the test. kmodtest looks itself after each of its cases."""
    before = guest.trouble()
    yield
    new = [line for line in guest.trouble() if line not in before]
    assert not new, "\n".join(new)
