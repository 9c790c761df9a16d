"""Hostile requests to a real server on 127.0.0.1: refused by 4xx, nothing written or told, and the server lives."""

import contextlib
import http.server
import json
import socket
import subprocess
import threading
import time
from itertools import product
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.bundles import label_attacks
from tests.bundles.harness import BUNDLES
from tests.bundles.label_attacks import BOMBS, JSON, LEARNS
from tests.bundles.label_server import TOKEN, form
from tests.bundles.studies import studies, with_weights

pytestmark = [pytest.mark.label, pytest.mark.timeout(1800)]

UPLOAD_MIB = 8


@pytest.fixture(scope="module")
def place(phantom, trained, tmp_path_factory):
    """A folder with studies, bundles and a secret beside them."""
    folder = tmp_path_factory.mktemp("attacked")
    for bundle in BUNDLES:
        with_weights(bundle, trained(bundle) / "models", folder / "bundles")
    [image] = studies(LEARNS, phantom(LEARNS), folder / "studies")
    image.rename(folder / "studies" / "known.nii.gz")
    [label] = (folder / "studies" / "labels" / "final").iterdir()
    label.rename(label.with_name("known.nii.gz"))
    for name in ("secret", "secret.nii.gz"):
        (folder / name).write_bytes(b"do not tell")
    (folder / "studies" / "linked.nii.gz").symlink_to(folder / "secret.nii.gz")
    return folder


@pytest.fixture(scope="module")
def server(serve, place):
    limits = ["--writable", "--max-upload-mib", str(UPLOAD_MIB), "--max-seconds", "60", "--max-memory-gib", "6"]
    return serve(place / "studies", place / "bundles", *limits)


def tree(place):
    """Every file but the logs."""
    files = (path for path in place.rglob("*") if path.is_file() and "logs" not in path.parts)
    return {str(path): path.read_bytes() for path in files}


def assert_refused(server, place, attacks):
    before, wrong = tree(place), []
    count = 0
    for attack in attacks:
        count += 1
        try:
            reply = server.ask(*attack[:4], **attack.headers)
        except ValueError:  # what Python's client will not send
            continue
        if not 400 <= reply.status < 500 or b"do not tell" in reply.body or b"Traceback" in reply.body:
            wrong.append((reply.status, attack.method, attack.path[:100], (attack.body or b"")[:200], reply.body[:200]))
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:20]}"
    assert tree(place) == before
    assert server.ask("GET", "/info/").status == 200
    return count


def test_names_never_lead_out_of_the_studies(server, place):
    assert assert_refused(server, place, label_attacks.names(place / "secret")) > 250


def test_files_of_another_kind_and_studies_that_are_there_are_refused(server, place):
    assert_refused(server, place, label_attacks.files())


def test_wrong_settings_and_bodies_are_refused(server, place):
    assert_refused(server, place, label_attacks.settings())
    assert server.ask("GET", "/train/").status == 404, "no training was started, and the list of them is whole"


def test_what_nobody_needs_is_off(server, place):
    assert_refused(server, place, label_attacks.what_is_off())


def test_nobody_comes_in_without_token_or_from_elsewhere(server, place):
    assert_refused(server, place, label_attacks.at_the_door())


def test_whether_a_file_is_there_is_not_told(server, place):
    for there, missing in ((place / "secret.nii.gz", place / "nothing.nii.gz"), ("../secret", "../nothing")):
        first, second = (
            server.ask("GET", f"/datastore/image?image={quote_plus(str(name))}") for name in (there, missing)
        )
        assert (first.status, first.body.replace(b"secret", b"nothing")) == (second.status, second.body)
    assert server.ask("GET", "/datastore/image?image=linked").status == 404


def test_no_page_elsewhere_may_read_an_answer(server):
    reply = server.ask("GET", "/info/", Origin="http://localhost:3000")
    assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    for hostile in ("https://evil.example", "null"):
        assert "Access-Control-Allow-Origin" not in server.ask("GET", "/info/", Origin=hostile).headers
    assert "Access-Control-Allow-Credentials" not in reply.headers


def test_an_upload_beyond_the_limit_is_cut(server, place):
    before = tree(place)
    body, kind = form(file=("big.nii", b"x" * (UPLOAD_MIB * 2**20)))
    host, port = server.url.removeprefix("http://").split(":")
    head = f"PUT /datastore/image HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
    announced = head + f"Content-Length: {len(body)}\r\n\r\n"
    chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
    for start, pieces in ((announced, [body]), (chunked, [b"%x\r\n%b\r\n" % (len(body), body)])):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(start.encode())
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                pass
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert tree(place) == before


def test_files_that_take_the_memory_or_crash_a_reader_end_no_server(server, place, tmp_path):
    """Each to each bundle; the process that computes may go, the answer comes and the next one, too."""
    pid = server.process.pid
    for (name, content), bundle in product(BOMBS.items(), BUNDLES):
        reply = server.ask("POST", f"/infer/{bundle}?output=json", *form(file=(name, content)))
        assert 400 <= reply.status < 500, (name, bundle, reply)
    assert server.infer(LEARNS, "known").status == 200
    assert server.process.pid == pid and server.process.poll() is None


class Realm(http.server.BaseHTTPRequestHandler):
    """What a Keycloak realm says of itself."""

    public_key = ""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"public_key": self.public_key}).encode())

    def log_message(self, *_):
        pass


SIGN = """
import base64, json, sys, time, jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
def claims(role, seconds):
    return {"preferred_username": "x", "realm_access": {"roles": [role]}, "exp": int(time.time()) + seconds}
own, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
der = own.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
pem = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
import hmac, hashlib
def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
head = b64(b'{"alg":"HS256","typ":"JWT"}') + "." + b64(json.dumps(claims("monailabel-admin", 600)).encode())
print(json.dumps({
    "key": base64.b64encode(der).decode(),
    "user": jwt.encode(claims("monailabel-user", 600), own, "RS256"),
    "admin": jwt.encode(claims("monailabel-admin", 600), own, "RS256"),
    "annotator": jwt.encode(claims("monailabel-annotator", 600), own, "RS256"),
    "nobody": jwt.encode(claims("other", 600), own, "RS256"),
    "ended": jwt.encode(claims("monailabel-user", -600), own, "RS256"),
    "forged": jwt.encode(claims("monailabel-user", 600), other, "RS256"),
    "none": jwt.encode(claims("monailabel-user", 600), None, "none"),
    "confused": head + "." + b64(hmac.new(pem, head.encode(), hashlib.sha256).digest()),
}))
"""


@pytest.fixture
def connected(server):
    """Opens a connection on which something is said; all are closed in the end."""
    with contextlib.ExitStack() as opened:

        def connect(said=b"", buffer=None):
            connection = opened.enter_context(socket.socket())
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            connection.sendall(said)
            connection.settimeout(1)
            return connection

        yield connect


def is_closed(connection):
    try:
        while connection.recv(2**16):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


WHOLE = f"GET /info/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
SILENT = {
    "nothing": b"",
    "half a word": b"GE",
    "half a header": WHOLE[:-20],
    "no token": b"GET /info/ HTTP/1.1\r\nHost: 127.0.0.1\r\n",
}


def test_connections_that_say_nothing_keep_nobody_out_for_long(server, connected):
    silent = [connected(WHOLE) for _ in range(16)]
    for connection in silent:  # answered, and the next request does not end
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
        connection.send(WHOLE[:-2])
    silent += [connected(said) for said in SILENT.values() for _ in range(16)]
    began = time.monotonic()
    assert server.ask("GET", "/info/").status == 503  # all 64 are taken
    while server.ask("GET", "/info/").status == 503:
        assert time.monotonic() - began < 30
        for connection in silent[32:48]:  # a word a second is no request either
            with contextlib.suppress(OSError):
                connection.send(b"X")
        time.sleep(1)
    time.sleep(2)
    assert all(map(is_closed, silent))
    assert server.ask("GET", "/info/").status == 200


def test_a_client_that_reads_no_answer_is_left(server, connected):
    length = len(server.ask("GET", "/info/").body)
    deaf = connected(buffer=4096)
    deaf.settimeout(5)
    with contextlib.suppress(TimeoutError):
        for _ in range(30_000_000 // length):  # more than the buffers of any system hold
            deaf.sendall(WHOLE)
    began = time.monotonic()
    while established(server, deaf):
        assert time.monotonic() - began < 90
        time.sleep(1)
    assert server.ask("GET", "/info/").status == 200


def established(server, connection):
    """Whether the server's end of a connection is open."""
    own, port = connection.getsockname()[1], int(server.url.rpartition(":")[2])
    ends = (line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(
        (int(local.split(":")[1], 16), int(remote.split(":")[1], 16), state) == (port, own, "01")
        for local, remote, state in ends
    )


@pytest.fixture(scope="module")
def realm(python, serve, place):
    """A read-only server on all addresses, whose users a realm signs for."""
    finished = subprocess.run([python, "-c", SIGN], capture_output=True, text=True, check=True)
    tokens = json.loads(finished.stdout)
    keycloak = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Realm,), {"public_key": tokens["key"]}))
    threading.Thread(target=keycloak.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{keycloak.server_port}/realms/x"
    words = ["--host", "0.0.0.0", "--models", LEARNS, "--allow-origin", "https://label.hospital"]
    variables = {"MONAI_LABEL_AUTH_ENABLE": "true", "MONAI_LABEL_AUTH_REALM_URI": address}
    running = serve(place / "studies", place / "bundles", *words, **variables)
    running.tokens = tokens
    yield running
    keycloak.shutdown()
    keycloak.server_close()


def as_user(realm, name, method="GET", path="/info/", body=None, kind=JSON, **headers):
    return realm.ask(method, path, body, kind, Authorization=f"Bearer {realm.tokens[name]}", **headers)


def test_users_of_the_realm_may_do_what_their_role_allows(realm):
    assert as_user(realm, "user").status == 200
    assert as_user(realm, "user", Host="label.hospital").status == 200
    assert as_user(realm, "user", "POST", f"/infer/{LEARNS}?image=known&output=json").status == 200
    assert as_user(realm, "user", "POST", f"/train/{LEARNS}", b"{}").status == 403
    assert as_user(realm, "admin", "POST", f"/train/{LEARNS}", b'{"max_epochs": 0}').status == 422


@pytest.mark.parametrize("name", ["ended", "forged", "none", "confused"])
def test_a_token_that_the_realm_has_not_signed_is_refused(realm, name):
    assert as_user(realm, name).status == 401


def test_neither_the_printed_token_nor_another_role_nor_host_opens_a_server_with_a_realm(realm):
    assert realm.ask("GET", "/info/").status == 401
    assert realm.ask("GET", "/info/", Authorization="").status == 401
    assert realm.ask("GET", f"/info/?token={TOKEN}", Authorization="").status == 401
    assert as_user(realm, "nobody").status == 403
    assert as_user(realm, "user", Host="evil.example").status == 403


def test_read_only_studies_stay_as_they_are(realm, place):
    before = tree(place / "studies")
    for path, field in (("/datastore/image?image=new", "file"), ("/datastore/label?image=known", "label")):
        assert as_user(realm, "annotator", "PUT", path, *form(**{field: ("x.nii.gz", b"x")})).status == 403
    assert as_user(realm, "user", path="/datastore/?output=all").json()["objects"]["known"]["labels"]["final"]
    assert tree(place / "studies") == before
