"""What every test gets: no installed plugin, no network, no thread storms."""

import os

# Before anything of ours or torch is imported: both read these once. Plugins that happen to be installed beside
# Fieldmark must not change what its tests see.
os.environ["FIELDMARK_LOAD_PLUGINS"] = ""
os.environ.pop("FIELDMARK_STRICT_PLUGINS", None)
os.environ.pop("FIELDMARK_WORKSPACE", None)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
