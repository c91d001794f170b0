"""Images that are not 8-bit, turned or special, from the file to the built row."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from image_files import ghostscript_trap, needs_tifffile, tiff, turned
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import rs_gpt4v  # noqa: F401 - registers the name
from rs_gpt4v.cli import app
from rs_gpt4v_builders.export import export
from rs_gpt4v_builders.export.images import image_names
from rs_gpt4v_builders.usable_records import RecordError

RAMP = np.arange(64 * 96).reshape(64, 96)
BANDS = np.stack([RAMP % 2048 + 100 * n for n in range(8)]).astype(np.uint16)


def release(root: Path, content: bytes, count: int = 1) -> Path:
    """A release of Sydney-Captions with so many images of one content; the first one's path."""
    folder = root / "Sydney_captions/imgs"
    folder.mkdir(parents=True)
    images = [
        {"filename": f"{n}.tif", "split": "train", "sentences": [{"raw": f"a lake {n} ."}]}
        for n in range(1, count + 1)
    ]
    for image in images:
        (folder / str(image["filename"])).write_bytes(content)
    text = json.dumps({"images": images})
    (folder.parent / "dataset.json").write_text(text, encoding="utf-8")
    return folder / "1.tif"


def load(root: Path, config: str = "cap_sydney", **options: Any) -> datasets.Dataset:
    options = {"cache_dir": str(root / "cache"), "on_missing": "skip"} | options
    splits = datasets.load_dataset("rs_gpt4v", config, data_dir=str(root), **options)
    return splits["train"]


def refusal(root: Path, **options: Any) -> str:
    with pytest.raises(RecordError) as told:
        load(root, on_missing="raise", **options)
    return str(told.value)


@pytest.mark.parametrize(
    ("bands", "words"),
    [(BANDS[:1], "16-bit whole numbers in 1 band"), (BANDS, "16-bit whole numbers in 8 bands")],
)
def test_a_build_refuses_deep_pixels_and_names_the_remedy(
    bands: np.ndarray, words: str, tmp_path: Path
) -> None:
    image = release(tmp_path, tiff(bands))
    told = refusal(tmp_path)
    assert f"{image} has pixels of {words}" in told
    for remedy in ('stretch="percentile"', "--stretch percentile", "gdal_translate -ot Byte"):
        assert remedy in told
    assert ("--bands 3,2,1" in told) == (len(bands) > 1)


@needs_tifffile
def test_a_stretched_row_says_how_it_was_made(tmp_path: Path) -> None:
    image = release(tmp_path, tiff(BANDS))
    rows = load(tmp_path, stretch="percentile", bands=(3, 2, 1))
    row = rows[0]
    assert (row["width"], row["height"]) == row["images"][0].size == (96, 64)
    pixels = np.asarray(row["images"][0])
    assert (pixels.min(), pixels.max(), pixels.shape) == (0, 255, (64, 96, 3))
    path = Path(rows.with_format("arrow")[0]["images"].to_pylist()[0][0]["path"])
    assert path.parts[-4:-2] == ("rs_gpt4v_converted", "percentile-2-98_bands-3-2-1")
    assert path.name == "1.png"
    assert row["images"][0].info["Comment"] == "rs-gpt4v: 1.tif, percentile-2-98_bands-3-2-1"
    assert image.read_bytes() == tiff(BANDS)


@needs_tifffile
def test_other_bands_are_other_rows(tmp_path: Path) -> None:
    content = tiff(np.stack([RAMP % 251, RAMP % 241, RAMP % 239, RAMP % 233, RAMP]).astype("u1"))
    release(tmp_path, content)
    one, other = (load(tmp_path, bands=bands)[0] for bands in ((3, 2, 1), [1, 2, 3]))
    assert np.array_equal(np.asarray(one["images"][0])[..., ::-1], other["images"][0])
    assert one["images"][0].getpixel((95, 0)) == (95, 95, 95)


@needs_tifffile
def test_an_edited_image_is_converted_anew(tmp_path: Path) -> None:
    image = release(tmp_path, tiff(BANDS))
    options: dict[str, Any] = {"stretch": "percentile", "bands": (1,)}
    before = np.asarray(load(tmp_path, **options)[0]["images"][0])
    image.write_bytes(tiff(BANDS[:, ::-1].copy()))
    os.utime(image, (1, 1))
    after = np.asarray(load(tmp_path, **options)[0]["images"][0])
    assert np.array_equal(after, before[::-1])


@needs_tifffile
def test_a_lost_copy_is_made_again(tmp_path: Path) -> None:
    release(tmp_path, tiff(BANDS[:1]))
    load(tmp_path, stretch="percentile")
    for copy in (tmp_path / "cache/rs_gpt4v_converted").rglob("*.png"):
        copy.unlink()
    rows = load(tmp_path, stretch="percentile", wording="fixed")
    assert rows[0]["images"][0].size == (96, 64)


@needs_tifffile
def test_the_verbs_take_the_options(tmp_path: Path) -> None:
    release(tmp_path, tiff(BANDS))
    asked = ["build", "cap_sydney", "--data-dir", str(tmp_path), "--on-missing", "skip"]
    done = CliRunner().invoke(app, [*asked, "--stretch", "percentile", "--bands", "3,2,1"])
    assert done.output.endswith("cap_sydney: train 1\n")
    done = CliRunner().invoke(app, [*asked, "--bands", "red"])
    assert "--bands red: expected numbers such as 3,2,1" in str(done.exception)


@pytest.mark.parametrize(
    "verb", ["build", "export", "audit", "stats", "principles", "predict", "generate"]
)
def test_every_verb_on_rows_has_the_options(verb: str) -> None:
    options = {option for one in get_command(app).commands[verb].params for option in one.opts}
    assert {"--stretch", "--bands"} <= options


@needs_tifffile
def test_a_recipe_takes_the_options(tmp_path: Path) -> None:
    arguments = pytest.importorskip("rs_gpt4v_training.arguments")
    rows = pytest.importorskip("rs_gpt4v_training.rows")
    release(tmp_path, tiff(BANDS))
    data = arguments.DataArguments(
        ["cap_sydney"],
        str(tmp_path),
        on_missing="skip",
        box_format="llava",
        stretch="percentile",
        bands=[3, 2, 1],
    )
    assert rows.load_rows(data, "train", seed=0)[0]["images"][0].mode == "RGB"
    with pytest.raises(ValueError, match="stretch and repository exclude each other"):
        arguments.DataArguments(["a"], repository="b", stretch="percentile")


@needs_tifffile
def test_an_export_of_converted_images_is_the_same_on_each_machine(tmp_path: Path) -> None:
    release(tmp_path, tiff(BANDS[:1]))
    out = export(
        "llava",
        tmp_path / "out",
        ["cap_sydney"],
        data_dir=str(tmp_path),
        cache_dir=str(tmp_path / "cache"),
        on_missing="skip",
        stretch="percentile",
    )
    (image,) = (out / "images").rglob("*.png")
    assert image.relative_to(out).parts[:3] == ("images", "rs_gpt4v_converted", "percentile-2-98")
    copies = [f"/home/{user}/cache/rs_gpt4v_converted/a/b/1.png" for user in ("ann", "ben")]
    one, other = (image_names([path], Path("/data"))[path] for path in copies)
    assert one == other == "images/rs_gpt4v_converted/a/b/1.png"


@pytest.mark.parametrize("kind", ["llava", "webdataset"])
@pytest.mark.parametrize("how", ["copy", "hardlink"])
def test_exports_are_turned_for_tools_that_do_not(kind: str, how: str, tmp_path: Path) -> None:
    release(tmp_path, turned(Image.new("RGB", (60, 80)), "JPEG"))
    out = export(
        kind,
        tmp_path / "out",
        ["cap_sydney"],
        images=how,
        data_dir=str(tmp_path),
        cache_dir=str(tmp_path / "cache"),
        on_missing="skip",
    )
    for shard in out.glob("*.tar"):
        shutil.unpack_archive(shard, out, filter="data")
    (image,) = out.rglob("*.tif")
    with Image.open(image) as plain:
        assert plain.size == (80, 60)
        assert 274 not in plain.getexif()


def test_boxes_are_in_the_frame_of_the_turned_image(tmp_path: Path) -> None:
    folder = tmp_path / "DIOR_RSVG"
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    content = turned(Image.new("RGB", (60, 80)), "JPEG")  # stored upright, shown lying: 80 x 60
    (folder / "JPEGImages/00001.jpg").write_bytes(content)
    (folder / "Annotations/00001.xml").write_text(
        "<annotation><filename>00001.jpg</filename><size><width>80</width><height>60</height>"
        "<depth>3</depth></size><object><name>ship</name><bndbox><xmin>40</xmin><ymin>30</ymin>"
        "<xmax>80</xmax><ymax>60</ymax></bndbox><description>The ship</description></object>"
        "</annotation>",
        encoding="utf-8",
    )
    row = load(tmp_path, "grounding")[0]
    assert (row["width"], row["height"]) == row["images"][0].size == (80, 60)
    assert row["boxes"][0]["points"] == [40, 30, 80, 60]
    assert row["messages"][-1]["content"] == "[0.500, 0.500, 1.000, 1.000]"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_hang_a_build(tmp_path: Path) -> None:
    image = release(tmp_path, tiff(RAMP[None].astype("u1")), count=2)
    image.unlink()
    os.mkfifo(image)
    assert f"{image} is no regular file" in refusal(tmp_path)
    assert len(load(tmp_path)) == 1


def test_postscript_does_not_run_in_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    trace = ghostscript_trap(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    release(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert "is PostScript" in refusal(tmp_path)
    assert not trace.exists()


def test_a_png_called_jpg_is_read_as_what_it_is(tmp_path: Path) -> None:
    image = release(tmp_path, b"")
    Image.new("RGB", (30, 20)).save(image, "PNG")
    assert load(tmp_path)[0]["images"][0].size == (30, 20)


def test_each_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rs_gpt4v import images

    release(tmp_path, tiff(RAMP[None].astype("u1")), count=3)
    decoded: list[str] = []
    checked = images.checked
    monkeypatch.setattr(
        images, "checked", lambda file, *more: decoded.append(file) or checked(file, *more)
    )
    for wording in ("varied", "fixed"):
        assert len(load(tmp_path, wording=wording)) == 3
    assert sorted(Path(file).name for file in decoded) == ["1.tif", "2.tif", "3.tif"]


def test_a_cache_that_cannot_be_written_costs_no_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release(tmp_path, tiff(RAMP[None].astype("u1")))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/rs_gpt4v_images.sqlite").write_bytes(b"this is no database " * 99)
    assert len(load(tmp_path)) == 1
    assert "images are checked anew in each build" in caplog.text
