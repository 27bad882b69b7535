# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configurations, good and bad, as devregd --check-config and the published schema judge them.

good/NAME.json and good/NAME/devregd.json must be taken. bad/NAME.json and bad/NAME/devregd.json must be
refused with exactly the lines of bad/NAME.expected; one that ends in "..." is a beginning. What a schema
can't see is listed here: a line there that the schema could see is a mistake too."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import jsonschema
import pytest

HERE = pathlib.Path(__file__).resolve().parent
GOOD, BAD = HERE / "good", HERE / "bad"
SCHEMA = HERE.parent.parent / "daemon" / "devregd.schema.json"
NOBODY = 65534

# Names, places and sums that concern several values, the form of addresses, and the numbers in strings.
BEYOND_THE_SCHEMA = {
    "access-contradiction",
    "access-names",
    "access-range",
    "duplicate-names",
    "interrupts-places",
    "limits-principal",
    "limits-total",
    "overlap",
    "overlap-pci",
    "overlap-places",
    "ports",
    "tls-missing",
    "tls-nobody",
    "window",
}

# Texts that are no JSON, or none that Python's reader refuses: there is nothing to validate.
NOT_JSON = {
    "not-json",
    "empty-file",
    "blank-file",
    "cut",
    "trailing",
    "comment",
    "invalid-utf8",
    "nul",
    "duplicate-key",
    "duplicate-key-deep",
}


@pytest.fixture(scope="session")
def devregd():
    binary = os.environ.get("DEVREGD")
    assert binary, "set DEVREGD to the daemon's binary"
    assert os.access(binary, os.X_OK), f"DEVREGD={binary} can't be run"
    return binary


@pytest.fixture(scope="session")
def schema():
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def validator(schema, part=None):
    if part:
        schema = {"$schema": schema["$schema"], "$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


def run(devregd, path, *more, cwd=None, user=None):
    return subprocess.run(
        [devregd, "--check-config", "--config", str(path), *more],
        cwd=cwd,
        user=user,
        extra_groups=[] if user else None,
        capture_output=True,
        check=False,
        timeout=120,
    )


def mistakes(result):
    """The lines, after what must hold for every refusal."""
    text = result.stderr.decode("utf-8", "replace")
    assert result.returncode == 2, f"exit {result.returncode}: {text}"
    assert result.stdout == b""
    *lines, last = text.splitlines()
    count = re.fullmatch(r"devregd: the configuration has (\d+) mistakes?", last)
    assert count, text
    assert int(count.group(1)) == len(lines), text
    for line in lines:
        assert re.match(r".+?:[1-9]\d*:[1-9]\d*: \S", line), line
    return lines


def corpus(directory):
    names = sorted(path.stem for path in directory.glob("*.json"))
    names += sorted(path.parent.name for path in directory.glob("*/devregd.json"))
    assert names, f"{directory} is empty"
    return names


def main_file(directory, name):
    nested = pathlib.Path(name) / "devregd.json"
    return nested if (directory / nested).exists() else pathlib.Path(name + ".json")


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError("duplicate key")
    return dict(pairs)


def read_json(path):
    return json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=no_duplicates)


def files_of(directory, name):
    """Each file of a configuration, with the part of the schema that it must follow."""
    path = directory / main_file(directory, name)
    yield path, None
    if path.name == "devregd.json":
        for fragment in sorted((path.parent / "devices.d").glob("*.json")):
            yield fragment, "fragment"


@pytest.mark.parametrize("name", corpus(GOOD))
def test_good(devregd, name):
    result = run(devregd, main_file(GOOD, name), cwd=GOOD)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    assert b"is valid" in result.stdout


@pytest.mark.parametrize("name", corpus(BAD))
def test_bad(devregd, name):
    expected = (BAD / (name + ".expected")).read_text(encoding="utf-8").splitlines()
    lines = mistakes(run(devregd, main_file(BAD, name), cwd=BAD))
    assert len(lines) == len(expected), "\n".join(lines)
    for line, wanted in zip(lines, expected):
        if wanted.endswith("..."):
            assert line.startswith(wanted[:-3])
        else:
            assert line == wanted


def test_no_expectation_without_a_configuration():
    assert sorted(path.stem for path in BAD.glob("*.expected")) == sorted(corpus(BAD))


@pytest.mark.parametrize("name", corpus(GOOD))
def test_schema_takes_good(schema, name):
    for path, part in files_of(GOOD, name):
        validator(schema, part).validate(read_json(path))


@pytest.mark.parametrize("name", corpus(BAD))
def test_schema_refuses_bad(schema, name):
    verdicts = []
    for path, part in files_of(BAD, name):
        try:
            document = read_json(path)
        except ValueError:
            verdicts.append("unreadable")
            continue
        verdicts.append("taken" if validator(schema, part).is_valid(document) else "refused")
    if name in NOT_JSON:
        assert verdicts == ["unreadable"]
    elif name in BEYOND_THE_SCHEMA:
        assert set(verdicts) == {"taken"}, "the schema sees more than it is listed to"
    else:
        assert "refused" in verdicts, "the schema takes what devregd refuses"


def single_mistakes():
    """Configurations with one mistake each: that the schema refuses one of several proves little."""
    device = {"name": "d", "model": "edu", "regions": [{"name": "r"}]}
    pci = {"name": "d", "address": "00:07.0", "regions": [{"name": "r", "bar": 0}]}
    ram = {"name": "d", "model": "ram", "regions": [{"name": "r", "size": 4096}]}

    def changed(template, /, **keys):
        return {"devices": [{k: v for k, v in {**template, **keys}.items() if v is not None}]}

    def region(template, /, **keys):
        merged = {k: v for k, v in {**template["regions"][0], **keys}.items() if v is not None}
        return {"devices": [{**template, "regions": [merged]}]}

    yield from ({"listen": [text]} for text in ["", "127.0.0.1", "x.sock", 5, "/" + "a" * 107, "a:b"])
    yield from ({"limits": {key: 0}} for key in ["connections", "values", "queue", "idle_seconds", "tokens"])
    yield from ({"limits": {"queue": value}} for value in ["x", "1T", -1, 1.5, None, 65537, [], "1 k"])
    yield from ({"state": value} for value in ["", "state", "./state", "~/state", 5, None])
    yield from ({key: 1} for key in ["listen", "limits", "devices", "unknown"])
    yield from (changed(device, name=value) for value in [None, "", "-a", "a b", "a/b", "a:b", "a" * 64, 5])
    yield from (changed(device, description=value) for value in ["", 5])
    yield from (changed(device, backend=value) for value in ["kmod", "uio", "pci", "devmem", "ioport", "vfio", 5])
    yield from (changed(device, regions=value) for value in [None, [], {}, 5])
    yield from (changed(device, **{key: "/x"}) for key in ["address", "id", "path", "platform", "uio", "unknown"])
    yield from (changed(device, model=value) for value in [None, "rom", "", 5])
    yield from (changed(device, trace=value) for value in ["", 5])
    yield from (changed(pci, address=value) for value in [None, "", "00:20.0", "00:07", "00:07.8", "0:07.0", 5])
    yield from (changed(pci, address=None, id=value) for value in ["1234", "1234:11e8:256", "1234:11e8:", 5])
    yield changed(pci, id="1234:11e8")
    yield from (changed(pci, **{key: "x"}) for key in ["trace", "path", "platform", "uio"])
    yield from (changed(pci, backend=value) for value in ["devmem", "ioport", "sim"])
    yield from (region(pci, **{key: 0}) for key in ["resource", "uio_map", "uio_port"])
    yield from (region(pci, type=value) for value in ["mmio", "ioport"])
    yield from (region(pci, bar=value) for value in [None, 6, -1, "x", True])
    yield from (region(pci, offset=value) for value in [-1, "x", 1.5])
    yield from (region(pci, size=value) for value in [0, -1, "x", 1 << 63])
    yield from (region(pci, widths=value) for value in [[], [24], [8, 8], ["8"], 8])
    yield from (region(pci, endianness=value) for value in ["middle", 5])
    yield from (region(pci, access=value) for value in ["write", True])
    yield from (region(pci, **{key: value}) for key in ["slow", "write_combining"] for value in [1, "yes"])
    yield from (region(pci, **{key: 1}) for key in ["base", "unknown"])
    yield from (region(device, **{key: 1}) for key in ["bar", "offset", "base", "resource", "uio_map", "uio_port"])
    yield region(device, type="mmio")
    yield region(device, write_combining=False)
    yield from (region(ram, size=value) for value in [None, (1 << 30) + 1])
    yield from (region(ram, name=value) for value in [None, "", "..", 5])
    devmem = {"name": "d", "regions": [{"name": "r", "base": 4096, "size": 8}]}
    yield from (region(devmem, **{key: None}) for key in ["base", "size"])
    yield from (region(devmem, **{key: 0}) for key in ["bar", "offset"])
    yield from (changed(devmem, **{key: "x"}) for key in ["trace", "path", "platform", "uio"])
    yield from (changed(devmem, backend=value) for value in ["uio", "pci", "sim"])
    yield from (region(devmem, type=value) for value in ["port", 5])
    yield from (region(devmem, **{key: 0}) for key in ["resource", "uio_map", "uio_port"])
    devmem["backend"] = "devmem"
    yield region(devmem, type="ioport")
    yield region(devmem, write_combining=True)
    ports = {"name": "d", "backend": "ioport", "regions": [{"name": "r", "base": 112, "size": 2}]}
    yield from (region(ports, **{key: None}) for key in ["base", "size"])
    yield region(ports, type="mmio")
    yield region(ports, base=65536)
    yield region(ports, write_combining=False)
    yield from (changed(ports, **{key: "x"}) for key in ["platform", "uio"])
    yield changed(ports, address="00:07.0")
    ports["backend"] = "kmod"
    yield region(ports, type="ioport", write_combining=True)
    del ports["backend"]
    yield region(ports, type="ioport", write_combining=True)
    yield changed(ports, regions=[{"name": "r", "base": 112, "size": 2, "type": "ioport"}, {"name": "s", "bar": 0}])
    platform = {"name": "d", "platform": "a.b", "regions": [{"name": "r", "resource": 0}]}
    yield from (changed(platform, platform=value) for value in [None, "", "a/b", ".", "..", "a" * 64, 5])
    yield from (changed(platform, backend=value) for value in ["uio", "pci", "devmem", "ioport", "sim"])
    yield from (region(platform, resource=value) for value in [None, -1, 256, "x", True])
    yield from (region(platform, **{key: 0}) for key in ["bar", "base", "uio_map", "uio_port"])
    yield region(platform, type="mmio")
    uio = {"name": "d", "uio": "a", "regions": [{"name": "r", "uio_map": 0}]}
    yield from (changed(uio, uio=value) for value in [None, "", 5])
    yield from (changed(uio, backend=value) for value in ["kmod", "pci", "devmem", "ioport", "sim"])
    yield from (changed(uio, address=value) for value in ["00:07.0"])
    yield from (region(uio, uio_map=value) for value in [None, -1, 256, "x", True])
    yield from (region(uio, **{key: 0}) for key in ["bar", "base", "resource", "uio_port"])
    yield region(uio, write_combining=False)
    function = {**uio, "uio": None, "backend": "uio", "address": "00:07.0"}
    yield from (region(function, **{key: 0}) for key in ["bar", "base", "resource", "uio_port"])
    yield changed(device, regions=[{"name": "r"}, {"name": "s"}])
    rule = {"principals": ["user:root"], "permissions": ["write"], "ranges": ["0x0-0x3"], "mask": 1, "values": [1]}

    def access(**keys):
        return {"access": [{k: v for k, v in {**rule, **keys}.items() if v is not None}]}

    yield from ({"access": value} for value in [[], {}, "all", [5], [{}]])
    yield from (access(**{key: value}) for key in rule for value in ["x", {}, True, [[]]])
    yield from (access(**{key: []}) for key in rule)
    yield from (access(**{key: None}) for key in ["principals", "permissions", "ranges"])
    yield from (access(name=value) for value in ["", "a b", "-a", 5, "a" * 64])
    yield from (access(deny=value) for value in [0, "yes", []])
    yield from (access(principals=[value]) for value in ["", "root", "user:", "group:*", "group:", "role:x", "token:a b", "user:a:b"])
    yield from (access(permissions=value) for value in [["none"], ["all"], ["write", "read"], ["write", "write"], ["execute"]])
    yield access(permissions=["all", "read"], mask=None, values=None)
    yield from (access(regions=value) for value in [[""], ["a b"], ["a/b"], [5]])
    yield from (access(ranges=[value]) for value in ["", "0x0", "0-3", "0x0-3", "0x0 - 0x3", "0x0-0x3-0x5", "0x0+-1", 5])
    yield from (access(mask=value, values=None) for value in [0, -1, "x", "1k", 1.5])
    yield from (access(values=[value]) for value in [-1, "x", "1k", 1.5])
    yield access(ranges=["0x0-0x3"] * 257)
    yield access(values=[1] * 65)


@pytest.mark.parametrize("document", single_mistakes(), ids=json.dumps)
def test_one_mistake(devregd, schema, tmp_path, document):
    path = tmp_path / "devregd.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    mistakes(run(devregd, path))
    assert not validator(schema).is_valid(document)


def walk(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from walk(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from walk(value)


def test_schema_examples(devregd, schema, tmp_path):
    """The examples of whole files and devices are what they say."""
    for part, wrap in [(None, None), ("fragment", None), ("kmodDevice", 1), ("uioDevice", 1), ("pciDevice", 1),
                       ("devmemDevice", 1), ("ioportDevice", 1), ("simDevice", 1)]:
        for example in (schema["$defs"][part] if part else schema)["examples"]:
            document = {"devices": [example]} if wrap else example
            validator(schema).validate(document)
            path = tmp_path / "devregd.json"
            path.write_text(json.dumps(document), encoding="utf-8")
            assert run(devregd, path).returncode == 0, document
    for node in walk(schema):
        if "examples" in node and "$ref" not in node and "pattern" in node:
            for example in node["examples"]:
                assert re.search(node["pattern"], example), (node["pattern"], example)


def test_schema_describes_every_key(schema):
    for name in ["device", "region", "limits", "accessRule"]:
        for key, value in schema["$defs"][name]["properties"].items():
            assert value.get("description"), f"{name}.{key} has no description"


def keys_of(text):
    return text.split("expected one of ")[1].split(", ")


def test_schema_has_every_key(devregd, schema, tmp_path):
    """The daemon names the keys it takes when it is given another one."""
    path = tmp_path / "devregd.json"
    path.write_text('{"?": 0, "limits": {"?": 0}, "access": [{"?": 0}], "devices": [{"?": 0, "regions": [{"?": 0}]}]}')
    lines = [line for line in mistakes(run(devregd, path)) if "unknown key" in line]
    found = {re.search(r": (/\S*): unknown", line).group(1): keys_of(line) for line in lines}
    definitions = schema["$defs"]
    assert sorted(found["/?"]) == sorted(schema["properties"])
    assert sorted(found["/limits/?"]) == sorted(definitions["limits"]["properties"])
    assert sorted(found["/access/0/?"]) == sorted(definitions["accessRule"]["properties"])
    assert sorted(found["/devices/0/?"]) == sorted(definitions["device"]["properties"])
    assert sorted(found["/devices/0/regions/0/?"]) == sorted(definitions["region"]["properties"])


def test_schema_has_every_backend_and_model(devregd, schema, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text(
        '{"devices": [{"name": "a", "backend": "?", "regions": [{"name": "a"}]},'
        ' {"name": "b", "model": "?", "regions": [{"name": "b"}]}]}'
    )
    backend, model = mistakes(run(devregd, path))
    properties = schema["$defs"]["device"]["properties"]
    assert sorted(keys_of(backend)) == sorted(properties["backend"]["enum"])
    models = re.search(r"there are (.*)$", model).group(1)
    assert sorted(re.split(r", | and ", models)) == sorted(properties["model"]["enum"])


def test_schema_defaults(schema, devregd):
    """The defaults are those that the daemon has."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "s")
        with subprocess.Popen([devregd, "--demo", "--socket", path], stderr=subprocess.PIPE) as daemon:
            try:
                while b"listening" not in daemon.stderr.readline():
                    assert daemon.poll() is None
                status = subprocess.run(
                    ["curl", "-sS", "--unix-socket", path, "http://a/v1/status"],
                    capture_output=True,
                    check=True,
                )
            finally:
                daemon.terminate()
    limits = json.loads(status.stdout)["limits"]
    properties = schema["$defs"]["limits"]["properties"]
    assert limits == {key: value["default"] for key, value in properties.items()}


RULE = {"principals": ["user:root"], "permissions": ["read"]}


@pytest.mark.parametrize(
    "rules, place, text",
    [
        ([{**RULE, "principals": ["group:no-such-group-here"]}], "/access/0/principals/0", "no group no-such-group-here"),
        ([{**RULE, "principals": ["user:*", "user:no-such-user-here"]}], "/access/0/principals/1", "no user no-such-user-here"),
        ([{**RULE, "regions": ["edu", "rom*"]}], "/access/0/regions/1", "never matches"),
        ([{**RULE, "regions": ["ram"], "ranges": ["0xffc+4", "0x1000+4"]}], "/access/0/ranges/1", "outside every region"),
        ([RULE, {**RULE, "name": "other"}], "/access/1", "does the same as the rule access[0]"),
        ([{**RULE, "regions": ["edu"]}, {**RULE, "regions": ["e*"]}], "/access/1", "does the same as the rule access[0]"),
        ([{**RULE, "ranges": ["0x0+4"]}, {**RULE, "name": "off", "deny": True}], "/access/0", "the rule off denies all of it"),
        ([{**RULE, "regions": ["ram"]}, {**RULE, "principals": ["*"], "permissions": ["all"], "regions": ["ra?"],
                                         "deny": True}], "/access/0", "the rule access[1] denies all of it"),
        ([{**RULE, "principals": ["token:ci", "token:c*"]}, {**RULE, "principals": ["token:*"], "deny": True}],
         "/access/0", "denies all of it"),
    ],
)
def test_warnings(devregd, tmp_path, rules, place, text):
    """What has no effect is said, with its place; it is no reason not to start."""
    devices = [
        {"name": "edu", "model": "edu", "regions": [{"name": "edu"}]},
        {"name": "ram", "model": "ram", "regions": [{"name": "ram", "size": "4k"}]},
    ]
    path = tmp_path / "devregd.json"
    path.write_text(json.dumps({"access": rules, "devices": devices}, indent=1))
    result = run(devregd, path)
    assert result.returncode == 0
    (line,) = result.stderr.decode().splitlines()
    assert re.match(rf"warning: {re.escape(str(path))}:[1-9]\d*:[1-9]\d*: {re.escape(place)}: ", line), line
    assert text in line


@pytest.mark.parametrize(
    "rules",
    [
        [{**RULE, "regions": ["ram"]}, {**RULE, "regions": ["edu"], "deny": True}],
        [{**RULE, "ranges": ["0x0+8"]}, {**RULE, "ranges": ["0x0+4"], "deny": True}],
        [{**RULE, "principals": ["user:*"]}, {**RULE, "deny": True}],
        [{**RULE, "permissions": ["read", "list"]}, {**RULE, "deny": True}],
        [RULE, {**RULE, "regions": ["*"], "deny": True}],
        [{**RULE, "permissions": ["write"]},
         {**RULE, "permissions": ["write"], "ranges": ["0x0+4"], "mask": 1, "deny": True}],
        [{**RULE, "permissions": ["write"], "ranges": ["0x0+4"], "mask": 1},
         {**RULE, "permissions": ["write"], "ranges": ["0x0+4"], "mask": 2, "deny": True}],
    ],
)
def test_no_warnings(devregd, tmp_path, rules):
    """Where something is left, whoever wrote the rules may have meant it."""
    devices = [
        {"name": "edu", "model": "edu", "regions": [{"name": "edu"}]},
        {"name": "ram", "model": "ram", "regions": [{"name": "ram", "size": "4k"}]},
    ]
    path = tmp_path / "devregd.json"
    path.write_text(json.dumps({"access": rules, "devices": devices}))
    result = run(devregd, path)
    assert result.returncode == 0 and result.stderr == b""


def test_fragments_have_no_rules(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text("{}")
    (tmp_path / "devices.d").mkdir()
    (tmp_path / "devices.d" / "a.json").write_text(json.dumps({"access": [RULE]}))
    (line,) = mistakes(run(devregd, path))
    assert "/access: unknown key" in line


def test_very_many_rules(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    rules = [{**RULE, "ranges": [f"{i:#x}+1"]} for i in range(1024)]
    path.write_text(json.dumps({"access": rules}))
    assert run(devregd, path).stderr == b""
    path.write_text(json.dumps({"access": rules + [RULE]}))
    (line,) = mistakes(run(devregd, path))
    assert "more than 1024 rules" in line


def test_missing_file(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    assert mistakes(run(devregd, path)) == [f"{path}:1:1: can't be read: No such file or directory"]


def test_directory_instead_of_file(devregd, tmp_path):
    assert mistakes(run(devregd, tmp_path)) == [f"{tmp_path}:1:1: can't be read: Is a directory"]


def test_link_loop(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.symlink_to(path)
    (line,) = mistakes(run(devregd, path))
    assert line == f"{path}:1:1: can't be read: Too many levels of symbolic links"


def test_fragments_are_a_file(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text("{}")
    (tmp_path / "devices.d").write_text("")
    assert mistakes(run(devregd, path)) == [f"{tmp_path}/devices.d:1:1: can't be read: Not a directory"]


def test_fragment_is_a_directory(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text("{}")
    (tmp_path / "devices.d" / "a.json").mkdir(parents=True)
    (line,) = mistakes(run(devregd, path))
    assert line == f"{tmp_path}/devices.d/a.json:1:1: can't be read: Is a directory"


def test_unreadable(devregd):
    """Root is exempt from modes, so the check is made as somebody else."""
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        main, fragments = directory / "devregd.json", directory / "devices.d"
        binary = directory / "devregd"
        binary.write_bytes(pathlib.Path(devregd).read_bytes())  # the build may be where nobody may look
        binary.chmod(0o755)
        main.write_text("{}")
        fragments.mkdir(mode=0)
        lines = mistakes(run(binary, main, user=user))
        assert lines == [f"{fragments}:1:1: can't be read: Permission denied"]
        fragments.chmod(0o755)
        fragment = fragments / "a.json"
        fragment.write_text("{}")
        fragment.chmod(0)
        lines = mistakes(run(binary, main, user=user))
        assert lines == [f"{fragment}:1:1: can't be read: Permission denied"]
        fragment.unlink()
        main.chmod(0)
        lines = mistakes(run(binary, main, user=user))
        assert lines == [f"{main}:1:1: can't be read: Permission denied"]


@pytest.mark.parametrize("seed", range(8))
def test_binary_junk(devregd, tmp_path, seed):
    path = tmp_path / "devregd.json"
    state = seed * 2654435761 + 1
    octets = bytearray()
    for _ in range(4096):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        octets.append(state >> 16 & 0xFF)
    path.write_bytes(octets)
    (line,) = mistakes(run(devregd, path))
    assert "not JSON" in line
    assert not re.search(r"[\x00-\x1f\x7f]", line)


def test_own_binary(devregd):
    (line,) = mistakes(run(devregd, devregd))
    assert "larger than 1 MiB" in line or "not JSON" in line


def test_huge(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_bytes(b" " * ((1 << 20) - 2) + b"{}")
    assert run(devregd, path).returncode == 0
    path.write_bytes(b" " * ((1 << 20) - 1) + b"{}")
    assert mistakes(run(devregd, path)) == [f"{path}:1:1: is larger than 1 MiB"]
    (line,) = mistakes(run(devregd, "/dev/zero"))
    assert line == "/dev/zero:1:1: is larger than 1 MiB"


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"devices":[', '{"devices":[{"regions":[{"widths":['])
def test_deep(devregd, tmp_path, opening):
    path = tmp_path / "devregd.json"
    path.write_text(opening * (1000000 // len(opening)))
    (line,) = mistakes(run(devregd, path))
    assert "not JSON" in line


@pytest.mark.parametrize(
    "text",
    [
        '{"devices": [' + ",".join(["0"] * 400000) + "]}",
        "{" + ",".join(f'"{i}":0' for i in range(80000)) + "}",
    ],
    ids=["devices", "keys"],
)
def test_very_many_mistakes(devregd, tmp_path, text):
    """All are counted, but not all are written: it must end before anyone gives up."""
    path = tmp_path / "devregd.json"
    path.write_text(text)
    result = run(devregd, path)
    assert result.returncode == 2
    lines = result.stderr.decode().splitlines()
    assert 100 < len(lines) < 1000
    assert "only the first" in lines[-2]
    assert int(re.search(r"has (\d+) mistakes", lines[-1]).group(1)) >= 80000


def test_exposure_needs_insecure(devregd, tmp_path):
    path = tmp_path / "devregd.json"
    path.write_text('{"listen": ["0.0.0.0:7373"]}')
    (line,) = mistakes(run(devregd, path))
    assert line.startswith(f"{path}:1:13: /listen/0: 0.0.0.0:7373 is not a loopback address")
    assert "--insecure" in line
    assert run(devregd, path, "--insecure").returncode == 0


def test_fragments_in_order_of_names(devregd, tmp_path):
    """The later one of two names is the mistake."""
    path = tmp_path / "devregd.json"
    path.write_text("{}")
    fragments = tmp_path / "devices.d"
    fragments.mkdir()
    device = '{"devices": [{"name": "a", "model": "edu", "regions": [{"name": "a"}]}]}'
    for name in ["20.json", "10.json", "b.json", "B.json", ".c.json", "d.json~"]:
        (fragments / name).write_text(device)
    lines = mistakes(run(devregd, path))
    files = list(dict.fromkeys(line.split(":")[0] for line in lines))
    assert files == [f"{fragments}/{name}" for name in ["20.json", "B.json", "b.json"]]


def test_refused_before_anything_is_opened(devregd, tmp_path):
    """A daemon that starts with a bad configuration says all that --check-config does, and opens nothing."""
    path = tmp_path / "devregd.json"
    socket = tmp_path / "socket"
    path.write_text(json.dumps({"listen": [str(socket)], "devices": [{"name": "a"}]}))
    result = subprocess.run([devregd, "--config", path], capture_output=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith(run(devregd, path).stderr.splitlines(True)[0])
    assert not socket.exists()
