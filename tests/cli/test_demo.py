"""`fieldmark demo`: a first model without a download, and the app on it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request


def test_the_demo_trains_once_and_opens_the_app_on_it(fieldmark) -> None:
    first = fieldmark("demo", "--no-serve").document
    assert first["accuracy"] >= 0.98
    assert (first["labelled"], first["unlabelled"], first["reused"]) == (1597, 200, False)
    second = fieldmark("demo", "--no-serve").document
    assert second["reused"] and second["accuracy"] == first["accuracy"]
    assert second["seconds"] < first["seconds"]
    stats = fieldmark("stats", first["model"], "--project", first["project"]).document
    assert stats["validation"]["accuracy"] == first["accuracy"]
    assert len(stats["labels"]) == 10

    command = [sys.executable, "-m", "fieldmark", "demo", "--no-browser", "--port", "0", "--workspace"]
    app = subprocess.Popen(
        [*command, str(fieldmark.workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=fieldmark.environment(),
    )
    assert app.stdout is not None
    said = ""
    while "http://" not in said:
        line = app.stdout.readline()
        assert line, said
        said += line
    address = re.search(r"http://\S+", said)
    assert "The demo is there already" in said and "What to do next" in said and address
    with urllib.request.urlopen(f"{address.group()}/api/health") as answer:
        assert answer.status == 200
    app.send_signal(signal.SIGINT)
    assert app.wait(20) == 0
    app.stdout.close()
