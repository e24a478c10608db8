"""What must have happened before altair may be used."""

from __future__ import annotations

import importlib


def finish_pandas() -> None:
    """Wait until pandas is wholly imported.

    altair looks for pandas among the loaded modules without importing it, and Streamlit imports it in other
    threads: halfway through, `pandas.Timestamp` is missing and the chart fails.
    """
    importlib.import_module("pandas")
