"""A review session: what the page shows and what a reviewer decides, without any HTTP."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict, cast, get_args

from rs_gpt4v.reviews import Choice, Decision, decision_problem, standing
from rs_gpt4v_generation.candidates import Candidate, Queue, digest, image_path
from rs_gpt4v_generation.products import PRODUCTS
from rs_gpt4v_generation.review.decisions import ReviewsFile, now

_PAGE_FIELDS = (*Candidate.__required_keys__, "model", "prompt", "request", "reviews")
_LONGEST_REASON = 500
_PAUSE = timedelta(minutes=5)
_RECENT = 100


class BadRequestError(ValueError):
    """A request of the page that cannot be met; the message says why."""


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
    moments = [datetime.fromisoformat(time) for time in times]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    worked = [gap for gap in gaps if timedelta(0) <= gap <= _PAUSE]
    spent = sum(worked, timedelta(0))
    return len(worked) / (spent / timedelta(hours=1)) if spent else None


class ReviewSession:
    """A queue and one reviewer's decisions on it.

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
        self._index_of = {
            candidate["id"]: index for index, candidate in enumerate(queue.candidates)
        }
        self._digests = [digest(candidate) for candidate in queue.candidates]
        self._standing = standing(reviews.decisions)
        self._deciding = threading.Lock()

    def candidate(self, index: int) -> Candidate:
        """The candidate at ``index``, from 0; UnknownError where there is none."""
        if not 0 <= index < len(self.queue.candidates):
            raise UnknownError(f"there is no candidate {index}")
        return self.queue.candidates[index]

    def image(self, index: int) -> Path:
        """Where the image of the candidate at ``index`` is."""
        return image_path(self.candidate(index), self._images)

    def overview(self) -> dict[str, Any]:
        """What the page needs before the first candidate."""
        candidates = self.queue.candidates
        return {
            "queue": self.queue.path.name,
            "reviewer": self.reviewer,
            "reviews": self.reviews.path.name,
            "problems": len(self.queue.problems),
            "checks": sorted(
                {v["check"] for candidate in candidates for v in candidate["verdicts"]}
            ),
            "products": [
                name for name in PRODUCTS if any(c["product"] == name for c in candidates)
            ],
            "first": self._first_undecided(),
            "progress": self.progress(),
        }

    def summary(self) -> str:
        """How far the review is, in a line."""
        counts = self.progress()["counts"]
        done = sum(counts[choice] for choice in ("accept", "edit", "reject"))
        gone = len(self._standing.keys() - self._index_of.keys())
        text = f"{done:,} of {len(self.queue.candidates):,} decided by {self.reviewer}, "
        text += f"saved in {self.reviews.path}"
        return text + (f"; {gone:,} decisions are on ids that are not in the queue" if gone else "")

    def item(self, index: int) -> dict[str, Any]:
        """The candidate at ``index``, the decision that stands, and whether it is of older text."""
        candidate = self.candidate(index)
        decision = self._standing.get(candidate["id"])
        return {
            "place": index,
            "candidate": {key: candidate[key] for key in _PAGE_FIELDS if key in candidate},
            "decision": decision,
            "changed": self._is_changed(index),
        }

    def select(self, filters: Filter) -> list[int]:
        """The indices of the candidates that pass, in the queue's order."""
        words = filters.text.casefold().split()
        return [
            index
            for index, candidate in enumerate(self.queue.candidates)
            if filters.product in ("", candidate["product"])
            and (not filters.decision or filters.decision in self._states(index))
            and _has_verdict(candidate, filters)
            and _holds(candidate, words)
        ]

    def decide(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write a decision down and return the item as it now is, with the progress.

        Args:
            request: ``id`` and ``decision``, with ``messages`` for an edit or ``reason`` for a
                reject. An undo without ``id`` is of the last decision that stands.

        Raises:
            UnknownError: No candidate has that id.
            BadRequestError: The decision lacks what it needs, or there is nothing to undo.
            OSError: It could not be written; nothing is changed.
        """
        with self._deciding:
            index = self._index(request)
            decision = self._decision(index, request)
            self.reviews.append(decision)
            self._standing = standing(self.reviews.decisions)
        return self.item(index) | {"progress": self.progress()}

    def progress(self) -> Progress:
        """How far the review is; what was decided about older text is not done."""
        counts: dict[str, int] = dict.fromkeys((*get_args(Choice), "undecided"), 0)
        for index in range(len(self.queue.candidates)):
            counts[self._states(index)[0]] += 1
        per_hour = pace([decision["at"] for decision in self.reviews.decisions[-_RECENT:]])
        left = counts["undecided"] + counts["skip"]
        return {
            "total": len(self.queue.candidates),
            "counts": counts,
            "per_hour": per_hour,
            "hours_left": left / per_hour if per_hour else None,
        }

    def _states(self, index: int) -> tuple[str, ...]:
        """What the filter on decisions finds a candidate by; the first is what it counts as."""
        decision = self._standing.get(self.queue.candidates[index]["id"])
        if decision is None:
            return ("undecided",)
        if self._is_changed(index):
            return ("undecided", "changed")
        return (decision["decision"],)

    def _first_undecided(self) -> int:
        """Where to go on; the start where all is decided."""
        indices = range(len(self.queue.candidates))
        return next((index for index in indices if "undecided" in self._states(index)), 0)

    def _is_changed(self, index: int) -> bool:
        decision = self._standing.get(self.queue.candidates[index]["id"])
        return decision is not None and decision["of"] != self._digests[index]

    def _index(self, request: dict[str, Any]) -> int:
        id_ = request.get("id")
        if id_ is None and request.get("decision") == "undo":
            known = [id_ for id_ in self._standing if id_ in self._index_of]
            if not known:
                raise BadRequestError("there is nothing to undo")
            id_ = known[-1]
        if not isinstance(id_, str) or id_ not in self._index_of:
            raise UnknownError(f"no candidate has the id {id_!r:.80}")
        return self._index_of[id_]

    def _decision(self, index: int, request: dict[str, Any]) -> Decision:
        candidate = self.queue.candidates[index]
        decision = {
            "id": candidate["id"],
            "decision": request.get("decision"),
            "reviewer": self.reviewer,
            "at": self._clock(),
            "of": self._digests[index],
        }
        for choice, kept in (("edit", "messages"), ("reject", "reason")):
            if decision["decision"] == choice:
                decision[kept] = request.get(kept)
        problem = decision_problem(decision) or self._refusal(candidate, decision)
        if problem:
            raise BadRequestError(problem)
        return cast(Decision, decision)

    def _refusal(self, candidate: Candidate, decision: dict[str, Any]) -> str | None:
        if decision["decision"] == "undo" and candidate["id"] not in self._standing:
            return f"{candidate['id']} has no decision to undo"
        if len(decision.get("reason", "")) > _LONGEST_REASON:
            return f"the reason is longer than {_LONGEST_REASON} characters"
        if decision.get("messages") == candidate["messages"]:
            return "nothing was changed: accept it instead"
        return None


def _has_verdict(candidate: Candidate, filters: Filter) -> bool:
    if not filters.result and not filters.check:
        return True
    return any(
        filters.result in ("", verdict["result"]) and filters.check in ("", verdict["check"])
        for verdict in candidate["verdicts"]
    )


def _holds(candidate: Candidate, words: list[str]) -> bool:
    if not words:
        return True
    texts = [candidate["id"], *(one["content"] for one in candidate["messages"])]
    texts += [one["sentence"] for one in candidate["verdicts"]]
    searched = "\n".join(texts).casefold()
    return all(word in searched for word in words)
