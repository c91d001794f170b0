import json
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v_evaluation.rs_caption.ptb import tokenize

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"real captions are not there: {DATA} (see its README.md)"
)
# COCO's list, applied here to the Java tool's raw output.
PUNCTUATION = [*".?!,:-'`;", "''", "``", "-LRB-", "-RRB-", "-LCB-", "-RCB-", "--", "..."]

# Recorded from PTBTokenizer 3.4.1 -preserveLines -lowerCase, with COCO's list removed.
RECORDED = [
    ("There is a piece of farmland .", "there is a piece of farmland"),
    ("Don't; it's what they've said, isn't it?", "do n't it 's what they 've said is n't it"),
    (
        "it\u2019s \u201cquoted\u201d \u2018one\u2019 don\u2019t dogs\u2019 houses",
        "it 's quoted one do n't dogs houses",
    ),
    ("You cannot / Cannot / gonna", "you can not / can not / gon na"),
    ("'tis 'twas rock'n'roll 'n' the '90s", "'t is 't was rock 'n' roll 'n' the '90s"),
    ("O'Brien at 5 o'clock, ma'am", "o'brien at 5 o'clock ma'am"),
    ("(a) [b] {c} <image>", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb- <image>"),
    ("wait... what.. so .... end …", "wait what so end"),
    ("a--b a - b a — b a \u2013 b a-b", "a b a b a b a b a-b"),
    ("$5 €5 £5 US$5 5% 5°C", "$ 5 $ 5 # 5 us$ 5 5 % 5 ° c"),
    ("1,000 1.5 12:30 1/2 3 1/2 x", "1,000 1.5 12:30 1/2 3\u00a01/2 x"),
    ("10m2 10m² 4.5m 12:30pm 10x20", "10m2 10m ² 4.5 m 12:30 pm 10x20"),
    ("and/or semi-detached/white a_b #tag # 1", "and/or semi-detached/white a_b #tag # 1"),
    ("Mr. Smith of St. Louis, e.g. etc. and", "mr. smith of st. louis e.g. etc. and"),
    ("no. 5 No. of fig. 3 approx. 5 ft. long", "no. 5 no of fig. 3 approx 5 ft. long"),
    ("La. is a state, la is not. Yes", "la. is a state la is not yes"),
    ("What??? No!! Really? Yes!", "what ??? no !! really yes"),
    ("A & B of AT&T &amp; R&D", "a & b of at&t & r&d"),
    ("see http://a.b/c, me@example.org.", "see http://a.b/c me@example.org"),
    ("grey colour: naïve 中文", "grey colour naïve 中文"),
    (" .", ""),
    ("", ""),
]


def java(lines: list[str]) -> list[str]:
    """The reference tokeniser, or a skip."""
    package = pytest.importorskip("pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("the reference tokeniser needs java")
    jar = Path(next(iter(package.__path__))) / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    tool = ["java", "-Dfile.encoding=UTF-8", "-cp", str(jar)]
    tool += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    raw = subprocess.run(tool, input="\n".join(lines).encode(), capture_output=True, check=True)
    rows = raw.stdout.decode().split("\n")
    return [" ".join(t for t in row.rstrip().split(" ") if t not in PUNCTUATION) for row in rows]


@pytest.mark.parametrize(("line", "tokens"), RECORDED, ids=range(len(RECORDED)))
def test_recorded_tokens(line: str, tokens: str) -> None:
    assert tokenize([line, "end"])[0] == tokens


def test_recorded_tokens_are_those_of_the_java_tool() -> None:
    lines = [line for line, _ in RECORDED]
    assert java([*lines, "end"])[: len(lines)] == [tokens for _, tokens in RECORDED]


ODD = json.loads((Path(__file__).parent / "golden" / "ptb_tokens.json").read_text("utf-8"))


def apart(lines: list[str]) -> list[str]:
    """Lines that cannot reach into each other."""
    return [part for line in lines for part in (line, "end")]


def test_odd_lines_have_the_tokens_recorded_from_the_java_tool() -> None:
    found = tokenize(apart([line for line, _ in ODD]))[::2]
    assert list(zip([line for line, _ in ODD], found, strict=True)) == [(a, b) for a, b in ODD]


def test_the_recorded_tokens_of_odd_lines_are_those_of_the_java_tool() -> None:
    assert java(apart([line for line, _ in ODD]))[::2] == [tokens for _, tokens in ODD]


def test_characters_are_known_and_joined_as_in_the_java_tool() -> None:
    drawn = random.Random(0).sample([*range(0xA1, 0x2000), *range(0x2030, 0xD800)], 1500)
    forms = [f"a{chr(code)}b 1{chr(code)}2 {chr(code)}" for code in drawn]
    assert tokenize(apart(forms)) == java(apart(forms))[: 2 * len(forms)]


@pytest.mark.parametrize("piece", ["&", "~.", "<!a", "a'", "a@", "(^", "1-", "a\u0301"])
def test_a_text_without_spaces_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(repeats: int) -> float:
        start = time.process_time()
        tokenize([piece * repeats])
        return time.process_time() - start

    seconds(10)
    assert seconds(4000) < 8 * max(seconds(1000), 0.005)


@pytest.mark.parametrize(
    "separator", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\u00a0"]
)
def test_a_line_separator_inside_a_caption_is_a_space(separator: str) -> None:
    assert tokenize([f"a road{separator}by a river", "a farm"]) == ["a road by a river", "a farm"]


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["shape of an x.", "There is a farm"], "shape of an x"),
        (["shape of an x.", "", "There is a farm"], "shape of an x"),
        (["shape of an x.", "there is a farm"], "shape of an x."),
        (["shape of an x.", "Farm land"], "shape of an x."),
        (["shape of an x.", "There"], "shape of an x."),  # a starter needs a space behind it
        (["shape of an x.", "There, a farm"], "shape of an x."),
        (["shape of an x. There is"], "shape of an x there is"),
        (["shape of an x . There is"], "shape of an x there is"),
        (["shape of a st.", "There is a farm"], "shape of a st."),
        (["this is it.", "There is a farm"], "this is it"),
        (["is there a road, no.", "2 roads"], "is there a road no."),
        (["is there a road, no.", "", "2 roads"], "is there a road no"),
        (["is there a road, no. ", "2 roads"], "is there a road no"),
        (["is there a road, no.  2 roads"], "is there a road no 2 roads"),
    ],
)
def test_a_final_letter_is_read_by_the_next_word(lines: list[str], first: str) -> None:
    assert tokenize(lines)[0] == first


def test_a_batch_of_next_words_is_that_of_the_java_tool() -> None:
    words = ["There", "Farm", "A", "An", "farm", "It", "It's", "THE", "The,", "5", "(", "So"]
    ends = ["shape of an x.", "Is there a farm, no.", "this is it.", "made by Smith Co."]
    lines = [line for word in words for end in ends for line in (end, f"{word} y")]
    assert tokenize(lines) == java(lines)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_text_gives_one_clean_line_each(lines: list[str]) -> None:
    tokens = tokenize(lines)
    assert len(tokens) == len(lines)
    assert all(line == line.strip(" ") and "\n" not in line and "  " not in line for line in tokens)
    assert tokens == tokenize(lines)


def captions(name: str) -> list[str]:
    if name == "nwpu":
        classes = json.loads((DATA / "nwpu_captions" / "dataset_nwpu.json").read_text("utf-8"))
        images = [image for group in classes.values() for image in group]
        return [v for image in images for k, v in image.items() if k.startswith("raw")]
    path = {"ucm": "ucm_captions/dataset.json", "rsicd": "rsicd/dataset_rsicd.json"}[name]
    images = json.loads((DATA / path).read_text("utf-8"))["images"]
    return [sentence["raw"] for image in images for sentence in image["sentences"]]


@needs_data
@pytest.mark.parametrize("name", ["ucm", "rsicd", "nwpu"])
def test_tokens_of_real_captions_are_those_of_the_java_tool(name: str) -> None:
    lines = captions(name)
    assert tokenize(lines) == java(lines)[: len(lines)]


@needs_data
@pytest.mark.parametrize("name", ["ucm", "rsicd"])
def test_tokens_of_model_outputs_are_the_recorded_ones(name: str) -> None:
    text = (DATA / "model_outputs" / "coco_reference.json").read_text("utf-8")
    recorded = json.loads(text)[f"captions_{name}"]
    with (DATA / "model_outputs" / f"captions_{name}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    refs = [row[f"caption{index}"] for row in rows for index in range(5)]
    assert tokenize([row["answer"] for row in rows]) == recorded["tokenised_candidates"]
    assert tokenize(refs) == [ref for item in recorded["tokenised_references"] for ref in item]
