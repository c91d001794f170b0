"""Guesses beside the columns of a report: the most frequent answer, and files of guesses."""

from collections.abc import Sequence

from rs_gpt4v_evaluation.metric import Rules
from rs_gpt4v_evaluation.report.columns import Column
from rs_gpt4v_evaluation.score.most_frequent import CONSTANT_GUESS, MostFrequent, most_frequent


def baseline(column: Column) -> MostFrequent | None:
    """The most frequent answers to the questions of ``column``; None where it has none."""
    if column.metric.name not in ("rs_vqa", "rs_scene"):
        return None
    rule = column.score["rule"]
    # Where sources differ in a form, each is compared by its own.
    forms = [rule.get(name) for name in ("counts", "areas")]
    counts, areas = (own if isinstance(own, str) else "source" for own in forms)
    rows = [
        {
            "source": row.source,
            "question_type": row.kind,
            "prompt": row.prompt,
            "references": row.references,
        }
        for row in column.rows
    ]
    rules = Rules(counts, rule.get("normalise", "lenient"), areas=areas)
    return most_frequent(column.metric, rows, rules)


def is_guess(column: Column) -> bool:
    """Whether no model replied, but a constant."""
    return column.score["model"] == CONSTANT_GUESS


def guessing(columns: Sequence[Column], most_frequent: MostFrequent | None) -> dict[str, float]:
    """What guessing scores, by key: the best of the columns that guess and ``most_frequent``."""
    known = [column.scores for column in columns if is_guess(column)]
    known += [most_frequent.scores] if most_frequent else []
    return {key: max(s[key] for s in known if key in s) for scores in known for key in scores}
