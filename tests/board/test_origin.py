# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests as a browser makes them for other people's pages."""

import pytest

import board
import certificates

pytestmark = pytest.mark.sim

LISTED = "https://bench.lab.example"
DEVICES = [board.sim("edu", "edu"), board.sim("ram", "ram", size=4096)]
REGISTER = "/v1/regions/ram/registers/0x0"


@pytest.fixture(scope="module")
def plain():
    with board.Daemon({"devices": DEVICES}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def configured():
    with board.Daemon({"hosts": ["rig1", "[2001:db8::7]"], "origins": [LISTED], "devices": DEVICES}) as daemon:
        yield daemon


def get(client, host, path="/healthz", **headers):
    return client.get(path, headers={"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}})


# Rebinding

@pytest.mark.parametrize("host", ["evil.example", "evil.example:7373", "127.0.0.1.evil.example", "localhost.evil.example",
                                  "192.0.2.1", "[2001:db8::7]", "rig1", "127.1", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"])
def test_foreign_host(plain, host):
    for kind in ("tcp", "tls"):
        with plain.client(kind) as client:
            answer = get(client, host)
            assert "hosts" in answer.problem(421, "misdirected")["detail"]
            client.ask("PUT", REGISTER, {"value": "0x1"}, headers={"Host": host}).problem(421, "misdirected")
            assert client.region("ram").read(0) == 0
    with plain.client("unix") as client:
        get(client, host).ok()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:7373"])
def test_own_hosts(plain, host):
    """With any port: tunnels end on other ones."""
    for kind in ("tcp", "tls", "unix"):
        with plain.client(kind) as client:
            get(client, host).ok()


def test_configured_hosts(configured):
    for kind in ("tcp", "tls"):
        with configured.client(kind) as client:
            for host in ("rig1", "RIG1:7373", "[2001:db8::7]", "[2001:DB8::7]:7373"):
                get(client, host).ok()
            get(client, "rig2").problem(421, "misdirected")


def test_names_of_the_certificate(plain):
    with plain.client("tls") as client:
        for _ in range(2):
            get(client, "rig1.lab.example").ok()
            get(client, "RIG1.lab.example:7373").ok()
            get(client, "rig2.lab.example").problem(421, "misdirected")
    with plain.client("tcp") as client:
        get(client, "rig1.lab.example").problem(421, "misdirected")


def test_own_address(start_daemon):
    """Whatever address a connection came to is one of ours."""
    daemon = start_daemon({"devices": DEVICES}, listen=["127.0.0.2:0"])
    with daemon.client("tcp") as client:
        for _ in range(2):
            get(client, "127.0.0.2").ok()
            get(client, "127.0.0.3").problem(421, "misdirected")


# Pages

@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}, {"Origin": "null"},
    {"Origin": "http://localhost:1"}, {"Origin": "file://"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "new"}, {"Origin": LISTED + ".evil.example"},
    {"Origin": "http://bench.lab.example"}, {"Origin": LISTED + ":8443"}])
def test_foreign_pages(plain, configured, headers):
    """A form or a script of another page: nothing is done, and the page is told nothing."""
    for daemon in (plain, configured):
        for place in daemon.places:
            with place.client() as client:
                answer = get(client, "localhost", **headers)
                answer.problem(403, "denied")
                assert "access-control-allow-origin" not in answer.headers
                sent = {name.replace("_", "-"): value for name, value in headers.items()}
                client.ask("PUT", REGISTER, {"value": "0x1"}, headers=sent).problem(403, "denied")
                assert client.region("ram").read(0) == 0


def test_a_form_of_another_page(plain):
    """What a browser sends without asking first."""
    with plain.client("tcp") as client:
        client.ask("PUT", REGISTER, b'{"value":"0x1"}', kind="text/plain", headers={"Origin": "http://evil.example"}).problem(
            403, "denied")
        client.ask("PUT", REGISTER, b'{"value":"0x1"}', kind="text/plain").problem(415, "media-type")


def test_own_page(plain):
    for kind, scheme in (("tcp", "http"), ("tls", "https")):
        with plain.client(kind) as client:
            for site in ("same-origin", "none"):
                answer = get(client, "localhost:7373", Origin=f"{scheme}://localhost:7373", Sec_Fetch_Site=site).ok()
                assert "access-control-allow-origin" not in answer.headers and "vary" not in answer.headers
            get(client, "localhost:7373", Sec_Fetch_Site="none").ok()
            other = {"http": "https", "https": "http"}[scheme]
            get(client, "localhost:7373", Origin=f"{other}://localhost:7373").problem(403, "denied")


def test_two_origins(plain):
    answers, closed, _ = board.exchange(plain.place("tcp"), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                        b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n\r\n")
    answers[0].problem(400, "malformed")
    assert closed


# Listed origins

def test_listed_page(configured):
    for kind in ("tcp", "tls"):
        with configured.client(kind) as client:
            answer = get(client, "localhost", "/v1/regions/edu/registers/0x0", Origin=LISTED, Sec_Fetch_Site="cross-site").ok()
            assert answer.headers["access-control-allow-origin"] == LISTED and answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
            answer = get(client, "localhost", "/nothing", Origin=LISTED)
            answer.problem(404, "not-found")
            assert answer.headers["access-control-allow-origin"] == LISTED
            answer = get(client, "localhost").ok()
            assert answer.headers["vary"] == "Origin" and "access-control-allow-origin" not in answer.headers
            get(client, "evil.example", Origin=LISTED).problem(421, "misdirected")


def preflight(client, path, origin=LISTED, **headers):
    sent = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization", **headers}
    return client.ask("OPTIONS", path, headers={name: value for name, value in sent.items() if value})


def test_preflight(configured):
    with configured.client("tls") as client:
        for _ in range(2):
            answer = preflight(client, REGISTER)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == LISTED
            assert set(answer.headers["access-control-allow-methods"].split(", ")) == {"GET", "PUT", "PATCH"}
            assert set(answer.headers["access-control-allow-headers"].split(", ")) == {
                "authorization", "content-range", "content-type", "devreg-reservation", "last-event-id", "range"}
            assert "devreg-request" in answer.headers
        assert preflight(client, "/nothing").status == 404
        preflight(client, REGISTER, origin="http://evil.example").problem(403, "denied")
        preflight(client, REGISTER, origin=None).problem(405, "method")
        client.put(REGISTER, {"value": "0x5"}, headers={"Origin": LISTED}).ok()


def test_no_preflight_without_origins(plain):
    with plain.client("tcp") as client:
        preflight(client, REGISTER).problem(403, "denied")
        preflight(client, REGISTER, origin=None).problem(405, "method")


def test_browser_with_a_certificate(configured):
    """A certificate is shown for every page, so it must not open the door to one."""
    with configured.place("tls").showing(certificates.client()).client() as client:
        get(client, "localhost", "/v1/regions", Origin="http://evil.example").problem(403, "denied")
        get(client, "localhost", "/v1/regions").ok()
