"""docs/rest.md names every route there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from fieldmark.api.server import rest

DOCUMENT = Path(__file__).parents[2] / "docs" / "rest.md"


def routes() -> set[str]:
    """Return `METHOD /address` of every route."""
    schema = rest().openapi()
    return {f"{method.upper()} /api{path}" for path, methods in schema["paths"].items() for method in methods}


def test_every_route_is_documented_and_every_documented_route_is_there() -> None:
    written = re.findall(
        r"^\| `([A-Z]+ /api[^?`]*)(?:\?[^`]*)?` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE
    )

    assert len(written) == len(set(written))
    assert set(written) == routes()
