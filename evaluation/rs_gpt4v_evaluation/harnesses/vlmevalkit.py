"""Predictions from the tables that VLMEvalKit writes of ``rs-gpt4v export vlmevalkit``.

Such a table is the exported one with a column "prediction". The file is called
``<model>_rs_gpt4v_<config>_openended``, which is how the model is known.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from annotated_types import Ge, MinLen
from typing_extensions import TypedDict

from rs_gpt4v.conversation import LabelledBox, Message, Task
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    Prediction,
    PredictionFileError,
    T,
    checked,
    prediction_line,
)

_FAILED = "Failed to obtain answer"  # how VLMEvalKit begins what stands in place of a reply
_OURS = ("rs_gpt4v_row", "rs_gpt4v_dataset")


class _Image(TypedDict):
    path: str


class _Row(TypedDict):
    """What an exported table says of a row; see `rs_gpt4v.conversation.Conversation`."""

    id: Annotated[str, MinLen(1)]
    images: list[_Image]
    messages: Annotated[list[Message], MinLen(2)]
    source: str
    task: Task
    question_type: str | None
    references: Annotated[list[str], MinLen(1)]
    boxes: list[LabelledBox]
    width: Annotated[int, Ge(0)]
    height: Annotated[int, Ge(0)]


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
    ids = set()
    for line in _lines(path, table):
        if line["id"] in ids:
            raise PredictionFileError(f"{path} has the row {line['id']} twice")
        ids.add(line["id"])
        if line["prediction"].startswith(_FAILED):
            found.failed.append(line["id"])
        else:
            found.predictions.append(line)
    return found


def _table(path: Path) -> pd.DataFrame:
    """All cells as they were written: by itself pandas reads "None" as nothing, "07" as 7."""
    as_written: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    if path.suffix not in (".tsv", ".xlsx"):
        raise PredictionFileError(
            f"{path}: expected .tsv or .xlsx. Let VLMEvalKit write that: PRED_FORMAT=tsv"
        )
    try:
        if path.suffix == ".tsv":
            return pd.read_csv(path, sep="\t", **as_written)
        return pd.read_excel(path, engine="openpyxl", **as_written)
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: reading .xlsx needs openpyxl (pip install openpyxl). Or let VLMEvalKit "
            "write .tsv: PRED_FORMAT=tsv"
        ) from error
    except (ValueError, KeyError, zipfile.BadZipFile) as error:  # also of pandas and openpyxl
        raise PredictionFileError(f"{path} is no table ({error})") from error


def _lines(path: Path, table: pd.DataFrame) -> Iterator[Prediction]:
    model = path.stem.partition("_rs_gpt4v_")[0]
    columns = (table[name] for name in (*_OURS, "prediction"))
    for number, (row, asked, reply) in enumerate(zip(*columns, strict=True), start=2):
        constants = {
            "model": model,
            "adapter": None,
            "weights": None,
            "decoding": {"do_sample": None, "max_new_tokens": None},
            "dataset": _parsed(path, number, _OURS[1], asked, PredictedRows),
        }
        record: Any = _parsed(path, number, _OURS[0], row, _Row)
        yield prediction_line(record, reply.strip(), constants)


def _parsed(path: Path, number: int, column: str, cell: str, schema: type[T]) -> T:
    try:
        return checked(cell.encode(errors="replace"), schema, f"{path}, row {number}, {column}")
    except PredictionFileError as error:
        if path.suffix == ".tsv":
            raise
        raise PredictionFileError(
            f"{error}. A cell of .xlsx holds 32,767 characters: let VLMEvalKit write .tsv, with "
            "PRED_FORMAT=tsv"
        ) from None
