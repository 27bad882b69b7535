# SPDX-License-Identifier: LGPL-2.1-or-later
"""TLS: which versions, which certificates, and files that are replaced while connections are open."""

import os
import shutil
import ssl
import subprocess
import time

import pytest

import board
import stopwatch
import certificates

pytestmark = pytest.mark.sim

OK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
DEVICES = [board.sim("edu", "edu"), board.sim("odd", "odd")]


@pytest.fixture
def daemon(start_daemon):
    return start_daemon({"devices": DEVICES})


def fails(config, tmp_path, status=1):
    path = tmp_path / "devregd.json"
    path.write_text(board.json.dumps(config))
    done = subprocess.run([board.program(), "--config", str(path), "--socket", str(tmp_path / "s")],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=board.START_S)
    assert done.returncode == status, (done.returncode, done.stdout)
    return done.stdout


# Versions

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(daemon, version):
    place = daemon.place("tls")
    context = board.secure_context(certificates.client())
    context.minimum_version = context.maximum_version = version
    with board.Place("tls", place.address, place.host, context).client() as client:
        for _ in range(3):
            assert client.region("edu").read(0) == 0x010000ed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(daemon, version):
    place = daemon.place("tls")
    context = board.secure_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(OSError):
        board.Place("tls", place.address, place.host, context).connect()


def test_plain_http_to_the_tls_port(daemon):
    place = daemon.place("tls")
    answers, closed, rest = board.exchange(board.Place("tcp", place.address), OK, timeout=5)
    assert answers == [] and closed and b"HTTP" not in rest


def test_tls_to_the_plain_port(daemon):
    address = daemon.place("tcp").address
    with pytest.raises(OSError):
        board.Place("tls", address, context=board.secure_context()).connect()
    with daemon.client() as client:
        client.get("/healthz").ok()


def test_no_renegotiation(daemon):
    """A client that asks for it would cost more than it pays."""
    address = "{}:{}".format(*daemon.place("tls").address)
    done = subprocess.run(["openssl", "s_client", "-connect", address, "-tls1_2", "-legacy_renegotiation",
                           "-CAfile", certificates.authority().certificate], input="R\n", capture_output=True, text=True,
                          timeout=20)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "read R BLOCK" not in done.stdout
    with daemon.client("tls") as client:
        client.get("/healthz").ok()


# Clients that stall

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize("octets", [b"", HELLO[:1], HELLO, HELLO + bytes(100)])
def test_stalled_handshake_costs_nothing(daemon, octets):
    address = daemon.place("tls").address
    connections = [board.Place("tcp", address).connect() for _ in range(10)]
    for connection in connections:
        connection.sendall(octets)
    time.sleep(0.2)
    assert daemon.busy_seconds(0.5) < 0.1, "it spins"
    with daemon.client("tls") as client:
        client.get("/healthz").ok()
    for connection in connections:
        connection.close()


def test_handshake_octet_by_octet(daemon):
    """However it comes, it is understood."""
    place = daemon.place("tls")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = board.secure_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with board.Place("tcp", place.address).connect() as connection:
        def move():
            for octet in outgoing.read():
                connection.sendall(bytes([octet]))
                time.sleep(0.0005)

        def until(function):
            while True:
                try:
                    result = function()
                    move()
                    return result
                except ssl.SSLWantReadError:
                    move()
                    incoming.write(connection.recv(65536))
        until(session.do_handshake)
        for _ in range(2):
            session.write(OK)
            move()
            answer = until(lambda: session.read(4096))
            while not answer.endswith(b"\r\n\r\nok\n"):
                answer += until(lambda: session.read(4096))
            assert answer.startswith(b"HTTP/1.1 200")


def test_stalled_handshake_ends(start_daemon):
    daemon = start_daemon({"limits": {"idle_seconds": 1, "request_seconds": 1}, "devices": DEVICES})
    address = daemon.place("tls").address
    watch = stopwatch.Stopwatch()
    connections = [board.Place("tcp", address).connect() for _ in range(4)]
    for connection, octets in zip(connections, (b"", HELLO[:1], HELLO, HELLO + bytes(100))):
        connection.sendall(octets)
    for connection in connections:
        _, closed, _ = board.receive_answers(connection, timeout=6)
        assert closed
    assert 1 < watch.real and watch.lived < 5
    with daemon.client() as client:
        assert client.get("/v1/status").json["counters"]["timed_out"] >= 3     # the silent one may have been idle


def test_stalled_handshakes_do_not_delay_the_end(daemon):
    address = daemon.place("tls").address
    connections = [board.Place("tcp", address).connect() for _ in range(10)]
    for connection in connections[::2]:
        connection.sendall(HELLO)
    idle = [daemon.place("tls").connect() for _ in range(10)]
    for connection in connections:
        board.wait_until_read(connection)
    watch = stopwatch.Stopwatch()
    assert daemon.stop() == 0
    assert watch.lived < 2
    for connection in connections + idle:
        connection.close()


def test_no_descriptor_is_lost(daemon):
    place, plain = daemon.place("tls"), board.Place("tcp", daemon.place("tls").address)
    with daemon.client() as client:
        client.get("/healthz").ok()
        before = daemon.settled_descriptors()
        for index in range(200):
            if index % 4 == 0:
                with plain.connect() as connection:
                    connection.sendall((b"", HELLO, OK, bytes(2000))[index // 4 % 4])
                continue
            with place.connect() as connection:
                if index % 4 > 1:
                    connection.sendall(OK)
                if index % 4 > 2:
                    board.receive_answers(connection, 1)[0][0].ok()
        client.get("/healthz").ok()
        board.wait_for(lambda: daemon.descriptors() <= before, f"{before} descriptors again")


# Files that are replaced

def served(place, context=None):
    """The serial number of the certificate that a new connection is shown."""
    context = context or place.context
    with board.Place("tls", place.address, place.host, context).connect() as connection:
        return connection.getpeercert()["serialNumber"]


def replace(source, target):
    shutil.copy(source, target + ".new")
    os.replace(target + ".new", target)


@pytest.fixture
def files(tmp_path):
    """Copies that a test may replace."""
    settings = {name: str(tmp_path / name) for name in ("certificate", "key", "client_ca")}
    for name, source in certificates.settings().items():
        shutil.copy(source, settings[name])
    return settings


def test_certificate_is_replaced(start_daemon, files):
    """New connections see it, old ones go on, and a pair of which half is there changes nothing."""
    daemon = start_daemon({"tls": files, "devices": DEVICES})
    place = daemon.place("tls")
    other = certificates.authority().issue("other", "/CN=rig1.lab.example", certificates.SERVER)
    first = served(place)
    with place.client() as old:
        old.get("/healthz").ok()
        replace(other.certificate, files["certificate"])
        time.sleep(1.1)
        assert served(place) == first
        assert "is not the key of" in daemon.log()
        for _ in range(3):
            served(place)
        time.sleep(1.1)
        assert served(place) == first
        assert daemon.log().count("is not the key of") == 1
        replace(other.key, files["key"])
        board.wait_for(lambda: served(place) != first, "the new certificate is served", 5)
        assert old.region("edu").read(0) == 0x010000ed
    os.remove(files["certificate"])
    time.sleep(1.1)
    served(place)
    assert "No such file" in daemon.log()


def test_client_authority_is_replaced(start_daemon, files, tmp_path):
    daemon = start_daemon({"tls": files, "devices": DEVICES})
    place = daemon.place("tls")
    authority = certificates.Authority(str(tmp_path / "other"), "Another authority")
    mine, theirs = place.showing(certificates.client()), place.showing(authority.issue("client", "/CN=rig2"))
    with mine.client() as old:
        old.get("/healthz").ok()
        with theirs.client() as client:
            client.get("/healthz").problem(401, "unauthenticated")
        replace(authority.certificate, files["client_ca"])

        def taken():
            with theirs.client() as client:
                return client.get("/healthz").status == 200
        board.wait_for(taken, "the new authority's certificates are taken", 5)
        with mine.client() as client:
            client.get("/healthz").problem(401, "unauthenticated")
        old.get("/healthz").ok()


# Starting

def test_bad_files_at_the_start(tmp_path, files):
    config = {"listen": ["https://127.0.0.1:0"], "devices": []}
    other = certificates.authority().issue("other", "/CN=rig1.lab.example", certificates.SERVER)
    missing, junk = str(tmp_path / "missing"), str(tmp_path / "junk")
    (tmp_path / "junk").write_text("junk")
    for setting, path, said in (("certificate", missing, "No such file"), ("key", missing, "No such file"),
                                ("client_ca", missing, "No such file"), ("certificate", junk, "PEM"), ("key", junk, "PEM"),
                                ("client_ca", junk, "PEM"), ("key", other.key, "is not the key of")):
        message = fails({**config, "tls": {**files, setting: path}}, tmp_path)
        assert f"tls.{setting}" in message and path in message and said in message, message


def test_encrypted_key(tmp_path, files):
    path = str(tmp_path / "encrypted")
    certificates.openssl("pkey", "-in", files["key"], "-aes256", "-passout", "pass:x", "-out", path)
    message = fails({"listen": ["https://127.0.0.1:0"], "tls": {**files, "key": path}, "devices": []}, tmp_path)
    assert path in message and "passphrase" in message


def test_warnings_at_the_start(start_daemon, files):
    expired = certificates.authority().issue("expired-server", "/CN=x", certificates.SERVER, certificates.EXPIRED)
    os.chmod(expired.key, 0o644)
    daemon = start_daemon({"tls": {"certificate": expired.certificate, "key": expired.key}, "devices": DEVICES})
    assert "every user can read" in daemon.log() and "has expired" in daemon.log()


NO_TOKENS = [{"principals": ["user:root"], "permissions": ["all"]}]


@pytest.mark.parametrize("settings, said", [
    ({}, "no tls.certificate and no tls.key"), ({"tls": "server"}, "tls.client_ca"), ({"tls": "all"}, None)])
def test_open_address(tmp_path, settings, said):
    """It takes a certificate, and somebody who can say who he is."""
    config = {"listen": ["https://0.0.0.0:0"], "devices": [], "access": NO_TOKENS}
    if settings:
        config["tls"] = certificates.settings(client_ca=settings["tls"] == "all")
    if said:
        assert said in fails(config, tmp_path, status=2)
    else:
        with board.Daemon(config, listen=()) as daemon:
            with daemon.client("tls") as client:
                client.get("/healthz").ok()
                answer = client.get("/v1/status")
                assert "Bearer" in answer.problem(401, "unauthenticated")["detail"]
                assert answer.headers["www-authenticate"] == 'Bearer realm="devreg"'
                client.get("/nothing").problem(401, "unauthenticated")
                client.get("/v1/whoami").problem(401, "unauthenticated")
                client.get("/v1/access/explain?region=edu").problem(401, "unauthenticated")
                client.put("/v1/regions/edu/registers/0x0", {"value": 1}).problem(401, "unauthenticated")


def test_open_address_on_the_command_line(tmp_path):
    config = {"tls": certificates.settings(client_ca=False), "devices": [], "access": NO_TOKENS}
    path = tmp_path / "devregd.json"
    path.write_text(board.json.dumps(config))
    done = subprocess.run([board.program(), "--config", str(path), "--socket", str(tmp_path / "s"), "--listen",
                           "https://0.0.0.0:0"], capture_output=True, text=True, timeout=board.START_S)
    assert done.returncode == 1 and "tls.client_ca" in done.stderr


def test_large_transfers(start_daemon):
    """More than a record and more than a buffer, both ways, and pipelined."""
    daemon = start_daemon({"devices": [board.sim("ram", "ram", size=1 << 24)]})
    octets = os.urandom(1 << 22)
    with daemon.client("tls") as client:
        ram = client.region("ram")
        ram.put_data(0, octets)
        assert ram.get_data(0, len(octets)) == octets
    request = b"GET /v1/regions/ram/data?offset=0&length=100000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers, _, rest = board.exchange(daemon.place("tls"), request * 20, count=20)
    assert [answer.body for answer in answers] == [octets[:100000]] * 20 and rest == b""


@pytest.mark.parametrize("group, taken", [("ffdhe2048", False), ("ffdhe8192", False), ("X25519", True), ("P-256", True), ("P-384", True)])
def test_the_client_can_not_choose_slow_arithmetic(start_daemon, group, taken):
    daemon = start_daemon({"devices": DEVICES})
    address = "{}:{}".format(*daemon.place("tls").address)
    done = subprocess.run(["openssl", "s_client", "-connect", address, "-tls1_3", "-groups", group], input="Q\n",
                          capture_output=True, text=True, timeout=board.ANSWER_S)
    assert ("New, TLSv1.3" in done.stdout) is taken, done
