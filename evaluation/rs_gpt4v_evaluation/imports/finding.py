"""Which rows a result of others may belong to: by id, image and question, order, or truth."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from rs_gpt4v_evaluation.imports.formats import Result
from rs_gpt4v_evaluation.imports.questions import their_keys
from rs_gpt4v_evaluation.imports.rows import Rows

_SHOWN = 200  # characters of a text in a reason
_SURE = 30.0  # bits: one in a thousand million
_ADVICE = "an id, or the image and the question, would tell"


class Fit(NamedTuple):
    """The rows that a result may belong to, and what they were found by."""

    way: str
    rows: tuple[int, ...]


class NoFit(NamedTuple):
    """Why no row is a result's: the kind of reason, and the reason."""

    kind: str
    reason: str


class Finder:
    """Finds the rows that fit a result."""

    def __init__(self, results: Sequence[Result], rows: Rows) -> None:
        self.results, self.rows = results, rows
        asked = {result.question for result in results if result.question}
        self._keys: Callable[[str], tuple[str, ...]] = their_keys(asked, sorted({*rows.tasks}))
        self._of_truth = cache(self._with_truth)
        self._has_released_ids = (
            all(map(self._is_released, results))
            and self._bits(rows.with_released_id(result.id or "")[0] for result in results) >= _SURE
        )

    def is_in_order(self) -> bool:
        """Whether result k is about row k, for all of them, as all that the file says confirms."""
        return (
            0 < len(self.results) <= len(self.rows)
            and not any(result.id in self.rows.by_id or result.image for result in self.results)
            and all(
                (result.question or result.references) and self._is_about(result, row, inside=True)
                for row, result in enumerate(self.results)
            )
            and self._bits(range(len(self.results))) >= _SURE
        )

    def _bits(self, of_result: Iterable[int]) -> float:
        """How unlikely it is that results agree with rows drawn at random as with these, in bits.

        Three answers "yes" say nothing; 10,004 questions in the order of the split say all.
        """
        stated = [(bool(result.question), bool(result.references)) for result in self.results]
        n = {
            kind: Counter(self.rows.told(row, *kind) for row in range(len(self.rows)))
            for kind in set(stated)
        }
        return sum(
            math.log2(len(self.rows) / n[kind][self.rows.told(row, *kind)])
            for row, kind in zip(of_result, stated, strict=True)
        )

    def fit(self, result: Result) -> Fit | NoFit:
        """The rows that a result may belong to, or why there is none."""
        if result.id in self.rows.by_id:
            return Fit("id", (self.rows.by_id[result.id],))
        if result.id is not None and self._has_released_ids:
            return Fit("the release's id", (*self.rows.with_released_id(result.id),))
        if result.image:
            return self._of_image(result, result.image)
        if not (result.question or result.references):
            known = "no id" if result.id is None else f"the id {result.id!r}, which no row has"
            return NoFit(
                "unknown id",
                f"it states {known}, and no image or question; a file may say what the ids are: "
                "--questions",
            )
        fit = self._of_truth(result.question, result.references)
        if isinstance(fit, NoFit) or self._is_telling(result, fit) or not self._doubt:
            return fit
        return NoFit("too little to go by", self._doubt)

    def difference(self, result: Result, row: int) -> str:
        """What a result states otherwise than the row that it belongs to; "" if nothing."""
        own = self.rows.ids[row]
        if not self.rows.agrees(row, result.references):
            said, true = result.references[0], self.rows.answers[row][0]
            return f"its true answer is {_shown(said)}, that of {own} {_shown(true)}"
        if not self._is_about(result._replace(image=None), row, inside=True):
            said, asked = result.question or "", self.rows.prompts[row]
            return f"its question is {_shown(said)}, that of {own} {_shown(asked)}"
        return ""

    def _is_about(self, result: Result, row: int, *, inside: bool = False) -> bool:
        """Whether image, question and truth of a result are those of a row, as far as stated.

        ``inside``: the question may stand inside a longer prompt, where all else confirms the row.
        """
        if result.image and self.rows.images[row] not in self.rows.find_images(result.image):
            return False
        if not self.rows.agrees(row, result.references):
            return False
        own = self.rows.keys[row]
        if not result.question or not own:
            return True
        keys = self._keys(result.question)
        return any(key in own for key in keys) or (inside and any(own[-1] in key for key in keys))

    def _is_released(self, result: Result) -> bool:
        """Whether its id is one of the release, as question or truth confirm.

        A running number would be one by chance, too.
        """
        if result.id is None or not (result.question or result.references):
            return False
        rows = self.rows.with_released_id(result.id)
        return len(rows) == 1 and self._is_about(result, rows[0])

    def _of_image(self, result: Result, name: str) -> Fit | NoFit:
        about = [i for path in self.rows.find_images(name) for i in self.rows.of_image[path]]
        if not about:
            return NoFit("unknown image", f"no row is about an image {name!r}")
        way, fitting = "image", about
        if result.question and any(self.rows.keys[row] for row in about):
            way, fitting = "image and question", self._asked(result.question, about)
        if not fitting:
            asked = _shown(self.rows.prompts[about[0]])
            return NoFit(
                "unknown question",
                f"no row about {name} asks {_shown(result.question or '')}; one asks {asked}",
            )
        agreeing = [row for row in fitting if self.rows.agrees(row, result.references)]
        if len(fitting) > 1 and result.references and agreeing:
            way, fitting = f"{way} and true answer", agreeing
        return Fit(way, tuple(fitting))

    def _asked(self, question: str, among: Sequence[int]) -> list[int]:
        """Those of some rows that ask this, with as little as possible taken off it."""
        found = ([r for r in among if key in self.rows.keys[r]] for key in self._keys(question))
        return next(filter(None, found), [])

    def _with_truth(self, question: str | None, references: tuple[str, ...]) -> Fit | NoFit:
        way, among = "true answers", self.rows.with_rarest(references)
        if question and any(self.rows.keys):
            way = "question and true answers" if references else "question"
            key = next((k for k in self._keys(question) if k in self.rows.by_question), None)
            if key is None:
                return NoFit("unknown question", f"no row asks {_shown(question)}")
            asking = self.rows.by_question[key]
            is_rarer = among and len(among) < len(asking)  # few rows have 2,133 m2
            among = [r for r in among if key in self.rows.keys[r]] if is_rarer else asking
        fitting = [row for row in among if self.rows.agrees(row, references)]
        if not fitting:
            such = _shown(references[0]) if references else "that it does not state"
            asked = f"that asks {_shown(question)} " if question else ""
            return NoFit("unknown true answer", f"no row {asked}has the true answer {such}")
        exact = [row for row in fitting if self.rows.has_truth(row, references)]
        return Fit(way, tuple(exact or fitting))

    def _is_telling(self, result: Result, fit: Fit) -> bool:
        """Whether true answers alone tell an image: all its captions do, a word does not."""
        return len(set(result.references)) > 1 and all(
            self.rows.tasks[row] == "caption" and self.rows.has_truth(row, result.references)
            for row in fit.rows
        )

    @cached_property
    def _doubt(self) -> str:
        """Why questions and short answers alone do not tell the rows; "" if they do.

        Every split asks "Is there a road?". They tell the rows only where the file asks just what
        the split asks, each question as often and with the same answers.
        """
        wanted = [r for r in self.results if not (r.image or r.id in self.rows.by_id)]
        n = Counter(self._of_truth(result.question, result.references) for result in wanted)
        why = _difference_of_all(n, len(wanted), self.rows)
        return why and f"question and answer alone do not tell the row, as {why}; {_ADVICE}"


def _difference_of_all(n: Counter[Fit | NoFit], wanted: int, rows: Rows) -> str:
    """In what results as a whole differ from the rows, from how many fit what; "" if in nothing."""
    if wanted != len(rows):
        return f"{wanted:,} results are not the {len(rows):,} rows"
    for fit, count in n.items():
        if isinstance(fit, NoFit):
            return fit.reason
        if count != len(fit.rows):
            asked, true = rows.prompts[fit.rows[0]], rows.answers[fit.rows[0]][0]
            return (
                f"{count:,} results and {len(fit.rows):,} rows ask {_shown(asked)} with the answer "
                f"{_shown(true)}"
            )
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
