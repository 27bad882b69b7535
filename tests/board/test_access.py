# SPDX-License-Identifier: LGPL-2.1-or-later
"""Access rules against every way to a register: what a rule forbids can't be had by another width, a block, a FIFO write or a
change under a mask, in either order of octets. A model of the rules in a few lines says what must be allowed; the boards' own
trace says that nothing of what was refused was done."""

import concurrent.futures
import itertools
import json
import random

import pytest

import board
import stopwatch

pytestmark = pytest.mark.sim

SIZE = 0x100
REGIONS = {"little": "little", "big": "big"}

# Rules as the model has them: principal -> [(deny, permissions, first, last, mask, values)]
RULES = {
    "most": [(False, "read write", 0, SIZE - 1, None, None), (True, "write", 0x20, 0x23, None, None),
             (True, "read", 0x31, 0x31, None, None)],
    "window": [(False, "read write", 0x40, 0x4b, None, None), (False, "read", 0x4c, 0x4f, None, None)],
    "bits": [(False, "read", 0, SIZE - 1, None, None), (False, "write", 0x20, 0x23, 0x00ff0080, None),
             (False, "write", 0x24, 0x27, None, None)],
    "values": [(False, "read", 0, SIZE - 1, None, None), (False, "write", 0x22, 0x23, None, (0x1, 0x8000)),
               (False, "write", 0x24, 0x24, 0xf0, (0x10, 0x80))],
    "never": [(False, "read write", 0, SIZE - 1, None, None), (True, "write", 0x20, 0x23, None, (0xdead,)),
              (True, "write", 0x28, 0x28, 0x0f, None)],
    "blind": [(False, "write", 0, SIZE - 1, None, None)],
}


def configuration_rule(principal, rule):
    deny, permissions, first, last, mask, values = rule
    row = {"principals": [f"token:{principal}"], "permissions": permissions.split(), "regions": list(REGIONS),
           "ranges": [f"{first:#x}-{last:#x}"]}
    if deny:
        row["deny"] = True
    if mask is not None:
        row["mask"] = hex(mask)
    if values is not None:
        row["values"] = [hex(value) for value in values]
    return row


def octets_of(number, size, order):
    return number.to_bytes(size, order)


def allows(principal, order, permission, octets):
    """octets: {offset: (bits that will change, their values)} of one access, or bits 0xff for a read. A change under a mask
    writes the other bits with what they had: their octets must be in a rule's range, and denied by none as a whole."""
    allowed = {offset: 0 for offset in octets}
    covered = set()
    denied = False
    for deny, permissions, first, last, mask, values in RULES[principal]:
        if permission not in permissions.split():
            continue
        size = last - first + 1
        bits = octets_of(mask, size, order) if mask is not None else b"\xff" * size
        if permission == "write" and values is not None:
            known = [octets.get(first + i, (0, 0)) for i in range(size)]
            if deny:
                if any(all(value & 0xff & bits[i] & known[i][0] == known[i][1] & bits[i] & known[i][0]
                           for i, value in enumerate(octets_of(number, size, order))) for number in values) and \
                        any(first + i in octets and known[i][0] & bits[i] for i in range(size)):
                    denied = True
                continue
            if any(known[i][0] & bits[i] != bits[i] for i in range(size)):
                continue
            if not any(all(value & bits[i] == known[i][1] & bits[i]
                           for i, value in enumerate(octets_of(number, size, order))) for number in values):
                continue
        for offset in octets:
            if first <= offset <= last:
                if deny:
                    if mask is None or octets[offset][0] & bits[offset - first]:
                        denied = True
                else:
                    allowed[offset] |= bits[offset - first]
                    covered.add(offset)
    return not denied and all(offset in covered and octets[offset][0] & ~allowed[offset] == 0 for offset in octets)


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    """A daemon with these rules, and a client for each principal."""
    folder = tmp_path_factory.mktemp("access")
    rules = [{"principals": ["user:*", "anonymous"], "permissions": ["all"]}]
    rules += [configuration_rule(principal, rule) for principal, list_ in RULES.items() for rule in list_]
    devices = []
    for name, endianness in REGIONS.items():
        (folder / f"{name}.trace").write_bytes(b"")
        devices.append(board.sim("ram", name, trace=str(folder / f"{name}.trace"), size=SIZE, endianness=endianness))
    with board.Daemon({"access": rules, "devices": devices}, ["--state", str(folder / "state")]) as daemon:
        clients = {}
        with daemon.client() as admin:
            for principal in RULES:
                secret = admin.ask("POST", "/v1/tokens", {"name": principal}).json["token"]
                clients[principal] = (daemon.client(), {"Authorization": f"Bearer {secret}"})
            yield admin, clients, {name: board.TraceFile(folder / f"{name}.trace") for name in REGIONS}
            for client, _ in clients.values():
                client.close()


def ways(generator, order):
    """Random accesses around the rules' edges: (method, path after the region, body, kind, [(permission, octets), ...])."""
    width = generator.choice((1, 2, 4, 8))
    offset = generator.choice((0x1c, 0x20, 0x20, 0x24, 0x28, 0x30, 0x3c, 0x40, 0x48, 0x4c)) // width * width \
        + generator.choice((0, 0, width))
    count = generator.choice((1, 1, 1, 2, 3, 5))
    limit = 256 ** width - 1

    def value():
        return generator.choice((0x1, 0x8000, 0x10, 0x80, 0xdead, 0, limit, generator.getrandbits(64))) & limit

    def spread(start, number, mask=limit):
        bits, values = octets_of(mask, width, order), octets_of(number & mask, width, order)
        return {start + i: (bits[i], values[i]) for i in range(width)}

    def read(start, number):
        return ("read", {start + i: (0xff, 0) for i in range(number * width)})

    register = f"registers/{offset:#x}?width={width * 8}"
    data = f"data?offset={offset:#x}&width={width * 8}"
    values = [value() for _ in range(count)]
    octets = b"".join(octets_of(number, width, order) for number in values)
    block = [("write", spread(offset + index * width, number)) for index, number in enumerate(values)]
    mask = value() or limit
    yield "GET", register, None, None, [read(offset, 1)]
    yield "GET", f"{register}&count={count}", None, None, [read(offset, count)]
    yield "GET", f"{data}&length={count * width}", None, None, [read(offset, count)]
    yield "GET", f"{data}&length={count * width}&fixed=1", None, None, [read(offset, 1)]
    yield "PUT", register, {"value": hex(values[0])}, None, [("write", spread(offset, values[0]))]
    yield "PUT", register, {"values": [hex(number) for number in values]}, None, block
    yield "PUT", data, octets, "application/octet-stream", block
    yield "PUT", f"{data}&fixed=1", octets, "application/octet-stream", \
        [("write", spread(offset, number)) for number in values]
    yield "PATCH", register, {"mask": hex(mask), "value": hex(values[0] & mask)}, None, \
        [read(offset, 1), ("write", spread(offset, values[0], mask))]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("principal", RULES)
def test_every_way_meets_the_same_rules(ruled, principal, region):
    _, clients, traces = ruled
    client, headers = clients[principal]
    order = REGIONS[region]
    generator = random.Random(f"{principal} {region}")
    outcomes = {True: 0, False: 0}
    for method, path, body, kind, wanted in itertools.chain.from_iterable(ways(generator, order) for _ in range(120)):
        allowed = all(allows(principal, order, permission, octets) for permission, octets in wanted)
        outcomes[allowed] += 1
        with traces[region].record() as accesses:
            answer = client.ask(method, f"/v1/regions/{region}/{path}", body, kind, headers)
        said = f"{method} {path} {body!r} by {principal}: {answer}, expected {'200' if allowed else '403'}"
        assert answer.status == (200 if allowed else 403), said
        assert bool(accesses) == allowed, f"{said}; the device saw {accesses}"
    assert outcomes[False] > 10 and (principal == "blind" or outcomes[True] > 10), outcomes


def test_refusals_say_who_what_and_by_which_rule(ruled):
    _, clients, _ = ruled
    client, headers = clients["most"]
    problem = client.put("/v1/regions/little/registers/0x20", {"value": 1}, headers=headers).problem(403, "denied")
    assert "token:most" in problem["detail"] and "write" in problem["detail"] and "little" in problem["detail"], problem
    assert "0x20" in problem["detail"] and "access[" in problem["detail"], problem
    client, headers = clients["window"]
    problem = client.get("/v1/regions/little/registers/0x0", headers=headers).problem(403, "denied")
    assert "no access rule" in problem["detail"], problem


def test_lists_show_what_may_be_listed(start_daemon):
    rules = [{"principals": ["user:*"], "permissions": ["all"]},
             {"principals": ["token:some"], "permissions": ["list"], "regions": ["a*"]},
             {"principals": ["token:some"], "permissions": ["list"], "regions": ["ab"], "deny": True}]
    devices = [board.sim("ram", name, size=0x10) for name in ("aa", "ab", "ba")]
    daemon = start_daemon({"access": rules, "devices": devices})
    with daemon.client() as admin, daemon.client() as client:
        secret = admin.ask("POST", "/v1/tokens", {"name": "some"}).json["token"]
        headers = {"Authorization": f"Bearer {secret}"}
        assert [region["name"] for region in client.get("/v1/regions", headers=headers).json["regions"]] == ["aa"]
        assert [device["name"] for device in client.get("/v1/devices", headers=headers).json["devices"]] == ["aa"]
        for name, status in (("aa", 200), ("ab", 403), ("ba", 403), ("none", 404)):
            for kind in ("regions", "devices"):
                assert client.get(f"/v1/{kind}/{name}", headers=headers).status == status, (kind, name)
        assert client.get("/v1/regions/aa/registers/0x0", headers=headers).status == 403


def test_scope_narrows_and_never_adds(start_daemon):
    rules = [{"principals": ["user:*"], "permissions": ["all"]},
             {"principals": ["token:*"], "permissions": ["list", "read"], "regions": ["ram*"]}]
    daemon = start_daemon({"access": rules, "devices": [board.sim("ram", name, size=0x10) for name in ("ram0", "ram1", "x")]})
    with daemon.client() as admin:
        wide = admin.ask("POST", "/v1/tokens", {"name": "wide"}).json["token"]
        narrow = admin.ask("POST", "/v1/tokens", {"name": "narrow", "permissions": ["read", "write"], "regions": ["ram1", "x"]}).json["token"]
        for secret, region, method, status in (
                (wide, "ram0", "GET", 200), (wide, "x", "GET", 403), (wide, "ram0", "PUT", 403),
                (narrow, "ram1", "GET", 200), (narrow, "ram0", "GET", 403), (narrow, "x", "GET", 403), (narrow, "ram1", "PUT", 403)):
            body = {"value": 1} if method == "PUT" else None
            answer = admin.ask(method, f"/v1/regions/{region}/registers/0x0", body, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status == status, (secret == wide, region, method, answer)
        assert admin.get("/v1/regions", headers={"Authorization": f"Bearer {narrow}"}).status == 403


def test_explain_agrees_with_what_happens(ruled):
    admin, clients, _ = ruled
    for principal, offset, permission, rule in (("most", 0x20, "write", False), ("most", 0x24, "write", True), ("most", 0x30, "read", False),
                                                ("window", 0x40, "read", True), ("window", 0x4c, "write", False), ("blind", 0, "read", False)):
        path = f"/v1/access/explain?principal=token:{principal}&region=little&offset={offset:#x}&width=32&permission={permission}"
        answer = admin.get(path).ok().json
        decision, = answer["decisions"]
        assert decision["permission"] == permission and decision["allowed"] is rule and decision["why"], answer
        client, headers = clients[principal]
        assert client.get(path, headers=headers).ok().json["decisions"] == answer["decisions"]
        method, body = ("GET", None) if permission == "read" else ("PUT", {"value": 0})
        done = client.ask(method, f"/v1/regions/little/registers/{offset:#x}?width=32", body, headers=headers)
        assert (done.status == 200) is rule, (done, answer)
    client, headers = clients["most"]
    client.get("/v1/access/explain?principal=token:blind&region=little", headers=headers).problem(403, "denied")


# Every permission on every route, from the daemon's own list of routes: a route that is not tried fails.

PARAMETERS = {"{region}": "aa", "{register}": "0x0", "{device}": "aa", "{token}": "nobody", "{id}": "r-0", "{source}": "aa"}
OPEN = {("GET", "/healthz"), ("GET", "/v1/whoami"), ("GET", "/v1/access/explain")}
ALSO = {"PATCH": {"read"}}      # it answers with the old value
PERMISSIONS = {"list", "read", "write", "interrupt", "dma", "reserve", "admin"}


def try_route(client, headers, route):
    path = route["path"]
    for name, value in PARAMETERS.items():
        path = path.replace(name, value)
    assert "{" not in path, f"{path} has a parameter that this test does not know"
    if path.endswith("/data"):
        path += "?offset=0" + ("&length=4" if route["method"] == "GET" else "")
    if path == "/v1/events":
        path += "?since=malformed"      # a stream would not end
    bodies = {"data": (b"\0\0\0\0", "application/octet-stream"), "registers": ({"mask": 1, "value": 1} if route["method"] == "PATCH"
                                                                             else {"value": 0}, None)}
    body, kind = None, None
    if route["method"] in ("PUT", "PATCH", "POST"):
        body, kind = next((bodies[name] for name in bodies if f"/{name}" in path), ({}, None))
    return client.ask(route["method"], path, body, kind, headers)


def test_every_permission_on_every_route(start_daemon):
    rules = [{"principals": ["user:*"], "permissions": ["all"]}]
    rules += [{"principals": [f"token:only-{name}"], "permissions": [name]} for name in PERMISSIONS]
    rules += [{"principals": [f"token:but-{name}"], "permissions": sorted(PERMISSIONS - {name})} for name in PERMISSIONS]
    daemon = start_daemon({"access": rules, "devices": [{**board.sim("edu", "aa"), "interrupts": [{}]}]})
    with daemon.client() as admin, daemon.client() as client:
        def bearer(name):
            return {"Authorization": f"Bearer {admin.ask('POST', '/v1/tokens', {'name': name}).json['token']}"}

        only = {name: bearer(f"only-{name}") for name in PERMISSIONS}
        but = {name: bearer(f"but-{name}") for name in PERMISSIONS}
        nobody = bearer("nobody-at-all")
        routes = admin.get("/v1").ok().json["routes"]
        assert len(routes) > 20
        for route in routes:
            name = (route["method"], route["path"])
            permission = route["permission"]
            if permission == "none":
                assert name in OPEN, f"{name} needs no permission"
                assert try_route(client, nobody, route).status in (200, 400), name
                continue
            assert permission in PERMISSIONS and name not in OPEN, route
            try_route(client, nobody, route).problem(403, "denied")
            for other in PERMISSIONS:
                answer = try_route(client, only[other], route)
                enough = {permission, *ALSO.get(route["method"], ())} == {other}
                assert (answer.status != 403) == enough, f"{name} with {other} alone: {answer}"
                answer = try_route(client, but[other], route)
                needed = other in {permission, *ALSO.get(route["method"], ())}
                assert (answer.status == 403) == needed, f"{name} with all but {other}: {answer}"


def test_without_rules_nobody_is_served_whom_root_has_not_let_in(start_daemon):
    """Root and the daemon's own user may do everything, tokens what their scope says, but not administer."""
    daemon = start_daemon({"devices": [board.sim("ram", "ram", size=0x10)]}, access=None)
    with daemon.client() as client:
        assert client.get("/v1/whoami").ok().json["permissions"] == sorted(PERMISSIONS, key=["list", "read", "write", "interrupt", "dma",
                                                                                            "reserve", "admin"].index)
        assert client.get("/v1/regions/ram/registers/0x0").status == 200
        for name, permissions, status in (("all", ["all"], 200), ("lists", ["list"], 403)):
            answer = client.ask("POST", "/v1/tokens", {"name": name, "permissions": permissions})
            headers = {"Authorization": f"Bearer {answer.json['token']}"}
            assert client.get("/v1/regions/ram/registers/0x0", headers=headers).status == status, name
            client.get("/v1/tokens", headers=headers).problem(403, "denied")
    with daemon.client("tcp") as client:
        answer = client.get("/v1/regions/ram/registers/0x0")
        answer.problem(401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="devreg"'
        assert client.get("/healthz").status == 200
        assert client.get("/v1/whoami").json["principal"] == "anonymous"


def test_demo_says_that_everybody_may_do_everything(start_daemon):
    daemon = start_daemon(arguments=["--demo"])
    with daemon.client("tcp") as client:
        assert json.dumps(client.get("/v1/status").json["warnings"]).count("may do everything") == 1
        assert "admin" in client.get("/v1/whoami").ok().json["permissions"]
        assert client.region("edu").read(0) == 0x010000ed


# What was allowed once need not be when it is done.

ALL = [{"principals": ["user:*", "token:*"], "permissions": ["all"]}]


def begin(place, method, path, headers, body):
    """Sends all of a request but its last octet. Returns a function that sends that and returns the status."""
    connection = place.connect()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body[:-1])
    board.wait_until_read(connection)

    def end():
        connection.sendall(body[-1:])
        answers, _, _ = board.receive_answers(connection, count=1)
        connection.close()
        return answers[0].status
    return end


def make_token(admin, name, **more):
    return {"Authorization": f"Bearer {admin.ask('POST', '/v1/tokens', {'name': name, **more}).json['token']}"}


def test_a_revoked_token_ends_no_request_that_it_began(start_daemon):
    daemon = start_daemon({"access": ALL, "devices": [board.sim("ram", "ram", size=0x10)]})
    with daemon.client() as admin:
        boss = make_token(admin, "boss")
        end = begin(daemon.place(), "POST", "/v1/tokens", boss, b'{"name": "minted"}')
        write = begin(daemon.place(), "PUT", "/v1/regions/ram/registers/0x0", boss, b'{"value": 1}')
        admin.ask("DELETE", "/v1/tokens/boss").ok()
        assert end() in (401, 403) and write() in (401, 403)
        assert admin.get("/v1/tokens").json["tokens"] == [] and admin.region("ram").read(0) == 0


def test_an_expired_token_ends_no_request_that_it_began(start_daemon):
    daemon = start_daemon({"access": ALL, "devices": [board.sim("ram", "ram", size=0x10)]})
    with daemon.client() as admin:
        def begun(seconds):
            brief = make_token(admin, f"brief-{seconds}", seconds=seconds)
            write = begin(daemon.place(), "PUT", "/v1/regions/ram/registers/0x0", brief, b'{"value": 1}')
            return (brief, write) if admin.get("/v1/whoami", headers=brief).status == 200 else None
        (brief, write), _ = stopwatch.within(begun, "a request begins before its token expires")
        board.wait_for(lambda: admin.get("/v1/whoami", headers=brief).status == 401, "it expires", timeout=60)
        assert write() == 401 and admin.region("ram").read(0) == 0


def test_a_fenced_write_is_not_made_after_its_reservation(start_daemon):
    daemon = start_daemon({"access": ALL, "devices": [board.sim("ram", "ram", size=0x10)]})
    with daemon.client() as admin:
        held = admin.ask("POST", "/v1/reservations", {"region": "ram"}).json["id"]
        write = begin(daemon.place(), "PUT", "/v1/regions/ram/registers/0x0", {"Devreg-Reservation": held}, b'{"value": 1}')
        admin.ask("DELETE", f"/v1/reservations/{held}").ok()
        assert write() == 423 and admin.region("ram").read(0) == 0


def test_what_waits_for_a_device_is_not_done_for_a_revoked_token(start_daemon):
    daemon = start_daemon({"access": ALL, "devices": [board.sim("odd", "odd")]})
    with daemon.client() as admin, concurrent.futures.ThreadPoolExecutor(8) as threads:
        def ask(method, path, body=None, headers=None):
            with daemon.client() as client:
                return client.ask(method, path, body, headers=headers).status

        def revoked_while_it_waits():
            bob = make_token(admin, "bob")
            come = board.arrivals(admin)
            slow = [threads.submit(ask, "GET", "/v1/regions/odd/registers/0x18") for _ in range(5)]
            come(5)
            write = threads.submit(ask, "PUT", "/v1/regions/odd/registers/0x100", {"value": "0xdeadbeef"}, bob)
            come(6)
            admin.ask("DELETE", "/v1/tokens/bob").ok()
            value = admin.region("odd").read(0x100)
            admin.region("odd").write(0x100, 0)
            return write.result(), [one.result() for one in slow], value
        assert stopwatch.undisturbed(revoked_while_it_waits) == (423, [200] * 5, 0)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "-x", "a b", "a:b", "", "x" * 65, "\u00e9"])
def test_a_token_can_be_revoked_or_is_not_made(start_daemon, name):
    with start_daemon({"access": ALL, "devices": [board.sim("ram", "ram", size=0x10)]}).client() as admin:
        admin.ask("POST", "/v1/tokens", {"name": name}).problem(400, "malformed")
