"""`rs-gpt4v bench` on the whole sample with the embedded model: killed ten times, and by many.

    python benchmarks/bench_kills.py OUT [CONFIG ...] [--kills 10] [--limit 6]

It benches all configs, or those named, undisturbed, then again with ``kill -9`` at random moments,
then by two processes, then on two "machines" (launches that meet on loopback), and compares all
files with those of the first: they must be equal byte for byte, all but ``run`` in results.json.
What a run says stands in OUT/NAME.log.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
Command = Callable[..., list[str]]
"""Of the folder to write to, and of the module's words that launch it."""


def _command(configs: Sequence[str], limit: int) -> Command:
    few = ["--limit", str(limit), "--blind-images", "2", "--max-new-tokens", "32"]
    asked = ["embedded", *configs, "--sample", *few]

    def command(out: Path, *launch: str) -> list[str]:
        modules = ["-m", *launch, "-m"] if launch else ["-m"]
        return [sys.executable, *modules, "rs_gpt4v.cli", "bench", *asked, "--out", str(out)]

    return command


def _start(command: list[str], out: Path) -> subprocess.Popen[bytes]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)


def _finish(started: Sequence[subprocess.Popen[bytes]], out: Path) -> None:
    codes = [process.wait() for process in started]
    if any(codes):
        sys.exit(f"ended with {codes}: see {out.with_suffix('.log')}")


def _run(command: Command, out: Path) -> float:
    started = time.monotonic()
    _finish([_start(command(out), out)], out)
    return time.monotonic() - started


def _kill(command: Command, out: Path, after: float) -> None:
    """Start, and kill ``after`` seconds, wherever it is then."""
    process = _start(command(out), out)
    time.sleep(after)
    process.kill()
    process.wait()
    files, parts = (sum(1 for _ in out.rglob(name)) for name in ("*.jsonl", "*.part*"))
    print(f"  killed after {after:.1f} s: {files} files, {parts} parts")


def _launch(command: Command, out: Path, machines: int, processes: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["torch.distributed.run", f"--nnodes={machines}", f"--nproc-per-node={processes}"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    ranks = range(machines)
    _finish([_start(command(out, *torchrun, f"--node-rank={rank}"), out) for rank in ranks], out)
    run = json.loads((out / "results.json").read_text())["run"]
    found, expected = (run["processes"], run["machines"]), (machines * processes, machines)
    if found != expected:
        sys.exit(f"{out}: (processes, machines) are {found}, not {expected}")


def _content(out: Path) -> dict[str, Any]:
    files = {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}
    results = json.loads(files.pop("results.json"))
    del results["run"]
    return {**files, "results.json": results}


def _compare(name: str, out: Path, whole: Path) -> None:
    ours, theirs = _content(out), _content(whole)
    unlike = sorted(file for file in {*ours, *theirs} if ours.get(file) != theirs.get(file))
    print(f"{name}: {len(ours)} files, " + (f"DIFFERENT: {unlike}" if unlike else "all equal"))
    if unlike:
        sys.exit(1)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("configs", nargs="*", metavar="CONFIG")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--limit", type=int, default=6)
    options = parser.parse_args()
    whole, killed, several, nodes = (options.out / n for n in ("whole", "killed", "two", "nodes"))
    for folder in (whole, killed, several, nodes):
        shutil.rmtree(folder, ignore_errors=True)
    command = _command(options.configs, options.limit)
    _run(command, whole)  # the first time, the sample is built
    shutil.rmtree(whole)
    seconds = _run(command, whole)
    print(f"undisturbed: {seconds:.0f} s")
    chance = random.Random(0)
    for _ in range(options.kills):
        _kill(command, killed, chance.uniform(0.2, 0.9) * seconds)
    _run(command, killed)
    _compare(f"killed {options.kills} times", killed, whole)
    _launch(command, several, machines=1, processes=2)
    _compare("two processes", several, whole)
    _launch(command, nodes, machines=2, processes=1)
    _compare("two machines", nodes, whole)


if __name__ == "__main__":
    _main()
