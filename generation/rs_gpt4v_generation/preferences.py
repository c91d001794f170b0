"""What reviewers and checks say of generated dialogues, turn by turn, as preferences."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rs_gpt4v.conversation import Message
from rs_gpt4v.files import AnyPath
from rs_gpt4v.preferences import Kind, Label, Pair, Preferences, question
from rs_gpt4v_generation.candidates import Candidate, image_path, read_queue
from rs_gpt4v_generation.checks import FACTUAL
from rs_gpt4v_generation.products import PRODUCTS
from rs_gpt4v_generation.review.reconcile import Outcome, Settled, final_messages, settled


def preferences(
    queue_file: AnyPath,
    reviews: Sequence[AnyPath],
    final_say: AnyPath | None = None,
    images: AnyPath | None = None,
) -> Preferences:
    """The preferences in a queue: of reviewers where they decided, else of the checks.

    Args:
        queue_file: Candidates of `rs-gpt4v generate`, or the queue of `rs-gpt4v agreement`.
        reviews: Reviews files of it, one a reviewer.
        final_say: Of one more reviewer, whose decisions count where there are any.
        images: What relative paths of images start from; the queue's own folder unless given.

    Raises:
        EmptyQueueError: No line of the queue is a candidate.
        ReviewsError: A reviews file is broken, or two are of one reviewer.
    """
    queue_file = Path(queue_file)
    reviews = [Path(file) for file in reviews]
    final_say = None if final_say is None else Path(final_say)
    images = None if images is None else Path(images)
    queue = read_queue(queue_file)
    result = Preferences()
    result.dropped["lines of a queue that are no candidates"] += len(queue.problems)
    for one in settled(queue, reviews, final_say):
        for item in _decided(one, images or queue_file.parent):
            match item:
                case str():
                    result.dropped[item] += 1
                case Pair():
                    result.pairs.append(item)
                case Label():
                    result.labels.append(item)
    result.dropped = +result.dropped  # without zeros
    return result


class _Turn(NamedTuple):
    """A question with the messages before it, its answer, and what the checks say of the two."""

    row: Candidate
    index: int
    folder: Path
    asked: list[Message]
    answer: str

    @property
    def question(self) -> str:
        return self.asked[-1]["content"]

    def checks(self, result: str) -> set[str]:
        """The checks of that result."""
        own = (v for v in self.row["verdicts"] if v["turn"] == self.index)
        return {verdict["check"] for verdict in own if verdict["result"] == result}

    def label(self, kind: Kind, *, good: bool) -> Label:
        row: Any = self.row
        path = os.path.abspath(image_path(self.row, self.folder))  # noqa: PTH100 - keeps links
        task = PRODUCTS[self.row["product"]].config
        asked = question(row["split"], task, [path], self.asked)
        return Label(f"{row['id']}/{self.index}", kind, asked, self.answer, good)


Decided = Iterator[Label | Pair | str]
"""A string is why a turn is dropped."""


def _decided(one: Settled, folder: Path) -> Decided:
    row: Mapping[str, Any] = one.candidate
    turns = _turns(one.candidate, row["messages"], folder)
    if not isinstance(row.get("split"), str):
        yield from ['its queue says of no split, such as "split": "train"'] * len(turns)
        return
    decide = _BY_OUTCOME.get(one.outcome, _by_checks)
    yield from decide(one, turns)


def _turns(row: Candidate, messages: Sequence[Message], folder: Path) -> list[_Turn]:
    turns = [
        _Turn(row, end // 2, folder, list(messages[: end + 1]), messages[end + 1]["content"])
        for end in range(0, len(messages), 2)
    ]
    # Of a judged answer, the turns before it are the true ones.
    return turns[-1:] if "references" in row else turns


def _accepted(_: Settled, turns: list[_Turn]) -> Decided:
    for turn in turns:
        yield turn.label("review", good=True)


def _edited(one: Settled, turns: list[_Turn]) -> Decided:
    """Where the question is the same and the answer is not, the reviewer's is the better one."""
    before = {turn.question: turn.answer for turn in turns}
    for turn in _turns(one.candidate, final_messages(one), turns[0].folder):
        label = turn.label("review", good=True)
        generated = before.pop(turn.question, turn.answer)
        if generated == turn.answer:
            yield label
        else:
            yield Pair(label.id, "review", label.question, turn.answer, generated)
    yield from ["a reviewer took the turn out, or asked it in other words"] * len(before)


def _rejected(_: Settled, turns: list[_Turn]) -> Decided:
    """Of several turns the one that the boxes contradict is known to be wrong."""
    wrong = turns if len(turns) == 1 else [turn for turn in turns if _is_wrong(turn)][:1]
    for turn in wrong:
        yield turn.label("review", good=False)
    unknown = "in a rejected dialogue of several turns, and nobody says which is wrong"
    yield from [unknown] * (len(turns) - len(wrong))


def _conflicting(_: Settled, turns: list[_Turn]) -> Decided:
    yield from ["the reviewers decided differently"] * len(turns)


def _by_checks(_: Settled, turns: list[_Turn]) -> Decided:
    """What follows a wrong answer is an answer to another dialogue than one would want."""
    for number, turn in enumerate(turns):
        if _is_wrong(turn):
            yield turn.label("check", good=False)
            yield from ["after a wrong answer"] * (len(turns) - number - 1)
            return
        if not turn.checks("fail") and turn.checks("pass") & FACTUAL:
            yield turn.label("check", good=True)
        else:
            yield "nobody reviewed it, and the boxes neither confirm nor contradict it"


def _is_wrong(turn: _Turn) -> bool:
    return bool(turn.checks("fail") & FACTUAL)


_BY_OUTCOME: dict[Outcome, Callable[[Settled, list[_Turn]], Decided]] = {
    "accepted": _accepted,
    "edited": _edited,
    "rejected": _rejected,
    "conflicting": _conflicting,
}
