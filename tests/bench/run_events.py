# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs beside the board, here or in the guest: its interrupts read by a bare program and told by devregd to so many
subscribers, in turn.

    run_events.py DEVREGD BENCH-INTERRUPTS BENCH-EVENTS sim|PCI-ADDRESS ROUNDS BURST PACED PACE_US SUBSCRIBERS...

Prints what they print, "bare ..." and "10 ..." for each number of subscribers; for the simulated board also "memory ...".
"""
import contextlib
import os
import pathlib
import socket
import subprocess
import sys

from one_devregd import running

FILL = 70000        # more events than devregd keeps, so that the memory for them has been used
MEMORY_EVENTS, MEMORY_SUBSCRIBERS = 200000, 100
INTERRUPTED = 0     # the processor that takes a real device's interrupts, from which its bursts are raised (interrupts.c)
HARMLESS = 0x04     # a register of edu
BLOCK = 4000        # values that are too many to be written on devregd's loop


def device(board):
    """Of the source `bench`, and the registers that raise it."""
    if board == "sim":
        return "odd", {"model": "odd", "interrupts": [{}]}
    return "edu", {"backend": "kmod", "address": board, "interrupts": [{"acknowledge": {"read": "0x24", "write": "0x64"}}]}


def configuration(board):
    _, described = device(board)
    region = {"name": "bench"} if board == "sim" else {"name": "bench", "bar": 0}
    return {
        "access": [{"principals": ["user:*"], "permissions": ["all"]}],
        "limits": {"interrupts_per_second": 10000000, "requests_per_principal": 1024, "connections": 1024,
                   "connections_per_principal": 1024, "streams": 1024, "streams_per_principal": 1024},
        "devices": [{"name": "bench", "regions": [region], **described}],
    }


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
        with running(devregd, configuration(board)) as daemon:
            if board != "sim":
                pin_worker(daemon.process.pid, daemon.socket)
            for count in subscribers:
                print(count, run(events, "speed", daemon.socket, raised_by, "bench", count, burst, paced, pace_us), flush=True)


def measure_memory(devregd, events, burst):
    with running(devregd, configuration("sim")) as daemon:
        print("memory", run(events, "memory", daemon.socket, "odd", "bench", MEMORY_SUBSCRIBERS, burst, FILL, MEMORY_EVENTS))


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
