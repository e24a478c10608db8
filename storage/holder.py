"""Who serves a workspace: a file that names the process and its address.

It only makes a refusal more helpful. What refuses is the database's lock, so a file that is old, damaged or made up
can at worst leave the address out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fieldmark.storage.files import replacing

NAME = "server.json"
LONGEST_FILE = 4096
LONGEST_ADDRESS = 200


def announce(root: Path, address: str) -> None:
    """Say that this process serves the workspace at `address`; raises `FieldmarkError` when that can't be written."""
    with replacing(root / NAME) as file:
        file.write(json.dumps({"pid": os.getpid(), "address": address}).encode())


def withdraw(root: Path, *, only_own: bool = False) -> None:
    """Remove the file, when it is there; `only_own`: unless another process wrote it."""
    said = _said(root) if only_own else None
    if said is None or said.get("pid") == os.getpid():
        (root / NAME).unlink(missing_ok=True)


def address_of(root: Path, pid: int) -> str | None:
    """Return where process `pid` says that it serves the workspace, or None when nothing believable says so."""
    said = _said(root)
    if said is None or isinstance(said.get("pid"), bool) or said.get("pid") != pid:
        return None
    address = said.get("address")
    if not isinstance(address, str) or len(address) > LONGEST_ADDRESS:
        return None
    believable = address.startswith(("http://", "https://")) and address.isprintable() and " " not in address
    return address if believable else None


def _said(root: Path) -> dict[str, Any] | None:
    try:
        with (root / NAME).open("rb") as file:
            said = json.loads(file.read(LONGEST_FILE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
