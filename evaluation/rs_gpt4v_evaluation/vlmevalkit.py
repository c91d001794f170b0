"""Predictions from the tables that VLMEvalKit writes of ``rs-gpt4v export vlmevalkit``.

Such a table is the exported one with a column "prediction". The file is called
``<model>_rs_gpt4v_<config>_openended``, which is how the model is known.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from rs_gpt4v_evaluation.predictions import Prediction, PredictionFileError, prediction_line

_FAILED = "Failed to obtain answer"  # how VLMEvalKit begins what stands in place of a reply
_OURS = ("rs_gpt4v_row", "rs_gpt4v_dataset")


class Result(NamedTuple):
    """The predictions of a table, and the ids of the rows to which no reply came."""

    predictions: list[Prediction]
    failed: list[str]


def read_result(path: Path) -> Result:
    """Read what VLMEvalKit wrote: ``.tsv``, or ``.xlsx`` where openpyxl is installed.

    Raises:
        PredictionFileError: It is no such table, or a cell of ours is damaged.
    """
    table = _table(path)
    absent = {"prediction", *_OURS} - set(table.columns)
    if absent:
        raise PredictionFileError(
            f"{path} lacks the columns {', '.join(sorted(absent))}: expected the replies that "
            "VLMEvalKit wrote to a table of rs-gpt4v export vlmevalkit"
        )
    found = Result([], [])
    for line in _lines(path, table):
        if line["prediction"].startswith(_FAILED):
            found.failed.append(line["id"])
        else:
            found.predictions.append(line)
    return found


def _table(path: Path) -> pd.DataFrame:
    """All cells as they were written: by itself pandas reads "None" as nothing, "07" as 7."""
    as_written: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    if path.suffix == ".tsv":
        return pd.read_csv(path, sep="\t", **as_written)
    if path.suffix != ".xlsx":
        raise PredictionFileError(
            f"{path}: expected .tsv or .xlsx. Let VLMEvalKit write that: PRED_FORMAT=tsv"
        )
    try:
        return pd.read_excel(path, engine="openpyxl", **as_written)
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: reading .xlsx needs openpyxl (pip install openpyxl). Or let VLMEvalKit "
            "write .tsv: PRED_FORMAT=tsv"
        ) from error


def _lines(path: Path, table: pd.DataFrame) -> Iterator[Prediction]:
    model = path.stem.partition("_rs_gpt4v_")[0]
    columns = (table[name] for name in (*_OURS, "prediction"))
    for number, (row, asked, reply) in enumerate(zip(*columns, strict=True), start=2):
        constants = {
            "model": model,
            "adapter": None,
            "weights": None,
            "decoding": {"do_sample": None, "max_new_tokens": None},
            "dataset": _parsed(path, number, asked),
        }
        yield prediction_line(_parsed(path, number, row), reply.strip(), constants)


def _parsed(path: Path, number: int, cell: str) -> dict[str, Any]:
    try:
        return json.loads(cell)
    except ValueError as error:
        raise PredictionFileError(
            f"{path}, row {number}: {cell[:60]!r} in a column {' or '.join(_OURS)} is not JSON "
            f"({error}). A cell of .xlsx holds 32,767 characters: let VLMEvalKit write .tsv, with "
            "PRED_FORMAT=tsv"
        ) from error
