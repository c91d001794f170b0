"""SPICE itself: runs the Java program of the installed pycocoevalcap on parts that you supply.

Two things cannot be installed from PyPI:

* CoreNLP 3.6.0, code and models: unpack ``stanford-corenlp-full-2015-12-09.zip`` (385 MB) from
  https://nlp.stanford.edu/software/ and set ``RS_GPT4V_CORENLP`` to its folder.
* Java 8: set ``RS_GPT4V_JAVA8`` to its program ``java``, unless that comes first in ``PATH``.
  SPICE 1.0 writes its result with Nashorn, which Java has from 8 to 14.

Nothing is written beside the packages: the jars stay where they are, all else is in a temporary
folder.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from rs_gpt4v_evaluation.rs_caption.meteor import folder_of

_DOWNLOAD = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
_CORENLP_JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
_JAVA_VERSIONS = range(8, 15)


@dataclass(frozen=True, kw_only=True)
class SpiceProgram:
    """The parts of SPICE on this machine; `find_spice` looks them up.

    Args:
        java: The program of Java 8.
        java_version: What it calls itself, such as "1.8.0_402".
        jars: SPICE first, then CoreNLP; SPICE's own jar names its other libraries.
    """

    java: Path
    java_version: str
    jars: tuple[Path, ...]

    @property
    def signature(self) -> str:
        """Versions of what scores depend on."""
        return f"spice1.0+corenlp3.6.0+java{self.java_version}"


def find_spice(corenlp: Path | None = None, java: Path | None = None) -> SpiceProgram:
    """Find every part, or say which one is missing and where to get it.

    Args:
        corenlp: The folder of CoreNLP 3.6.0; by default `RS_GPT4V_CORENLP`, else the folder to
            which pycocoevalcap downloads it.
        java: The program of Java 8; by default `RS_GPT4V_JAVA8`, else `java` in `PATH`.

    Raises:
        ImportError: pycocoevalcap is not installed.
        FileNotFoundError: There is no CoreNLP 3.6.0 or no Java.
        RuntimeError: Java says no version, or one that SPICE does not run on.
    """
    own = folder_of(
        "spice", "SPICE is run from pycocoevalcap, not installed: pip install pycocoevalcap"
    )
    folder = corenlp or Path(os.environ.get("RS_GPT4V_CORENLP") or own / "lib")
    jars = tuple(folder / name for name in _CORENLP_JARS)
    for jar in jars:
        if not jar.is_file():
            raise FileNotFoundError(
                f"SPICE needs CoreNLP 3.6.0, and there is no {jar}. Unpack {_DOWNLOAD} (385 MB) "
                f"and set RS_GPT4V_CORENLP to the folder that holds {' and '.join(_CORENLP_JARS)}"
            )
    program = _find_java(java)
    version = _java_version(program)
    return SpiceProgram(java=program, java_version=version, jars=(own / "spice-1.0.jar", *jars))


def image_scores(
    candidates: Sequence[str], references: Sequence[Sequence[str]], program: SpiceProgram
) -> list[float]:
    """SPICE's F of each caption, in [0, 1].

    The program gives no number for an image of which neither caption nor references say anything;
    here it scores 0.

    Args:
        candidates: One tokenised caption per image.
        references: The tokenised references of each image.
        program: What `find_spice` found.

    Raises:
        RuntimeError: The program failed, or left images out.
    """
    images = [
        {"image_id": row, "test": caption, "refs": list(refs)}
        for row, (caption, refs) in enumerate(zip(candidates, references, strict=True))
    ]
    results = _run(program, images)
    scores = {item["image_id"]: item["scores"]["All"]["f"] for item in results}
    left_out = [row for row in range(len(images)) if row not in scores]
    if left_out:
        raise RuntimeError(
            f"SPICE gave no score for {len(left_out)} of {len(images)} captions, "
            f"first for row {left_out[0]}: {candidates[left_out[0]]!r}"
        )
    return [_number(scores[row]) for row in range(len(images))]


def _number(score: float | None) -> float:
    """The program writes 0/0 as null or NaN."""
    return score if score is not None and isfinite(score) else 0.0


def _run(program: SpiceProgram, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="rs_gpt4v_spice_") as folder:
        captions, result = Path(folder, "captions.json"), Path(folder, "scores.json")
        captions.write_text(json.dumps(images), encoding="utf-8")
        command = [
            str(program.java),
            "-Xmx8G",
            "-Duser.language=en",  # a comma in decimals would not be read back
            f"-Djava.io.tmpdir={folder}",
            "-cp",
            os.pathsep.join(map(str, program.jars)),
            "edu.anu.spice.SpiceScorer",
            str(captions),
            "-out",
            str(result),
            "-silent",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not result.is_file():
            raise RuntimeError(
                f"SPICE ended with {done.returncode} under Java {program.java_version}. "
                f"Its last words: {_tail(done.stderr)}\nThe command was: {' '.join(command)}"
            )
        return json.loads(result.read_text(encoding="utf-8"))


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])


def _find_java(java: Path | None) -> Path:
    named = java or os.environ.get("RS_GPT4V_JAVA8") or "java"
    program = shutil.which(named)
    if program is None:
        raise FileNotFoundError(
            f"SPICE needs Java 8, and there is no program {str(named)!r}. Install one, such as "
            "Temurin 8 from https://adoptium.net, and set RS_GPT4V_JAVA8 to its bin/java"
        )
    return Path(program)


def _java_version(java: Path) -> str:
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', output)
    if version is None:
        raise RuntimeError(f"{java} -version names no version of Java. It said: {_tail(output)!r}")
    if int(version[2]) not in _JAVA_VERSIONS:
        raise RuntimeError(
            f"SPICE runs on Java 8 to 14 (it needs Nashorn, removed in 15), and {java} is "
            f"{version[1]}. Set RS_GPT4V_JAVA8 to the java of one of those, best of Java 8"
        )
    return version[1]
