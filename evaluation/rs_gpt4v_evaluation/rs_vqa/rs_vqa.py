"""Accuracy on RSVQA per question type, with the buckets of its authors (Lobry et al., 2020)."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from typing import Literal

import datasets
import evaluate
import numpy as np

VERSION = 1

Form = Literal["bucket", "exact"]
Normalise = Literal["strict", "lenient"]

_DESCRIPTION = """
Accuracy per question type on RSVQA, their unweighted mean (AA) and the accuracy over all questions
(OA). Counts and areas are compared by the authors' buckets or exactly.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): One answer per question.
    references (`list` of `str`): The true answers as released ("34", "431m2", "yes", "rural").
    question_types (`list` of `str`): The release's types: count, presence, comp, rural_urban, area.
    counts (`str`, defaults to `"bucket"`): `"bucket"` compares the authors' RSVQA-LR classes (0,
        1-10, 11-100, 101-1000, more) of both answers; `"exact"` is the rule of RSVQA-HR.
    areas (`str`, defaults to `"bucket"`): The same of areas; `"bucket"` is the rule of RSVQA-HR.
    normalise (`str`, defaults to `"lenient"`): `"strict"` only strips both answers; `"lenient"`
        also lowers the case, drops a final . ? or !, reads zero ... twenty as digits, "rural area"
        as "rural", and m², square metres and so on as m2.
Returns:
    `dict` with `accuracy_<type>` and `n_<type>` per type present, `aa`, `oa` (`float`, in [0, 1],
    higher is better), `empty` (empty predictions; they are never correct), and `signature` (`str`).
Examples:
    >>> metric = RSVQA()  # 10 ends the bucket of 1, 11 starts the next
    >>> answers = {"references": ["10", "10", "yes"], "question_types": ["count", "count", "comp"]}
    >>> scores = metric.compute(predictions=["1", "11", "Yes."], **answers)
    >>> scores["accuracy_count"], scores["accuracy_comp"], scores["aa"]
    (0.5, 1.0, 0.75)
    >>> scores["signature"]
    'rs_vqa|v1|counts:bucket|areas:bucket|normalise:lenient|n:3|empty:0'
"""

_CITATION = """\
@article{lobry2020rsvqa,
  title={{RSVQA}: Visual Question Answering for Remote Sensing Data},
  author={Lobry, Sylvain and Marcos, Diego and Murray, Jesse and Tuia, Devis},
  journal={IEEE Transactions on Geoscience and Remote Sensing},
  year={2020}
}
"""

_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
_AREA = re.compile(r"([0-9]+) ?(?:m2|m²|m\^2|sq(?:uare|\.)? ?m(?:et(?:re|er)s?)?)\b")


@lru_cache(maxsize=1 << 16)
def normalise_answer(answer: str, rule: Normalise = "lenient") -> str:
    """An answer as it is compared; "" if it says nothing.

    >>> normalise_answer(" Seven. "), normalise_answer("Rural area"), normalise_answer("431 m²")
    ('7', 'rural', '431m2')
    >>> normalise_answer(" Seven. ", "strict")
    'Seven.'
    """
    answer = answer.strip()
    if rule == "strict":
        return answer
    answer = " ".join(answer.lower().rstrip(".?!").split())
    # Bucket phrases carry the unit twice.
    answer = _AREA.sub(r"\1m2", answer)
    if answer in ("rural area", "urban area"):
        return answer.removesuffix(" area")
    return _DIGITS.get(answer, answer)


@lru_cache(maxsize=1 << 16)
def bucket(answer: str, unit: str = "") -> str | None:
    """The authors' class of a number with ``unit``, or of a class's own words; None if neither.

    Words and limits follow VocabEncoder.py of syvlo/RSVQA: a limit belongs to the class below it.

    >>> bucket("10"), bucket("11"), bucket("0m2", "m2"), bucket("between 0 and 10"), bucket("many")
    ('between 0 and 10', 'between 10 and 100', '0m2', 'between 0 and 10', None)
    """
    classes = {
        limit: f"between {low}{unit} and {limit}{unit}"
        for low, limit in ((0, 10), (10, 100), (100, 1000))
    }
    above = f"more than 1000{unit}"
    if answer == above or answer in classes.values():
        return answer
    match = re.fullmatch(rf"0*([0-9]*){unit}", answer)
    if not answer.removesuffix(unit) or not match:
        return None
    number = int(match[1][:5] or "0")  # five digits are enough, and int() refuses 5,000
    if number == 0:
        return f"0{unit}"
    return next((words for limit, words in classes.items() if number <= limit), above)


def right_answers(
    predictions: Sequence[str],
    references: Sequence[str],
    question_types: Sequence[str],
    counts: Form = "bucket",
    areas: Form = "bucket",
    normalise: Normalise = "lenient",
) -> np.ndarray:
    """Which predictions are right: booleans, one a row.

    Both answers are normalised, then bucketed where the rule says so. A prediction that is empty or
    has no bucket is wrong.

    Raises:
        ValueError: There is nothing to score, an answer or type is missing, or a rule is unknown.
    """
    _check_rules(counts=counts, areas=areas, normalise=normalise)
    _check(predictions, references, question_types)
    units = {
        "count": "" if counts == "bucket" else None,
        "area": "m2" if areas == "bucket" else None,
    }
    rows = list(zip(predictions, references, question_types, strict=True))
    # 222,684 answers have few distinct triples, and each is judged once.
    right = {
        (said, true, kind): _same(
            normalise_answer(said, normalise), normalise_answer(true, normalise), units.get(kind)
        )
        for said, true, kind in set(rows)
    }
    return np.fromiter(map(right.__getitem__, rows), bool, len(rows))


def vqa_accuracy(
    predictions: Sequence[str],
    references: Sequence[str],
    question_types: Sequence[str],
    counts: Form = "bucket",
    areas: Form = "bucket",
    normalise: Normalise = "lenient",
) -> dict[str, float | int | str]:
    """Accuracies in [0, 1], numbers of questions and the signature, by name; see `RSVQA`.

    Raises:
        ValueError: As `right_answers` does.
    """
    right = right_answers(predictions, references, question_types, counts, areas, normalise)
    n = Counter(question_types)
    hits = Counter(compress(question_types, right))
    said = Counter(predictions)
    empty = sum(times for answer, times in said.items() if not normalise_answer(answer, normalise))
    accuracy = {kind: hits[kind] / n[kind] for kind in sorted(n)}
    return {
        **{f"accuracy_{kind}": share for kind, share in accuracy.items()},
        "aa": sum(accuracy.values()) / len(accuracy),
        "oa": hits.total() / n.total(),
        **{f"n_{kind}": n[kind] for kind in accuracy},
        "empty": empty,
        "signature": f"rs_vqa|v{VERSION}|counts:{counts}|areas:{areas}|normalise:{normalise}"
        f"|n:{n.total()}|empty:{empty}",
    }


def _same(said: str, true: str, unit: str | None) -> bool:
    """Whether two normalised answers agree: by bucket if they have a ``unit`` ("" for counts)."""
    if not said:
        return False
    if unit is None:
        return said == true
    found = bucket(said, unit)
    return found is not None and found == bucket(true, unit)


def _check_rules(counts: str, areas: str, normalise: str) -> None:
    for name, value, known in (
        ("counts", counts, ("bucket", "exact")),
        ("areas", areas, ("bucket", "exact")),
        ("normalise", normalise, ("strict", "lenient")),
    ):
        if value not in known:
            raise ValueError(f"rs_vqa: {name} must be one of {known}, got {value!r}")


def _check(predictions: Sequence[str], references: Sequence[str], types: Sequence[str]) -> None:
    columns = {"predictions": predictions, "references": references, "question_types": types}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"rs_vqa needs columns of one length, got {lengths}")
    if not predictions:
        raise ValueError("rs_vqa has nothing to score: predictions are empty")
    for name, column in columns.items():
        if None in column:
            row = next(index for index, value in enumerate(column) if value is None)
            raise ValueError(f"rs_vqa: row {row} of {name} is None; use '' for an empty answer")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class RSVQA(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": text, "references": text, "question_types": text}
            ),
            reference_urls=["https://rsvqa.sylvainlobry.com", "https://github.com/syvlo/RSVQA"],
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[str],
        question_types: list[str],
        counts: Form = "bucket",
        areas: Form = "bucket",
        normalise: Normalise = "lenient",
    ) -> dict[str, float | int | str]:
        return vqa_accuracy(predictions, references, question_types, counts, areas, normalise)
