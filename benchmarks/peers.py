"""Measure two ways of doing one thing side by side, and write the ratio down with the machine that it holds for."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def compare(
    what: str, ours: Callable[[], object], *, peer: Callable[[], object], peer_name: str, rounds: int = 5
) -> None:
    """Time both in turns, after one unmeasured round, and write the medians and their ratio as JSON."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for measured in range(-1, rounds):
        for name, run in (("ours", ours), ("peer", peer)):
            started = time.perf_counter()
            run()
            if measured >= 0:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    result = {
        "what": what,
        "peer": peer_name,
        "seconds": {name: round(median, 4) for name, median in medians.items()},
        "times_faster": round(medians["peer"] / medians["ours"], 2),
        "rounds": rounds,
        **machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{what.replace(' ', '_')}.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{what}: {result['seconds']}, {result['times_faster']} times as fast as {peer_name} -> {file}")


def machine() -> dict[str, dict[str, object]]:
    """Return what a measurement holds for."""
    return {
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {name: version(name) for name in ("torch", "monai", "numpy", "scipy")},
    }


def memory_mb(name: str) -> float:
    """Return what Linux says of this process: VmRSS for what it holds now, VmHWM for the most it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()
