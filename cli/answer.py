"""How every command answers: one JSON document or a few lines, sentences for errors, and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fieldmark.storage.workspace import Workspace

WorkspaceOption = Annotated[
    Path,
    typer.Option("--workspace", envvar="FIELDMARK_WORKSPACE", help="Folder that holds everything."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
OfflineOption = Annotated[
    bool, typer.Option("--offline", envvar="FIELDMARK_OFFLINE", help="Forbid every download.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything at all was refused.")]
DEFAULT_WORKSPACE = Path("fieldmark-workspace")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did."""

    document: Any
    """What `--json` prints."""
    show: Callable[[Console], None]
    """Prints the same for a person."""
    nothing_done: str | None = None
    """A sentence: all input was refused."""
    refusals: bool = False
    """Part of the input was refused."""


def refuse_options_before_a_command(context: typer.Context) -> None:
    """End with a sentence when options stand between a group and its command, which would never see them."""
    if context.invoked_subcommand is None:
        return
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            command = f"{context.info_name} {context.invoked_subcommand}"
            raise typer.BadParameter(
                f"write it behind the command: fieldmark {command} … {parameter.opts[0]} …",
                param_hint=parameter.opts[0],
            )


@contextmanager
def sentences(as_json: bool = False) -> Iterator[None]:
    """End the command with a sentence and its exit code, whatever goes wrong inside."""
    from fieldmark.storage.errors import FieldmarkError

    try:
        yield
    except FieldmarkError as error:
        _end(str(error), as_json)
    except KeyboardInterrupt:
        _end("stopped; what was finished before is kept", as_json, code=130)
    except Exception as error:
        if os.environ.get("FIELDMARK_DEBUG"):
            raise
        _end(
            f"Fieldmark failed inside ({type(error).__name__}: {error}); nothing that was acknowledged is lost. "
            "FIELDMARK_DEBUG=1 shows where",
            as_json,
        )


def respond(work: Callable[[], Answer], *, as_json: bool, strict: bool = False) -> None:
    """Do the work, print its answer, and end the command with the exit code that scripts rely on."""
    # What a plugin prints must not spoil the document.
    with sentences(as_json), redirect_stdout(sys.stderr):
        answer = work()
    if as_json:
        print(json.dumps(answer.document, ensure_ascii=False))
    else:
        answer.show(_console())
    if answer.nothing_done:
        tell(answer.nothing_done)
    if answer.nothing_done or (strict and answer.refusals):
        raise typer.Exit(1)


def _end(sentence: str, as_json: bool, code: int = 1) -> None:
    tell(sentence)
    if as_json:
        print(json.dumps({"error": sentence}, ensure_ascii=False))
    raise typer.Exit(code)


def tell(sentence: str) -> None:
    """Print a sentence for a person on stderr."""
    print(f"fieldmark: {harmless(sentence)}", file=sys.stderr)


def harmless(text: str) -> str:
    """Return text without what a terminal would obey: a file's name may hold escape sequences."""
    from fieldmark.core.sources.rules import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def _console() -> Console:
    from rich.console import Console

    class Harmless(Console):
        def print(self, *objects: Any, **settings: Any) -> None:
            super().print(*[harmless(o) if isinstance(o, str) else o for o in objects], **settings)

    return Harmless(highlight=False, markup=False, soft_wrap=True)


@contextmanager
def opened(workspace: Path, *, make: bool = False) -> Iterator[Workspace]:
    """Open the workspace for one command, settling first what a killed one left behind."""
    from fieldmark.core.jobs.control import recover
    from fieldmark.core.train import take_in
    from fieldmark.storage.workspace import create_workspace, open_workspace

    opened_workspace = create_workspace(workspace) if make else open_workspace(workspace)
    try:
        for sentence in opened_workspace.notices:
            tell(sentence)
        for sentence in recover(opened_workspace, lambda run: take_in(opened_workspace, run)):
            tell(sentence)
        yield opened_workspace
    finally:
        opened_workspace.close()


def table(console: Console, headings: list[str], rows: list[list[str]]) -> None:
    """Print rows under headings; cells are text, never markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*[Text(harmless(cell)) for cell in row])
    console.print(shown)


def listed(console: Console, title: str, items: list[Any], most: int = 20) -> None:
    """Print `name: reason` lines under a title, the first `most` of them."""
    if not items:
        return
    console.print(f"{title} ({len(items)}):")
    for item in items[:most]:
        console.print(f"  {item.name}: {item.reason}")
    if len(items) > most:
        console.print(f"  … and {len(items) - most} more; --json lists all")
