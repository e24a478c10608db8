"""What DuckDB drops from its write-ahead log without a word, found before it does.

When the log's first entry can't be read, or an entry claims to be longer than the file, DuckDB 2.0 opens the database
as if the log ended there, and later writes over what followed. After a power cut that is right: what follows was never
acknowledged. After damage it loses acknowledged changes, so such a log is copied first. A wrong guess here costs a
copy and a notice, never a change.

The log begins with an entry for its version (1 to 3, with the database's identifier from 2 on); then each entry is
its payload's size and checksum, 8 bytes each, and the payload. A commit is an entry that is always the same.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

from fieldmark.storage.files import CHUNK

_FIRST = re.compile(
    rb"\x64\x00\x62\x65\x00[\x01-\x03]"
    rb"(\x66\x00\x10([\x00-\x7f]|[\x80-\xff]\x01){16}\x67\x00[\x80-\xff]{0,9}[\x00-\x7f])?\xff\xff",
    re.DOTALL,
)
_START = b"\x64\x00\x62"
_SHORTEST_FIRST = 8
_LONGEST_FIRST = 64
_COMMIT = bytes.fromhex("e7fe7d722fed3d5e640064ffff")
"""A commit's checksum and payload, without the size before them."""
_FRAME = struct.Struct("<Q8x")


def drops_commits(log: Path) -> bool:
    """Return whether DuckDB would drop changes of this log without saying so; False when it can't be read."""
    try:
        with log.open("rb") as file:
            return _drops(file, log.stat().st_size)
    except (OSError, struct.error):  # the database, opened next, says what is the matter or who writes it now
        return False


def _drops(file: BinaryIO, size: int) -> bool:
    start = file.read(_LONGEST_FIRST)
    first = _FIRST.match(start)
    if first is None:
        newer = start[:3] == _START and len(start) > _SHORTEST_FIRST and 3 < start[5] < 0x80
        cut_short = size < _LONGEST_FIRST and start[:3] == _START[: len(start)]
        return not (newer or cut_short)
    place = first.end()
    while place + _FRAME.size <= size:
        file.seek(place)
        end = place + _FRAME.size + int(_FRAME.unpack(file.read(_FRAME.size))[0])
        if end > size:
            break
        place = end
    file.seek(place)
    before = b""
    while chunk := file.read(CHUNK):
        if _COMMIT in before + chunk:
            return True
        before = chunk[-len(_COMMIT) :]
    return False
