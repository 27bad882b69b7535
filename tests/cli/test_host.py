# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which daemon is talked to, and what is said when there is none."""

import json
import os
import socket
import subprocess
import ssl
import threading

import pytest

from fake import FakeDaemon, answer

GOOD = [answer(200, {"value": "0x00000001"})]


def hosts(client, content):
    directory = client.home / ".config" / "devreg"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return directory / "hosts.json"


def reads(client, *words):
    result = client(*words, "read", "edu:0x0")
    return result.code == 0 and result.out == "0x00000001\n"


def test_forms_of_a_socket(client, start):
    path = start(GOOD).host
    for form in (path, "unix:" + path, "./" + os.path.basename(path)):
        assert reads(client, "-H", form) and reads(client, f"--host={form}")


def test_forms_of_a_url(client, start):
    daemon = start(GOOD, "tcp")
    port = daemon.host.rpartition(":")[2]
    for form in (daemon.host, daemon.host + "/", f"HTTP://localhost:{port}", f"http://[::ffff:127.0.0.1]:{port}"):
        assert reads(client, "-H", form), form
    assert daemon.requests[0].fields["host"] == f"127.0.0.1:{port}"
    assert daemon.requests[3].fields["host"] == f"[::ffff:127.0.0.1]:{port}"
    assert reads(client, "-H", daemon.host + "/rigs/1/")
    assert daemon.lines[-1] == "GET /rigs/1/v1/regions/edu/registers/0x0"


@pytest.mark.parametrize("text,code,expected", [
    ("", 2, "-H needs"),
    ("unix:", 2, "no path"),
    ("/" + "x" * 200, 2, "longer than 107 octets"),
    ("ftp://x", 2, "only http:// and https://"),
    ("http://", 2, "is not a URL of a daemon"),
    ("http://x:0", 2, "is not a URL"),
    ("http://x:65536", 2, "is not a URL"),
    ("http://x:0x50", 2, "is not a URL"),
    ("http://x:", 2, "is not a URL"),
    ("http://user:secret@x/", 2, "is not a URL"),
    ("http://[::1", 2, "is not a URL"),
    ("http://[::1]x", 2, "is not a URL"),
    ("http://x/a b", 2, "is not a URL"),
    ("http://x/?query", 2, "is not a URL"),
    ("http://x\r\nHost: y/", 2, "is not a URL"),
    ("127.0.0.1:7373", 2, "for an address write http://127.0.0.1:7373"),
    ("rig1", 2, "hosts.json, which does not exist"),
    ("/nowhere/devregd.sock", 8, "is devregd running?"),
    ("/etc/passwd", 8, "no connection to /etc/passwd"),
    ("http://127.0.0.1:1", 8, "is devregd running, with --listen?"),
    ("http://no-such-host.invalid:7373", 8, "no-such-host.invalid"),
])
def test_wrong_hosts(client, text, code, expected):
    result = client("-H", text, "list")
    assert (result.code, result.out) == (code, "") and expected in result.err and result.err.count("\n") == 1
    client.variables["DEVREG_HOST"] = text
    if text:
        assert client("list").err == result.err


def test_a_stale_socket(client, tmp_path):
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    result = client("-H", path, "list")
    assert result.code == 8 and "nobody listens there any more: start devregd" in result.err


def test_a_listener_that_never_accepts(client, tmp_path):
    """The queue of the socket fills up; the time limit holds anyway."""
    path = str(tmp_path / "full.sock")
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(path)
        full.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            try:
                one.connect(path)
            except BlockingIOError:
                pass
        result = client("-H", path, "--timeout", "0.3", "list")
        for one in waiting:
            one.close()
    assert result.code in (7, 8)


def test_the_variable(client, start):
    client.variables["DEVREG_HOST"] = start(GOOD).host
    assert reads(client)
    client.variables["DEVREG_HOST"] = "/nowhere"
    assert reads(client, "-H", start(GOOD).host)


def test_names(client, start):
    unix, tcp = start(GOOD), start(GOOD, "tcp")
    path = hosts(client, {"hosts": {"here": unix.host, "there": tcp.host, "bad": "there", "worse": 5}, "later": {}})
    assert reads(client, "-H", "here") and reads(client, "-H", "there")
    client.variables["DEVREG_HOST"] = "there"
    assert reads(client)
    for name, expected in (("nope", f"no host is called nope in {path}, which has: here, there, bad, worse"),
                           ("bad", 'the host bad stands for "there", which is neither'),
                           ("worse", "/hosts/worse: expected a string")):
        result = client("-H", name, "list")
        assert result.code == 2 and expected in result.err


def test_the_configuration_folder(client, start, tmp_path):
    unix = start(GOOD)
    other = tmp_path / "other"
    (other / "devreg").mkdir(parents=True)
    (other / "devreg" / "hosts.json").write_text(json.dumps({"hosts": {"here": unix.host}}))
    client.variables["XDG_CONFIG_HOME"] = str(other)
    assert reads(client, "-H", "here")
    client.variables["XDG_CONFIG_HOME"] = "other"
    assert client("-H", "here", "list").code == 2
    hosts(client, {"hosts": {"here": unix.host}})
    assert reads(client, "-H", "here")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"hosts": []}', '{"hosts": {"a": "b", "a": "c"}}', "\x00", '{"hosts": {"a": "\xff'])
def test_bad_host_files(client, content):
    path = hosts(client, content)
    result = client("-H", "a", "list")
    assert result.code == 2 and str(path) in result.err


def test_the_session_socket(client):
    directory = client.home / "runtime" / "devregd"
    directory.mkdir(parents=True)
    daemon = FakeDaemon(GOOD, str(directory / "devregd.sock"))
    if not os.path.exists("/run/devregd/devregd.sock"):
        assert reads(client)
    daemon.stop()


def test_nothing_anywhere(client):
    if os.path.exists("/run/devregd/devregd.sock") or os.path.exists(f"/tmp/devregd-{os.geteuid()}/devregd.sock"):
        pytest.xfail("a daemon is listening at its usual place")
    result = client("list")
    assert result.code == 8
    assert result.err == (
        "devregctl: no daemon found: tried /run/devregd/devregd.sock, "
        f"{client.home}/runtime/devregd/devregd.sock, /tmp/devregd-{os.geteuid()}/devregd.sock; "
        "start devregd, or say where it is with -H\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)
    return directory


def test_https_needs_a_trusted_certificate(client, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(4096)
                secure.sendall(GOOD[0])
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    result = client("-H", "https://localhost:%d" % listener.getsockname()[1], "read", "edu:0x0")
    thread.join()
    listener.close()
    assert (result.code, result.out) == (8, "") and "certificate" in result.err
