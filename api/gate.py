"""Who may speak to the server before there are accounts: a browser on this machine, from our own pages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
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
        if reason is None and _names_no_route(scope):
            await _refuse(send, "an address with such a part names nothing here: leave out '..' and NUL", 400)
        elif reason is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": reason[:120]})
        else:
            await _refuse(send, reason, 403)

    def _reason(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if not _is_loopback(scope.get("client")):
            return "Fieldmark answers only on the machine it runs on"
        forwarding = next((name for name in _FORWARDING if name in headers), None)
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
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return True
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    opens_a_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (scope["type"] == "http" and scope["method"] in _HARMLESS and opens_a_page)


def _names_no_route(scope: Scope) -> bool:
    """Return whether Streamlit would answer a route's address with a bare 400, which no client can show."""
    path: str = scope["path"]
    return (
        scope["type"] == "http"
        and path.startswith("/api")
        and ("\0" in path or ".." in path.replace("\\", "/").split("/"))
    )


async def _refuse(send: Send, reason: str, status: int) -> None:
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
