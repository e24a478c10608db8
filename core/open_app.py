"""What the server holds open for its routes and pages: one workspace, its plugins, its active runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fieldmark.core.active_runs import ActiveRuns
    from fieldmark.core.registry import Registry
    from fieldmark.storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class OpenApp:
    """Everything a route or a page may use."""

    workspace: Workspace
    registry: Registry
    runs: ActiveRuns


_held: list[OpenApp] = []


def hold(app: OpenApp | None) -> None:
    """Make an app the one that routes and pages of this process use; None lets go of it.

    Streamlit runs pages as threads of this process and hands them nothing, so they look here.
    """
    _held[:] = [app] if app else []


def held() -> OpenApp:
    """Return the open app; raises `RuntimeError` outside `fieldmark serve`."""
    if not _held:
        raise RuntimeError("no workspace is open in this process: pages run inside 'fieldmark serve'")
    return _held[0]
