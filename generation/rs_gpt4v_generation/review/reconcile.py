"""From reviewers' decisions to the final dialogues, every candidate accounted for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rs_gpt4v.conversation import Message
from rs_gpt4v.files import refuse_overwriting, write_json_lines
from rs_gpt4v_generation.candidates import Candidate, Queue, digest, read_queue
from rs_gpt4v_generation.review.agreement import CHOICES, Agreement, compare_all
from rs_gpt4v_generation.review.decisions import (
    Decision,
    ReviewsError,
    read_decisions,
    standing,
)

Outcome = Literal["accepted", "edited", "rejected", "skipped", "unreviewed", "conflicting"]
_OUTCOMES: dict[str, Outcome] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every candidate of a queue.

    Attributes:
        outcomes: By candidate id, in the queue's order.
        decided_by_one: How many accepted, edited or rejected ones only one reviewer decided.
        agreement: Of every two reviewers.
        changed: By reviewer, the ids decided about an older text; these decisions do not count.
        unknown: By reviewer, the ids that the queue lacks.
        unreadable: Why lines of the queue are no candidates.
        final: Where the final dialogues are.
        conflicts: Where the conflicts are, a queue for a third look; none without conflicts.
    """

    outcomes: dict[str, Outcome]
    decided_by_one: int
    agreement: list[Agreement]
    changed: dict[str, list[str]]
    unknown: dict[str, list[str]]
    unreadable: list[str]
    final: Path
    conflicts: Path | None


@dataclass(frozen=True, slots=True)
class _Settled:
    candidate: Candidate
    outcome: Outcome
    decisions: list[Decision]


def reconcile(
    queue_file: Path, files: Sequence[Path], out: Path, final_say: Path | None = None
) -> Account:
    """Settle on what the reviewers agree on, and write it.

    Reviewers agree where all accept, all reject, or all edit to the same words. ``out`` gets the
    accepted and edited candidates: ``messages`` are the final ones, ``generated`` the model's where
    they were edited, ``reviews`` who decided what and when. Candidates in conflict go to a queue
    beside it.

    Args:
        queue_file: The queue that was reviewed.
        files: Reviews files, one a reviewer; one alone will do.
        out: JSON lines to write.
        final_say: Reviews file of one more reviewer, whose decisions count where there are any.

    Raises:
        OSError: A file cannot be read or written.
        OverwriteError: ``out`` would take the place of a file that is read.
        ReviewsError: A reviews file is broken, or two are of one reviewer.
    """
    everyone = [*files, final_say] if final_say else files
    refuse_overwriting([out, _conflicts_path(out)], [queue_file, *everyone])
    queue = read_queue(queue_file)
    said = _by_reviewer(everyone)
    digests = {one["id"]: digest(one) for one in queue.candidates}
    valid = _valid(said, digests)
    last_word = valid.pop(next(reversed(valid))) if final_say else {}
    settled = [_settle(one, list(valid.values()), last_word) for one in queue.candidates]
    write_json_lines(out, (_final(one) for one in settled if one.outcome in ("accepted", "edited")))
    return Account(
        outcomes={one.candidate["id"]: one.outcome for one in settled},
        decided_by_one=sum(len(_decisive(one.decisions)) == 1 for one in settled),
        agreement=compare_all(valid),
        changed={
            name: [one for one, by in decided.items() if digests.get(one, by["of"]) != by["of"]]
            for name, decided in said.items()
        },
        unknown={name: sorted(decided.keys() - digests) for name, decided in said.items()},
        unreadable=queue.problems,
        final=out,
        conflicts=_write_conflicts(out, settled),
    )


def outcomes(queue: Queue, files: Sequence[Path]) -> dict[str, Outcome]:
    """What the reviewers settled of each candidate, by its id, as `reconcile` does.

    Args:
        queue: As read.
        files: Reviews files, one a reviewer; decisions about other candidates do not count.

    Raises:
        OSError: A file cannot be read.
        ReviewsError: A file is broken, or two are of one reviewer.
    """
    valid = _valid(_by_reviewer(files), {one["id"]: digest(one) for one in queue.candidates})
    settled = (_settle(one, list(valid.values()), {}) for one in queue.candidates)
    return {one.candidate["id"]: one.outcome for one in settled}


def _valid(
    said: Mapping[str, Mapping[str, Decision]], digests: Mapping[str, str]
) -> dict[str, dict[str, Decision]]:
    """The decisions about candidates as they are now, by reviewer and id."""
    return {
        name: {row_id: one for row_id, one in decided.items() if digests.get(row_id) == one["of"]}
        for name, decided in said.items()
    }


def _conflicts_path(out: Path) -> Path:
    return out.with_suffix(".conflicts.jsonl")


def _by_reviewer(files: Sequence[Path]) -> dict[str, dict[str, Decision]]:
    """The decisions that stand, by reviewer, in the order of the files, and by candidate id."""
    said: dict[str, dict[str, Decision]] = {}
    for file in files:
        decisions = read_decisions(file)
        names = sorted({one["reviewer"] for one in decisions}) or [file.name]
        if len(names) > 1:
            raise ReviewsError(f"{file} has decisions of {', '.join(names)}: one reviewer a file")
        if names[0] in said:
            raise ReviewsError(f"{file} is a second file of {names[0]}: give one file a reviewer")
        said[names[0]] = standing(decisions)
    return said


def _settle(
    candidate: Candidate, reviews: list[dict[str, Decision]], last_word: dict[str, Decision]
) -> _Settled:
    row_id = candidate["id"]
    decisions = [decided[row_id] for decided in reviews if row_id in decided]
    if row_id not in last_word:
        return _Settled(candidate, _outcome(decisions), decisions)
    last = last_word[row_id]
    decisive = _decisive([last])
    return _Settled(candidate, _outcome(decisive or decisions), [*decisions, last])


def _outcome(decisions: list[Decision]) -> Outcome:
    decisive = _decisive(decisions)
    if not decisive:
        return "skipped" if decisions else "unreviewed"
    first = decisive[0]
    if any(_words(one) != _words(first) for one in decisive):
        return "conflicting"
    return _OUTCOMES[first["decision"]]


def _decisive(decisions: list[Decision]) -> list[Decision]:
    return [one for one in decisions if one["decision"] != "skip"]


def _words(decision: Decision) -> tuple[str, list[Message] | None]:
    return decision["decision"], decision.get("messages")


def _final(settled: _Settled) -> dict[str, Any]:
    row: dict[str, Any] = settled.candidate | {"reviews": [_told(d) for d in settled.decisions]}
    if settled.outcome == "edited":
        edit = next(one for one in reversed(settled.decisions) if one["decision"] == "edit")
        row |= {"messages": edit.get("messages"), "generated": settled.candidate["messages"]}
    return row


def _told(decision: Decision) -> dict[str, Any]:
    """What a final dialogue says of a decision: not the words and the id, which it has itself."""
    told = ("reviewer", "decision", "at", "reason")
    return {key: value for key, value in decision.items() if key in told}


def _write_conflicts(out: Path, settled: list[_Settled]) -> Path | None:
    conflicts = [one for one in settled if one.outcome == "conflicting"]
    path = _conflicts_path(out)
    if not conflicts:
        path.unlink(missing_ok=True)  # of an earlier run, when there were some
        return None
    write_json_lines(path, (one.candidate | {"reviews": one.decisions} for one in conflicts))
    return path


def to_json(account: Account) -> dict[str, Any]:
    """The account as JSON, with every candidate's outcome."""
    told = asdict(account)
    return told | {
        "final": str(account.final),
        "conflicts": account.conflicts and str(account.conflicts),
        "counts": counts(account),
    }


def counts(account: Account) -> dict[str, int]:
    """How many candidates came to each outcome."""
    counted = Counter(account.outcomes.values())
    return {outcome: counted[outcome] for outcome in get_args(Outcome)}


def to_text(account: Account) -> str:
    """The account for a person."""
    lines = [f"{len(account.outcomes):,} candidates"]
    lines += [f"  {outcome:12} {number:>7,}" for outcome, number in counts(account).items()]
    lines.append(f"{account.decided_by_one:,} of them were decided by one reviewer alone")
    for agreement in account.agreement:
        lines += ["", *_agreement_lines(agreement)]
    lines += ["", *_left_out(account), f"Final dialogues: {account.final}"]
    if account.conflicts:
        ids = [row_id for row_id, outcome in account.outcomes.items() if outcome == "conflicting"]
        lines.append(f"In conflict: {', '.join(ids[:20])}{', ...' if len(ids) > 20 else ''}")
        lines.append(f"For a third look: rs-gpt4v review {account.conflicts} --images FOLDER")
    return "\n".join(lines)


def _agreement_lines(agreement: Agreement) -> list[str]:
    row_name, column_name = agreement.reviewers
    lines = [f"{row_name} (rows) and {column_name} (columns)"]
    lines.append(" " * 10 + "".join(f"{choice:>9}" for choice in CHOICES))
    for choice, row in zip(CHOICES, agreement.table, strict=True):
        lines.append(f"  {choice:8}" + "".join(f"{number:>9,}" for number in row))
    for what, value in (
        ("accept, edit, reject", agreement.kappa),
        ("kept, reject", agreement.kappa_kept),
    ):
        lines.append(f"  kappa of {what}: {'not defined' if value is None else f'{value:.3f}'}")
    return lines


def _left_out(account: Account) -> list[str]:
    told = [
        f"{name}: {len(ids):,} decisions do not count, {why}: {', '.join(ids[:5])}"
        for why, by_name in (
            ("their candidates were changed since", account.changed),
            ("the queue has no such candidates", account.unknown),
        )
        for name, ids in by_name.items()
        if ids
    ]
    if account.unreadable:
        told.append(f"{len(account.unreadable):,} lines are no candidates: {account.unreadable[0]}")
    return told
