"""The figure of rows: what is drawn, which rows, and in which formats."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prediction_lines import row as line
from prediction_lines import write
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from rs_gpt4v.cli import app
from rs_gpt4v_builders.figure import COLORS, Panel, Said, panel, wrap, write_figure
from rs_gpt4v_builders.pick import Pool, pick
from rs_gpt4v_evaluation.predict.panels import panels


def show(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["show", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def picture(path: Path, size: tuple[int, int] = (100, 80)) -> Path:
    Image.new("RGB", size, (90, 90, 90)).save(path)
    return path


def row(image: Path | None, boxes: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}]
    images = [{"path": str(image), "bytes": None}] if image else []
    drawn = [{"label": "tenniscourt", "points": box, "kind": "hbb"} for box in boxes or []]
    own = {"task": "vqa", "source": "rsvqa_lr", "width": 100, "height": 80, "boxes": drawn}
    return {"messages": said, "images": images, **own, **changes}


def pixels(file: Path, color: str) -> np.ndarray:
    """The x and y of all pixels of a color."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    with Image.open(file) as image:
        same = (np.asarray(image.convert("RGB")) == (red, green, blue)).all(-1)
    return np.argwhere(same)[:, ::-1]


def test_a_panel_has_the_row_in_words(tmp_path: Path) -> None:
    drawn = panel(row(picture(tmp_path / "a.png"), [[10, 10, 50, 40]]))
    assert drawn.title == "VQA · RSVQA-LR"
    assert [(said.who, said.text) for said in drawn.texts] == [("Q", "Where?"), ("A", "There.")]
    assert [(box.points, box.label) for box in drawn.boxes] == [((10, 10, 50, 40), "tennis court")]


def test_boxes_lie_where_they_are_in_the_annotated_frame(tmp_path: Path) -> None:
    """An image of half the size that the boxes are in: they are scaled with it."""
    image = picture(tmp_path / "a.png", (50, 40))
    write_figure([panel(row(image, [[20, 40, 60, 70]]))], tmp_path / "f.png")
    at = pixels(tmp_path / "f.png", COLORS[0])
    with Image.open(tmp_path / "f.png") as figure:
        grey = np.argwhere((np.asarray(figure.convert("RGB")) == 90).all(-1))[:, ::-1]
    (left, top), (right, bottom) = grey.min(0), grey.max(0)
    shares = (at - (left, top)) / (right - left, bottom - top)
    assert shares[:, 0].min() == pytest.approx(0.2, abs=0.02)
    assert shares[:, 0].max() == pytest.approx(0.6, abs=0.1)  # or the label's end
    assert shares[:, 1].max() == pytest.approx(70 / 80, abs=0.02)


def test_an_oriented_box_is_drawn_by_its_corners(tmp_path: Path) -> None:
    diamond = {"label": None, "points": [50, 10, 80, 40, 50, 70, 20, 40], "kind": "obb"}
    drawn = row(picture(tmp_path / "a.png"), boxes=[], width=100)
    drawn["boxes"] = [diamond]
    write_figure([panel(drawn)], tmp_path / "f.png")
    at = pixels(tmp_path / "f.png", COLORS[0])
    lowest = at[at[:, 1] == at[:, 1].max()]
    middle = (at[:, 0].min() + at[:, 0].max()) / 2
    assert abs(lowest[:, 0].mean() - middle) < 6  # a point, no edge
    assert np.ptp(lowest[:, 0]) < 12


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "pdf", "svg"])
def test_each_format_is_written_twice_alike(suffix: str, tmp_path: Path) -> None:
    some = [panel(row(picture(tmp_path / "a.png"), [[10, 10, 50, 40]])), panel(row(None))]
    for name in ("one", "two"):
        write_figure(some, tmp_path / f"{name}.{suffix}")
    first = (tmp_path / f"one.{suffix}").read_bytes()
    assert first == (tmp_path / f"two.{suffix}").read_bytes()
    assert suffix != "svg" or b"Where?" in first  # a text, to search and to edit


def test_another_suffix_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "f.gif"
    with pytest.raises(ValueError, match=r"f\.gif: a figure is written as \.png, \.jpg"):
        show("cap_ucm", "--data-dir", "/nowhere", "--out", out)


@pytest.mark.parametrize("text", ["costs $5 and $6", "100 % of_this^{", "\\alpha", "a" * 300, " "])
def test_any_text_is_drawn_as_it_is(text: str, tmp_path: Path) -> None:
    drawn = Panel("t", None, (1, 1), [], [Said("Q", text), Said("A", text), Said("model", text)])
    write_figure([drawn], tmp_path / "f.svg")
    content = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert (text[:9] if text.strip() else "(empty)") in content


def test_letters_that_no_font_has_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        write_figure([Panel("t", None, (1, 1), [], [Said("Q", "\U000130b8")])], tmp_path / "f.png")
    assert "1 characters are in no font here" in caplog.text


def test_lines_are_wrapped_by_width_and_long_texts_cut() -> None:
    assert wrap("one two three", 7, len) == ["one two", "three"]
    assert wrap("a\nb c", 9, len) == ["a", "b c"]
    assert wrap("abcdefgh ij", 5, len) == ["abcde", "fgh", "ij"]
    assert wrap("中文没有空格也要换行", 4, len) == ["中文没有", "空格也要", "换行"]
    assert wrap("a b c d e", 1, len, most=3) == ["a", "b", "…"]
    assert wrap("", 5, len) == ["(empty)"]


def test_rows_are_of_each_config_kind_and_image_by_turns() -> None:
    first: Pool[Any] = Pool(
        ["x", "x", "y", "y"], lambda i: ("a", i), lambda row: f"image {row[1] % 2}"
    )
    second: Pool[Any] = Pool([None] * 3, lambda i: ("b", i), lambda row: f"other {row[1]}")
    chosen = pick([first, second], 4)
    assert [name for name, _ in chosen] == ["a", "a", "b", "b"]
    places = {i for name, i in chosen if name == "a"}
    assert {i % 2 for i in places} == {0, 1}
    assert len(pick([first, second], 100)) == 7
    assert pick([first, second], 4, seed=1) == pick([first, second], 4, seed=1)
    assert len({tuple(pick([second], 1, seed)) for seed in range(9)}) > 1


def test_show_draws_rows_of_configs_and_groups(releases: Path, tmp_path: Path) -> None:
    given = ["--data-dir", releases, "--rows", 4, "--across", 2, "--out", tmp_path / "f.svg"]
    assert show("cap_ucm", "detection", *given) == f"Figure: {tmp_path / 'f.svg'}\n"
    text = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert [text.count(name) for name in ("UCM-Captions", "DIOR-R<", "DIOR<")] == [2, 1, 1]


def test_show_draws_rows_by_id(releases: Path, tmp_path: Path) -> None:
    given = ["vqa_floodnet", "--data-dir", releases, "--out", tmp_path / "f.svg"]  # train alone
    result = CliRunner().invoke(app, ["show", *map(str, given), "--ids", "x/1"])
    assert "no row has the id 'x/1': expected one such as floodnet/train/" in str(result.exception)
    known = str(result.exception).split()[-1]
    show(*given, "--ids", known)
    assert "FloodNet" in (tmp_path / "f.svg").read_text(encoding="utf-8")


def test_show_draws_your_own_files(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("image,question,answer\na.png,How many?,Nine\n")
    out = tmp_path.with_name(f"{tmp_path.name}.svg")
    show("folder", "--data-dir", tmp_path, "--out", out)
    assert "Nine" in out.read_text(encoding="utf-8")


def test_replies_stand_below_the_truth(tmp_path: Path) -> None:
    image = str(picture(tmp_path / "a.png", (100, 100)))
    boxed = {"image": image, "prompt": "Where is the ship?"}
    for name, reply in (("base", "none here"), ("tuned", "[0.2, 0.2, 0.6, 0.6]")):
        lines = [line(0, "grounding", prediction=reply, **boxed), line(1, image=image)]
        write(tmp_path / name / "p.jsonl", lines, box_format="llava")
    files = [tmp_path / name / "p.jsonl" for name in ("base", "tuned")]
    (boxes,) = [p for p in panels(files, 9) if "grounding" in p.title]
    who = ["Q", "A", "base", "tuned"]
    assert [said.who for said in boxes.texts] == who
    assert boxes.texts[2].text == "none here"
    assert [(box.points, box.is_dashed) for box in boxes.boxes] == [
        ((10, 10, 50, 50), False),
        ((20.0, 20.0, 60.0, 60.0), True),
    ]
    show(*files, "--out", tmp_path / "f.pdf")
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")


def test_two_files_of_one_folder_are_two_models(tmp_path: Path) -> None:
    image = str(picture(tmp_path / "a.png"))
    files = [write(tmp_path / f"{name}.jsonl", [line(0, image=image)]) for name in "ab"]
    (drawn,) = panels(files, 1)
    assert [said.who for said in drawn.texts][2:] == [tmp_path.name, str(files[1])]


def test_a_bench_is_named_by_its_own_folder(tmp_path: Path) -> None:
    image = str(picture(tmp_path / "a.png"))
    folders = [tmp_path / name / "predictions" for name in ("before", "after")]
    files = [write(folder / "vqa_lr.jsonl", [line(0, image=image)]) for folder in folders]
    (drawn,) = panels(files, 1)
    assert [said.who for said in drawn.texts][2:] == ["before", "after"]


def test_files_without_a_common_row_are_refused(tmp_path: Path) -> None:
    files = [write(tmp_path / n / "p.jsonl", [line(i)]) for i, n in enumerate("ab")]
    with pytest.raises(ValueError, match="no row is in all of them"):
        panels(files, 1)
