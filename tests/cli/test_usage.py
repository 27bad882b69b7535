# SPDX-License-Identifier: LGPL-2.1-or-later
"""Help, man page and completion say the same as the table of verbs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import program
from fake import answer

SOURCE = Path(__file__).resolve().parents[2] / "client"
MAN = (SOURCE / "man" / "devregctl.1").read_text()
COMPLETION = SOURCE / "completion" / "devregctl.bash"


def plain_man():
    """The page without its markup."""
    text = re.sub(r"\\f[RBIP]|\\&", "", MAN).replace("\\-", "-")
    return re.sub(r"^\.[A-Z]+ ", "", text, flags=re.M)


@pytest.fixture(scope="module")
def verbs():
    return subprocess.run([program("DEVREGCTL"), "--list-verbs"], capture_output=True, text=True).stdout.splitlines()


def options_of(verb):
    done = subprocess.run([program("DEVREGCTL"), "--list-options", verb], capture_output=True, text=True)
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_the_verbs(verbs):
    assert verbs == ["list", "show", "read", "write", "data get", "data put", "status", "explain", "reserve", "renew", "release",
                     "reservations", "interrupts", "interrupts watch", "interrupts wait", "interrupts mask", "interrupts unmask",
                     "buffer alloc", "buffer list", "buffer show", "buffer get", "buffer put", "buffer fill", "buffer sync",
                     "buffer renew", "buffer free", "whoami", "access explain", "token create", "token list", "token revoke", "bind", "unbind",
                     "reset", "audit"]


def test_help_lists_every_verb_and_global_option(client, verbs):
    result = client("--help")
    assert (result.code, result.err) == (0, "")
    for verb in verbs:
        assert re.search(rf"^  {verb}\b.*  \S", result.out, re.M), verb
    for option in options_of(""):
        assert option.rstrip("=") in result.out
    assert max(map(len, result.out.splitlines())) <= 100
    assert client("-h").out == result.out


def test_help_of_each_verb(client, verbs):
    for verb in verbs:
        result = client(*verb.split(), "--help")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"Usage: devregctl {verb}")
        assert f"\n  devregctl {verb.split()[0]}" in result.out or f" | devregctl {verb}" in result.out
        for option in options_of(verb):
            assert option.rstrip("=") in result.out
        assert "  \n" not in result.out and " \n" not in result.out
        assert max(map(len, result.out.splitlines())) <= 110


def test_help_needs_no_daemon_and_no_operands(client):
    assert client("-H", "/nowhere", "read", "--help").code == 0
    assert client("--version").out.startswith("devregctl 0.")


def test_the_man_page_has_every_verb_with_its_options(client, verbs):
    headings = [line for line in re.findall(r"^\.SS (.*)$", MAN.replace("\\-", "-"), re.M) if line not in ("Places", "Values")]
    # A long usage goes on in indented lines.
    usages = [re.match(r"Usage: devregctl (.*(?:\n {7,}.*)*)", client(*verb.split(), "--help").out)[1] for verb in verbs]
    # The same words; the man page puts the options in the order in which it explains them.
    assert [sorted(heading.split()) for heading in headings] == [sorted(usage.split()) for usage in usages]
    for verb in verbs:
        for option in options_of(verb):
            assert option.rstrip("=") in plain_man()


def test_the_man_page_has_every_exit_code():
    source = (SOURCE / "failure.h").read_text()
    codes = re.findall(r"EXIT_CODE_\w+ = (\d+)", source)
    section = MAN.partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
    assert codes == re.findall(r"^\.B (\d+)$", section, re.M)
    # The same statuses under the same code as in the table.
    names = dict(re.findall(r"(EXIT_CODE_\w+) = (\d+)", source))
    documented = {int(status): int(code) for code, text in re.findall(r"^\.B (\d)\n(.*)$", section, re.M)
                  for status in re.findall(r"\b[45]\d\d\b", text)}
    table = {int(status): int(names[name]) for status, name in
             re.findall(r"\{(\d{3}), (EXIT_CODE_\w+)", (SOURCE / "failure.c").read_text())}
    assert table == documented


def test_the_man_page_is_correct():
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", SOURCE / "man" / "devregctl.1"],
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words,expected", [
    ([], "no verb; devregctl --help lists them"),
    (["poke"], "no verb poke"),
    (["--poke", "list"], "devregctl has no option --poke"),
    (["-x", "list"], "devregctl has no option -x"),
    (["list", "-x"], "list has no option -x; see devregctl list --help"),
    (["--json=yes", "list"], "--json takes no argument"),
    (["-H"], "-H needs an argument"),
    (["list", "planets"], "list shows regions or devices, not planets"),
    (["list", "regions", "x"], "list does not take x"),
    (["show"], "show needs more: devregctl show REGION|DEVICE"),
    (["show", "edu:0x0"], "takes just the name"),
    (["show", ""], "takes just the name"),
    (["status", "x"], "status does not take x"),
    (["explain", "edu:0x0+4"], "one place, not the range"),
    (["explain", "edu:"], "nothing after the colon"),
    (["token"], "token needs another word"),
    (["token", "create"], "token create needs more: devregctl token create NAME"),
    (["token", "create", "a", "--permission", ""], "--permission: an empty text"),
    (["token", "create", "a", "--for", "1y"], '--for: "1y" is not a time'),
    (["token", "revoke", ""], "a token has a name"),
    (["access", "explain", "user:a"], "access explain needs more"),
    (["access", "explain", "user:a", "edu:0x0+2"], "one place, not the range"),
    (["access", "explain", "user:a", "edu:NAME"], "access rules are about offsets"),
    (["access", "explain", "user:a", "edu", "--width", "8"], "are about one register: write edu:0xOFFSET"),
    (["audit", "--since", "yesterday"], '--since: "yesterday" is not a time'),
    (["audit", "--until", "-1h"], '--until: "-1h" is not a time'),
    (["audit", "-n", "0"], "is not a number of records"),
    (["audit", "x"], "audit does not take x"),
    (["renew"], "renew needs more"),
    (["release"], "release needs more"),
    (["release", "edu:NAME"], "reservations are of offsets"),
    (["whoami", "x"], "whoami does not take x"),
    (["--list-options", "poke"], "no verb poke"),
])
def test_wrong_command_lines(client, start, words, expected):
    daemon = start([answer(200, {})])
    client.variables["DEVREG_HOST"] = daemon.host
    result = client(*words)
    assert (result.code, result.out) == (2, "") and expected in result.err and result.err.count("\n") == 1
    assert daemon.requests == []


def complete(client, line):
    """What bash would offer for the line."""
    script = f"""
        PATH={os.path.dirname(program("DEVREGCTL"))}:$PATH
        source {COMPLETION}
        COMP_LINE=$1 COMP_POINT=${{#1}} _devregctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", line], capture_output=True, text=True,
                          env=client.variables, cwd=client.home, timeout=20)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_of_words(client, verbs):
    assert complete(client, "devregctl ") == sorted({verb.split()[0] for verb in verbs})
    assert complete(client, "devregctl --json re") == ["read", "release", "renew", "reservations", "reserve", "reset"]
    assert complete(client, "devregctl token ") == ["create", "list", "revoke"]
    assert complete(client, "devregctl --cacert x access ") == ["explain"]
    assert complete(client, "devregctl token create ci --permission w") == ["write"]
    assert complete(client, "devregctl audit --result ") == ["ok", "refused", "failed"]
    assert complete(client, "devregctl bind edu --driver u") == ["uio_pci_generic"]
    assert "--wait" in complete(client, "devregctl reserve edu --w")
    assert complete(client, "devregctl reserve edu --wait -- printen") == ["printenv"]
    assert complete(client, "devregctl reserve edu -- --wid") == []
    assert complete(client, "devregctl data ") == ["get", "put"]
    assert complete(client, "devregctl read --w") == ["--width"]
    assert complete(client, "devregctl read edu:0x0 --width ") == ["8", "16", "32", "64"]
    assert complete(client, "devregctl list d") == ["devices"]
    for verb in verbs:
        assert complete(client, f"devregctl {verb} --") == [o.rstrip("=") for o in options_of(verb) if o.startswith("--")]
    assert "--host" in complete(client, "devregctl --")


def test_completion_of_regions(client, start):
    daemon = start([answer(200, {"regions": [{"name": "edu"}, {"name": "odd"}, {"name": "$(touch owned)"}, {"name": "`touch owned`"}]})])
    host = f"devregctl -H {daemon.host}"
    assert complete(client, f"{host} read ") == ["edu:0x", "odd:0x"]
    assert complete(client, f"{host} write e") == ["edu:0x"]
    assert complete(client, f"{host} data get o") == ["odd:0x"]
    assert complete(client, f"{host} show ") == ["edu", "odd"]
    assert complete(client, f"{host} reserve ") == ["edu", "odd"]
    assert complete(client, f"{host} release e") == ["edu"]
    assert complete(client, f"{host} access explain user:me ") == ["edu", "odd"]
    assert complete(client, f"{host} audit --region ") == ["edu", "odd"]
    assert complete(client, f"{host} read edu:0x") == []
    assert complete(client, "devregctl -H /nowhere read ") == []
    assert not (client.home / "owned").exists()


def test_completion_of_devices(client, start):
    daemon = start([answer(200, {"devices": [{"name": "net"}, {"name": "nvme"}, {"name": "$(touch owned)"}]})])
    host = f"devregctl -H {daemon.host}"
    assert complete(client, f"{host} bind ") == ["net", "nvme"]
    assert complete(client, f"{host} unbind nv") == ["nvme"]
    assert complete(client, f"{host} reset ne") == ["net"]
    assert complete(client, f"{host} bind --driver devreg n") == ["net", "nvme"]
    assert complete(client, f"{host} bind net ") == []
    assert not (client.home / "owned").exists()


def test_completion_of_interrupts(client, start):
    daemon = start([answer(200, {"interrupts": [{"name": "edu"}, {"name": "msix-0"}, {"name": "$(touch owned)"}]})])
    host = f"devregctl -H {daemon.host}"
    assert complete(client, f"{host} interrupts ") == ["list", "mask", "unmask", "wait", "watch"]
    assert complete(client, f"{host} interrupts wa") == ["wait", "watch"]
    assert complete(client, f"{host} interrupts list ") == []
    assert complete(client, f"{host} interrupts watch --kind s") == ["storm"]
    assert complete(client, f"{host} interrupts watch --heartbeat 5 m") == ["msix-0"]
    assert complete(client, f"{host} interrupts wait edu ") == ["edu", "msix-0"]
    assert complete(client, f"{host} interrupts wait --timeout 5s e") == ["edu"]
    assert complete(client, f"{host} interrupts mask ") == ["edu", "msix-0"]
    assert complete(client, f"{host} interrupts unmask edu ") == []
    assert complete(client, "devregctl interrupts wait edu --timeout 5 -- printen") == ["printenv"]
    assert not (client.home / "owned").exists()


def test_completion_of_buffers(client, start):
    daemon = start([answer(200, {"buffers": [{"id": "b-1f00"}, {"id": "b-2e"}, {"id": "$(touch owned)"}]})])
    host = f"devregctl -H {daemon.host}"
    assert complete(client, f"{host} buffer s") == ["show", "sync"]
    assert complete(client, f"{host} buffer get ") == ["b-1f00", "b-2e"]
    assert complete(client, f"{host} buffer free b-1f00 b-2") == ["b-2e"]
    assert complete(client, f"{host} buffer sync b-2e ") == ["device", "cpu"]
    assert complete(client, f"{host} buffer fill --offset 4k b-1") == ["b-1f00"]
    assert complete(client, f"{host} buffer alloc edu 4k --kind s") == ["streaming", "scattered"]
    assert complete(client, f"{host} buffer alloc edu 4k --direction t") == ["to_device"]
    assert complete(client, f"{host} buffer alloc edu --bits ") == []
    assert not (client.home / "owned").exists()
    daemon = start([answer(200, {"devices": [{"name": "edu"}]})])
    assert complete(client, f"devregctl -H {daemon.host} buffer alloc ") == ["edu"]


def test_completion_of_files(client):
    (client.home / "memory.bin").touch()
    assert complete(client, "devregctl data put edu:0x0 mem") == ["memory.bin"]
    assert complete(client, "devregctl buffer put b-1 mem") == ["memory.bin"]
    assert complete(client, "devregctl buffer get b-1 --offset 4k mem") == ["memory.bin"]
    assert complete(client, "devregctl data get edu:0x0 4 -o mem") == ["memory.bin"]
    assert complete(client, "devregctl --cacert mem") == ["memory.bin"]
    assert complete(client, "devregctl reserve edu -- cat mem") == ["memory.bin"]


def test_the_man_page_has_the_audit_trails_fields():
    header = (SOURCE.parent / "daemon" / "core" / "audit.h").read_text()
    names = {name.lower() for name in re.findall(r"\bDEVREG_([A-Z]+)\b", header)}
    section = MAN.partition(".SH AUDIT FIELDS")[2].partition(".SH ")[0]
    listed = {word for line in re.findall(r"^\.TP\n\.B ([a-z, ]+)$", section, re.M) for word in line.split(", ")}
    assert listed - {"time"} == names
