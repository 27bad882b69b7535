# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what, with real users, a real journal and a real service manager: Unix users and groups over the socket, tokens over
HTTP, client certificates over TLS, reservations through a restart, and the audit as the journal has it."""
import json
import os
import re
import subprocess
import time
import uuid

import pytest

SOCKET = "/run/devregd/devregd.sock"
EDU = "/v1/regions/edu"


@pytest.fixture(scope="module", autouse=True)
def users(guest):
    """Two users, and a socket that they may open: what they may do there is the rules' business alone."""
    guest.run("grep -q ^alice: /etc/passwd || printf 'alice:x:4001:4001::/:/bin/sh\\nbob:x:4002:4002::/:/bin/sh\\n' >>/etc/passwd")
    guest.run(f"chmod 0666 {SOCKET}")
    yield
    guest.run(f"chmod 0660 {SOCKET}")


def as_user(guest, user, command, groups=""):
    number = {"alice": 4001, "bob": 4002}[user]
    groups = f"--groups {groups}" if groups else "--clear-groups"
    return guest.run(f"setpriv --reuid {number} --regid {number} {groups} {command}", check=False)


@pytest.fixture
def token(http):
    """token(NAME, ...) makes one and gives devregctl with it."""
    names = []

    def make(name, **more):
        status, answer = http.json("POST", "/v1/tokens", {"name": name, **more})
        assert status == 201, answer
        names.append(name)
        environment = {**os.environ, "DEVREG_TOKEN": answer["token"]}

        def run(*words):
            command = [os.environ["DEVREGCTL"], "-H", os.environ["DEVREG_HOST"], *map(str, words)]
            return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        return run
    yield make
    for name in names:
        http.json("DELETE", f"/v1/tokens/{name}")


def audit(http, **filters):
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    return http.get(f"/v1/audit?{query}")["records"]


def test_unix_users(guest):
    assert json.loads(as_user(guest, "alice", "devregctl --json whoami").stdout)["principal"] == "user:alice"
    assert as_user(guest, "alice", "devregctl read edu:0x0").stdout == "0x010000ed\n"
    for user, command in (("alice", "write edu:0x4 1"), ("alice", "read hpet:0x0"), ("bob", "read edu:0x0"),
                          ("bob", "list"), ("alice", "token list"), ("alice", "audit")):
        refused = as_user(guest, user, f"devregctl {command}")
        assert refused.returncode == 3 and f"user:{user}" in refused.stderr, (command, refused)
    assert guest.run("devregctl write edu:0x4 1", check=False).returncode == 0


def test_unix_groups(guest):
    assert as_user(guest, "bob", "devregctl write edu:0x4 0x11", groups="4242").returncode == 0
    assert guest.output("devregctl read edu:0x4") == "0xffffffee"
    for command in ("write edu:0x8 1", "write edu-mem:0x4 1", "read edu:0x4"):
        assert as_user(guest, "bob", f"devregctl {command}", groups="4242").returncode == 3, command


def test_a_denied_register_cannot_be_reached_another_way(http, token):
    """0x84 to 0x87 of edu, the upper half of a 64-bit register, are denied to tokens."""
    run = token("narrow")
    for offset in (0x80, 0x84):
        assert http.json("PUT", f"{EDU}/registers/{offset:#x}?width=32", {"value": "0x0"})[0] == 200
    for region in ("edu", "edu-mem"):
        assert run("write", f"{region}:0x80", "0x55", "--width", 32).returncode == 0
        for words in (("write", f"{region}:0x84", 1), ("write", f"{region}:0x80", "0x1ffffffff", "--width", 64),
                      ("write", f"{region}:0x80", 1, 2), ("write", f"{region}:0x84", 1, "--mask", 1)):
            refused = run(*words)
            assert refused.returncode == 3 and "locked" in refused.stderr, (words, refused)
        assert http.get(f"/v1/regions/{region}/registers/0x80?width=64")["value"] == "0x0000000000000055"
    assert run("read", "edu:0x84").returncode == 0


def test_reservation_holds_through_a_restart(guest, http, token, eventually):
    first, second = token("first"), token("second")
    held = json.loads(first("--json", "reserve", "edu", "--for", "5m", "--note", "bring-up").stdout)
    refused = second("read", "edu-mem:0x0")
    assert refused.returncode == 5 and "token:first" in refused.stderr and "bring-up" in refused.stderr, refused
    # Not a failure this once, which would be reported as the end of the rig.
    folder = "/run/systemd/system/devregd.service.d"
    kill = (f"mkdir {folder} && printf '[Service]\\nSuccessExitStatus=SIGKILL\\n' >{folder}/kill.conf && systemctl daemon-reload && "
            f"systemctl kill -s KILL devregd; sleep 1; rm -r {folder}; systemctl daemon-reload; systemctl start devregd")
    for command in ("systemctl restart devregd", kill):
        guest.run(command)
        guest.run(f"chmod 0666 {SOCKET}")
        eventually(lambda: http.request("GET", "/healthz")[0] == 200)
        assert first("read", "edu:0x0").stdout == "0x010000ed\n"
        refused = second("read", "edu:0x0")
        assert refused.returncode == 5 and held["id"] in json.loads(second("--json", "read", "edu:0x0").stderr)["reservation"]
    assert second("release", held["id"]).returncode == 3
    assert first("release", held["id"]).returncode == 0
    assert second("read", "edu:0x0").returncode == 0


def test_a_date_that_jumps_ends_and_prolongs_nothing(guest, http, token):
    first, second = token("steady"), token("other")
    held = json.loads(first("--json", "reserve", "edu", "--for", "5m").stdout)
    try:
        for jump in ("1 year", "-2 years"):
            guest.run(f"date -s '{jump}'")
            assert second("read", "edu:0x0").returncode == 5 and first("read", "edu:0x0").returncode == 0, jump
            left = http.get(f"/v1/reservations/{held['id']}")
            assert left["state"] == "held" and 240 < left["until_seconds"] <= 300, (jump, left)
    finally:
        guest.run(f"date -s @{int(time.time())}")
    assert first("release", held["id"]).returncode == 0


def test_takeover_with_a_reason(http, token, devregctl):
    first = token("held")
    held = json.loads(first("--json", "reserve", "edu").stdout)
    taken = devregctl("--json", "reserve", "edu", "--takeover", "the release needs the rig")
    assert taken.returncode == 0, taken
    try:
        refused = first("read", "edu:0x0")
        assert refused.returncode == 5 and "anonymous" in refused.stderr
        ended = http.get(f"/v1/reservations/{held['id']}")
        assert ended["state"] == "ended" and ended["ended"] == "taken-over" and "the release needs the rig" in ended["reason"]
        assert first("release", held["id"]).returncode != 0
    finally:
        assert devregctl("release", json.loads(taken.stdout)["id"]).returncode == 0


def test_reserve_runs_a_command(token, http):
    run = token("runner")
    done = run("reserve", "edu", "--", "sh", "-c",
               f'"{os.environ["DEVREGCTL"]}" -H "{os.environ["DEVREG_HOST"]}" read edu:0x0; exit 7')
    assert (done.returncode, done.stdout) == (7, "0x010000ed\n"), done
    assert http.get("/v1/reservations")["reservations"] == []


def test_audit_in_the_journal(guest, http, token):
    run = token("audited")
    assert run("write", "edu:0x4", "0x12345678").returncode == 0
    assert run("write", "edu:0x4", "0x80", "--mask", "0xff").returncode == 0
    assert run("write", "edu:0x84", 1).returncode == 3
    assert run("read", "hpet:0x0").returncode == 0
    assert run("read", "edu:0x0").returncode == 0
    records = audit(http, principal="token:audited", since=300)
    facts = [(r["action"], r["region"], r["offset"], r["result"]) for r in records if "region" in r]
    assert facts == [("write", "edu", "0x4", "ok"), ("modify", "edu", "0x4", "ok"), ("write", "edu", "0x84", "refused"),
                     ("read", "hpet", "0x0", "ok")], records
    assert records[0]["new"] == "0x12345678" and records[1]["old"] == "0xedcba987" and records[1]["mask"] == "0x000000ff"
    assert len({record["request"] for record in records}) == len(records)
    assert audit(http, principal="token:audited", action="modify", since=300) == [records[1]]
    assert audit(http, principal="token:audited", result="refused", since=300) == [records[2]]
    text = guest.output(f"journalctl -o json DEVREG_REQUEST={records[0]['request']}")
    journal = json.loads(text)
    assert journal["DEVREG_PRINCIPAL"] == "token:audited" and journal["DEVREG_NEW"] == "0x12345678"
    assert journal["SYSLOG_IDENTIFIER"] == "devregd"
    shown = guest.output("devregctl audit --since 5m --principal token:audited --action write")
    assert "0x12345678" in shown and "refused" in shown and len(shown.splitlines()) == 3


def test_nothing_can_be_put_into_the_journal(guest, http):
    name = f"x%0ADEVREG_PRINCIPAL=user:root%0A{uuid.uuid4()}"
    before = guest.output("journalctl --no-pager DEVREG_PRINCIPAL=user:root -o json | wc -l")
    assert http.request("PUT", f"/v1/regions/{name}/registers/0x0", {"value": 1})[0] == 400
    assert http.json("POST", "/v1/reservations", {"region": "edu", "note": "n\nDEVREG_PRINCIPAL=user:root\n\x1b[31m"})[0] in (201, 400)
    for reservation in http.get("/v1/reservations")["reservations"]:
        assert http.json("DELETE", f"/v1/reservations/{reservation['id']}")[0] == 200
    assert guest.output("journalctl --no-pager DEVREG_PRINCIPAL=user:root -o json | wc -l") == before


@pytest.fixture(scope="module")
def tls(guest, tmp_path_factory):
    """A second devregd in the guest, with a certificate and a CA for clients, on the guest's own network address."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-subj", "/CN=rig", "-addext", "subjectAltName=DNS:rig,IP:127.0.0.1", "-keyout", "tls.key",
            "-out", "tls.crt")
    openssl("req", "-x509", *key, "-subj", "/CN=clients", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *key[:4], "-nodes", "-subj", "/CN=bench", "-keyout", "bench.key", "-out", "bench.csr")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-in", "bench.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-extfile", "client.ext",
            "-out", "bench.crt")
    (folder / "devregd.json").write_text(json.dumps({
        "listen": ["/run/tls/devregd.sock", "https://0.0.0.0:7443"], "state": "/run/tls/state",
        "tls": {"certificate": "/run/tls/tls.crt", "key": "/run/tls/tls.key", "client_ca": "/run/tls/ca.crt"},
        "access": [{"principals": ["certificate:bench", "token:*"], "permissions": ["list", "read"]},
                   {"principals": ["user:root"], "permissions": ["all"]}],
        "devices": [{"name": "edu", "id": "1234:11e8", "regions": [{"name": "edu", "bar": 0, "widths": [32, 64]}]}]}))
    guest.run("mkdir -p -m 0700 /run/tls")
    for name in ("tls.crt", "tls.key", "ca.crt", "bench.crt", "bench.key", "devregd.json"):
        guest.push(folder / name, f"/run/tls/{name}")
    guest.run("chmod 0600 /run/tls/*.key")
    guest.run("systemd-run --quiet --unit=devregd-tls --property=Type=notify /run/rig/devregd --config /run/tls/devregd.json")
    yield "devregctl -H https://rig:7443 --cacert /run/tls/tls.crt"
    guest.run("systemctl stop devregd-tls", check=False)


def test_identities_over_tls(guest, tls):
    nobody = guest.run(f"{tls} read edu:0x0", check=False)
    assert nobody.returncode == 3 and "token" in nobody.stderr, nobody
    certificate = f"{tls} --cert /run/tls/bench.crt --key /run/tls/bench.key"
    assert json.loads(guest.output(f"{certificate} --json whoami"))["principal"] == "certificate:bench"
    assert guest.output(f"{certificate} read edu:0x0") == "0x010000ed"
    assert guest.run(f"{certificate} write edu:0x4 1", check=False).returncode == 3
    secret = guest.output("devregctl -H /run/tls/devregd.sock token create remote --for 1h 2>/dev/null")
    assert re.fullmatch(r"devreg_[A-Za-z0-9_-]{43}", secret)
    with_token = f"env DEVREG_TOKEN={secret} {tls}"
    assert json.loads(guest.output(f"{with_token} --json whoami"))["principal"] == "token:remote"
    assert guest.output(f"{with_token} read edu:0x0") == "0x010000ed"
    guest.run("devregctl -H /run/tls/devregd.sock token revoke remote")
    revoked = guest.run(f"{with_token} read edu:0x0", check=False)
    assert revoked.returncode == 3 and "token" in revoked.stderr
    assert guest.output(f"journalctl --no-pager -o export | grep -c {secret} || true") == "0", "a token is in the journal"
    plain = guest.run("devregctl -H http://rig:7443 status", check=False)
    assert plain.returncode in (1, 8), plain


def test_exposure_is_refused_with_the_missing_setting(guest):
    for words, message in (("--listen 0.0.0.0:7999", "https"), ("--listen https://0.0.0.0:7999", "tls.certificate")):
        refused = guest.run(f"/run/rig/devregd --config /run/rig/devregd.json --state /run/none --socket /run/none.sock {words}",
                            check=False)
        assert refused.returncode != 0 and message in refused.stderr, refused
