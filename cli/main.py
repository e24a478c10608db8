"""Where the `fieldmark` command begins."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line; a file name that is no text is printed with its bytes spelt out."""
    try:
        from fieldmark.cli.app import app

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        app()
    except KeyboardInterrupt:
        sys.exit(130)
