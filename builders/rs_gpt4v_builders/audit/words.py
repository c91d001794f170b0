"""The words that a mixture and a test split share: questions, captions and sentences."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v_builders.audit.findings import Overlap, SharedText, overlap
from rs_gpt4v_builders.audit.images import Images
from rs_gpt4v_builders.audit.rows import Part

WORDS = 6
"""A sentence of fewer words says nothing of where it is from."""


_TAG = r"^\s*\[[a-z_]+\]\s*"  # of GeoChat and VHM: "[vqa] Is there a road?"
_HINT = (
    r"\s*answer (?:the question )?(?:using|with|in) (?:a single|one) word"
    r"(?: or (?:a )?(?:short )?phrase)?\.?\s*$"
)
_END = r"[\s.?!]+$"


def _plain(texts: Any, *patterns: str) -> pa.Array:
    array = pa.array(texts, pa.string())
    for pattern in (*patterns, _END):
        array = pc.replace_substring_regex(array, pattern, "")
    return pc.replace_substring_regex(array, r"\s+", " ")


def comparable(turns: pd.DataFrame) -> pd.DataFrame:
    """Turns without what trainers add to a question, and what ends a sentence."""
    return pd.DataFrame(
        {
            "row": turns["row"],
            "question": _plain(turns["question"], _TAG, _HINT).to_pandas(),
            "answer": _plain(turns["answer"]).to_pandas(),
        }
    )


def with_words(images: Images, matched: Any, left: Part, right: Part) -> Overlap:
    """An overlap with the questions and captions about shared images, and sentences about others.

    A caption counts as a question: what it says, and the answer is the same.
    """
    turns: Any = left.turns
    own = turns[np.isin(left.image[turns["row"]], matched["image"])]
    asked = comparable(right.turns)
    said = _sentences(right)
    captions = said[~said["row"].isin(asked["row"])]
    shared = overlap(
        images,
        matched,
        replace(left, turns=pd.concat([own, own.assign(question=own["answer"])])),
        replace(right, turns=pd.concat([asked, captions.assign(question=captions["answer"])])),
    )
    answers = pd.concat([said, asked[["row", "answer"]]])
    return replace(shared, texts=_texts(images, matched, left, right, answers))


def _sentences(part: Part) -> Any:
    """Columns ``row`` and ``answer``: the accepted answers of each row."""
    texts = pc.split_pattern(pc.utf8_lower(part.references), "\n")
    row = pc.list_parent_indices(texts).to_numpy()
    return pd.DataFrame(
        {"row": row, "answer": _plain(pc.utf8_trim_whitespace(texts.flatten())).to_pandas()}
    )


def _texts(images: Any, matched: Any, left: Part, right: Part, answers: Any) -> list[SharedText]:
    """The sentences of ``right`` about one of its images alone, and none that is shared."""
    picture = images.pixels[right.image]
    answers = answers.assign(picture=picture[answers["row"]])
    counts = pc.count_substring_regex(pa.array(answers["answer"], pa.string()), "[a-z]+")
    answers = answers[counts.to_numpy() >= WORDS]
    answers = answers[answers.groupby("answer")["picture"].transform("nunique") == 1]
    answers = answers[~answers["picture"].isin(images.pixels[matched["other"]])]
    answers = answers.drop_duplicates(["answer"])
    turns: Any = left.turns
    first = turns[turns["answer"].isin(answers["answer"])].drop_duplicates("answer")
    both = answers.merge(first[["row", "answer"]], on="answer", suffixes=("_right", "_left"))
    ids = (
        part.ids.take(pa.array(both[f"row_{side}"].to_numpy(np.int64))).to_pylist()
        for part, side in ((left, "left"), (right, "right"))
    )
    return [SharedText(*values) for values in zip(both["answer"], *ids, strict=True)]
