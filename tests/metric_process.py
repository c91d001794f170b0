"""One of two processes that score together: `python metric_process.py RANK FOLDER < columns`."""

import json
import sys
from typing import Any

import evaluate


def compute(
    folder: str, columns: dict[str, list[Any]], options: dict[str, Any], rank: int, cache: str
) -> Any:
    """Add half of the rows, all but one as a batch; the scores come back in process 0."""
    metric = evaluate.load(
        folder, num_process=2, process_id=rank, experiment_id="together", cache_dir=cache
    )
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    half = (len(rows) + 1) // 2
    mine = rows[:half] if rank == 0 else rows[half:]
    metric.add_batch(**{name: [row[name] for row in mine[:-1]] for name in columns})
    metric.add(**mine[-1])
    return metric.compute(**options)


if __name__ == "__main__":
    rank, cache = int(sys.argv[1]), sys.argv[2]
    scores = {folder: compute(folder, *rest, rank, cache) for folder, *rest in json.load(sys.stdin)}
    json.dump(scores, sys.stdout)
