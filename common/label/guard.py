"""The door of the label server: who may ask from where, and how much they may send. Plain ASGI, no framework."""

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from .settings import LOOPBACK

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

WITH_FILES = ("/infer/", "/datastore/")
WITHOUT_FILES_BYTES = 2**20
PAUSE_S = 60.0
HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII)
# Where a client asks how to log in, and does; nothing else is answered without the token.
OPEN_PATHS = ("/auth/", "/auth/token")
OPEN_BYTES = 2**12


class Guard:
    """Passes on what is addressed to this server, by a page that may, with the token, in a size that is allowed.

    Args:
        app: ASGI application behind the door.
        token: secret that each request brings, as `Authorization: Bearer TOKEN` or as `?token=TOKEN`; None where the
            application asks for a login itself.
        hosts: names in the Host header that are this server; anything else is a page that had its own name resolved to
            this machine.
        origins: web pages that may ask, besides those of this machine.
        upload_bytes: largest body of a request with files.
        pause_s: longest wait for the next piece of a body.
        pages: beginning of the addresses of pages that hold nothing secret and are given without the token; none if "".
    """

    def __init__(
        self,
        app: App,
        token: str | None,
        hosts: Iterable[str] = LOOPBACK,
        origins: Iterable[str] = (),
        upload_bytes: int = 2**31,
        pause_s: float = PAUSE_S,
        pages: str = "",
    ) -> None:
        self.pages = pages
        self.app, self.token, self.upload_bytes, self.pause_s = app, token, upload_bytes, pause_s
        self.hosts, self.origins = frozenset(hosts), frozenset(origins)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer with the reason if a request is refused, else let the application answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self._refusal(scope):
            await _refuse(send, *refusal)
        else:
            body = _Body(receive, self._largest(scope["path"]), self.pause_s)
            await body.serve(self.app, scope, send)

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if len(hosts) != 1 or _host(hosts[0]) not in self.hosts:
            return 403, f"Host: expected one of {', '.join(sorted(self.hosts))}, found {hosts}; see --allow-origin"
        if len(origins) > 1 or not all(self._may_ask(origin) for origin in origins):
            return 403, f"Origin: {origins} may not ask this server; see --allow-origin"
        length = (_headers(scope, b"content-length") or ["0"])[0]
        largest = self._largest(scope["path"])
        if not (length.isascii() and length.isdigit()) or int(length[:20]) > largest:
            return 413, f"Content-Length: expected at most {largest} bytes, found {length[:40]}"
        preflight = scope["method"] == "OPTIONS" and origins and _headers(scope, b"access-control-request-method")
        page = bool(self.pages) and scope["method"] == "GET" and scope["path"].startswith(self.pages)
        if preflight or page or scope["path"] in OPEN_PATHS or self._has_token(scope):
            return None
        return 401, "expected the token that was printed when the server started, as Authorization: Bearer TOKEN"

    def _may_ask(self, origin: str) -> bool:
        return origin.lower() in self.origins or _host(origin.partition("://")[2]) in LOOPBACK

    def _has_token(self, scope: Message) -> bool:
        if self.token is None:
            return True
        given = [text[7:] for text in _headers(scope, b"authorization") if text[:7].lower() == "bearer "]
        given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return any(hmac.compare_digest(text.strip().encode(), self.token.encode()) for text in given)

    def _largest(self, path: str) -> int:
        if path in OPEN_PATHS:
            return OPEN_BYTES
        return self.upload_bytes if path.startswith(WITH_FILES) else WITHOUT_FILES_BYTES


class _Body:
    """The body of one request, read no further than is allowed."""

    def __init__(self, receive: Receive, largest: int, pause_s: float) -> None:
        self.receive, self.left, self.pause_s = receive, largest, pause_s
        self.complete = self.answered = False
        self.refusal: tuple[int, str] | None = None

    async def serve(self, app: App, scope: Message, send: Send) -> None:
        """Let `app` answer; if the body was cut off, answer with the reason in its place."""

        async def send_unless_refused(message: Message) -> None:
            if self.refusal is None or self.answered:
                self.answered = True
                await send(message)

        try:
            await app(scope, self._next, send_unless_refused)
        except Exception:
            if self.refusal is None:
                raise
        if self.refusal is not None and not self.answered:
            await _refuse(send, *self.refusal)

    async def _next(self) -> Message:
        if self.complete:
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.pause_s)
        except asyncio.TimeoutError:
            self._cut(408, f"nothing came for {self.pause_s} s")
            raise ConnectionError("the body stopped coming") from None
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            self._cut(413, "the body is larger than this server takes")
            raise ConnectionError("the body is too large")
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _cut(self, status: int, reason: str) -> None:
        self.complete, self.refusal = True, (status, reason)


def _headers(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _host(text: str) -> str:
    match = HOST.fullmatch(text)
    return match[1].strip("[]").lower() if match else ""


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] + ([(b"www-authenticate", b"Bearer")] if status == 401 else [])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
