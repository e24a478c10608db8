"""`fieldmark plugins`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    WorkspaceOption,
    refuse_options_before_a_command,
    respond,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(help="What is installed; without a command it lists.", invoke_without_command=True)


@group.callback()
def bare(
    context: typer.Context,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """What is installed; without a command it lists."""
    refuse_options_before_a_command(context)
    if context.invoked_subcommand is None:
        list_plugins(workspace, as_json, offline)


@group.command("list")
def list_plugins(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """List every plugin with where it comes from, and the problems of those that were left out."""

    def work() -> Answer:
        from fieldmark.core.registry import load_registry

        registry = load_registry()
        found = [
            {
                "kind": plugin.kind,
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "summary": plugin.summary,
            }
            for plugin in registry.plugins
        ]
        problems = [asdict(problem) for problem in registry.problems]
        return Answer(
            {"plugins": found, "problems": problems}, lambda console: _show_list(console, found, problems)
        )

    respond(work, as_json=as_json)


@group.command("show")
def show(
    kind: Annotated[str, typer.Argument(help="importer, backbone, trainer or exporter.")],
    name: Annotated[str, typer.Argument(help="Name of the plugin.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Show one plugin's options."""
    wanted = _kind(kind)

    def work() -> Answer:
        from fieldmark.core.registry import load_registry

        plugin = load_registry().find(wanted, name)
        options = [asdict(option) for option in plugin.options]
        document = {"kind": kind, "name": name, "summary": plugin.summary, "options": options}
        return Answer(document, lambda console: _show_one(console, document))

    respond(work, as_json=as_json)


def _kind(text: str) -> Any:
    from fieldmark.core.contracts.terms import KINDS

    if text not in KINDS:
        raise typer.BadParameter(f"{text!r} is no kind: {', '.join(KINDS)}", param_hint="KIND")
    return text


def _show_list(console: Console, found: list[dict[str, str]], problems: list[dict[str, str]]) -> None:
    rows = [[p["kind"], p["name"], f"{p['distribution']} {p['version']}", p["summary"]] for p in found]
    table(console, ["kind", "name", "from", "what"], rows)
    for problem in problems:
        console.print(f"Left out: {problem['source']} ({problem['stage']}): {problem['message']}")


def _show_one(console: Console, document: dict[str, Any]) -> None:
    console.print(document["summary"])
    rows = [[str(o["name"]), str(o["default"]), str(o["description"])] for o in document["options"]]
    table(console, ["option", "default", "what"], rows)
