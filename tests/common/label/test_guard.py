"""The door, driven as an ASGI server drives it; no framework is needed."""

import asyncio
import json

import pytest

from common.label.guard import Guard

TOKEN = "a-secret"
GOOD = {"host": "127.0.0.1:8000", "authorization": f"Bearer {TOKEN}"}


class Behind:
    """An application that reads the whole body and says how much there was."""

    def __init__(self):
        self.asked = 0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        size, more = 0, scope["type"] == "http"
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


def ask(headers, method="GET", path="/info/", query="", pieces=(b"",), behind=None, **settings):
    """The status and the body of the answer; `pieces` come one by one, None never comes."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in dict(headers).items()]
        if isinstance(headers, dict)
        else headers,
    }
    waiting, sent = list(pieces), []

    async def receive():
        piece = waiting.pop(0)
        if piece is None:
            await asyncio.sleep(30)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    guard = Guard(behind or Behind(), settings.pop("token", TOKEN), **settings)
    asyncio.run(guard(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"]


def test_the_token_opens_as_header_and_in_the_address():
    assert ask(GOOD) == (200, b"0")
    assert ask({"host": "localhost"}, query=f"image=a&token={TOKEN}") == (200, b"0")
    assert ask(GOOD | {"authorization": f"bearer {TOKEN}"})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer"}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"},
     {"authorization": TOKEN}, {"authorization": "Bearer a-secre"}, {"authorization": "Bearer a-secret1"},
     {"authorization": "Bearer ÿÿ"}, {"cookie": f"token={TOKEN}"}, {"x-token": TOKEN}],
)  # fmt: skip
def test_without_the_token_nothing_is_asked(headers):
    behind = Behind()
    status, body = ask({"host": "127.0.0.1"} | headers, behind=behind)
    assert status == 401 and behind.asked == 0
    assert TOKEN not in body.decode()


def test_the_wrong_token_in_the_address_is_refused():
    assert ask({"host": "127.0.0.1"}, query="token=wrong&token=")[0] == 401


def test_how_to_log_in_may_be_asked_by_everyone():
    assert ask({"host": "127.0.0.1"}, path="/auth/")[0] == 200
    assert ask({"host": "127.0.0.1"}, path="/auth/token", method="POST")[0] == 200
    assert ask({"host": "127.0.0.1"}, path="/auth/token/valid")[0] == 401
    assert ask({"host": "127.0.0.1"}, path="/auth/token", method="POST", pieces=[b"x" * 5000])[0] == 413


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_this_machine_has_these_names(host):
    assert ask(GOOD | {"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
     "evil.example@127.0.0.1", "", "127.0.0.1/evil", "192.168.0.7", "127.0.0.1:8000:9", "[::1", "localhost,evil"],
)  # fmt: skip
def test_another_name_is_a_page_that_had_its_own_resolved_to_this_machine(host):
    behind = Behind()
    assert ask(GOOD | {"host": host}, behind=behind)[0] == 403
    assert behind.asked == 0


def test_a_request_with_no_host_or_with_two_is_refused():
    token = (b"authorization", f"Bearer {TOKEN}".encode())
    assert ask([token])[0] == 403
    assert ask([token, (b"host", b"localhost"), (b"host", b"evil.example")])[0] == 403


def test_a_name_that_was_allowed_is_one_of_this_server():
    assert ask(GOOD | {"host": "label.hospital:443"}, hosts=["label.hospital"])[0] == 200


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8", "https://viewer:8"])
def test_a_page_of_this_machine_or_an_allowed_one_may_ask(origin):
    assert ask(GOOD | {"origin": origin}, origins=["https://viewer:8"])[0] == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "https://viewer:9", "http://viewer:8", "http://localhost.evil.example",
     "localhost", "http://127.0.0.1@evil.example", "file://", "http://evil.example#http://localhost"],
)  # fmt: skip
def test_another_page_may_not_even_with_the_token(origin):
    behind = Behind()
    assert ask(GOOD | {"origin": origin}, behind=behind, origins=["https://viewer:8"])[0] == 403
    assert behind.asked == 0


def test_a_browser_may_ask_before_it_asks_without_the_token_but_not_for_a_hostile_page():
    ask_first = {"host": "localhost", "access-control-request-method": "PUT"}
    assert ask(ask_first | {"origin": "http://localhost:3000"}, method="OPTIONS")[0] == 200
    assert ask(ask_first | {"origin": "https://evil.example"}, method="OPTIONS")[0] == 403
    assert ask(ask_first, method="OPTIONS")[0] == 401


def test_a_body_that_is_announced_too_large_is_not_read():
    behind = Behind()
    headers = GOOD | {"content-length": "101"}
    assert ask(headers, method="PUT", path="/datastore/image", behind=behind, upload_bytes=100)[0] == 413
    assert behind.asked == 0
    for length in ("-1", "1e3", "²", "9" * 5000):
        assert ask(GOOD | {"content-length": length}, behind=behind)[0] == 413


def test_a_body_that_grows_too_large_is_cut():
    asked = {"method": "PUT", "path": "/datastore/image", "upload_bytes": 100}
    assert ask(GOOD, pieces=[b"x" * 50, b"x" * 50], **asked) == (200, b"100")
    status, body = ask(GOOD, pieces=[b"x" * 50, b"x" * 51], **asked)
    assert status == 413 and "larger" in json.loads(body)["detail"]


def test_json_may_not_be_as_large_as_an_image():
    assert ask(GOOD, method="POST", path="/train/a", pieces=[b"x" * (2**20 + 1)])[0] == 413


def test_a_body_that_stops_coming_is_given_up():
    assert ask(GOOD, method="POST", path="/infer/a", pieces=[b"x", None], pause_s=0.05)[0] == 408


def test_where_users_log_in_the_door_asks_for_no_token_but_keeps_the_rest():
    assert ask({"host": "localhost"}, token=None)[0] == 200
    assert ask({"host": "evil.example"}, token=None)[0] == 403


def test_a_web_socket_is_closed():
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(Guard(Behind(), TOKEN)({"type": "websocket"}, None, send))
    assert sent == ["websocket.close"]


def test_pages_are_given_without_the_token_and_nothing_else_is():
    without = {"host": "127.0.0.1:8000"}
    assert ask(without, path="/ohif/app.js", pages="/ohif/")[0] == 200
    assert ask(without, path="/ohif/app.js")[0] == 401
    for method, path in (
        ("POST", "/ohif/app.js"),
        ("GET", "/proxy/dicom/qido/studies"),
        ("GET", "/ohif"),
        ("GET", "/"),
    ):
        assert ask(without, method, path, pages="/ohif/")[0] == 401
    assert ask({"host": "evil.example"}, path="/ohif/app.js", pages="/ohif/")[0] == 403
