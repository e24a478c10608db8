"""Joins the ES modules of a browser component into the one text that Streamlit sends to the page.

Streamlit loads a component's script from memory, where `import "./other.js"` finds nothing. So the files stay
ordinary ES modules, for editors and readers, and their local imports and exports are taken away as they are joined.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

_IMPORT = re.compile(r'^import .* from "\.{1,2}/.*";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) )", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:async function|function|class|const|let) (\w+)", re.MULTILINE)


def joined(*modules: tuple[str, str]) -> str:
    """Return one script made of `(package, file)` modules, each after those it imports.

    The last one has the default export that Streamlit calls. Raises `ValueError` when two modules use one name.
    """
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", text_of(*module))) for module in modules)
    twice = [name for name, times in Counter(_TOP_LEVEL.findall(script)).items() if times > 1]
    if twice:
        raise ValueError(f"browser modules {modules} use a name twice: {', '.join(sorted(twice))}")
    return script


def text_of(package: str, file: str) -> str:
    """Return the text of a file that lies in a package."""
    return (files(package) / file).read_text("utf-8")
