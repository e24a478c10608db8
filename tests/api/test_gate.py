"""Only a browser on this machine, on our own pages, gets an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

LOCAL = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def address(serve_for_module: Callable[..., Any]) -> str:
    """Where one empty workspace is served for all of these tests."""
    return str(serve_for_module().address)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/label",
        "/api/health",
        "/api/v1/projects",
        "/_stcore/health",
        "/media/x.png",
        "/static/x.js",
        "/component/x",
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"via": "1.1 proxy"},
        {"x-forwarded-proto": "https"},
        {"x-forwarded-for": "10.0.0.9"},
        {"forwarded": "for=10.0.0.9"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    ],
)
def test_whoever_is_not_a_local_page_is_refused_everywhere(
    address: str, path: str, headers: dict[str, str]
) -> None:
    answer = httpx2.get(address + path, headers=headers)

    assert answer.status_code == 403
    assert "error" in answer.json()


def test_a_foreign_page_cannot_write(address: str) -> None:
    answer = httpx2.post(
        f"{address}/api/v1/projects", json={"name": "planted"}, headers={"origin": "http://evil.example"}
    )

    assert answer.status_code == 403
    assert httpx2.get(f"{address}/api/v1/projects").json() == {"projects": []}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_local_page_is_answered(address: str, host: str) -> None:
    port = address.rpartition(":")[2]
    headers = {"host": f"{host}:{port}", "origin": f"http://{host}:{port}", **LOCAL}

    answer = httpx2.get(f"{address}/api/health", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_link_from_elsewhere_opens_a_page_but_no_route_in_a_frame(address: str) -> None:
    follows = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    framed = {**follows, "sec-fetch-dest": "iframe"}

    assert httpx2.get(f"{address}/label", headers=follows).status_code == 200
    assert httpx2.get(f"{address}/label", headers=framed).status_code == 403


def test_a_websocket_of_a_foreign_page_is_closed(address: str) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = address.replace("http", "ws") + "/_stcore/stream"

    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin="http://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


def test_a_body_that_a_route_would_hold_in_memory_is_limited(address: str) -> None:
    large = httpx2.post(f"{address}/api/v1/projects", content=b"x" * (5 << 20))
    endless = httpx2.post(f"{address}/api/v1/projects", content=iter([b"{}"]))

    assert (large.status_code, endless.status_code) == (413, 411)
    assert "larger than 4 MB" in large.json()["error"]
