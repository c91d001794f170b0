"""CHAIR: what free texts name and the boxes deny, by replies of known content."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generating import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.metric import DEFAULT_RULES
from rs_gpt4v_evaluation.rs_chair.measure import METRIC, Claims, most_denied
from rs_gpt4v_generation.chair import Named, Reply, named, named_in
from rs_gpt4v_generation.scene import Scene


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "00001.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def of(text: str, where: Scene) -> Named:
    return named("Describe the image.", text, where)


@pytest.mark.parametrize(
    ("text", "classes", "denied", "counts", "wrong"),
    [
        ("Two ships lie left of a harbor.", {"ship", "harbor"}, set(), 1, 0),
        ("Boats near a port.", {"ship", "harbor"}, set(), 0, 0),
        ("Two ships. The ships lie near a bridge.", {"ship", "bridge"}, {"bridge"}, 1, 0),
        ("Five ships and three airplanes.", {"ship", "airplane"}, {"airplane"}, 2, 2),
        ("There are no airplanes; many trees stand by the water.", set(), set(), 0, 0),
        ("An airplane is probably behind the harbor.", {"harbor"}, set(), 0, 0),
        ("There are probably five ships.", {"ship"}, set(), 0, 0),
        ("There aren\N{RIGHT SINGLE QUOTATION MARK}t any bridges.", set(), set(), 0, 0),
        ("A quiet place with trees.", set(), set(), 0, 0),
        ("", set(), set(), 0, 0),
    ],
)
def test_what_a_text_names(
    image: Path, text: str, classes: set[str], denied: set[str], counts: int, wrong: int
) -> None:
    found = of(text, scene(1, image))  # two ships and a harbor
    assert (set(found.classes), set(found.denied)) == (classes, denied)
    assert (len(found.counts), len(found.denied_counts)) == (counts, wrong)


def test_a_class_counts_once_a_reply(image: Path) -> None:
    found = of("A bridge. The bridge is long. Bridges are useful. Two ships.", scene(1, image))
    assert found.classes == ["bridge", "ship"]
    assert found.denied == ["bridge"]


def claims(*texts: str, where: Scene) -> list[dict[str, Claims]]:
    return [{"claims": of(text, where)._asdict()} for text in texts]  # type: ignore[misc]


def test_scores_are_shares_of_all_replies(image: Path) -> None:
    texts = ["Two ships.", "Three ships near a bridge.", "Trees.", "An airplane and a dam."]
    rows = claims(*texts, where=scene(1, image))
    found = METRIC.measure(rows, DEFAULT_RULES)
    assert found.result == {
        "chair_i": 3 / 5,
        "chair_s": 2 / 4,
        "denied_counts": 1 / 2,
        "n_classes": 5,
        "n_counts": 2,
        "signature": "rs_chair|v1|n:4",
    }
    marks = METRIC.marks(rows, found)
    assert [(mark.right, mark.value) for mark in marks] == [
        (True, 0),
        (False, 0.5),
        (None, None),
        (False, 1),
    ]
    assert most_denied(row["claims"] for row in rows) == [
        ("airplane", 1),
        ("bridge", 1),
        ("dam", 1),
    ]


def test_a_wrong_number_makes_a_reply_wrong_and_numbers_alone_are_judged(image: Path) -> None:
    numbers = {"classes": [], "denied": [], "counts": ["None."], "denied_counts": []}
    alone: list[Any] = [{"claims": numbers}, {"claims": numbers | {"denied_counts": ["None."]}}]
    rows = [*claims("Five ships.", where=scene(1, image)), *alone]
    marks = METRIC.marks(rows, METRIC.measure(rows, DEFAULT_RULES))
    assert [(mark.right, mark.value) for mark in marks] == [(False, 0), (True, None), (False, None)]


def test_the_share_of_replies_alone_is_paired_as_yes_or_no(image: Path) -> None:
    texts = ["Two ships.", "A bridge, a dam and an airplane.", "Trees."]
    sums = METRIC.measure(claims(*texts, where=scene(1, image)), DEFAULT_RULES).sums
    assert {name: sums.rows[:, at].sum(1).tolist() for name, at in sums.binary.items()} == {
        "chair_s": [0, 1, 0]
    }


@pytest.mark.parametrize(("asked", "denied"), [("ships", 0), ("bridges", 1)])
def test_a_number_alone_is_of_what_was_asked(image: Path, asked: str, denied: int) -> None:
    """Two ships and no bridge are there."""
    found = named(f"How many {asked} are there?", "There are **two**.", scene(1, image))
    assert (len(found.counts), len(found.denied_counts)) == (1, denied)


def test_each_reply_is_judged_by_the_boxes_of_its_own_image(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "00002.png"
    scenes = [scene(1, image), replace(scene(2, other), key="00002")]  # two ships, three ships
    replies = [Reply(n, "dior", str(n), "?", "Three ships.") for n in ("a", "b", "c")]
    replies = [
        r._replace(image=str(where))
        for r, where in zip(replies, (image, other, tmp_path / "00003.png"), strict=True)
    ]
    first, second, unknown = named_in(replies, scenes)
    assert first is not None
    assert second is not None
    assert unknown is None
    assert (len(first.denied_counts), len(second.denied_counts)) == (1, 0)


def test_nothing_named_has_no_share(image: Path) -> None:
    found = METRIC.measure(claims("Trees.", where=scene(1, image)), DEFAULT_RULES)
    assert found.sums.total() == {"chair_s": 0}


def test_claims_of_another_form_are_told() -> None:
    whole = {"classes": ["a"], "denied": [], "counts": [], "denied_counts": []}
    assert METRIC.problem({"claims": whole}) is None
    for broken in (None, {}, whole | {"denied": "a"}, whole | {"classes": [1]}):
        assert "run it again" in str(METRIC.problem({"claims": broken}))


CLAIMS = st.builds(
    lambda classes, denied: {
        "claims": {
            "classes": classes,
            "denied": classes[:denied],
            "counts": [],
            "denied_counts": [],
        }
    },
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.integers(0, 6),
)


@given(st.lists(CLAIMS, min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_doubling_change_no_share(replies: list[Any], rng: Any) -> None:
    def shares(some: list[Any]) -> dict[str, float]:
        return METRIC.measure(some, DEFAULT_RULES).sums.total()

    assert shares(rng.sample(replies, len(replies))) == shares(replies) == shares(replies * 2)
    better = [
        {"claims": own["claims"] | {"denied": own["claims"]["denied"][1:]}} for own in replies
    ]
    for name, after in shares(better).items():
        assert after <= shares(replies)[name]


def test_dior_images_are_those_of_their_number_in_any_release(image: Path, tmp_path: Path) -> None:
    reply = Reply("a", "dior_rsvg", str(tmp_path / "DIOR_RSVG/JPEGImages/00001.png"), "?", "A dam.")
    (found,) = named_in([reply], [scene(1, image)])
    assert found is not None
    assert found.denied == ["dam"]
    own = scene(1, image)
    with pytest.raises(ValueError, match=r"none of 1 replies, such as a, is about an image of the"):
        named_in([reply], [replace(own, source="own")])


@pytest.mark.parametrize("source", ["rsicd", "folder", "cap_toy"])
def test_the_number_of_another_release_is_another_image(
    image: Path, tmp_path: Path, source: str
) -> None:
    """RSICD has a 00001.jpg of its own, of which DIOR's boxes say nothing."""
    other = Reply("a", source, str(tmp_path / "RSICD/00001.jpg"), "?", "A dam.")
    dior = Reply("b", "rs_gpt4v_instruct_detail", str(tmp_path / "00001.jpg"), "?", "A dam.")
    assert named_in([other, dior], [scene(1, image)])[0] is None
    with pytest.raises(ValueError, match="none of 1 replies"):
        named_in([other], [scene(1, image)])


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture
def own(tmp_path: Path) -> tuple[object, ...]:
    """Options for boxes of one's own: a ship in 0.png, a dam in 1.png, nothing in 2.png."""
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (200, 100)).save(tmp_path / f"images/{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(3)],
        "categories": [{"id": 0, "name": "ship"}, {"id": 1, "name": "dam"}],
        "annotations": [
            {"image_id": n, "category_id": n, "bbox": [10, 10, 50, 50]} for n in range(2)
        ],
    }
    (tmp_path / "test.json").write_text(json.dumps(content))
    return ("--boxes", tmp_path / "test.json", "--images", tmp_path / "images")


def predicted(folder: Path, name: str, *texts: str, task: str = "detail") -> Path:
    (folder / name).mkdir()
    lines = [
        row(n, task, image=str(folder / f"images/{n}.png"), prediction=text)
        for n, text in enumerate(texts)
    ]
    others = [row(9, "vqa")] if task == "detail" else []
    return write(folder / name / "p.jsonl", [*lines, *others])


def test_the_verb_reads_a_predictions_file_and_own_boxes(
    tmp_path: Path, own: tuple[object, ...]
) -> None:
    file = predicted(tmp_path, "a", "A ship by a dam.", "A large dam.")
    out = tmp_path / "claims.jsonl"
    said = run("chair", file, *own, "--out", out)
    assert "most often made up: dam 1" in said
    (scores,) = json.loads(run("chair", file, *own, "--json"))
    assert scores["scores"]["chair_i"] == 1 / 3
    assert (scores["scores"]["chair_s"], scores["n"]) == (0.5, 2)
    (again,) = json.loads(run("score", out, "--json"))
    assert again["scores"] == scores["scores"]
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert written[0]["claims"]["denied"] == ["dam"]
    assert written[0]["prediction"] == "A ship by a dam."
    with pytest.raises(ValueError, match="no rows of caption, detail, conversation"):
        run("chair", write(tmp_path / "q.jsonl", [row(0, "vqa")]), *own)
    with pytest.raises(ValueError, match=r"p\.jsonl"):
        run("chair", file, *own, "--out", file)
    with pytest.raises(ValueError, match="run chair once for each file"):
        run("chair", file, file, *own, "--out", out)


def test_what_is_named_in_an_empty_image_is_made_up(
    tmp_path: Path, own: tuple[object, ...]
) -> None:
    file = predicted(tmp_path, "a", "A ship.", "A dam.", "A ship and a dam.")
    (scores,) = json.loads(run("chair", file, *own, "--json"))
    assert scores["scores"]["chair_i"] == 2 / 4
    assert scores["n"] == 3


def test_intervals_and_a_paired_test_are_over_images(
    tmp_path: Path, own: tuple[object, ...]
) -> None:
    before = predicted(tmp_path, "before", "A ship by a dam.", "A ship.", "Trees.")
    after = predicted(tmp_path, "after", "A ship.", "A dam.", "Trees.")
    (scores,) = json.loads(run("chair", before, *own, "--json", "--intervals"))
    low, high = scores["intervals"]["chair_s"]
    assert 0 <= low < scores["scores"]["chair_s"] < high <= 1
    for file in (before, after):
        run("chair", file, *own, "--out", file.parent / "claims.jsonl")
    files = [file.parent / "claims.jsonl" for file in (before, after)]
    (compared,) = json.loads(run("score", files[1], "--against", files[0], "--json"))
    assert "chair_s" in json.dumps(compared["against"])


def test_a_report_shows_what_captions_make_up_beside_their_scores(
    tmp_path: Path, own: tuple[object, ...]
) -> None:
    files = []
    for name, text in (("before", "A ship by a dam."), ("after", "A ship.")):
        file = predicted(tmp_path, name, text, "A dam.", "Trees.", task="caption")
        out = file.parent / "claims.jsonl"
        run("chair", file, *own, "--out", out)
        files += [file, out]
    page = tmp_path / "report.md"
    run("report", *files, "--out", page, "--intervals")
    text = page.read_text(encoding="utf-8")
    assert "What free texts make up." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| CHAIR-s")]
    assert "33.3" in line
    assert "0.0" in line
    assert "CIDEr" in text
    assert "Lower is better. Boxes decide what is there" in text
    run("report", *files, "--out", tmp_path / "report.html", "--model-card", tmp_path / "card.md")
    assert "CHAIR-i" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "type: chair_s" in (tmp_path / "card.md").read_text(encoding="utf-8")


def test_descriptions_need_no_judge_in_a_report(tmp_path: Path, own: tuple[object, ...]) -> None:
    file = predicted(tmp_path, "tuned", "A ship by a dam.", "A dam.")
    out = tmp_path / "claims.jsonl"
    run("chair", file, *own, "--out", out)
    run("report", out, "--out", tmp_path / "report.md")
    assert "CHAIR" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_true_texts_are_measured_by_the_same_rules(tmp_path: Path, own: tuple[object, ...]) -> None:
    """What these name without a box is what no model can be blamed for."""
    file = predicted(tmp_path, "tuned", "A ship by a dam.", "A dam.", task="caption")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line, truth in zip(lines, ("A ship.", "A ship and a dam."), strict=True):
        line["references"] = [truth, "Two dams."]
    write(file, lines)
    truth = tmp_path / "truth.jsonl"
    (scores,) = json.loads(run("chair", file, *own, "--references", "--json", "--out", truth))
    assert (scores["model"], scores["scores"]["chair_i"]) == ("references", 1 / 3)
    run("chair", file, *own, "--out", tmp_path / "claims.jsonl")
    compared = run("score", tmp_path / "claims.jsonl", "--against", truth)
    assert "claims.jsonl minus" in compared
