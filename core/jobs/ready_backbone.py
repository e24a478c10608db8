"""A backbone made ready to embed: found, its weights fetched if that is allowed, loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.jobs.files import Step
from fieldmark.core.jobs.process_environment import worker_environment
from fieldmark.core.registry import Registry
from fieldmark.core.worker import Work
from fieldmark.storage.errors import FieldmarkError


def ready_backbone(
    registry: Registry, name: str, options: Mapping[str, Any], work: Work, *, offline: bool
) -> Backbone[Any]:
    """Return a loaded backbone; raises `FieldmarkError` when weights are missing and may or can not be fetched."""
    backbone = registry.backbone(name, options)
    missing = backbone.missing()
    if missing:
        if offline:
            raise FieldmarkError(
                f"{missing} Offline mode forbids fetching it: leave out --offline (and unset FIELDMARK_OFFLINE),"
                " or give the weights as a file."
            )
        _fetch(name, options, missing, work)
    backbone.load(device())
    return backbone


def device() -> str:
    """Return the torch device that computes fastest here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _fetch(name: str, options: Mapping[str, Any], missing: str, work: Work) -> None:
    """Download in a process of its own: only that one may reach the network."""
    work.tell(Step(stage="fetch", message=missing))
    request = json.dumps({"backbone": name, "options": dict(options)})
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "fieldmark.core.jobs.fetch_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **worker_environment(offline=False)},
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(request)
        child.stdin.close()
        for line in child.stdout:
            told = json.loads(line)
            if "error" in told:
                raise FieldmarkError(told["error"])
            work.tell(Step(stage="fetch", done=told["done"], total=told["total"], message=missing))
            if work.cancelled():
                child.terminate()
                raise FieldmarkError("cancelled")
    if child.returncode:
        raise FieldmarkError(f"fetching the weights of {name} failed (exit {child.returncode}): try again")
