"""Progress bars on stderr, for a person who watches: nothing where stderr is a file or a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fieldmark.core.jobs.files import Step


@contextmanager
def counting(word: str) -> Iterator[Callable[[int], None]]:
    """Show how many there have been so far, for work whose end is not known."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(word, total=None)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def steps() -> Iterator[Callable[[Step], None]]:
    """Show a worker's steps: what it does, how far it is, how long it will take."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from fieldmark.core.run_progress import STAGE_WORDS

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]} {task.fields[figure]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(step: Step) -> None:
            if step.stage not in tasks:
                for earlier in list(tasks.values())[-1:]:  # stopping one again would move its end
                    progress.stop_task(earlier)
                tasks[step.stage] = progress.add_task(
                    STAGE_WORDS[step.stage], total=None, count="", figure=""
                )
            task = tasks[step.stage]
            count = f"{step.done}/{step.total}" if step.total else f"{step.done or ''}"
            progress.update(task, completed=step.done, total=step.total or None, count=count)
            if step.validation_accuracy is not None:
                progress.update(task, figure=f"validation {step.validation_accuracy:.1%}")

        yield tell


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the wall seconds since now."""
    started = time.monotonic()
    return lambda: round(time.monotonic() - started, 2)
