"""The layout that RSVQA-LR and RSVQA-HR share: positional lists of questions and answers.

A list's index is the entry's id, and the entries of other splits are stubs ``{"id", "active":
false}``. Every active question has one answer, which names it by ``question_id``.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import records
from rs_gpt4v.source import AnnotationError, read_json_columns

_QUESTION = {
    "id": pa.int64(),
    "img_id": pa.int64(),
    "type": pa.string(),
    "question": pa.string(),
    "active": pa.bool_(),
}
_ANSWER = {"question_id": pa.int64(), "answer": pa.string(), "active": pa.bool_()}


def files(prefix: str) -> tuple[str, ...]:
    """The two files of a split that state its rows (the images file repeats what they say)."""
    return (f"{prefix}_questions.json", f"{prefix}_answers.json")


def read(folder: Path, prefix: str) -> pa.Table:
    """The active questions of the split files ``prefix``, as `rs_gpt4v.records.QUESTIONS`."""
    questions_file, answers_file = files(prefix)
    questions = _active(read_json_columns(folder / questions_file, "questions", _QUESTION))
    answers = _active(read_json_columns(folder / answers_file, "answers", _ANSWER))
    _refuse_second_answers(answers["question_id"], folder / answers_file)
    of_question = pc.index_in(questions["id"], value_set=answers["question_id"].combine_chunks())
    image = pc.binary_join_element_wise(pc.cast(questions["img_id"], pa.string()), ".tif", "")
    return pa.table(
        {
            "key": pc.utf8_lpad(pc.cast(questions["id"], pa.string()), width=6, padding="0"),
            "image": image,
            "question": questions["question"],
            "answer": answers["answer"].take(of_question.combine_chunks()),
            "question_type": questions["type"],
        },
        schema=records.QUESTIONS,
    )


def _refuse_second_answers(asked: pa.ChunkedArray, path: Path) -> None:
    counts = pc.value_counts(asked.drop_null())
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise AnnotationError(
            f"{path}: question {twice[0]} has more than one answer ({len(twice)} such questions); "
            "the release gives one each. Fetch the file again."
        )


def _active(rows: pa.Table) -> pa.Table:
    # Only "active": false makes a stub; a row that does not say is kept, and judged by its values.
    kept = rows.filter(pc.fill_null(rows["active"], True)).combine_chunks()
    del rows
    pa.default_memory_pool().release_unused()  # the stubs' share, before the next file is parsed
    return kept
