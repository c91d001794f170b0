"""From reviewers' decisions to the final dialogues, every candidate reported for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from rs_gpt4v.agreement import kappa
from rs_gpt4v.conversation import Message
from rs_gpt4v.files import AnyPath, refuse_overwriting, write_json_lines
from rs_gpt4v.reviews import Decision, ReviewsError, read_decisions, standing
from rs_gpt4v_generation.candidates import Candidate, Queue, digest, read_queue

CHOICES = ("accept", "edit", "reject")

Outcome = Literal["accepted", "edited", "rejected", "skipped", "unreviewed", "conflicting"]
_OUTCOMES: dict[str, Outcome] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers on the candidates that both accepted, edited or rejected.

    Attributes:
        reviewers: Their names, the rows' first.
        table: Numbers of candidates; rows and columns are `CHOICES`.
        kappa: Cohen's kappa of the three choices; None where it is not defined.
        kappa_kept: The same of two choices: kept (accept or edit) and reject.
    """

    reviewers: tuple[str, str]
    table: list[list[int]]
    kappa: float | None
    kappa_kept: float | None


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """What became of every candidate of a queue.

    Attributes:
        outcomes: By candidate id, in the queue's order.
        decided_by_one: Candidates that one reviewer alone accepted, edited or rejected.
        agreement: Of every two reviewers.
        changed: By reviewer, the ids whose text has changed since; these decisions do not count.
        unknown: By reviewer, the ids that the queue lacks.
        unreadable: Why lines of the queue are no candidates.
        final: The file of final dialogues.
        conflicts: The file of conflicts, a queue for a third reviewer; None without conflicts.
    """

    outcomes: dict[str, Outcome]
    decided_by_one: int
    agreement: list[Agreement]
    changed: dict[str, list[str]]
    unknown: dict[str, list[str]]
    unreadable: list[str]
    final: Path
    conflicts: Path | None


class Settled(NamedTuple):
    """A candidate, what became of it, and the decisions about it."""

    candidate: Candidate
    outcome: Outcome
    decisions: list[Decision]


def reconcile(
    queue_file: AnyPath, files: Sequence[AnyPath], out: AnyPath, final_say: AnyPath | None = None
) -> ReviewReport:
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
    queue_file = Path(queue_file)
    out = Path(out)
    everyone = [Path(file) for file in (*files, *((final_say,) if final_say else ()))]
    refuse_overwriting([out, _conflicts_path(out)], [queue_file, *everyone])
    queue = read_queue(queue_file)
    decisions = _by_reviewer(everyone)
    digests = {row["id"]: digest(row) for row in queue.candidates}
    current = _current(decisions, digests)
    last_word = current.pop(next(reversed(current))) if final_say else {}
    rows = [_settle(row, list(current.values()), last_word) for row in queue.candidates]
    write_json_lines(out, (_final(row) for row in rows if row.outcome in ("accepted", "edited")))
    return ReviewReport(
        outcomes={row.candidate["id"]: row.outcome for row in rows},
        decided_by_one=sum(len(_decisive(row.decisions)) == 1 for row in rows),
        agreement=[compare(*pair) for pair in combinations(current.items(), 2)],
        changed={
            name: [id_ for id_, row in decided.items() if digests.get(id_, row["of"]) != row["of"]]
            for name, decided in decisions.items()
        },
        unknown={name: sorted(decided.keys() - digests) for name, decided in decisions.items()},
        unreadable=queue.problems,
        final=out,
        conflicts=_write_conflicts(out, rows),
    )


def outcomes(queue: Queue, files: Sequence[Path]) -> dict[str, Outcome]:
    """The outcome of each candidate by its id, as `settled`."""
    return {row.candidate["id"]: row.outcome for row in settled(queue, files)}


def settled(queue: Queue, files: Sequence[Path], final_say: Path | None = None) -> list[Settled]:
    """What becomes of each candidate, as `reconcile` settles it.

    Args:
        queue: As read.
        files: Reviews files, one a reviewer; decisions about other candidates do not count.
        final_say: As in `reconcile`.

    Raises:
        OSError: A file cannot be read.
        ReviewsError: A file is broken, or two are of one reviewer.
    """
    digests = {row["id"]: digest(row) for row in queue.candidates}
    current = _current(_by_reviewer([*files, final_say] if final_say else files), digests)
    last_word = current.pop(next(reversed(current))) if final_say else {}
    return [_settle(row, list(current.values()), last_word) for row in queue.candidates]


def final_messages(edited: Settled) -> list[Message]:
    """The corrected dialogue."""
    edit = next(row for row in reversed(edited.decisions) if row["decision"] == "edit")
    return edit.get("messages", [])


def compare(
    row: tuple[str, dict[str, Decision]], column: tuple[str, dict[str, Decision]]
) -> Agreement:
    """Compare two reviewers, each a name and the decision that stands by candidate id."""
    (row_name, row_decisions), (column_name, column_decisions) = row, column
    pairs: list[tuple[str, str]] = []
    for id_ in row_decisions.keys() & column_decisions.keys():
        pair = row_decisions[id_]["decision"], column_decisions[id_]["decision"]
        if "skip" not in pair:
            pairs.append(pair)
    counts = Counter(pairs)
    return Agreement(
        reviewers=(row_name, column_name),
        table=[[counts[a, b] for b in CHOICES] for a in CHOICES],
        kappa=kappa(pairs),
        kappa_kept=kappa([(a == "reject", b == "reject") for a, b in pairs]),
    )


def _current(
    decisions: Mapping[str, Mapping[str, Decision]], digests: Mapping[str, str]
) -> dict[str, dict[str, Decision]]:
    """The decisions about candidates as they are now, by reviewer and id."""
    return {
        name: {id_: row for id_, row in decided.items() if digests.get(id_) == row["of"]}
        for name, decided in decisions.items()
    }


def _conflicts_path(out: Path) -> Path:
    return out.with_suffix(".conflicts.jsonl")


def _by_reviewer(files: Sequence[Path]) -> dict[str, dict[str, Decision]]:
    """The decisions that stand, by reviewer, in the order of the files, and by candidate id."""
    by_reviewer: dict[str, dict[str, Decision]] = {}
    for file in files:
        decisions = read_decisions(file)
        name, *others = sorted({row["reviewer"] for row in decisions}) or [file.name]
        if others:
            names = ", ".join([name, *others])
            raise ReviewsError(f"{file} has decisions of {names}: one reviewer a file")
        if name in by_reviewer:
            raise ReviewsError(f"{file} is a second file of {name}: give one file a reviewer")
        by_reviewer[name] = standing(decisions)
    return by_reviewer


def _settle(
    candidate: Candidate, reviews: list[dict[str, Decision]], last_word: dict[str, Decision]
) -> Settled:
    id_ = candidate["id"]
    decisions = [decided[id_] for decided in reviews if id_ in decided]
    if id_ not in last_word:
        return Settled(candidate, _outcome(decisions), decisions)
    last = last_word[id_]
    decisive = _decisive([last])
    return Settled(candidate, _outcome(decisive or decisions), [*decisions, last])


def _outcome(decisions: list[Decision]) -> Outcome:
    decisive = _decisive(decisions)
    if not decisive:
        return "skipped" if decisions else "unreviewed"
    first = decisive[0]
    if any(_words(row) != _words(first) for row in decisive):
        return "conflicting"
    return _OUTCOMES[first["decision"]]


def _decisive(decisions: list[Decision]) -> list[Decision]:
    return [row for row in decisions if row["decision"] != "skip"]


def _words(decision: Decision) -> tuple[str, list[Message] | None]:
    return decision["decision"], decision.get("messages")


def _final(settled: Settled) -> dict[str, Any]:
    row: dict[str, Any] = settled.candidate | {"reviews": [_review(d) for d in settled.decisions]}
    if settled.outcome == "edited":
        row |= {"messages": final_messages(settled), "generated": settled.candidate["messages"]}
    return row


def _review(decision: Decision) -> dict[str, Any]:
    """What a final dialogue keeps of a decision: not the words and the id, which it has itself."""
    kept = ("reviewer", "decision", "at", "reason")
    return {key: value for key, value in decision.items() if key in kept}


def _write_conflicts(out: Path, settled: list[Settled]) -> Path | None:
    conflicts = [row for row in settled if row.outcome == "conflicting"]
    path = _conflicts_path(out)
    if not conflicts:
        path.unlink(missing_ok=True)  # of an earlier run, when there were some
        return None
    write_json_lines(path, (row.candidate | {"reviews": row.decisions} for row in conflicts))
    return path


def to_json(report: ReviewReport) -> dict[str, Any]:
    """The report as JSON, with every candidate's outcome."""
    return asdict(report) | {
        "final": str(report.final),
        "conflicts": report.conflicts and str(report.conflicts),
        "counts": counts(report),
    }


def counts(report: ReviewReport) -> dict[str, int]:
    """How many candidates came to each outcome."""
    counter = Counter(report.outcomes.values())
    return {outcome: counter[outcome] for outcome in get_args(Outcome)}


def to_text(report: ReviewReport) -> str:
    """The report as text."""
    lines = [f"{len(report.outcomes):,} candidates"]
    lines += [f"  {outcome:12} {number:>7,}" for outcome, number in counts(report).items()]
    lines.append(f"{report.decided_by_one:,} of them were decided by one reviewer alone")
    for agreement in report.agreement:
        lines += ["", *_agreement_lines(agreement)]
    lines += ["", *_left_out(report), f"Final dialogues: {report.final}"]
    if report.conflicts:
        ids = [id_ for id_, outcome in report.outcomes.items() if outcome == "conflicting"]
        lines.append(f"In conflict: {', '.join(ids[:20])}{', ...' if len(ids) > 20 else ''}")
        lines.append(f"For a third look: rs-gpt4v review {report.conflicts} --images FOLDER")
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


def _left_out(report: ReviewReport) -> list[str]:
    lines = [
        f"{name}: {len(ids):,} decisions do not count, {why}: {', '.join(ids[:5])}"
        for why, by_name in (
            ("their candidates were changed since", report.changed),
            ("the queue has no such candidates", report.unknown),
        )
        for name, ids in by_name.items()
        if ids
    ]
    if problems := report.unreadable:
        lines.append(f"{len(problems):,} lines are no candidates: {problems[0]}")
    return lines
