"""`fieldmark version`."""

from __future__ import annotations

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    WorkspaceOption,
    respond,
)


def version(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Print the version of Fieldmark and of its plugin contract."""

    def work() -> Answer:
        from importlib.metadata import version as installed

        from fieldmark.core.hookspecs import CONTRACT_VERSION

        number = installed("fieldmark")
        return Answer(
            {"version": number, "contract": CONTRACT_VERSION},
            lambda console: console.print(f"fieldmark {number} (plugin contract {CONTRACT_VERSION})"),
        )

    respond(work, as_json=as_json)
