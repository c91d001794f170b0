"""What the page asks and what a reviewer decides, without any HTTP."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict, cast, get_args

from rs_gpt4v_generation.candidates import Candidate, Queue, digest, image_path
from rs_gpt4v_generation.review.decisions import (
    Choice,
    Decision,
    ReviewsFile,
    decision_problem,
    now,
    standing,
)
from rs_gpt4v_generation.scene import Product

_SHOWN = (*Candidate.__required_keys__, "model", "prompt", "request", "reviews")
_LONGEST_REASON = 500
_PAUSE = timedelta(minutes=5)
_RECENT = 100

State = Choice | None


class BadRequestError(ValueError):
    """The page asks for what cannot be; the message says why."""


class UnknownError(BadRequestError):
    """There is no such candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which candidates to go through; what is empty lets all pass.

    Attributes:
        result: Of a verdict.
        check: Of the same verdict.
        product: Of the candidate.
        decision: A choice, "undecided", or "changed" since it was decided.
        text: Words that id, messages or sentences of verdicts must hold, whatever their case.
    """

    result: str = ""
    check: str = ""
    product: str = ""
    decision: str = ""
    text: str = ""


class Progress(TypedDict):
    """How far the review is.

    ``per_hour`` is the pace without pauses and ``hours_left`` what it makes of the rest; both are
    none before two decisions.
    """

    total: int
    counts: dict[str, int]
    per_hour: float | None
    hours_left: float | None


def pace(times: Sequence[str]) -> float | None:
    """Decisions an hour, from their times in ISO 8601; gaps above 5 minutes are pauses.

    >>> pace(["2025-01-01T10:00:00", "2025-01-01T10:01:00", "2025-01-01T12:00:00"])
    60.0
    >>> pace(["2025-01-01T10:00:00"]) is None
    True
    """
    moments = [datetime.fromisoformat(one) for one in times]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    worked = [gap for gap in gaps if timedelta(0) <= gap <= _PAUSE]
    spent = sum(worked, timedelta(0))
    return len(worked) / (spent / timedelta(hours=1)) if spent else None


class Desk:
    """A queue, and one reviewer's decisions on it.

    Attributes:
        queue: The candidates.
        reviews: The file that decisions go to.
        reviewer: Who decides.
    """

    def __init__(
        self,
        queue: Queue,
        reviews: ReviewsFile,
        reviewer: str,
        images: Path,
        clock: Callable[[], str] = now,
    ) -> None:
        self.queue = queue
        self.reviews = reviews
        self.reviewer = reviewer
        self._images = images
        self._clock = clock
        self._places = {one["id"]: place for place, one in enumerate(queue.candidates)}
        self._digests = [digest(one) for one in queue.candidates]
        self._standing = standing(reviews.decisions)
        self._deciding = threading.Lock()

    def candidate(self, place: int) -> Candidate:
        """The candidate at ``place``, from 0; UnknownError where there is none."""
        if not 0 <= place < len(self.queue.candidates):
            raise UnknownError(f"there is no candidate {place}")
        return self.queue.candidates[place]

    def image(self, place: int) -> Path:
        """Where the image of the candidate at ``place`` is."""
        return image_path(self.candidate(place), self._images)

    def overview(self) -> dict[str, Any]:
        """What the page needs before the first candidate."""
        candidates = self.queue.candidates
        return {
            "queue": self.queue.path.name,
            "reviewer": self.reviewer,
            "reviews": self.reviews.path.name,
            "problems": len(self.queue.problems),
            "checks": sorted({v["check"] for one in candidates for v in one["verdicts"]}),
            "products": [
                name for name in get_args(Product) if any(c["product"] == name for c in candidates)
            ],
            "first": self._first_undecided(),
            "progress": self.progress(),
        }

    def summary(self) -> str:
        """How far the review is, in a line."""
        counts = self.progress()["counts"]
        done = sum(counts[choice] for choice in ("accept", "edit", "reject"))
        gone = len(self._standing.keys() - self._places.keys())
        told = f"{done:,} of {len(self.queue.candidates):,} decided by {self.reviewer}, "
        told += f"saved in {self.reviews.path}"
        return told + (f"; {gone:,} decisions are on ids that are not in the queue" if gone else "")

    def item(self, place: int) -> dict[str, Any]:
        """The candidate at ``place``, the decision that stands, and whether it is of older text."""
        candidate = self.candidate(place)
        decision = self._standing.get(candidate["id"])
        return {
            "place": place,
            "candidate": {key: candidate[key] for key in _SHOWN if key in candidate},
            "decision": decision,
            "changed": self._is_changed(place),
        }

    def select(self, asked: Filter) -> list[int]:
        """The places of the candidates that pass, in the queue's order."""
        words = asked.text.casefold().split()
        return [
            place
            for place, one in enumerate(self.queue.candidates)
            if asked.product in ("", one["product"])
            and (not asked.decision or asked.decision in self._states(place))
            and _has_verdict(one, asked)
            and _holds(one, words)
        ]

    def decide(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Write a decision down and return the item as it now is, with the progress.

        Args:
            asked: ``id`` and ``decision``, with ``messages`` for an edit, ``reason`` for a reject.
                An undo without ``id`` is of the last decision that stands.

        Raises:
            UnknownError: No candidate has that id.
            BadRequestError: The decision lacks what it needs, or there is nothing to undo.
            OSError: It could not be written; nothing is changed.
        """
        with self._deciding:
            place = self._place(asked)
            decision = self._decision(place, asked)
            self.reviews.append(decision)
            self._standing = standing(self.reviews.decisions)
        return self.item(place) | {"progress": self.progress()}

    def progress(self) -> Progress:
        """How far the review is; what was decided about older text is not done."""
        counts: dict[str, int] = dict.fromkeys((*get_args(Choice), "undecided"), 0)
        for place in range(len(self.queue.candidates)):
            counts[self._states(place)[0]] += 1
        per_hour = pace([one["at"] for one in self.reviews.decisions[-_RECENT:]])
        left = counts["undecided"] + counts["skip"]
        return {
            "total": len(self.queue.candidates),
            "counts": counts,
            "per_hour": per_hour,
            "hours_left": left / per_hour if per_hour else None,
        }

    def _states(self, place: int) -> tuple[str, ...]:
        """What the filter on decisions finds a candidate by; the first is what it counts as."""
        decision = self._standing.get(self.queue.candidates[place]["id"])
        if decision is None:
            return ("undecided",)
        if self._is_changed(place):
            return ("undecided", "changed")
        return (decision["decision"],)

    def _first_undecided(self) -> int:
        """Where to go on; the start where all is decided."""
        places = range(len(self.queue.candidates))
        return next((place for place in places if "undecided" in self._states(place)), 0)

    def _is_changed(self, place: int) -> bool:
        decision = self._standing.get(self.queue.candidates[place]["id"])
        return decision is not None and decision["of"] != self._digests[place]

    def _place(self, asked: dict[str, Any]) -> int:
        row_id = asked.get("id")
        if row_id is None and asked.get("decision") == "undo":
            known = [one for one in self._standing if one in self._places]
            if not known:
                raise BadRequestError("there is nothing to undo")
            row_id = known[-1]
        if not isinstance(row_id, str) or row_id not in self._places:
            raise UnknownError(f"no candidate has the id {row_id!r:.80}")
        return self._places[row_id]

    def _decision(self, place: int, asked: dict[str, Any]) -> Decision:
        candidate = self.queue.candidates[place]
        made = {
            "id": candidate["id"],
            "decision": asked.get("decision"),
            "reviewer": self.reviewer,
            "at": self._clock(),
            "of": self._digests[place],
        }
        for choice, kept in (("edit", "messages"), ("reject", "reason")):
            if made["decision"] == choice:
                made[kept] = asked.get(kept)
        problem = decision_problem(made) or self._refusal(candidate, made)
        if problem:
            raise BadRequestError(problem)
        return cast(Decision, made)

    def _refusal(self, candidate: Candidate, made: dict[str, Any]) -> str | None:
        if made["decision"] == "undo" and candidate["id"] not in self._standing:
            return f"{candidate['id']} has no decision to undo"
        if len(made.get("reason", "")) > _LONGEST_REASON:
            return f"the reason is longer than {_LONGEST_REASON} characters"
        if made.get("messages") == candidate["messages"]:
            return "nothing was changed: accept it instead"
        return None


def _has_verdict(candidate: Candidate, asked: Filter) -> bool:
    if not asked.result and not asked.check:
        return True
    return any(
        asked.result in ("", one["result"]) and asked.check in ("", one["check"])
        for one in candidate["verdicts"]
    )


def _holds(candidate: Candidate, words: list[str]) -> bool:
    if not words:
        return True
    texts = [candidate["id"], *(one["content"] for one in candidate["messages"])]
    texts += [one["sentence"] for one in candidate["verdicts"]]
    said = "\n".join(texts).casefold()
    return all(word in said for word in words)
