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
from rs_gpt4v_generation.chair import Chair, Named, Reply, chair, named
from rs_gpt4v_generation.scene import Scene


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "00001.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def of(text: str, where: Scene) -> Named:
    return named(Reply("r", str(where.image), "Describe the image.", text), where)


@pytest.mark.parametrize(
    ("text", "classes", "denied", "counts", "wrong"),
    [
        ("Two ships lie left of a harbor.", {"ship", "harbor"}, set(), 1, 0),
        ("Boats near a port.", {"ship", "harbor"}, set(), 0, 0),
        ("Two ships. The ships lie near a bridge.", {"ship", "bridge"}, {"bridge"}, 1, 0),
        ("Five ships and three airplanes.", {"ship", "airplane"}, {"airplane"}, 2, 2),
        ("There are no airplanes; many trees stand by the water.", set(), set(), 0, 0),
        ("An airplane is probably behind the harbor.", {"harbor"}, set(), 0, 0),
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
    assert found.denied == ("bridge",)
    assert found.chair_i == 0.5
    assert of("Trees.", scene(1, image)).chair_i is None


def test_scores_are_shares_of_all_replies(image: Path) -> None:
    texts = ["Two ships.", "Three ships near a bridge.", "Trees.", "An airplane and a dam."]
    replies = [Reply(str(n), str(image), "?", text) for n, text in enumerate(texts)]
    elsewhere = Reply("other", "/nowhere/x.png", "?", "A dam.")
    found = chair([*replies, elsewhere], [scene(1, image)])
    assert found.scores == {
        "chair_i": 3 / 5,
        "chair_s": 2 / 4,
        "denied_counts": 1 / 2,
        "n": 4,
        "n_classes": 5,
        "n_counts": 2,
        "n_without_boxes": 1,
    }
    assert found.without_boxes == ["other"]
    assert "chair_s        0.5000  of 4 replies" in str(found)
    assert "1 replies left out, no boxes: other" in str(found)
    assert "bridge 1" in str(found)


def test_nothing_named_has_no_share(image: Path) -> None:
    found = chair([Reply("a", str(image), "?", "Trees.")], [scene(1, image)])
    assert (found.scores["chair_i"], found.scores["chair_s"]) == (None, 0)
    assert "chair_i        none" in str(found)


NAMED = st.builds(
    lambda classes, denied: Named(
        "r", tuple(classes), tuple(classes[: min(denied, len(classes))]), (), ()
    ),
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.integers(0, 6),
)


@given(st.lists(NAMED, min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_doubling_change_no_share(replies: list[Named], rng: Any) -> None:
    def shares(some: list[Named]) -> list[float | int | None]:
        return [Chair(some, []).scores[name] for name in ("chair_i", "chair_s")]

    assert shares(rng.sample(replies, len(replies))) == shares(replies) == shares(replies * 2)
    better = [own._replace(denied=own.denied[1:]) for own in replies]
    for before, after in zip(shares(replies), shares(better), strict=True):
        assert before is None or (after or 0) <= before


def test_dior_images_are_those_of_their_number_in_any_release(image: Path, tmp_path: Path) -> None:
    reply = Reply("a", str(tmp_path / "DIOR_RSVG/JPEGImages/00001.png"), "?", "A dam.")
    assert chair([reply], [scene(1, image)]).scores["chair_s"] == 1
    own = scene(1, image)
    with pytest.raises(ValueError, match=r"none of 1 replies, such as a, is about an image of the"):
        chair([reply], [replace(own, source="own")])


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


def test_the_verb_reads_a_predictions_file_and_own_boxes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.new("RGB", (200, 100)).save(tmp_path / f"images/{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(2)],
        "categories": [{"id": 0, "name": "ship"}, {"id": 1, "name": "dam"}],
        "annotations": [
            {"image_id": n, "category_id": n, "bbox": [10, 10, 50, 50]} for n in range(2)
        ],
    }
    (tmp_path / "test.json").write_text(json.dumps(content))
    lines = [
        row(n, "detail", image=str(tmp_path / f"images/{n}.png"), prediction=text)
        for n, text in enumerate(["A ship by a dam.", "A large dam."])
    ]
    file = write(tmp_path / "p.jsonl", [*lines, row(9, "vqa")])
    options = ("--boxes", tmp_path / "test.json", "--images", tmp_path / "images")
    out = tmp_path / "named.jsonl"
    assert "chair_i        0.3333  of 3 classes" in run("chair", file, *options, "--out", out)
    (scores,) = json.loads(run("chair", file, *options, "--json"))
    assert (scores["chair_s"], scores["n"]) == (0.5, 2)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert written[0]["denied"] == ["dam"]
    with pytest.raises(ValueError, match="no rows of caption, detail, conversation"):
        run("chair", write(tmp_path / "q.jsonl", [row(0, "vqa")]), *options)
    with pytest.raises(ValueError, match=r"p\.jsonl"):
        run("chair", file, *options, "--out", file)
