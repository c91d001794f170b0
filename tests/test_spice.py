"""SPICE itself, with a stand-in for the Java program."""

import json
import stat
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from rs_gpt4v_evaluation.rs_caption import meteor, spice
from rs_gpt4v_evaluation.rs_caption.measure import METRICS, measure


def score_captions(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


needs_jars = pytest.mark.skipif(not find_spec("pycocoevalcap"), reason="needs pycocoevalcap")

FAKE_JAVA = """\
#!{python}
import json, os, sys
from pathlib import Path
if sys.argv[1] == "-version":
    sys.exit({version!r})
arguments = sys.argv[1:]
main = arguments.index("edu.anu.spice.SpiceScorer")
given = json.loads(Path(arguments[main + 1]).read_text())
seen = {{"arguments": arguments, "given": given, "folder": os.getcwd()}}
Path({log!r}).write_text(json.dumps(seen))
sys.stderr.write({complaint!r})
none = {{"pr": None, "re": None, "f": None, "fn": 0.0, "numImages": 1.0, "fp": 0.0, "tp": 0.0}}
items = [
    {{"image_id": item["image_id"], "scores": {{"All": none | {{"f": score}}}}}}
    for item, score in zip(given, {scores!r} or [])
]
if {scores!r}:
    Path(arguments[main + 3]).write_text(json.dumps(items[::-1]))
sys.exit({code})
"""


@pytest.fixture
def corenlp(tmp_path: Path) -> Path:
    folder = tmp_path / "corenlp"
    folder.mkdir()
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (folder / name).touch()
    return folder


@pytest.fixture
def fake_java(tmp_path: Path) -> Callable[..., Path]:
    """Makes a program that answers as Java and SPICE would, and notes what it was asked."""

    def make(
        version: str = 'openjdk version "1.8.0_402"\nOpenJDK Runtime Environment',
        scores: list[float | None] | None = None,
        code: int = 0,
        complaint: str = "",
    ) -> Path:
        program = tmp_path / "bin" / "java"
        program.parent.mkdir(exist_ok=True)
        facts = {"version": version, "scores": scores, "code": code, "complaint": complaint}
        log = str(tmp_path / "seen.json")
        program.write_text(FAKE_JAVA.format(python=sys.executable, log=log, **facts))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return make


CAPTIONS = ["a road", "two ponds", ""]
REFERENCES = [["a road", "a street"], ["a pond"], ["it is there"]]


@needs_jars
def test_spice_is_run_on_all_captions_and_its_scores_are_read(
    tmp_path: Path, corenlp: Path, fake_java: Callable[..., Path]
) -> None:
    java = fake_java(scores=[0.25, 0.5, None])
    program = spice.find_spice(corenlp, java)
    own = program.jars[0].parent
    before = sorted(own.rglob("*"))
    assert spice.image_scores(CAPTIONS, REFERENCES, program) == [0.25, 0.5, 0]
    assert fmean(spice.image_scores(CAPTIONS, REFERENCES, program)) == 0.25
    assert program.signature == "spice1.0+corenlp3.6.0+java1.8.0_402"
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen["given"][0] == {"image_id": 0, "test": "a road", "refs": ["a road", "a street"]}
    assert [item["test"] for item in seen["given"]] == CAPTIONS
    jars = f"{own / 'spice-1.0.jar'}:{corenlp / 'stanford-corenlp-3.6.0.jar'}:"
    jars += str(corenlp / "stanford-corenlp-3.6.0-models.jar")
    assert seen["arguments"][seen["arguments"].index("-cp") + 1] == jars
    assert seen["arguments"][-3] == "-out"
    assert seen["arguments"][-1] == "-silent"
    assert all(seen["folder"] in seen["arguments"][place] for place in (2, -4, -2))
    assert not Path(seen["folder"]).exists()
    assert sorted(own.rglob("*")) == before


@needs_jars
def test_parts_are_found_where_the_environment_says(
    corenlp: Path, fake_java: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RS_GPT4V_CORENLP", str(corenlp))
    monkeypatch.setenv("RS_GPT4V_JAVA8", str(fake_java()))
    found = spice.find_spice()
    assert found.jars[1].parent == corenlp
    monkeypatch.delenv("RS_GPT4V_JAVA8")
    monkeypatch.setenv("PATH", str(fake_java('java version "11.0.2"').parent))
    assert spice.find_spice().java_version == "11.0.2"


@needs_jars
@pytest.mark.parametrize(
    "name", ["stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"]
)
def test_a_missing_jar_is_named_with_where_to_get_it(corenlp: Path, name: str) -> None:
    (corenlp / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {corenlp / name}.*full-2015-12-09.zip"):
        spice.find_spice(corenlp)


@needs_jars
def test_without_corenlp_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RS_GPT4V_CORENLP", raising=False)
    with pytest.raises(FileNotFoundError, match="set RS_GPT4V_CORENLP"):
        spice.find_spice()


@needs_jars
def test_without_java_the_variable_is_named(corenlp: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no program '.*nowhere'.*RS_GPT4V_JAVA8"):
        spice.find_spice(corenlp, tmp_path / "nowhere")


@needs_jars
@pytest.mark.parametrize("said", ['java version "1.7.0_80"', 'openjdk version "15" 2020-09-15'])
def test_java_of_another_age_is_refused(
    corenlp: Path, fake_java: Callable[..., Path], said: str
) -> None:
    version = said.split('"')[1]
    with pytest.raises(RuntimeError, match=f"8 to 14 .* is {version}. Set RS_GPT4V_JAVA8"):
        spice.find_spice(corenlp, fake_java(said))


@needs_jars
def test_what_is_no_java_is_refused(corenlp: Path, fake_java: Callable[..., Path]) -> None:
    with pytest.raises(RuntimeError, match=r"names no version of Java.* said: 'hello'"):
        spice.find_spice(corenlp, fake_java("hello"))


@needs_jars
@pytest.mark.parametrize("code", [1, 0])
def test_a_failed_run_repeats_the_last_words(
    corenlp: Path, fake_java: Callable[..., Path], code: int
) -> None:
    java = fake_java(
        scores=[0.5] * 3 if code else None,
        code=code,
        complaint="loading\nOutOfMemoryError: Java heap space\n",
    )
    with pytest.raises(RuntimeError, match=f"ended with {code} under(.|\n)*OutOfMemoryError"):
        spice.image_scores(CAPTIONS, REFERENCES, spice.find_spice(corenlp, java))


@needs_jars
def test_a_caption_without_a_score_is_named(corenlp: Path, fake_java: Callable[..., Path]) -> None:
    program = spice.find_spice(corenlp, fake_java(scores=[0.5]))
    with pytest.raises(RuntimeError, match="2 of 3 captions, first for row 1: 'two ponds'"):
        spice.image_scores(CAPTIONS, REFERENCES, program)


def test_without_pycocoevalcap_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install pycocoevalcap"):
        spice.find_spice()


ROWS: dict[str, Any] = {
    "predictions": ["Two planes are in the airport.", "A river"],
    "references": [["Two airplanes are in the airport"], ["A road.", "A wide river."]],
}


@needs_jars
def test_rs_caption_gives_spice_of_the_tokenised_captions(
    tmp_path: Path,
    corenlp: Path,
    fake_java: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RS_GPT4V_CORENLP", str(corenlp))
    monkeypatch.setenv("RS_GPT4V_JAVA8", str(fake_java(scores=[0.5, 0.25])))
    scores = score_captions(**ROWS, metrics=["rouge_l", "spice"])
    assert set(scores) == {"rouge_l", "spice", "signature"}
    assert scores["spice"] == 0.375
    assert str(scores["signature"]).endswith("|spice:spice1.0+corenlp3.6.0+java1.8.0_402")
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen["given"][1] == {
        "image_id": 1,
        "test": "a river",
        "refs": ["a road", "a wide river"],
    }


def test_neither_is_computed_unasked() -> None:
    assert "spice" not in str(score_captions(**ROWS, metrics=["bleu"]))
    assert "spice" not in METRICS
