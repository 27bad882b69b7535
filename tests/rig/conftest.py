# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests here run on the host, beside a rig that `rig run` has started for them."""
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

RIG = pathlib.Path(__file__).with_name("rig")


def pytest_sessionstart():
    missing = [name for name in ("DEVREG_HOST", "RIG_STATE", "DEVREGCTL") if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(f"{', '.join(missing)} missing: run through 'rig run -- ...'")


class Guest:
    """Commands inside the virtual machine."""

    def run(self, command, check=True):
        return subprocess.run([RIG, "exec", "--", "sh", "-c", command], check=check, capture_output=True, text=True)

    def push(self, source, destination):
        subprocess.run([RIG, "push", source, destination], check=True, capture_output=True)

    def output(self, command):
        return self.run(command).stdout.strip()


class Http:
    """The API, as any program would use it."""

    def __init__(self, url):
        self.url = url

    def request(self, method, path, body=None, kind="application/json"):
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def json(self, method, path, body=None):
        status, text = self.request(method, path, body)
        return status, json.loads(text)

    def get(self, path):
        status, answer = self.json("GET", path)
        assert status == 200, answer
        return answer


@pytest.fixture(scope="session")
def guest():
    return Guest()


@pytest.fixture(scope="session")
def rig():
    """rig(words) runs tests/rig/rig."""
    return lambda *words: subprocess.run([RIG, *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope="session")
def module_of_abi(tmp_path_factory):
    """module_of_abi(number) builds the module for the guest's kernel so that it speaks that ABI; returns its file."""
    def build(number):
        kernel = json.loads((pathlib.Path(os.environ["RIG_STATE"]) / "rig.json").read_text())["release"]
        folder = tmp_path_factory.mktemp(f"abi{number}") / "kmod"
        shutil.copytree(RIG.parents[2] / "kmod", folder)
        subprocess.run(["make", "-C", f"/usr/src/linux-headers-{kernel}", f"M={folder}", f"KCFLAGS=-DDEVREG_ABI={number}"],
                       check=True, capture_output=True)
        return folder / "devreg.ko"
    return build


@pytest.fixture(scope="session")
def http():
    return Http(os.environ["DEVREG_HOST"])


@pytest.fixture(scope="session")
def devregctl():
    def run(*words):
        command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)
    return run


@pytest.fixture
def eventually():
    """eventually(function) calls it until it returns something true, for at most a minute."""
    def wait(function):
        end = time.monotonic() + 60
        while not (result := function()):
            assert time.monotonic() < end, "it did not come true in a minute"
            time.sleep(0.05)
        return result
    return wait
