"""From a file of others' results to predictions: with the rows of a split, or without any."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.conversation import whole_columns
from rs_gpt4v_evaluation.imports.damage import Damage, damages, repaired
from rs_gpt4v_evaluation.imports.formats import ImportingError, Result
from rs_gpt4v_evaluation.imports.lines import unverified_lines, verified_lines
from rs_gpt4v_evaluation.imports.matching import LeftOut, Matches, match
from rs_gpt4v_evaluation.imports.reading import ResultsFile
from rs_gpt4v_evaluation.imports.rows import Rows
from rs_gpt4v_evaluation.predict.predictions import PredictedRows, Prediction, describe
from rs_gpt4v_evaluation.predict.turns import each_turn


@dataclass
class Import:
    """What came of an import.

    Attributes:
        file: What was read.
        model: Who replied.
        predictions: To be written.
        written: How many they are.
        rows: Those of the split; None where the results were not compared with any.
        matches: Which result belongs to which row.
        damage: Texts that a conversion damaged.
    """

    file: ResultsFile
    model: str
    predictions: Iterator[Prediction]
    written: int
    rows: Rows | None = None
    matches: Matches = field(default_factory=Matches)
    damage: list[Damage] = field(default_factory=list)

    @property
    def left_out(self) -> list[LeftOut]:
        """All items of the file that are in no prediction."""
        return [*self.file.unreadable, *self.matches.left_out]


def import_results(
    file: ResultsFile,
    config: str,
    split: str,
    protocol: str,
    *,
    model: str | None = None,
    splits: Mapping[str, datasets.Dataset] | None = None,
    box_format: str | None = None,
    pair_equal: bool = False,
    repair: bool = False,
) -> Import:
    """Make predictions of results.

    Args:
        file: What `read_results` gives.
        config: Whose split was answered.
        split: That split.
        protocol: By which its rows are chosen.
        model: Who replied; None: as the file says.
        splits: The rows of the config, built with ``box_format``; None: the results' own truth.
        box_format: The codec that reads the boxes of a reply.
        pair_equal: See `match`.
        repair: Mend damaged texts.

    Raises:
        ImportingError: Nothing can be imported; the message says why, and what to do.
    """
    name = model or _model(file)
    damage = damages(_texts(file.results, with_truth=splits is None))
    if repair:
        file = file._replace(results=[*map(_mended, file.results)])
    if splits is None:
        file = _with_truth(file)
        lines = unverified_lines(file.results, name, config, split, protocol)
        return Import(file, name, iter(lines), len(lines), damage=damage)
    if split not in splits:
        raise ImportingError(f"{config} has no split {split!r}; it has {', '.join(splits)}")
    codec = _codec(config, splits[split], box_format)
    asked = each_turn(splits[split])
    rows = Rows(asked, codec)
    matches = match(file.results, rows, pair_equal=pair_equal)
    if not matches.of_row:
        raise ImportingError(_why_none(file, f"{config}/{split}", matches, splits, split))
    described: PredictedRows = describe(
        asked, config=config, split=split, protocol=protocol, box_format=codec
    )
    if matches.interchangeable:
        described["interchangeable"] = matches.interchangeable
    lines = verified_lines(asked, matches.of_row, name, described)
    return Import(file, name, lines, len(matches.of_row), rows, matches, damage)


def _model(file: ResultsFile) -> str:
    models = list(dict.fromkeys(result.model for result in file.results if result.model))
    if len(models) > 1:
        raise ImportingError(
            f"the results are of several models ({', '.join(models[:5])}): part the file, one "
            "predictions file holds one model's replies"
        )
    if not models:
        raise ImportingError("the file does not say who replied: give --model NAME")
    return models[0]


def _texts(results: list[Result], *, with_truth: bool) -> Iterator[tuple[str, str, str]]:
    for result in results:
        yield "replies", result.where, result.reply
        if with_truth:
            for text in result.references:
                yield "true answers", result.where, text


def _mended(result: Result) -> Result:
    return result._replace(
        reply=repaired(result.reply), references=tuple(map(repaired, result.references))
    )


def _with_truth(file: ResultsFile) -> ResultsFile:
    """Without the results that state no true answer, which cannot be scored."""
    without = [
        LeftOut(result.where, "no true answer", "it states no true answer, and there are no rows")
        for result in file.results
        if not result.references
    ]
    kept = [result for result in file.results if result.references]
    return file._replace(results=kept, unreadable=[*file.unreadable, *without])


def _codec(config: str, rows: datasets.Dataset, box_format: str | None) -> str:
    if box_format is not None:
        return box_format
    if any(whole_columns(rows, "boxes")["boxes"]):
        raise ImportingError(
            f"{config} has boxes: say with --box-format how the model writes them, one of "
            f"{', '.join(CODECS)}"
        )
    return "llava"


def _why_none(
    file: ResultsFile,
    asked: str,
    matches: Matches,
    splits: Mapping[str, datasets.Dataset],
    split: str,
) -> str:
    """Why no result belongs to a row, and of which split they are, if of any."""
    left_out = [*file.unreadable, *matches.left_out]
    reason = f"{left_out[0].where}: {left_out[0].reason}" if left_out else "it has none"
    fits: dict[str, Any] = {
        other: len(match(file.results, Rows(each_turn(rows))).of_row)
        for other, rows in splits.items()
        if other != split
    }
    there = ", ".join(f"{n:,} belong to the split {other!r}" for other, n in fits.items() if n)
    advice = (
        f"{there}: give --split, if that was meant"
        if there
        else "is it the right --config, --protocol and file?"
    )
    return f"no result belongs to a row of {asked}. {reason}. {advice[0].upper()}{advice[1:]}"
