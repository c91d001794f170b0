"""The layout that RSVQA-LR and RSVQA-HR share: positional lists of questions and answers.

A list's index is the entry's id, and the entries of other splits are stubs ``{"id", "active":
false}``. Every active question has one answer, which names it by ``question_id``.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import logging
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources.reading import read_json_columns

logger = logging.getLogger(__name__)

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


def read(folder: Path, split: str, _: Protocol, *, prefixes: Mapping[str, str]) -> pa.Table:
    """The active questions of ``split``, whose files' names begin with its prefix."""
    questions_file, answers_file = (folder / name for name in files(prefixes[split]))
    questions = _active(read_json_columns(questions_file, "questions", _QUESTION))
    answers = _active(read_json_columns(answers_file, "answers", _ANSWER))
    asked = questions["id"].combine_chunks()
    answered = answers["question_id"].combine_chunks()
    _tell_of_others(answered, asked, answers_file)
    of_question = pc.index_in(asked, value_set=answered)
    problem = pc.coalesce(
        _problem(questions), _problem(answers).take(of_question), _second_answers(asked, answered)
    )
    image = pc.binary_join_element_wise(pc.cast(questions["img_id"], pa.string()), ".tif", "")
    return pa.table(
        {
            "key": pc.utf8_lpad(pc.cast(questions["id"], pa.string()), width=6, padding="0"),
            "image": image,
            "question": questions["question"],
            "answer": answers["answer"].take(of_question),
            "question_type": questions["type"],
            "problem": problem,
        },
        schema=records.QUESTIONS.append(pa.field("problem", records.PROBLEM)),
    )


def _problem(rows: pa.Table) -> pa.Array:
    if "problem" in rows.column_names:
        return rows["problem"].combine_chunks()
    return pa.nulls(rows.num_rows, records.PROBLEM)


def _second_answers(asked: pa.Array, answered: pa.Array) -> pa.Array:
    """The problem of each question with more than one answer: the release gives one each."""
    counts = pc.value_counts(answered.drop_null())
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    several = pc.is_in(asked, value_set=twice)
    return records.as_problems(pc.if_else(several, "several answers", pa.scalar(None, pa.string())))


def _tell_of_others(answered: pa.Array, asked: pa.Array, path: Path) -> None:
    """Log how many answers are to none of the questions: no record loses anything by them."""
    others = answered.filter(pc.invert(pc.is_in(answered, value_set=asked)))
    if len(others):
        logger.warning(
            "%s: %s answers name no question of the split, such as question %s",
            path,
            f"{len(others):,}",
            others[0],
        )


def _active(rows: pa.Table) -> pa.Table:
    # Only "active": false makes a stub; a row that does not say is kept, and judged by its values.
    kept = rows.filter(pc.fill_null(rows["active"], True)).combine_chunks()
    del rows
    pa.default_memory_pool().release_unused()  # the stubs' share, before the next file is parsed
    return kept
