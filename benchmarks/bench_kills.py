"""`rs-gpt4v bench` on the whole sample with the embedded model: killed ten times, and by many.

    python benchmarks/bench_kills.py OUT [--kills 10] [--limit 6]

It benches all configs undisturbed, then again with ``kill -9`` at random moments, then by two
processes, then on two "machines" (launches that meet on loopback), and compares all files with
those of the first: they must be equal byte for byte, all but ``run`` in results.json.
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
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

QUIET: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def _command(out: Path, limit: int, *launch: str) -> list[str]:
    few = ["--limit", str(limit), "--blind-images", "2", "--max-new-tokens", "32"]
    verb = ["rs_gpt4v.cli", "bench", "embedded", "--sample", "--out", str(out), *few]
    return [sys.executable, "-m", *launch, *(["-m"] if launch else []), *verb]


def _run(out: Path, limit: int) -> float:
    started = time.monotonic()
    subprocess.run(_command(out, limit), check=True, env=ENVIRONMENT, **QUIET)
    return time.monotonic() - started


def _kill(out: Path, limit: int, after: float) -> None:
    """Start, and kill ``after`` seconds, wherever it is then."""
    process = subprocess.Popen(_command(out, limit), env=ENVIRONMENT, **QUIET)
    time.sleep(after)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(process.pid).kill()
    process.wait()
    parts = sum(1 for _ in out.rglob("*.part*"))
    print(
        f"  killed after {after:.1f} s: {sum(1 for _ in out.rglob('*.jsonl'))} files, {parts} parts"
    )


def _launch(out: Path, limit: int, machines: int, processes: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["torch.distributed.run", f"--nnodes={machines}", f"--nproc-per-node={processes}"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    launches = [
        subprocess.Popen(
            _command(out, limit, *torchrun, f"--node-rank={rank}"), env=ENVIRONMENT, **QUIET
        )
        for rank in range(machines)
    ]
    codes = [process.wait() for process in launches]
    assert codes == [0] * machines, codes


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
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--limit", type=int, default=6)
    options = parser.parse_args()
    whole, killed, several, nodes = (options.out / n for n in ("whole", "killed", "two", "nodes"))
    for folder in (whole, killed, several, nodes):
        shutil.rmtree(folder, ignore_errors=True)
    _run(whole, options.limit)  # the first time, the sample is built
    shutil.rmtree(whole)
    seconds = _run(whole, options.limit)
    print(f"undisturbed: {seconds:.0f} s")
    chance = random.Random(0)
    for _ in range(options.kills):
        _kill(killed, options.limit, chance.uniform(0.2, 0.9) * seconds)
    _run(killed, options.limit)
    _compare(f"killed {options.kills} times", killed, whole)
    _launch(several, options.limit, machines=1, processes=2)
    _compare("two processes", several, whole)
    _launch(nodes, options.limit, machines=2, processes=1)
    _compare("two machines", nodes, whole)


if __name__ == "__main__":
    _main()
