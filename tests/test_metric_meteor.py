"""METEOR 1.5 against its jar: recorded scores, and the jar itself where there is Java.

Traps of pycocoevalcap that are about METEOR have a test here; those about tokens and the other
scores are in test_metric_ptb and test_metric_rs_caption.
"""

import gzip
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocoevalcap")
pytest.importorskip("numba")
pytest.importorskip("snowballstemmer")

from numba.core import caching

from rs_gpt4v_evaluation.rs_caption import meteor as package
from rs_gpt4v_evaluation.rs_caption.measure import METEOR_BEAM
from rs_gpt4v_evaluation.rs_caption.meteor import aligner, compiled, jar, paraphrases
from rs_gpt4v_evaluation.rs_caption.meteor.jar import meteor_of_jar
from rs_gpt4v_evaluation.rs_caption.meteor.meteor import scores, summands
from rs_gpt4v_evaluation.rs_caption.meteor.normaliser import normalise
from rs_gpt4v_evaluation.rs_caption.meteor.paraphrases import load_paraphrases, read_table
from rs_gpt4v_evaluation.rs_caption.meteor.synonyms import Synonyms

RECORDED = Path(__file__).parent / "golden" / "meteor.json"
"""Scores of `CASES` by pycocoevalcap 1.2 with Java 17; no test of ours writes it."""

CAPTIONS = [
    ("many planes are parked beside a long building", "several aircraft parked near the terminal"),
    ("there is a green river next to the farmland", "a river runs by some green farmlands"),
    ("two ships are sailing on the sea", "two boats sail in the ocean"),
    ("a road a road and a road", "the road and a bridge over the road"),
    ("the houses with red roofs are arranged neatly", "neatly arranged houses have red roofs"),
    ("a large number of cars in the car park", "a lot of automobiles are parked in a parking lot"),
    ("it is a piece of bare land", "it is a piece of bare land"),
    ("geese are near the ponds", "a goose by the pond"),
    ("storage tanks", "storage tanks and storage tanks -lrb- white -rrb-"),
]
HOSTILE = [
    ("", "a road"),
    ("a road", ""),
    ("", ""),
    ("road", "the roads lead to a road"),
    ("Mr. Smith's U.S. house, No. 5 (a-b-c)... isn't it?!", "mr. smith 's us house , no . 5"),
    (
        "1,000 a,b ``x'' `y' \u2018z\u2019 \u201cq\u201d a--b a\u2013b e.g. p.m. 5's 90's",
        "1,000 a , b \" x \" ' y ' z - q",
    ),
    ("naïve Straße ЖАЖДА 中文 😀 x² é-è İ", "naive straße жажда 中 文 😀 x ² é è i"),
    ("a\u00a0b\u3000c\u200bd", "a b c d"),
    ("?" * 40, "? ? ? ??? ???? ??????"),
    ("a|b|c &amp; <image> #tag @me ^~ $5 €5 5%", "a | b | c & amp ; < image > # tag"),
]
SPLIT = [("a road\nby ||| the\rriver", "a road by the river"), ("a road", "a ||| road\u2028x")]
"""The wrapper of COCO loses its place at these; a separator is a space to both of ours."""


def salads() -> Iterator[tuple[str, str]]:
    """Repeated words in any order, which fill the beam; the last ones of 250 words."""
    rng = random.Random(0)
    words = ["run", "runs", "running", "dog", "dogs", "hound", "car", "auto", "automobile", "cars"]
    words += ["big", "large", "the", "a", "of", "in"]
    for length in [6] * 60 + [15] * 60 + [40] * 30 + [250] * 3:
        few = rng.sample(words, rng.randint(2, 12))
        pair = [rng.choice(few) for _ in range(length)], [rng.choice(few) for _ in range(length)]
        yield " ".join(pair[0]), " ".join(pair[1])


CASES = [*CAPTIONS, *HOSTILE, *SPLIT, *salads()]
CANDIDATES = [candidate for candidate, _ in CASES]
# The second reference is the next case's, the third none: which one is best differs.
REFERENCES = [
    [one, other, ""] for (_, one), (_, other) in zip(CASES, CASES[1:] + CASES[:1], strict=True)
]


def meteor(
    candidates: list[str], references: list[list[str]], *table: Any
) -> tuple[float, list[float]]:
    """Of the corpus, and of each caption."""
    rows = summands(candidates, references, *table)
    return float(scores(rows.sum(axis=0, keepdims=True))[0]), scores(rows).tolist()


@pytest.fixture(scope="module")
def recorded() -> tuple[float, list[float]]:
    content = json.loads(RECORDED.read_text("utf-8"))
    return content["corpus"], content["items"]


@pytest.fixture(scope="module")
def of_ours() -> tuple[float, list[float]]:
    return meteor(CANDIDATES, REFERENCES)


@pytest.fixture(scope="module")
def of_jar() -> tuple[float, list[float]]:
    """One start of the jar, on a machine that writes 0,5 for a half."""
    if shutil.which("java") is None:
        pytest.skip("METEOR's jar needs java")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
        return meteor_of_jar(CANDIDATES, REFERENCES)


def test_items_are_those_recorded(
    of_ours: tuple[float, list[float]], recorded: tuple[float, list[float]]
) -> None:
    assert dict(enumerate(of_ours[1])) == dict(enumerate(recorded[1]))


def test_trap_8_the_corpus_score_is_of_summed_statistics(
    of_ours: tuple[float, list[float]], recorded: tuple[float, list[float]]
) -> None:
    assert of_ours[0] == recorded[0]
    assert abs(of_ours[0] - np.mean(of_ours[1])) > 0.01


def test_trap_6_the_jar_gives_the_recorded_scores_in_any_locale(
    of_jar: tuple[float, list[float]], recorded: tuple[float, list[float]]
) -> None:
    assert of_jar == recorded


def test_trap_5_a_separator_inside_a_caption_is_a_space() -> None:
    clean = [("a road by the river", "a road by the river"), ("a road", "a road x")]
    given = [list(column) for column in zip(*SPLIT, strict=True)]
    expected = [list(column) for column in zip(*clean, strict=True)]
    assert meteor(given[0], [[ref] for ref in given[1]]) == meteor(
        expected[0], [[ref] for ref in expected[1]]
    )


def test_trap_5_a_jar_that_ends_early_is_an_error_not_a_deadlock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("java") is None:
        pytest.skip("METEOR's jar needs java")
    monkeypatch.setattr(jar, "meteor_folder", lambda: tmp_path)  # no jar there
    with pytest.raises(ChildProcessError, match="ended at: SCORE"):
        meteor_of_jar(["a"], [["a"]])


def test_trap_4_nothing_is_written_beside_the_table() -> None:
    folder = package.meteor_folder()
    before = sorted(folder.rglob("*"))
    meteor(["a road"], [["roads"]])
    assert sorted(folder.rglob("*")) == before


def test_trap_7_only_the_jar_asks_for_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert meteor(["a road"], [["a road"]]) == (1.0, [1.0])
    with pytest.raises(FileNotFoundError, match="needs java on the path"):
        meteor_of_jar(["a road"], [["a road"]])


def test_trap_10_a_caption_without_words_scores_0() -> None:
    corpus, items = meteor(["a road", "", "a road"], [["", "a road"], ["a road"], [""]])
    assert items == [1.0, 0.0, 0.0]
    assert 0 < corpus < 1
    assert meteor([""], [[""]]) == (0.0, [0.0])


def test_the_first_of_equally_good_references_counts() -> None:
    # Both give the score 0; the second would make the corpus' recall smaller.
    apart = meteor(["a road", "x"], [["a road"], ["y", "y y y y y y"]])
    assert apart == meteor(["a road", "x"], [["a road"], ["y"]])


def test_a_single_match_of_another_form_counts_nothing_in_the_search() -> None:
    # "runs" could go to either word; the exact match wins, though the other is nearer.
    matches = np.array([[0, 1, 0, 1, aligner.STEM], [0, 1, 1, 1, aligner.EXACT]], np.int64)
    lengths, firsts, starts = np.array([[2, 1]]), np.array([0, 2]), np.array([0, 2])
    assert aligner.align(lengths, matches, firsts, starts).tolist() == [1, -1]
    assert aligner.BEAM == METEOR_BEAM


def tiny_table(folder: Path) -> Path:
    """A folder as METEOR's, whose paraphrases hold for all and are not symmetric."""
    (folder / "data").mkdir(parents=True)
    lines = ["0.1", "a lot of", "many", "0.2", "a lot of", "heaps of", "0.3", "many", "plenty of"]
    with gzip.open(folder / "data" / "paraphrase-en.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return folder


def test_phrases_match_in_both_directions(tmp_path: Path) -> None:
    table = read_table(tiny_table(tmp_path) / "data" / "paraphrase-en.gz")
    no_table = paraphrases.Paraphrases(*(column[:0] for column in table))
    candidates = ["a lot of cars", "many cars", "heaps of cars"]
    refs = [["many cars"], ["a lot of cars"], ["plenty of cars"]]
    _, known = meteor(candidates, refs, table)
    _, unknown = meteor(candidates, refs, no_table)
    assert known[0] > unknown[0]
    assert known[1] > unknown[1]
    assert known[2] == unknown[2]  # both paraphrase something, not each other


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HF_HOME, and METEOR's folder with a tiny table."""
    tiny_table(tmp_path / "meteor")
    monkeypatch.setattr(paraphrases, "meteor_folder", lambda: tmp_path / "meteor")
    monkeypatch.setattr(paraphrases, "HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_index_is_written_once_and_gives_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_paraphrases()
    assert [path.suffix for path in (home / "rs_gpt4v").iterdir()] == [".npz"]
    monkeypatch.setattr(paraphrases, "read_table", None)
    for one, other in zip(first, load_paraphrases(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_table_gets_another_index(home: Path) -> None:
    load_paraphrases()
    with gzip.open(home.parent / "meteor" / "data" / "paraphrase-en.gz", "wt") as file:
        file.write("0.1\na\nb\n")
    assert len(load_paraphrases().targets) == 1
    assert len(list((home / "rs_gpt4v").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_only_slower(home: Path) -> None:
    home.mkdir()
    (home / "rs_gpt4v").touch()
    with pytest.warns(UserWarning, match="Set HF_HOME to a folder that can be written"):
        assert len(load_paraphrases().targets) == 3


def test_code_is_compiled_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    twice = compiled.compiled(lambda number: 2 * number)
    assert twice(4) == 8


def test_without_the_data_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r'pip install "rs-gpt4v\[meteor\]"'):
        package.meteor_folder()
    assert package.missing() == ["pycocoevalcap", "numba"]


@pytest.mark.parametrize(
    ("installed", "absent"), [("2.2.0", []), ("3.0.1", ["snowballstemmer>=2,<3"])]
)
def test_a_stemmer_that_scores_otherwise_is_refused(
    monkeypatch: pytest.MonkeyPatch, installed: str, absent: list[str]
) -> None:
    monkeypatch.setattr(package, "version", lambda _: installed)
    assert package.missing() == absent


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a-b-c d--e f\u2013g", "a b-c d e f - g"),
        ("u.s. Ph.D. x.y. a.b end.", "us phd xy a.b end ."),
        ("no. 5 No. 5 No. five Mr. X", "no . 5 no. 5 no. five mr. x"),
        ("1,000 a,b ,,c", "1,000 a , b , ,c"),
        ("dog's 5's '90s n't ``x'' \u2019s", "dog 's 5 's ' 90s n 't \" x \" ' s"),
        ("...a..b .", "... a .. b ."),
        ("a .-5", "a . 5"),
        ("中文 ЖЖ Éé x²", "中 文 жж éé x ²"),
        ("a\u00a0b\tc \x01", "a b c"),
    ],
)
def test_lines_are_cut_as_the_jar_cuts_them(line: str, words: str) -> None:
    assert " ".join(normalise(line)) == words


@pytest.mark.parametrize(
    ("word", "other", "are_synonyms"),
    [
        ("automobiles", "cars", True),
        ("geese", "goose", True),  # an exception
        ("axes", "axis", True),  # the second of two bases
        ("axes", "ax", True),
        ("glass", "glas", False),  # "ss" has no base
        ("as", "a", False),  # two letters neither
        ("road", "river", False),
    ],
)
def test_synonyms_share_a_set(word: str, other: str, are_synonyms: bool) -> None:
    sets = Synonyms.load().sets
    assert bool(sets(word) & sets(other)) == are_synonyms
