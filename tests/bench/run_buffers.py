# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs beside the board, here or in the guest: octets of buffers sent and taken by devregd and by a server that does nothing
else, buffers that are allocated and freed, and pools of objects.

    run_buffers.py DEVREGD BENCH-MINIMAL BENCH-BUFFERS sim|PCI-ADDRESS ROUNDS

Prints what bench-buffers prints: "transfer unix 65536 put ...", "allocate 4096 ..." and "pool 10000 ...".
"""
import contextlib
import subprocess
import sys

from one_devregd import running

KIB, MIB = 1 << 10, 1 << 20
TRANSFERS = (64 * KIB, MIB, 16 * MIB, 64 * MIB)
ALLOCATIONS = (4 * KIB, MIB, 64 * MIB)
OBJECTS, OBJECT_BYTES = 10000, 64
# Of each connection of the plain server, by which bodies come to it as fast as they can; its other figures are as with less.
SERVER_POOL = 64 * KIB


def kind(size):
    """Large ones can't be had in one piece everywhere."""
    return "coherent" if size <= MIB else "scattered"


def configuration(board):
    where = {"model": "edu"} if board == "sim" else {"backend": "kmod", "address": board}
    region = {"name": "bench"} if board == "sim" else {"name": "bench", "bar": 0}
    return {
        "access": [{"principals": ["anonymous", "user:*"], "permissions": ["all"]}],
        "devices": [{"name": "bench", "regions": [region], **where}],
    }


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout.splitlines()


@contextlib.contextmanager
def serving(minimal, size, place):
    """Gives the socket's path or the port that it serves."""
    with subprocess.Popen([minimal, str(size), place, str(SERVER_POOL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def measure_transfers(minimal, buffers, daemon, rounds):
    for size in TRANSFERS:
        for name, ours, theirs in ("unix", daemon.socket, f"{daemon.directory}/minimal-{size}"), ("tcp", daemon.port, ""):
            with serving(minimal, size, theirs) as place:
                for line in run(buffers, "transfer", ours, place, kind(size), size, rounds):
                    print("transfer", name, size, line, flush=True)


def main(devregd, minimal, buffers, board, rounds):
    with running(devregd, configuration(board)) as daemon:
        measure_transfers(minimal, buffers, daemon, rounds)
        for size in ALLOCATIONS:
            print("allocate", size, *run(buffers, "allocate", daemon.socket, kind(size), size, rounds), flush=True)
        print("pool", OBJECTS, *run(buffers, "pool", daemon.socket, OBJECTS, OBJECT_BYTES, rounds), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
