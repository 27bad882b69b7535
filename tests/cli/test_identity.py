# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens, certificates and the reservation that requests belong to."""

import json
import os
import socket
import ssl
import subprocess
import threading

import pytest

from events import IDENTITY, Raw, frame, interrupt
from fake import answer, problem

TOKEN = "devreg_" + "aB3-_" * 8 + "xyz"
GOOD = [answer(200, {"value": "0x00000001"})]


def hosts(client, content):
    directory = client.home / ".config" / "devreg"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.json").write_text(json.dumps({"hosts": content}))
    return directory


def test_a_token_is_sent_and_not_shown(client, over):
    daemon, run = over([problem(403, "not yours"), *GOOD])
    client.variables["DEVREG_TOKEN"] = TOKEN
    result = run("read", "edu:0x0")
    assert result.code == 3 and TOKEN not in result.err
    assert run("read", "edu:0x0").code == 0
    assert [request.fields["authorization"] for request in daemon.requests] == [f"Bearer {TOKEN}"] * 2
    client.variables["DEVREG_TOKEN"] = ""
    assert run("read", "edu:0x0").code == 0
    assert "authorization" not in daemon.requests[-1].fields


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "a\n", "ä", "a" * 1025, "\x1b[2J", '"a"'])
def test_what_is_no_token(client, start, token):
    daemon = start(GOOD)
    client.variables["DEVREG_TOKEN"] = token
    result = client("-H", daemon.host, "list")
    assert result.code == 2 and "DEVREG_TOKEN is no token" in result.err and token not in result.err
    assert daemon.connections == 0


@pytest.mark.parametrize("host", ["http://192.0.2.1:7373", "http://rig1.example", "http://127.0.0.1.example", "http://[::2]:1",
                                  "http://localhost.example", "http://127.1", "http://[::ffff:192.0.2.1]", "http://0.0.0.0:1",
                                  "http://128.0.0.1"])
def test_a_token_is_not_sent_in_the_clear(client, host):
    client.variables["DEVREG_TOKEN"] = TOKEN
    result = client("-H", host, "list")
    assert result.code == 2 and TOKEN not in result.err and result.err.count("\n") == 1
    assert "DEVREG_TOKEN is not sent" in result.err and "everybody on the way could read it" in result.err and "https://" in result.err


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]"])
def test_loopback_is_no_way(client, start, name):
    daemon = start(GOOD, "tcp")
    client.variables["DEVREG_TOKEN"] = TOKEN
    assert client("-H", f"http://{name}:{daemon.port}", "read", "edu:0x0").code == 0


def test_a_token_file(client, start):
    daemon = start(GOOD)
    directory = hosts(client, {"here": {"url": daemon.host, "token_file": "here.token"},
                               "home": {"url": daemon.host, "token_file": "~/home.token"},
                               "far": {"url": "http://192.0.2.1:1", "token_file": "here.token"}})
    for path in (directory / "here.token", client.home / "home.token"):
        path.write_text(TOKEN + "\n")
        path.chmod(0o600)
    for name in ("here", "home"):
        assert client("-H", name, "read", "edu:0x0").code == 0
        assert daemon.requests[-1].fields["authorization"] == f"Bearer {TOKEN}"
    result = client("-H", "far", "list")
    assert result.code == 2 and "the token of this host in hosts.json is not sent" in result.err
    client.variables["DEVREG_TOKEN"] = "another"     # of another daemon, maybe
    assert client("-H", "here", "read", "edu:0x0").code == 0
    assert daemon.requests[-1].fields["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("content,mode,expected", [
    (TOKEN, 0o640, "others can get at this token (mode 0640): chmod 600"),
    (TOKEN, 0o604, "others can get at this token"),
    (TOKEN, 0o602, "others can get at this token"),
    ("", 0o600, "expected one token"),
    ("\n", 0o600, "expected one token"),
    (TOKEN + "\n" + TOKEN, 0o600, "expected one token"),
    (TOKEN + "\0x", 0o600, "expected one token"),
    ("x" * 100000, 0o600, "expected one token"),
    (None, 0, "No such file"),
    ("fifo", 0o600, "from a regular file"),
    ("folder", 0o700, "from a regular file"),
])
def test_bad_token_files(client, start, content, mode, expected):
    daemon = start(GOOD)
    path = hosts(client, {"here": {"url": daemon.host, "token_file": "here.token"}}) / "here.token"
    if content == "fifo":
        os.mkfifo(path)
    elif content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    if content is not None:
        path.chmod(mode)
    result = client("-H", "here", "list")
    assert result.code == 2 and expected in result.err and str(path) in result.err and TOKEN not in result.err
    assert daemon.connections == 0


@pytest.mark.parametrize("entry,expected", [
    ({}, '/hosts/a: expected a "url"'),
    ({"url": 5}, "/hosts/a/url: expected a string"),
    ({"url": ""}, "/hosts/a/url: expected a string"),
    ({"url": "/x", "token": TOKEN}, "/hosts/a/token: only url, token_file, cacert, cert and key are known"),
    ({"url": "/x", "token_file": None}, "/hosts/a/token_file: expected a string"),
    ({"url": "/x", "cacert": "y"}, "is not https://"),
    ({"url": "http://127.0.0.1:1", "cert": "y"}, "is not https://"),
    (["x"], "/hosts/a: expected a string, or an object"),
])
def test_bad_entries(client, entry, expected):
    hosts(client, {"a": entry})
    result = client("-H", "a", "list")
    assert result.code == 2 and expected in result.err and TOKEN not in result.err


def test_the_reservation(client, over):
    daemon, run = over(GOOD)
    client.variables["DEVREG_RESERVATION"] = "r-00ff"
    assert run("read", "edu:0x0").code == 0
    assert daemon.requests[-1].fields["devreg-reservation"] == "r-00ff"
    for text in ("a b", "r-1\r\nX: y", "x" * 65, "../x"):
        client.variables["DEVREG_RESERVATION"] = text
        result = run("read", "edu:0x0")
        assert result.code == 2 and "DEVREG_RESERVATION" in result.err
    client.variables["DEVREG_RESERVATION"] = ""
    assert run("read", "edu:0x0").code == 0
    assert "devreg-reservation" not in daemon.requests[-1].fields


# --- TLS ---

def openssl(directory, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """ca and other: authorities. server, wrong (another name), old (expired), alien (of other), rig1 (a client)."""
    directory = tmp_path_factory.mktemp("pki")
    for ca in ("ca", "other"):
        openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ca}",
                "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    for name, subject, ca, days in (("server", "localhost", "ca", 2), ("wrong", "rig9.example", "ca", 2), ("old", "localhost", "ca", -1),
                                    ("rig1", "rig1", "ca", 2), ("alien", "rig1", "other", 2)):
        openssl(directory, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (directory / "extensions").write_text(f"subjectAltName=DNS:{subject}")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
                "-days", days, "-extfile", "extensions", "-out", f"{name}.crt")
    (directory / "both.pem").write_text((directory / "rig1.crt").read_text() + (directory / "rig1.key").read_text())
    (directory / "junk").write_text("junk")
    return directory


def tls(pki, name="server", clients=False, most=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / f"{name}.crt", pki / f"{name}.key")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki / "ca.crt")
    if most:
        context.maximum_version = most
    return context


def test_an_authority_of_ones_own(client, start, pki):
    daemon = start(GOOD, "tcp", tls=tls(pki))
    client.variables["DEVREG_TOKEN"] = TOKEN
    assert client("-H", daemon.host, "--cacert", pki / "ca.crt", "read", "edu:0x0").code == 0
    assert daemon.requests[-1].fields["authorization"] == f"Bearer {TOKEN}"
    hosts(client, {"rig": {"url": daemon.host, "cacert": str(pki / "ca.crt")}, "bad": {"url": daemon.host, "cacert": str(pki / "other.crt")}})
    assert client("-H", "rig", "read", "edu:0x0").code == 0
    client.variables["DEVREG_CACERT"] = str(pki / "ca.crt")
    assert client("-H", "bad", "read", "edu:0x0").code == 0
    assert client("-H", daemon.host, "read", "edu:0x0", "--cacert", pki / "ca.crt").code == 0


@pytest.mark.parametrize("name,words,code,expected", [
    ("server", [], 8, ["an authority that this machine does not know", "administrator", "--cacert FILE or DEVREG_CACERT"]),
    ("server", ["--cacert", "other.crt"], 8, ["no authority in", "other.crt made its certificate"]),
    ("wrong", ["--cacert", "ca.crt"], 8, ["does not prove that it is this host", "use a name that is in the certificate"]),
    ("old", ["--cacert", "ca.crt"], 8, ["has expired", "clock"]),
    ("server", ["--cacert", "junk"], 2, ["junk: no certificates of authorities in it"]),
    ("server", ["--cacert", "nowhere"], 2, ["nowhere: No such file"]),
    ("server", ["--cacert", "ca.crt", "--cert", "junk"], 2, ["junk: no certificate with its key"]),
    ("server", ["--cacert", "ca.crt", "--cert", "rig1.crt"], 2, ["no certificate with its key"]),
    ("server", ["--cacert", "ca.crt", "--cert", "rig1.crt", "--key", "alien.key"], 2, ["no certificate with its key"]),
    ("server", ["--cacert", "ca.crt", "--key", "rig1.key"], 2, ["needs its certificate: give it with --cert FILE"]),
])
def test_tls_mistakes(client, start, pki, name, words, code, expected):
    daemon = start(GOOD, "tcp", tls=tls(pki, name))
    client.home = pki
    result = client("-H", daemon.host, *words, "list")
    assert (result.code, result.out) == (code, "") and result.err.count("\n") == 1, result
    assert all(text in result.err for text in expected), result
    assert daemon.requests == []


def test_a_stream_that_breaks(client, start, pki):
    first, second = (Raw(b": devreg %s-0\n\n" % IDENTITY.encode(), frame("interrupt", interrupt(n), f"{IDENTITY}-{n}").encode()) for n in (1, 2))
    daemon = start([first, second], "tcp", tls=tls(pki))
    client.variables["DEVREG_TOKEN"] = TOKEN
    result = client("-H", daemon.host, "--cacert", pki / "ca.crt", "interrupts", "watch", "--count", 2)
    assert result.code == 0 and "#1" in result.out and "#2" in result.out and "is back" in result.err
    assert [(request.fields.get("last-event-id"), request.fields["authorization"]) for request in daemon.requests] == [
        (None, f"Bearer {TOKEN}"), (f"{IDENTITY}-1", f"Bearer {TOKEN}")]


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(client, start, pki, most):
    daemon = start(GOOD, "tcp", tls=tls(pki, clients=True, most=most))
    client.home = pki
    read = ["-H", daemon.host, "--cacert", "ca.crt", "read", "edu:0x0"]
    assert client("--cert", "rig1.crt", "--key", "rig1.key", *read).code == 0
    assert client("--cert", "both.pem", *read).code == 0
    client.variables.update(DEVREG_CERT="rig1.crt", DEVREG_KEY="rig1.key")
    assert client(*read).code == 0
    result = client("--cert", "alien.crt", "--key", "alien.key", *read)
    assert result.code == 3 and "it refuses the client certificate" in result.err
    client.variables.update(DEVREG_CERT="", DEVREG_KEY="")
    result = client(*read)
    assert result.code == 3 and "does it want a --cert?" in result.err


def test_certificates_and_plain_http(client, over, pki):
    daemon, run = over(GOOD)
    client.home = pki
    result = run("--cert", "both.pem", "read", "edu:0x0")
    assert result.code == 2 and "is not https://" in result.err and daemon.connections == 0
    client.variables.update(DEVREG_CACERT="nowhere", DEVREG_CERT="nowhere")
    assert run("read", "edu:0x0").code == 0, "the environment is for all hosts"


def test_https_where_http_is_spoken(client, start, pki):
    daemon = start(GOOD, "tcp", tls=tls(pki))
    result = client("-H", daemon.host.replace("https", "http"), "--timeout", 3, "list")
    assert result.code in (1, 7)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        def refuse():
            connection, _ = plain.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        result = client("-H", "https://localhost:%d" % plain.getsockname()[1], "--timeout", 3, "list")
        thread.join()
    assert result.code == 8 and result.err.count("\n") == 1
