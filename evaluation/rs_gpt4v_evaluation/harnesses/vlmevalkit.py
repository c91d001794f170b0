"""Tables for VLMEvalKit, as custom open-ended VQA datasets, and the replies it writes to them.

On disk::

    rs_gpt4v_<config>_openended.tsv            index, image_path, question, answer, category, and
    rs_gpt4v_<config>_<split>_openended.tsv    rs_gpt4v_row, rs_gpt4v_dataset (JSON, for us)
    images/

Point ``LMUData`` at the folder and run ``run.py --data rs_gpt4v_<config>_openended --mode infer``:
VLMEvalKit has no metric for custom datasets. It writes ``<model>_rs_gpt4v_<config>_openended``, a
table with all these columns and the replies as "prediction", of which ``rs-gpt4v import`` makes a
predictions file for ``rs-gpt4v score``.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from annotated_types import Ge, MinLen
from typing_extensions import TypedDict

from rs_gpt4v.conversation import LabelledBox, Message, Task
from rs_gpt4v.files import AnyPath, replacing
from rs_gpt4v_builders.export.job import ExportJob
from rs_gpt4v_evaluation.harnesses.splits import predicted_by, tested
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    Prediction,
    PredictionFileError,
    T,
    checked,
    describe,
    prediction_line,
)

_FAILED = "Failed to obtain answer"  # how VLMEvalKit begins what stands in place of a reply
OURS = ("rs_gpt4v_row", "rs_gpt4v_dataset")
"""The columns by which a row of our tables is known again."""

_COLUMNS = ("index", "image_path", "question", "answer", "category", *OURS)


def write(job: ExportJob) -> None:
    """Write one table a split."""
    job.store_images()
    protocol = job.options.get("protocol", "paper")
    box_format = job.options.get("box_format", "llava")
    for split in tested(job.configs):
        # What says "openended" is VQA to VLMEvalKit; anything else would be multiple choice.
        name = f"{split.name}_openended"
        dataset = describe(
            split.rows,
            config=split.config,
            split=split.split,
            protocol=protocol,
            box_format=box_format,
        )
        rows = enumerate(job.rows(split.rows, name))
        with replacing(job.out / f"{name}.tsv") as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            table = csv.writer(text, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
            table.writerow(_COLUMNS)
            table.writerows([i, *_cells(row, job.out), _json(dataset)] for i, row in rows)
            text.detach()


def _cells(row: dict[str, Any], out: Path) -> tuple[str, ...]:
    # Absolute: VLMEvalKit reads a relative path from where it is started, or for some models from
    # LMUData/images/<table>, whatever the table says.
    images = [{"path": str(out / name)} for name in row["images"]]
    question = row["messages"][-2]["content"]
    category = row["question_type"] or row["task"]
    ours = _json(row | {"images": images})
    return images[0]["path"], question, row["references"][0], category, ours


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


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


def read_result(path: AnyPath) -> Result:
    """Read what VLMEvalKit wrote: ``.tsv``, or ``.xlsx`` where openpyxl is installed.

    Raises:
        PredictionFileError: It is no such table, or a cell of ours is damaged.
    """
    path = Path(path)
    table = read_table(path)
    absent = {"prediction", *OURS} - set(table.columns)
    if absent:
        raise PredictionFileError(
            f"{path} lacks the columns {', '.join(sorted(absent))}: expected the replies that "
            "VLMEvalKit wrote to a table of rs-gpt4v export vlmevalkit"
        )
    result = Result([], [])
    ids = set()
    for line in _lines(path, table):
        if line["id"] in ids:
            raise PredictionFileError(f"{path} has the row {line['id']} twice")
        ids.add(line["id"])
        if line["prediction"].startswith(_FAILED):
            result.failed.append(line["id"])
        else:
            result.predictions.append(line)
    return result


def read_table(path: Path, rows: int | None = None) -> pd.DataFrame:
    """All cells as they were written: by itself pandas reads "None" as nothing, "07" as 7.

    Args:
        path: ``.tsv``, or ``.xlsx`` where openpyxl is installed.
        rows: How many rows to read; None: all.

    Raises:
        PredictionFileError: It is no table, or openpyxl is needed and not installed.
    """
    as_written: dict[str, Any] = {"dtype": str, "keep_default_na": False, "nrows": rows}
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
    columns = (table[name] for name in (*OURS, "prediction"))
    for number, (row, asked, reply) in enumerate(zip(*columns, strict=True), start=2):
        dataset = _parsed(path, number, OURS[1], asked, PredictedRows)
        record: Any = _parsed(path, number, OURS[0], row, _Row)
        yield prediction_line(record, reply.strip(), predicted_by(model, dataset))


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
