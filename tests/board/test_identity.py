# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who a request is from, over every transport, and what happens to those who are not who they say."""

import itertools
import os
import pwd
import time

import pytest

import board
import stopwatch
import certificates

pytestmark = pytest.mark.sim

DEVICES = [board.sim("edu", "edu"), board.sim("ram", "ram", size=4096)]
WRONG = {"Authorization": "Bearer devreg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
ME = "user:" + pwd.getpwuid(os.geteuid()).pw_name
PLACES = ["unix", "tcp", "tls", "certificate"]
NAMES = {"unix": ME, "tcp": "anonymous", "tls": "anonymous", "certificate": "certificate:rig1"}


@pytest.fixture(scope="module")
def running():
    with board.Daemon({"devices": DEVICES}) as daemon:
        yield daemon


ADDRESSES = (f"127.1.{number // 250}.{1 + number % 250}" for number in itertools.count())


def fresh(place):
    """As a client at an address of its own, whose failures make nobody else wait."""
    return place.seen_from(next(ADDRESSES))


def place_of(daemon, kind):
    return fresh(daemon.place("tls").showing(certificates.client()) if kind == "certificate" else daemon.place(kind))


@pytest.fixture(params=PLACES)
def kind(request):
    return request.param


@pytest.fixture
def caller(running, kind):
    with place_of(running, kind).client() as client:
        yield client


def has_tokens(client):
    return any(route["path"] == "/v1/tokens" for route in client.get("/v1").ok().json["routes"])


def new_token(daemon, **wish):
    """Made over the Unix socket, by the user that the daemon runs as."""
    with daemon.client("unix") as client:
        answer = client.ask("POST", "/v1/tokens", wish)
        assert answer.status == 201, answer
        return answer.json


def bearer(token):
    return {"Authorization": "Bearer " + token}


# Without a token

def test_every_answer_has_its_request(caller):
    """Also refusals, and each its own."""
    seen = set()
    for answer in (caller.get("/healthz"), caller.get("/v1/regions"), caller.get("/nothing"), caller.get("/healthz?x=1"),
                   caller.ask("DELETE", "/healthz"), caller.get("/healthz", headers=WRONG)):
        number = answer.headers["devreg-request"]
        assert number not in seen
        seen.add(number)
        if answer.headers["content-type"] == "application/problem+json":
            assert answer.json["request"] == number
    assert len({number.partition("-")[0] for number in seen}) == 1


def test_identity(caller, kind):
    answer = caller.get("/v1/whoami")
    if answer.status == 404:
        pytest.skip("this daemon has no /v1/whoami")
    assert answer.ok().json["principal"] == NAMES[kind]


def test_wrong_token_is_no_fallback(caller):
    """Whatever else the connection says, and whatever is asked for."""
    for method, path, body in (("GET", "/healthz", None), ("GET", "/v1/regions/edu/registers/0x0", None), ("GET", "/nothing", None),
                               ("PUT", "/v1/regions/ram/registers/0x0", {"value": "0x1"})):
        answer = caller.ask(method, path, body, headers=WRONG)
        answer.problem(401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="devreg"'
    assert caller.region("ram").read(0) == 0


@pytest.mark.parametrize("value, said", [
    ("Basic YTpi", "Bearer"), ("Digest username=x", "Bearer"), ("devreg_x", "Bearer"), ("Bearer", "Bearer"), ("", "Bearer"),
    ("Bearer a b", "malformed"), ("Bearer a,b", "malformed"), ("Bearer =", "malformed"), ('Bearer "a"', "malformed"),
    ("Bearer " + "a" * 5000, "longer"), ("bearer devreg_" + "B" * 43, "token"),
])
def test_malformed_authorization(running, value, said):
    with fresh(running.place("tcp")).client() as client:
        answer = client.get("/healthz", headers={"Authorization": value})
        assert said in answer.problem(401, "unauthenticated")["detail"]


def test_two_authorizations(running):
    """Whose request would it be?"""
    for place in running.places:
        answers, closed, _ = board.exchange(
            place, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n")
        assert "Authorization" in answers[0].problem(400, "malformed")["detail"] and closed


def test_wrong_token_before_a_body(running):
    """The body is not waited for."""
    octets = b"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n" \
             b"Content-Length: 1000000000\r\nExpect: 100-continue\r\nAuthorization: Bearer devreg_x\r\n\r\n"
    for place in running.places:
        answers, closed, _ = board.exchange(fresh(place), octets, timeout=10)
        assert [answer.status for answer in answers] == [401] and closed


@pytest.mark.parametrize("value", ["", "r-", "r-xyz", "x-12", "r-12 ", "r-12,r-13", "r-" + "1" * 22, "R-12", "r-1A"])
def test_malformed_reservation(running, value):
    with running.client("unix") as client:
        answer = client.get("/v1/regions", headers={"Devreg-Reservation": value})
        if value == "r-12 ":        # blanks around a value are not part of it
            assert answer.status in (200, 423)
        else:
            assert "Devreg-Reservation" in answer.problem(400, "malformed")["detail"]


def test_two_reservations(running):
    answers, closed, _ = board.exchange(running.place("tcp"), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                        b"Devreg-Reservation: r-1\r\nDevreg-Reservation: r-1\r\n\r\n")
    answers[0].problem(400, "malformed")
    assert closed


# Certificates

def test_certificates_that_are_not_taken(running, tmp_path):
    """The handshake succeeds, so that the answer can say what is wrong."""
    authority, other = certificates.authority(), certificates.Authority(str(tmp_path / "other"), "Another authority")
    rows = [
        (authority.issue("expired", "/CN=rig1", valid=certificates.EXPIRED), "has expired"),
        (authority.issue("later", "/CN=rig1", valid=certificates.LATER), "not valid yet"),
        (authority.issue("for-servers", "/CN=rig1", certificates.SERVER), "clientAuth"),
        (other.issue("foreign", "/CN=rig1"), "not signed by"),
        (authority.issue("nameless", "/O=rig1"), "no common name"),
        (authority.issue("two-names", "/CN=rig1/CN=rig2"), "more than one common name"),
        (authority.issue("blank", "/CN=rig 1"), "can't be a principal's"),
        (authority.issue("star", "/CN=*"), "can't be a principal's"),
        (authority.issue("colon", "/CN=certificate:rig1"), "can't be a principal's"),
        (authority.issue("long", "/CN=" + "a" * 64), None),
    ]
    for index, (certificate, said) in enumerate(rows):
        with fresh(running.place("tls").showing(certificate)).client() as client:
            for _ in range(1 if index else 2):
                answer = client.get("/v1/regions")
                if said is None:
                    answer.ok()
                    continue
                assert said in answer.problem(401, "unauthenticated")["detail"]
                assert "devreg-request" in answer.headers


def test_certificate_beside_a_wrong_token(running):
    with running.place("tls").showing(certificates.client()).client() as client:
        client.get("/healthz", headers=WRONG).problem(401, "unauthenticated")
        client.get("/healthz").ok()


def test_certificates_without_authority(start_daemon):
    """Nobody is asked for one, so what a client might show is no matter."""
    daemon = start_daemon({"tls": certificates.settings(client_ca=False), "devices": DEVICES})
    with daemon.place("tls").showing(certificates.client()).client() as client:
        client.get("/healthz").ok()


# Tokens

@pytest.fixture
def tokens(running):
    with running.client("unix") as client:
        if not has_tokens(client):
            pytest.skip("this daemon has no /v1/tokens")
    return running


def test_token(tokens, kind):
    """It beats whatever the connection says, for its own request alone."""
    made = new_token(tokens, name=f"ci-{kind}")
    with place_of(tokens, kind).client() as client:
        for _ in range(2):
            assert client.get("/v1/whoami", headers=bearer(made["token"])).ok().json["principal"] == f"token:ci-{kind}"
            assert client.get("/v1/whoami").ok().json["principal"] == NAMES[kind]
        client.get("/v1/whoami", headers=bearer(made["token"][:-1])).problem(401, "unauthenticated")
        client.get("/v1/whoami", headers=bearer(made["token"] + "x")).problem(401, "unauthenticated")


def test_token_of_a_wrong_certificate(tokens):
    made = new_token(tokens, name="mended")
    expired = certificates.authority().issue("expired-too", "/CN=rig1", valid=certificates.EXPIRED)
    with tokens.place("tls").showing(expired).client() as client:
        client.get("/v1/whoami").problem(401, "unauthenticated")
        assert client.get("/v1/whoami", headers=bearer(made["token"])).ok().json["principal"] == "token:mended"


def test_revoked_token(tokens, kind):
    made = new_token(tokens, name=f"gone-{kind}")
    with place_of(tokens, kind).client() as client:
        client.get("/v1/whoami", headers=bearer(made["token"])).ok()
        with tokens.client("unix") as admin:
            admin.ask("DELETE", f"/v1/tokens/gone-{kind}").ok()
        client.get("/v1/whoami", headers=bearer(made["token"])).problem(401, "unauthenticated")


def test_expired_token(tokens):
    with tokens.client("tcp") as client:
        def short(seconds):
            made = new_token(tokens, name=f"short-{seconds}", seconds=seconds)
            return made if client.get("/v1/whoami", headers=bearer(made["token"])).status == 200 else None
        made, seconds = stopwatch.within(short, "it is used before it expires")
        time.sleep(seconds + 1.1)
        client.get("/v1/whoami", headers=bearer(made["token"])).problem(401, "unauthenticated")


def test_tokens_are_not_in_the_log(tokens):
    made = new_token(tokens, name="secret")
    with tokens.client("tcp") as client:
        client.get("/v1/whoami", headers=bearer(made["token"])).ok()
        client.get("/v1/whoami", headers=bearer(made["token"] + "x")).problem(401, "unauthenticated")
    assert made["token"][:16] not in tokens.log() and "wrong credentials" in tokens.log()
