"""Who may speak to the server before there are accounts: a browser on this machine, from our own pages."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("fieldmark.gate")
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_FORWARDING = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip", "x-original-host"}
)
LARGEST_BODY = 4 * 2**20
"""Bytes of a request to a route, other than a file on its way in."""
_HARMLESS = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'self'; object-src 'none'"
)
"""Streamlit and Vega need inline code; nothing may be fetched from, or sent to, another host."""
_ADDED = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Gate:
    """Refuses whatever does not come from this machine, name this machine, or come from our own pages.

    A name that another's DNS points at us (rebinding) fails by its `Host`, a foreign page by its `Origin` or
    `Sec-Fetch-Site`, a proxy by its forwarding header. It stands before every route, Streamlit's and websockets too.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self._hosts = {f"{name}:{port}" for name in LOCAL_NAMES} | (set(LOCAL_NAMES) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        reason = self._reason(scope)
        if reason is None:
            unusable = _unusable(scope)
            if unusable is None:
                await self.app(scope, receive, _with_headers(send))
            else:
                await _refuse(send, *unusable)
            return
        _log.warning("refused %r from %r: %s", scope["path"][:200], scope.get("client"), reason)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": reason[:120]})
        else:
            await _refuse(send, 403, reason)

    def _reason(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if not _is_loopback(scope.get("client")):
            return "Fieldmark answers only on the machine it runs on"
        forwarding = next(
            (name for name in headers if name in _FORWARDING or name.startswith("x-forwarded")), None
        )
        if forwarding:
            return f"a request that was passed on (it carries {forwarding}) is refused: open the app on its own machine"
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return f"the address {host[:80]!r} is not this server's: open http://127.0.0.1 with its port"
        if _foreign(scope, headers, host):
            return "a page of another origin may not use this server"
        return None


def _is_loopback(client: tuple[str, int] | None) -> bool:
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _foreign(scope: Scope, headers: Headers, host: str) -> bool:
    """Return whether another page caused this; following a link to a page of ours is not foreign."""
    if any(origin.lower() != f"http://{host}" for origin in headers.getlist("origin")):
        return True
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    opens_a_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (scope["type"] == "http" and scope["method"] in _HARMLESS and opens_a_page)


def _unusable(scope: Scope) -> tuple[int, str] | None:
    """Return the refusal of a request that no route could answer well."""
    path: str = scope["path"]
    if scope["type"] != "http" or not path.startswith("/api"):
        return None
    if "\0" in path or ".." in path.replace("\\", "/").split("/"):  # Streamlit would answer a bare 400
        return 400, "an address with such a part names nothing here: leave out '..' and NUL"
    if scope["method"] == "PUT":  # a file, streamed to disk
        return None
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers and "content-length" not in headers:
        return 411, "the request has no Content-Length: send one"
    if length.isdecimal() and int(length) <= LARGEST_BODY:
        return None
    return 413, f"the request is larger than {LARGEST_BODY // 2**20} MB: send it in parts"


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_ADDED]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            present: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
            names = {name.lower() for name, _ in present}
            message = {**message, "headers": [*present, *(pair for pair in _ADDED if pair[0] not in names)]}
        await send(message)

    return send_on
