"""Building the paper's whole mixture, 938,605 training rows, from release-shaped files.

    python benchmarks/full_size_files.py DATA && python benchmarks/mixture.py DATA

Each measurement runs in a process of its own:

* parse: every annotation file that the paper's protocol needs, through `json.load` or, for XML,
  `ElementTree`: what any reader must spend;
* build: ``load_dataset("rs_gpt4v", "all")`` with ``num_proc`` None, 2 and 4.

Printed: wall and CPU seconds (children included), peak memory of the largest process, size of the
cache, rows, and whether every build gave the same rows.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROWS = 938_605  # the paper


def parse(data: Path) -> dict[str, Any]:
    """Read every JSON and XML file."""
    files = [file for file in sorted(data.rglob("*.json")) if file.is_file()]
    for file in files:
        json.loads(file.read_bytes())
    for file in sorted((data / "DIOR_RSVG" / "Annotations").iterdir()):
        ElementTree.parse(file)
    return {}


def build(data: Path, num_proc: int | None) -> dict[str, Any]:
    """Build the mixture in an empty cache; what the rows hold goes into one digest."""
    import datasets

    import rs_gpt4v  # noqa: F401  (registers)

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        rows: Any = datasets.load_dataset(
            "rs_gpt4v", "all", data_dir=str(data), cache_dir=cache, num_proc=num_proc
        )
        used = _used()
        stored = sum(file.stat().st_size for file in Path(cache).rglob("*.arrow"))
        return used | {
            "cache_mb": stored / 2**20,
            "rows": rows["train"].num_rows,
            "digest": _digest(rows),
        }


def _digest(rows: Any) -> str:
    digest = hashlib.sha256()
    for split, part in rows.items():
        digest.update(split.encode())
        for start in range(0, part.num_rows, 50_000):
            batch = part.with_format("arrow")[start : start + 50_000]
            digest.update(json.dumps(batch.to_pylist(), default=str).encode())
    return digest.hexdigest()[:16]


def _used() -> dict[str, float]:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu": sum(usage.ru_utime + usage.ru_stime for usage in usages),
        "peak_mb": max(usage.ru_maxrss for usage in usages) / 1024,
    }


def _measure(way: str, data: Path) -> dict[str, Any]:
    start = time.perf_counter()
    if way == "parse":
        parse(data)
        done: dict[str, Any] = _used()
    else:
        done = build(data, None if way == "build" else int(way.removeprefix("build-")))
    return {"wall": time.perf_counter() - start} | done


def main() -> None:
    """Run each measurement in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(_measure(args.way, args.data)))
        return
    results: dict[str, dict[str, Any]] = {}
    for way in ("parse", "build", "build-2", "build-4"):
        command = [sys.executable, __file__, str(args.data), "--way", way]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[way] = one = json.loads(done.stdout.splitlines()[-1])
        size = f"  cache {one['cache_mb']:.0f} MB  {one['rows']:,} rows" if "rows" in one else ""
        print(f"{way:8} CPU {one['cpu']:6.1f} s  peak {one['peak_mb']:6.0f} MB{size}")
    digests = {one["digest"] for one in results.values() if "digest" in one}
    print("the same rows every time" if len(digests) == 1 else f"rows differ: {digests}")
    beyond = results["build"]["cpu"] - results["parse"]["cpu"]
    print(f"CPU beyond parsing: {beyond:.1f} s")


if __name__ == "__main__":
    main()
