"""The environment a worker process must be started with, because libraries read it once, at start."""

from __future__ import annotations

import os
from collections.abc import Mapping


def worker_environment(*, offline: bool = True, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what to add to a worker's environment; what the person has set is left out, so that it stands.

    The malloc settings keep glibc from giving memory back between batches, which makes a torch forward several
    times faster; one BLAS thread suits the small products of a head. `offline=False` is for the process that
    downloads weights and for no other.
    """
    environ = os.environ if environ is None else environ
    preferred = {
        "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
        "MALLOC_TOP_PAD_": str(256 << 20),
        "MALLOC_ARENA_MAX": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    # Nothing may go out unasked, so these are not for the person's environment to undo.
    binding = {
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    return {name: value for name, value in preferred.items() if name not in environ} | binding
