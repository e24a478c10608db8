"""The one process that may download: reads which backbone from stdin, tells its progress as JSON lines."""

from __future__ import annotations

import json
import sys
import time

from fieldmark.core.registry import load_registry
from fieldmark.storage.errors import FieldmarkError

SECONDS_BETWEEN_LINES = 0.2


def main() -> None:
    """Fetch what the backbone misses."""
    request = json.load(sys.stdin)
    out = sys.stdout
    sys.stdout = sys.stderr  # a library's print must not tear the lines
    told = 0.0

    def report(done: int, total: int) -> None:
        nonlocal told
        if done >= total or time.monotonic() - told > SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            print(json.dumps({"done": done, "total": total}), file=out, flush=True)

    try:
        load_registry().backbone(request["backbone"], request["options"]).fetch(report)
    except FieldmarkError as error:
        print(json.dumps({"error": str(error)}), file=out, flush=True)


if __name__ == "__main__":
    main()
