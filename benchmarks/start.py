"""Processor time of `fieldmark --help` against `python -c "import typer, rich"`, in turn, median of several runs.

python benchmarks/start.py [RUNS]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

HEAVY = ("torch", "streamlit", "timm", "sklearn", "albumentations", "pandas", "numpy", "duckdb", "pydantic")
COMMANDS = {
    "fieldmark --help": [sys.executable, "-m", "fieldmark", "--help"],
    "python -c 'import typer, rich'": [sys.executable, "-c", "import typer, rich"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def processor_seconds(command: list[str]) -> float:
    """Return user plus system seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print a table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        for name, command in COMMANDS.items():
            seconds = processor_seconds(command)
            if run:
                times[name].append(seconds)
    print("| command | CPU seconds, median | min | max |\n|---|---|---|---|")
    for name, values in times.items():
        print(f"| `{name}` | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    ours, theirs, _ = (statistics.median(values) for values in times.values())
    print(f"\nratio fieldmark --help / import typer, rich: {ours / theirs:.2f}")
    script = f"import fieldmark.cli.main, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    print(f"heavy modules imported on the way: {loaded.stdout.strip()}")


if __name__ == "__main__":
    main()
