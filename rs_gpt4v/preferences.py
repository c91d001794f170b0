"""Preferences: which of two replies to a question is better, and whether one reply is good.

Those who decide about replies (reviewers, checks, judges) say so as `Preferences`; `settle` makes
of all of them what may be learned from. `rs_gpt4v_builders.preferences` writes it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar, cast

from rs_gpt4v.conversation import Message, Role, dialogue_problem
from rs_gpt4v.images import ImageError, checked

Kind = Literal["review", "check", "judge"]
"""Who decided: a reviewer, the checks against the boxes, or a model as judge."""

LEARNED_FROM = ("train", "validation")
"""Splits; the others are for evaluation."""


class Question(NamedTuple):
    """What was asked: two replies can be compared if all of this is equal.

    Attributes:
        split: Of the row that asks.
        task: Of that row.
        images: Paths of its images.
        messages: Role and content of each message, up to the question.
    """

    split: str
    task: str
    images: tuple[str, ...]
    messages: tuple[tuple[str, str], ...]


class Label(NamedTuple):
    """Whether a reply is good; ``id`` names it."""

    id: str
    kind: Kind
    question: Question
    reply: str
    good: bool


class Pair(NamedTuple):
    """Of two replies the better one; ``id`` names them."""

    id: str
    kind: Kind
    question: Question
    chosen: str
    rejected: str


T = TypeVar("T", Label, Pair)


@dataclass
class Preferences:
    """Pairs, labels of single replies, and how many replies were dropped for each reason."""

    pairs: list[Pair] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def question(split: str, task: str, images: Iterable[str], messages: Iterable[Message]) -> Question:
    """The `Question` that ``messages`` end with."""
    spoken = tuple((message["role"], message["content"]) for message in messages)
    return Question(split, task, tuple(images), spoken)


def as_messages(spoken: Iterable[tuple[str, str]]) -> list[Message]:
    """The messages of a `Question`."""
    return [{"role": cast("Role", role), "content": content} for role, content in spoken]


def settle(parts: Iterable[Preferences]) -> Preferences:
    """What may be learned from all ``parts``; ids are made unique.

    Dropped are replies of splits for evaluation, those that are no text or whose image cannot be
    opened, pairs of one text, and what was decided both ways. What is there twice is kept once.
    Good and bad replies to one question make pairs, each reply one at most. The two replies of a
    pair are labelled too, unless they have a label.
    """
    result = Preferences()
    for part in parts:
        result.pairs += part.pairs
        result.labels += part.labels
        result.dropped += part.dropped
    image_problem = cache(_image_problem)
    for items in (result.pairs, result.labels):
        _keep_usable(items, image_problem, result.dropped)
    labels = _undisputed(result.labels, result.dropped)
    pairs = _undisputed([*result.pairs, *_paired(labels)], result.dropped)
    labelled = {_key(label) for label in labels}
    own = [label for pair in pairs for label in _unpaired(pair) if _key(label) not in labelled]
    repeated = Counter[str]()  # one reply may be in several pairs
    labels += _undisputed(own, repeated)
    return Preferences(_numbered(pairs), _numbered(labels), result.dropped)


def _keep_usable(
    items: list[Any], image_problem: Callable[[str], str | None], dropped: Counter[str]
) -> None:
    problems = [_problem(item, image_problem) for item in items]
    dropped.update(filter(None, problems))
    items[:] = [item for item, problem in zip(items, problems, strict=True) if not problem]


def _problem(item: Label | Pair, image_problem: Callable[[str], str | None]) -> str | None:
    """Why nothing can be learned from it."""
    split = item.question.split
    if split not in LEARNED_FROM:
        return f"of the split {split!r}: only {' and '.join(LEARNED_FROM)} are learned from"
    if isinstance(item, Pair) and item.chosen == item.rejected:
        return "a pair of two replies that are the same"
    replies = (item.reply,) if isinstance(item, Label) else (item.chosen, item.rejected)
    for reply in replies:
        answer: Message = {"role": "assistant", "content": reply}
        if problem := dialogue_problem([*as_messages(item.question.messages), answer]):
            return problem
    return next(filter(None, map(image_problem, item.question.images)), None)


def _image_problem(path: str) -> str | None:
    try:
        checked(path)
    except ImageError as error:
        return str(error)
    return None


def _key(item: Label | Pair) -> Hashable:
    """What was decided about."""
    if isinstance(item, Label):
        return item.question, item.reply
    return item.question, frozenset((item.chosen, item.rejected))


def _undisputed(items: Iterable[T], dropped: Counter[str]) -> list[T]:
    """Of the items about one thing the first, where all say the same."""
    about: dict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        about[_key(item)].append(item)
    kept: list[T] = []
    for same in about.values():
        agreed = len({item[-2:] if isinstance(item, Pair) else item.good for item in same}) == 1
        if agreed:
            kept.append(same[0])
        if more := len(same) - agreed:
            dropped["there twice" if agreed else "decided both ways"] += more
    return kept


def _paired(labels: Iterable[Label]) -> list[Pair]:
    """Good and bad replies to one question."""
    of: dict[Question, dict[bool, list[Label]]] = defaultdict(lambda: {True: [], False: []})
    for label in labels:
        of[label.question][label.good].append(label)
    return [
        Pair(bad.id, bad.kind, asked, good.reply, bad.reply)
        for asked, replies in of.items()
        for good, bad in zip(replies[True], replies[False], strict=False)
    ]


def _unpaired(pair: Pair) -> tuple[Label, Label]:
    good = Label(pair.id, pair.kind, pair.question, pair.chosen, good=True)
    return good, good._replace(reply=pair.rejected, good=False)


def _numbered(items: Iterable[T]) -> list[T]:
    """The items, each further one of an id with a number after it."""
    seen = Counter[str]()
    numbered: list[T] = []
    for item in items:
        seen[item.id] += 1
        more = f" {seen[item.id]}" if seen[item.id] > 1 else ""
        numbered.append(item._replace(id=item.id + more))
    return numbered


def summary(preferences: Preferences) -> str:
    """How many were kept and dropped, for people."""
    good = Counter("good" if label.good else "bad" for label in preferences.labels)
    lines = [
        f"{len(preferences.pairs):,} pairs{_kinds(preferences.pairs)}",
        f"{len(preferences.labels):,} labelled replies, {good['good']:,} good and "
        f"{good['bad']:,} bad{_kinds(preferences.labels)}",
    ]
    dropped = preferences.dropped
    lines.append(f"{dropped.total():,} replies and pairs dropped")
    lines += [f"  {count:,}: {reason}" for reason, count in dropped.most_common()]
    return "\n".join(lines)


def _kinds(items: Iterable[Label | Pair]) -> str:
    counts = Counter(item.kind for item in items)
    return f" ({', '.join(f'{kind} {n:,}' for kind, n in counts.most_common())})" if counts else ""
