# SPDX-License-Identifier: LGPL-2.1-or-later
"""A device that stalls must not stall the clients of other devices."""

import contextlib
import statistics
import threading

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

SLOW = 0x18         # each access takes 0.2 s
READS = 200
CAP_S = 0.05        # what waits behind a slow access takes about 0.2 s


def latencies(client, path, count=READS):
    taken = []
    for _ in range(count):
        watch = stopwatch.Stopwatch()
        client.get(path).ok()
        taken.append(watch.lived)
    return taken


@contextlib.contextmanager
def busy(place, request, clients):
    """Clients that ask again and again for what takes long; checks that they are answered."""
    ended, answered, failures = threading.Event(), [0] * clients, []

    def ask(index):
        try:
            with place.client() as client:
                while not ended.is_set():
                    request(client)
                    answered[index] += 1
        except BaseException as failure:        # pylint: disable=broad-except
            failures.append(failure)
    threads = [threading.Thread(target=ask, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    try:
        stopwatch.sleep(0.1)        # until all of them wait
        yield
        stopwatch.sleep(0.4)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    assert sum(answered) >= 1


def check(idle, loaded):
    middle_idle, middle = statistics.median(idle), statistics.median(loaded)
    slowest = sorted(loaded)[int(len(loaded) * 0.98)]
    assert middle < max(5 * middle_idle, 0.005), f"median {middle:.4f} s, idle {middle_idle:.4f} s"
    assert slowest < CAP_S, f"2 in 100 take more than {slowest:.4f} s"


@pytest.mark.parametrize("path", ["/v1/regions/edu/registers/0x0", "/v1/regions/ram/registers/0x0?count=256", "/v1/status",
                                  "/v1/regions"])
def test_slow_register_delays_nobody_else(place, path):
    """Several clients read the slow register in a loop; another one's latencies are compared with its idle ones."""
    with place.client() as client:
        latencies(client, path, 50)
        idle = latencies(client, path)
        with busy(place, lambda slow: slow.region("odd").read(SLOW), 4):
            loaded = latencies(client, path)
    check(idle, loaded)


def test_long_blocks_delay_nobody_else(place):
    """Sixteen mebibytes an octet at a time take long, and are not read on the loop."""
    with place.client() as client:
        path = "/v1/regions/edu/registers/0x0"
        idle = latencies(client, path)
        with busy(place, lambda slow: slow.region("ram").get_data_answer(0, 1 << 24, width=8).ok(), 1):
            loaded = latencies(client, path)
    assert statistics.median(loaded) < max(5 * statistics.median(idle), 0.02)


def test_slow_register_delays_its_own_device_in_order(place):
    """Work on one device never overlaps: so many slow accesses take so long, whoever asks."""
    with place.client() as client:
        before = client.region("odd").read(SLOW)
        connections = [place.connect() for _ in range(4)]
        watch = stopwatch.Stopwatch()
        for connection in connections:
            connection.sendall(b"GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            board.wait_until_read(connection)
        values = []
        for connection in connections:
            answers, _, _ = board.receive_answers(connection, 1)
            values.append(int(answers[0].ok().json["value"], 16))
            connection.close()
        assert values == [before + 1 + index for index in range(4)]
        assert 0.7 < watch.real and watch.lived < 1.5
