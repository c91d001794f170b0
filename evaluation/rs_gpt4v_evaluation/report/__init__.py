"""Predictions and a judge's scores as one page: tables, charts, the paper's, rows to browse."""

from collections.abc import Sequence
from pathlib import Path

from rs_gpt4v.files import AnyPath, each_alone, refuse_overwriting, relative, write_text
from rs_gpt4v_evaluation.judge.agreement import agreement_in, is_reviews
from rs_gpt4v_evaluation.report.columns import Group, is_blind_column
from rs_gpt4v_evaluation.report.examples import PICTURES
from rs_gpt4v_evaluation.report.groups import is_judged, read_groups
from rs_gpt4v_evaluation.report.markdown import markdown
from rs_gpt4v_evaluation.report.model_card import model_card
from rs_gpt4v_evaluation.report.page import Overview, html
from rs_gpt4v_evaluation.report.tables import table
from rs_gpt4v_evaluation.report.training import read_training
from rs_gpt4v_evaluation.score import DEFAULT_RULES, Rules

__all__ = ["report"]


def report(
    predictions: Sequence[AnyPath],
    out: AnyPath,
    training_log: AnyPath | None = None,
    title: str = "rs-gpt4v report",
    *,
    pictures: int = PICTURES,
    resamples: int = 0,
    rules: Rules = DEFAULT_RULES,
    card: AnyPath | None = None,
    label: str | None = None,
    overview: Overview | None = None,
    failed: list[str] | None = None,
) -> list[str]:
    """Write a report about ``predictions`` to ``out``; the same input gives the same bytes.

    A file is a column, labelled by its folder ("before" in ``before/vqa_hr.jsonl``). Files of one
    config, split and protocol share a table; with two of them, it states the difference.

    Args:
        predictions: Predictions files, and files that `rs-gpt4v judge` wrote, in the order of
            their columns. Dialogues and descriptions count where they were judged. Reviews files
            among them, of people about judged answers, are compared with the judge's scores.
        out: The report: Markdown if it ends in .md, else an HTML page that needs nothing else. It
            is replaced whole or not at all.
        training_log: ``trainer_state.json`` of a `transformers.Trainer`, for the loss curve.
        title: Heading of the report.
        pictures: How many distinct images there are to browse at most, beside the texts of all
            rows; 0 for a page without any image.
        resamples: Draws for the 95 % intervals of the scores; 0 for none.
        rules: How replies are compared with the truth, as in `score`.
        label: What all columns but blind runs are called, which are of one model then; None for
            their folders.
        overview: A table of all scores, in place of the figures that a page has otherwise.
        failed: Gets the message of each damaged file, and the page holds the others; None: such a
            file is refused.
        card: Where to write the scores of the last file's model as metadata of a model card too.

    Returns:
        A line for each file that is not on the page: why none of its rows can be scored.

    Raises:
        OverwriteError: ``out`` or ``card`` is one of the files that are read.
        PredictionFileError: A file is empty or damaged, or no row of all can be scored.
        ValueError: There are no predictions, or ``training_log`` is no trainer state.
    """
    predictions = [Path(file) for file in predictions]
    out = Path(out)
    training_log = None if training_log is None else Path(training_log)
    card = None if card is None else Path(card)
    if not predictions:
        raise ValueError("a report needs at least one predictions file")
    refuse_overwriting([out, card], [*predictions, training_log])
    training = read_training(training_log) if training_log else None
    reviews = [path for path in predictions if is_reviews(path)]
    judged = [path for path in predictions if is_judged(path)]
    predicted = [path for path in predictions if path not in reviews]
    if not predicted:
        raise ValueError("reviews files alone make no report: add the judged files")
    agreements = agreement_in([*judged, *reviews], resamples)

    def read(files: list[Path]) -> tuple[list[Group], list[str]]:
        left_out: list[str] = []
        return read_groups(files, resamples, rules, left_out), left_out

    (groups, left_out), _ = each_alone(read, predicted, failed)
    groups = [_named(group, out.parent, label) for group in groups]
    tables = [table(group) for group in groups]
    if out.suffix == ".md":
        text = markdown(title, tables, training, agreements)
    else:
        text = html(title, groups, tables, training, pictures, agreements, overview)
    write_text(out, text)
    if card:
        write_text(card, model_card(groups))
    return left_out


def _named(group: Group, folder: Path, label: str | None) -> Group:
    """With files as seen from the page's ``folder``: moved together, they stay the same."""
    columns = [
        column._replace(
            score={**column.score, "file": relative(column.score["file"], folder)},
            label=column.label if is_blind_column(column) else label or column.label,
        )
        for column in group.columns
    ]
    return group._replace(
        columns=columns, shares=[(label or own, share) for own, share in group.shares]
    )
