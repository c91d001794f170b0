"""METEOR 1.5 by its own jar and the ``java`` on the path: slower, to check `meteor` against."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, cast

from rs_gpt4v_evaluation.rs_caption.meteor import meteor_folder
from rs_gpt4v_evaluation.rs_caption.meteor.normaliser import one_line

# Numbers with a decimal point and text in UTF-8, whatever the machine is set to.
_OPTIONS = ("-Xmx2G", "-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")


def meteor_of_jar(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, list[float]]:
    """As `meteor`: the corpus score and that of each caption; takes 1 GB and ten seconds to start.

    Raises:
        ImportError: pycocoevalcap is not installed.
        FileNotFoundError: There is no ``java`` on the path.
        ChildProcessError: The jar ended early, for want of memory for instance.
    """
    folder = meteor_folder()
    java = shutil.which("java")
    if java is None:
        raise FileNotFoundError("METEOR's jar needs java on the path; meteor_backend='python' not")
    command = [java, *_OPTIONS, "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(
        command,
        cwd=folder,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        questions, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        try:
            return _ask(candidates, references, questions, answers)
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # what a jar that ended early did not read
                questions.close()


def _ask(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    questions: IO[str],
    answers: IO[str],
) -> tuple[float, list[float]]:
    """Speak the jar's protocol: a line of statistics an image, then all of them scored."""
    statistics = []
    for candidate, refs in zip(candidates, references, strict=True):
        line = " ||| ".join(["SCORE", *map(one_line, refs), one_line(candidate)])
        statistics.append(_answer(line, questions, answers))
    first = _answer(" ||| ".join(["EVAL", *statistics]), questions, answers)
    *scores, corpus = [float(first), *(float(next(answers)) for _ in candidates)]
    return corpus, scores


def _answer(line: str, questions: IO[str], answers: IO[str]) -> str:
    with suppress(BrokenPipeError):  # the missing answer tells
        questions.write(line + "\n")
        questions.flush()
    answer = answers.readline()
    if not answer:
        raise ChildProcessError(f"METEOR's jar ended at: {line[:200]}")
    return answer.strip()
