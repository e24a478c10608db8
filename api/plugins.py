"""What is installed, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from fieldmark.api.context import Context

router = APIRouter()


@router.get("/plugins")
def list_plugins(app: Context) -> dict[str, Any]:
    """Return every plugin with its options, and the problems of those that were left out."""
    return {
        "plugins": [
            {
                "kind": plugin.kind,
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "summary": plugin.summary,
                "options": [asdict(option) for option in plugin.options],
            }
            for plugin in app.registry.plugins
        ],
        "problems": [asdict(problem) for problem in app.registry.problems],
    }
