"""Names under which this tab remembers what was chosen for a training: of one project, and nothing of another."""

from __future__ import annotations

from fieldmark.storage.projects import Project


def key(project: Project, *parts: str) -> str:
    """Return the key of a widget or a remembered value of the Train page."""
    return "/".join(("train", str(project.id), *parts))
