"""Whether the server answers."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

router = APIRouter()


@router.get("/health")
def health() -> dict[str, str]:
    """Return the version that runs."""
    return {"status": "ok", "version": version("fieldmark")}
