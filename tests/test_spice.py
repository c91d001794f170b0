"""`spice_approx` and SPICE itself, the latter with a stand-in for the Java program."""

import json
import stat
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Golden
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v_evaluation.rs_caption import spice, spice_approx
from rs_gpt4v_evaluation.rs_caption.propositions import Word, propositions
from rs_gpt4v_evaluation.rs_caption.rs_caption import METRICS, score_captions
from rs_gpt4v_evaluation.rs_caption.scene_graph import SceneGraph, f_score
from rs_gpt4v_evaluation.rs_caption.synonyms import Synonyms

needs_jars = pytest.mark.skipif(not find_spec("pycocoevalcap"), reason="needs pycocoevalcap")
needs_spacy = pytest.mark.skipif(
    bool(spice_approx.missing()), reason=f"not installed: {', '.join(spice_approx.missing())}"
)
GOLDEN = Path(__file__).parent / "golden" / "spice_parses.json"

SYNONYMS = {"road": {1}, "street": {1}, "pond": {2}, "pool": {2, 3}, "puddle": {3}, "grey": {4}}


def sets(word: str) -> frozenset[int]:
    return frozenset(SYNONYMS.get(word, ()))


def score(said: list[Any], *references: list[Any]) -> float:
    return f_score(said, references, sets)


def size(*captions: list[Any]) -> int:
    return len(list(SceneGraph(captions, sets).tuples()))


# "road" and "street" are synonyms here; no word is a synonym of two that are none of each other.
names = st.sampled_from(["road", "street", "pond", "tree", "car", "grey"])
caption = st.lists(st.lists(names, min_size=1, max_size=3).map(tuple), max_size=6)
some_captions = st.lists(caption, min_size=1, max_size=4)


@given(caption.filter(bool))
def test_a_caption_agrees_with_itself(said: list[Any]) -> None:
    assert score(said, said) == 1
    assert score(said, said, said) == 1


@given(caption, some_captions)
def test_scores_are_shares_and_neither_side_nor_order_matters(
    said: list[Any], references: list[Any]
) -> None:
    whole = score(said, *references)
    assert 0 <= whole <= 1
    assert score(said, *references[::-1]) == whole
    assert score([p for r in references for p in r], said) == whole


def test_nothing_in_common() -> None:
    assert score([("road",), ("road", "wide")], [("tree",), ("tree", "green")]) == 0


def test_nothing_said_scores_0() -> None:
    assert score([], [("road",)]) == score([("road",)], []) == score([], [], []) == 0


def test_value_by_hand() -> None:
    said = [("plane", "airport", "in"), ("plane", "white"), ("plane", "two")]
    true = [("plane", "airport", "in"), ("plane", "many")], [("plane", "white"), ("runway",)]
    # Said: plane, airport, in, white, two. True: plane, airport, runway, in, many, white.
    assert score(said, *true) == pytest.approx(2 * 4 / (5 + 6))


def test_synonyms_match_at_every_place_of_a_tuple() -> None:
    said = [("street", "pond", "road"), ("pond", "street")]
    assert score(said, [("road", "pool", "street"), ("pool", "road")]) == 1
    assert score([("road", "tree", "near")], [("tree", "street", "near")]) == pytest.approx(2 / 3)


def test_a_merged_concept_has_the_synonyms_of_all_its_words() -> None:
    assert size([("pond",), ("puddle",)]) == 2
    assert size([("pond",), ("pool",), ("puddle",)]) == 1
    assert score([("puddle",)], [("pond",)]) == 0
    assert score([("puddle",)], [("pond",), ("pool",)]) == 1


def test_counts_are_attributes() -> None:
    three, two = [("car",), ("car", "three")], [("car",), ("car", "two")]
    assert score(three, three) == 1
    assert score(three, two) == 0.5


def test_no_tuple_twice() -> None:
    assert size([("road",), ("road",)], [("street",)]) == 1
    assert size([("road", "wide"), ("street", "wide")]) == 2
    assert size([("road", "tree", "near"), ("tree",), ("street", "tree", "near")]) == 3
    assert size([("road", "tree", "near"), ("tree", "road", "near")]) == 4


@needs_jars
def test_synonyms_of_wordnet() -> None:
    known = Synonyms.load().sets
    assert f_score([("plane", "park")], [[("airplane", "parked")]], known) == 1
    assert f_score([("man", "sea", "look at")], [[("man", "sea", "view")]], known) == 1
    assert f_score([("river",)], [[("road",)]], known) == 0


CASES: dict[str, list[tuple[str, ...]]] = {
    "two red cars are driving on the bridge": [
        ("car",), ("car", "two"), ("car", "red"), ("car", "bridge", "drive on"), ("bridge",),
    ],
    "a white storage tank is next to some trees": [
        ("tank",), ("tank", "storage"), ("tank", "white"), ("tank", "tree", "next to"), ("tree",),
    ],
    "a lake surrounded by houses and green trees": [
        ("lake",), ("lake", "house", "surround by"), ("lake", "tree", "surround by"),
        ("house",), ("tree",), ("tree", "green"),
    ],
    "the harbor is surrounded by many buildings": [
        ("harbor",), ("building", "harbor", "surround"), ("building",), ("building", "many"),
    ],
    "some planes are parked at the airport": [("plane",), ("airport",)],
    "a lot of boats are in the harbor": [
        ("lot",), ("boat", "a"), ("boat", "harbor", "in"), ("boat",), ("harbor",),
    ],
    "a playground with a football field in it is near a school": [
        ("playground",), ("playground", "field", "with"), ("playground", "school", "near"),
        ("field",), ("field", "football"), ("field", "playground", "in"), ("school",),
    ],
    "the roof of the hall is white and large": [
        ("roof",), ("roof", "hall", "of"), ("hall",), ("roof", "white"), ("roof", "large"),
    ],
    "the city 's stadium has two gates": [
        ("city",), ("city", "stadium", "have"), ("stadium",), ("stadium", "gate", "have"),
        ("gate",), ("gate", "two"),
    ],
    "the square is a rectangle": [("square",), ("rectangle",), ("square", "rectangle")],
    "it is a piece of bare land": [
        ("piece",), ("piece", "land", "of"), ("land",), ("land", "bare"),
    ],
    "there are no clouds": [("cloud",)],
    "very near": [],
}  # fmt: skip


def recorded() -> dict[str, list[Word]]:
    """The parses of the captions, as spaCy gave them."""
    parses = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return {text: [Word(*word) for word in words] for text, words in parses.items()}


@pytest.mark.parametrize("text", CASES)
def test_propositions_of_a_parse(text: str) -> None:
    found = propositions(recorded()[text])
    assert sorted(found) == sorted(CASES[text])


@needs_spacy
def test_parses_are_those_recorded(golden: Golden) -> None:
    golden.check(
        GOLDEN.name, {text: [list(word) for word in spice_approx.words(text)] for text in CASES}
    )


@needs_spacy
def test_batches_and_repeated_captions_give_what_each_gives_alone() -> None:
    together = spice_approx.parse([*CASES, *reversed(CASES)])
    assert together == {text: propositions(words) for text, words in recorded().items()}
    assert together == {text: spice_approx.parse([text])[text] for text in CASES}


@needs_spacy
def test_approximate_scores_of_captions() -> None:
    captions = ["two planes are in the airport", "", "a river"]
    references = [["two airplanes are in the airport"], ["a road"], ["a road", "a wide river"]]
    scores = spice_approx.image_scores(captions, references)
    assert scores == pytest.approx([1, 0, 2 * 1 / (1 + 3)])
    assert spice_approx.spice_approx(captions, references) == pytest.approx(0.5)


def test_without_spacy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spice_approx, "_NEEDED", ("json", "no_such_parser"))
    spice_approx.language.cache_clear()
    with pytest.raises(ImportError, match=r"needs no_such_parser.*rs-gpt4v\[spice-approx\]"):
        spice_approx.parse(["a road"])


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
    assert spice.spice(CAPTIONS, REFERENCES, program) == 0.25
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
        spice.spice(CAPTIONS, REFERENCES, spice.find_spice(corenlp, java))


@needs_jars
def test_a_caption_without_a_score_is_named(corenlp: Path, fake_java: Callable[..., Path]) -> None:
    program = spice.find_spice(corenlp, fake_java(scores=[0.5]))
    with pytest.raises(RuntimeError, match="2 of 3 captions, first for row 1: 'two ponds'"):
        spice.spice(CAPTIONS, REFERENCES, program)


def test_without_pycocoevalcap_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spice, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install pycocoevalcap"):
        spice.find_spice()


ROWS: dict[str, Any] = {
    "predictions": ["Two planes are in the airport.", "A river"],
    "references": [["Two airplanes are in the airport"], ["A road.", "A wide river."]],
}


@needs_spacy
def test_rs_caption_gives_the_approximation_when_asked_and_says_by_what() -> None:
    scores = score_captions(**ROWS, metrics=["spice_approx"])
    assert set(scores) == {"spice_approx", "signature"}
    assert scores["spice_approx"] == pytest.approx((1 + 2 / 4) / 2)
    assert str(scores["signature"]).endswith(f"|spice_approx:{spice_approx.parser()}")


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
    assert not {"spice", "spice_approx"} & set(METRICS)
