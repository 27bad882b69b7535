# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs beside the board, here or in the guest: its interrupts read by a bare program and told by devregd to so many
subscribers, in turn.

    run_events.py DEVREGD BENCH-INTERRUPTS BENCH-EVENTS sim|PCI-ADDRESS ROUNDS BURST PACED PACE_US SUBSCRIBERS...

Prints what they print, "bare ..." and "10 ..." for each number of subscribers; for the simulated board also "memory ...".
"""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

FILL = 70000        # more events than devregd keeps, so that the memory for them has been used
MEMORY_EVENTS, MEMORY_SUBSCRIBERS = 200000, 100
STARTED_S = 30
INTERRUPTED = 0     # the processor that takes a real device's interrupts, from which its bursts are raised (interrupts.c)
HARMLESS = 0x04     # a register of edu
BLOCK = 4000        # values that are too many to be written on devregd's loop


def device(board):
    """Of the source `bench`, and the registers that raise it."""
    if board == "sim":
        return "odd", {"model": "odd", "interrupts": [{}]}
    return "edu", {"backend": "kmod", "address": board, "interrupts": [{"acknowledge": {"read": "0x24", "write": "0x64"}}]}


def configuration(directory, board):
    _, described = device(board)
    region = {"name": "bench"} if board == "sim" else {"name": "bench", "bar": 0}
    return {
        "listen": [f"{directory}/devregd.sock"],
        "state": f"{directory}/state",
        "access": [{"principals": ["user:*"], "permissions": ["all"]}],
        "limits": {"interrupts_per_second": 10000000, "requests_per_principal": 1024, "connections": 1024,
                   "connections_per_principal": 1024, "streams": 1024, "streams_per_principal": 1024},
        "devices": [{"name": "bench", "regions": [region], **described}],
    }


@contextlib.contextmanager
def running(devregd, board):
    """Gives its socket."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "devregd.json")
        path.write_text(json.dumps(configuration(directory, board)))
        log = pathlib.Path(directory, "log")
        with open(log, "wb") as stream:
            process = subprocess.Popen([devregd, "--config", path], stderr=stream)
        limit = time.monotonic() + STARTED_S
        try:
            while "listening on" not in log.read_text():
                if process.poll() is not None or time.monotonic() > limit:
                    sys.exit(f"devregd did not start:\n{log.read_text()}")
                time.sleep(0.01)
            if board != "sim":
                pin_worker(process.pid, f"{directory}/devregd.sock")
            yield f"{directory}/devregd.sock"
        finally:
            process.terminate()
            process.wait()


def pin_worker(process, path):
    """The thread that makes the block writes by which a burst is raised; there is none before the first."""
    body = bytes(4 * BLOCK)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(f"PUT /v1/regions/bench/data?offset={HARMLESS:#x}&width=32&fixed=1 HTTP/1.0\r\n"
                           f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = connection.recv(4096)
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        sys.exit(f"a block write failed: {answer.decode()}")
    for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
        if thread.name != str(process):
            os.sched_setaffinity(int(thread.name), {INTERRUPTED})


@contextlib.contextmanager
def interrupts_on_one_processor():
    """Those that are opened meanwhile."""
    path = pathlib.Path("/proc/irq/default_smp_affinity")
    before = path.read_text()
    path.write_text(f"{1 << INTERRUPTED:x}")
    try:
        yield
    finally:
        path.write_text(before)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout.strip()


def measure(devregd, interrupts, events, board, rounds, burst, paced, pace_us, *subscribers):
    raised_by, _ = device(board)
    for _ in range(int(rounds)):
        print("bare", run(interrupts, board, burst, paced, pace_us), flush=True)
        with running(devregd, board) as path:
            for count in subscribers:
                print(count, run(events, "speed", path, raised_by, "bench", count, burst, paced, pace_us), flush=True)


def measure_memory(devregd, events, burst):
    with running(devregd, "sim") as path:
        print("memory", run(events, "memory", path, "odd", "bench", MEMORY_SUBSCRIBERS, burst, FILL, MEMORY_EVENTS))


def main(arguments):
    devregd, _, events, board, _, burst, *_ = arguments
    if board == "sim":
        measure(*arguments)
        measure_memory(devregd, events, burst)
        return
    with interrupts_on_one_processor():
        measure(*arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
