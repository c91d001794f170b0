"""What a judge said of two models' answers, as preferences."""

import os
from pathlib import Path
from statistics import fmean

from rs_gpt4v.files import AnyPath
from rs_gpt4v.preferences import Pair, Preferences, question
from rs_gpt4v_evaluation.judge.lines import ComparedPair, read_lines
from rs_gpt4v_evaluation.judge.pairwise import shares_of_a
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError


def preferences(path: AnyPath) -> Preferences:
    """The pairs of answers in a file of `compare_files` of which the judge found one better.

    Raises:
        PredictionFileError: The file is damaged, or an earlier version wrote it.
    """
    path = Path(path)
    result = Preferences()
    for line in read_lines(path, ComparedPair, "rs-gpt4v judge --against"):
        decided = _decided(line, path)
        if isinstance(decided, str):
            result.dropped[decided] += 1
        else:
            result.pairs.append(decided)
    return result


def _decided(line: ComparedPair, path: Path) -> Pair | str:
    """The pair, or why there is none."""
    if "answers" not in line or "prompt" not in line:
        raise PredictionFileError(
            f"{path}, {line['id']}: it lacks the answers (an earlier version wrote it). Give the "
            "same `rs-gpt4v judge --against` command again: its journal has the replies"
        )
    if any(line[model]["dataset"].get("images") for model in ("a", "b")):
        return "a model did not see the image (a blind run)"
    if any(verdict["value"] is None for verdict in line["verdicts"]):
        return "the judge gave no verdict"
    share = fmean(shares_of_a(line["verdicts"]))
    if share == 0.5:
        return "the judge found neither answer better"
    a, b = line["answers"]["a"], line["answers"]["b"]
    images = [line["image"], *line.get("further_images", [])] if line["image"] else []
    asked = question(
        line["a"]["dataset"]["split"],
        line["group"],
        map(os.path.abspath, images),
        [*line.get("history", []), {"role": "user", "content": line["prompt"]}],
    )
    chosen, rejected = (a, b) if share > 0.5 else (b, a)
    return Pair(line["id"], "judge", asked, chosen, rejected)
