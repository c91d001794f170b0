"""Boxes of one's own: found images, plausible boxes, and what is left out listed."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rs_gpt4v_builders.folder.detection_formats import Layout
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError
from rs_gpt4v_generation.load import own_scenes
from rs_gpt4v_generation.scene import Scene

SIZE = (200, 100)
Boxes = dict[str, list[list[float]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("images", "labels", "log"):
        (tmp_path / folder).mkdir()
    return tmp_path


def draw(root: Path, *names: str, size: tuple[int, int] = SIZE) -> None:
    for name in names:
        (root / "images" / name).parent.mkdir(exist_ok=True)
        image = Image.new("RGB", size)
        image.save(root / "images" / name, {"JPG": "JPEG"}.get(name.rsplit(".", 1)[-1].upper()))


def coco(root: Path, boxes: Boxes, **image: Any) -> None:
    """Boxes by the name of their image, as COCO has them."""
    ids = {name: index for index, name in enumerate(boxes)}
    content = {
        "images": [{"id": ids[name], "file_name": name, **image} for name in boxes],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": [
            {"image_id": ids[name], "category_id": 1, "bbox": box}
            for name, own in boxes.items()
            for box in own
        ],
    }
    (root / "labels/a.json").write_text(json.dumps(content))


def dota(root: Path, boxes: Boxes) -> None:
    for name, own in boxes.items():
        lines = [f"{' '.join(map(str, box))} ship 0" for box in own]
        (root / "labels" / f"{Path(name).stem}.txt").write_text("\n".join(lines))


def voc(root: Path, boxes: Boxes, size: str = "") -> None:
    for name, own in boxes.items():
        objects = "".join(
            "<object><name>ship</name><bndbox>{}</bndbox></object>".format(
                "".join(
                    f"<{key}>{value}</{key}>"
                    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
                )
            )
            for box in own
        )
        text = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
        (root / "labels" / f"{Path(name).stem}.xml").write_text(text)


WRITERS: dict[Layout, Callable[[Path, Boxes], None]] = {"coco": coco, "dota": dota, "voc": voc}


def read(root: Path, layout: Layout, **options: Any) -> list[Scene]:
    boxes = root / "labels" / ("a.json" if layout == "coco" else "")
    return own_scenes(boxes, layout, root / "images", "train", **options)


def points(scenes: list[Scene]) -> list[list[float]]:
    return [[round(v, 3) for v in box["points"]] for scene in scenes for box in scene.boxes]


def box_of(layout: Layout) -> list[float]:
    """x 10 to 60, y 20 to 50."""
    return {
        "coco": [10.0, 20.0, 50.0, 30.0],
        "dota": [10.0, 20.0, 60.0, 20.0, 60.0, 50.0, 10.0, 50.0],
        "voc": [10.0, 20.0, 60.0, 50.0],
    }[layout]


LAYOUTS = pytest.mark.parametrize("layout", ["coco", "dota", "voc"])


# --- Names of images ----------------------------------------------------------------------------


@LAYOUTS
@pytest.mark.parametrize(
    "there",
    ["P1.png", "P1.PNG", "P1.jpg", "P1.JPG", "P1.Jpeg", "P1.tif", "P1.TIFF", "P1.bmp", "p1.webp"],
)
def test_image_is_found_whatever_its_suffix(root: Path, layout: Layout, there: str) -> None:
    draw(root, there)
    WRITERS[layout](root, {"P1.png": [box_of(layout)]})
    (scene,) = read(root, layout)
    assert scene.image == root / "images" / there
    assert (scene.width, scene.height) == SIZE
    assert len(scene.boxes) == 1


@LAYOUTS
def test_two_images_of_a_name_are_in_doubt(root: Path, layout: Layout) -> None:
    draw(root, "P1.jpg", "P1.bmp")
    WRITERS[layout](root, {"P1.png": [box_of(layout)]})
    with pytest.raises(RecordError, match=r"its image may be P1\.(bmp or P1\.jpg|jpg or P1\.bmp)"):
        read(root, layout)


def test_name_that_is_there_is_taken_as_it_is(root: Path) -> None:
    draw(root, "P1.jpg", "P1.bmp", "P1.JPG")
    coco(root, {"P1.JPG": [box_of("coco")]})
    assert [scene.image.name for scene in read(root, "coco")] == ["P1.JPG"]


@pytest.mark.parametrize("name", ["b\\a.jpg", "b/a.jpg", ".\\b\\A.JPG", "./b/a.png", " b/a.jpg"])
def test_names_with_folders(root: Path, name: str) -> None:
    draw(root, "a.jpg", "b/a.jpg", "c/a.jpg")
    coco(root, {name: [box_of("coco")]})
    assert [scene.image for scene in read(root, "coco")] == [root / "images/b/a.jpg"]


@pytest.mark.parametrize("start", ["images/", "/data/tiles/", "C:\\tiles\\", "D:/x/y/", "../x/"])
def test_folder_of_another_machine_is_left_out_of_all_names_and_told(
    root: Path, start: str, caplog: pytest.LogCaptureFixture
) -> None:
    draw(root, "b/a.jpg", "c/a.jpg")
    names = [f"{start}b\\a.jpg", f"{start}c\\a.jpg"]
    coco(root, {name: [box_of("coco")] for name in names})
    with caplog.at_level(logging.WARNING):
        scenes = read(root, "coco")
    assert [scene.image for scene in scenes] == [root / f"images/{name}/a.jpg" for name in "bc"]
    assert [scene.key for scene in scenes] == ["b/a", "c/a"]
    assert start.replace("\\", "/") in caplog.text


def test_image_is_never_one_of_the_same_name_in_another_folder(root: Path) -> None:
    draw(root, "a.jpg", "b/c.jpg")
    coco(root, {"a.jpg": [box_of("coco")], "d/c.jpg": [box_of("coco")]})
    with pytest.raises(RecordError, match=r"a/train/d/c: .*c\.jpg is missing"):
        read(root, "coco")


def test_xml_whose_image_was_renamed_means_that_of_its_own_name(root: Path) -> None:
    draw(root, "a.png")
    voc(root, {"a.png": [box_of("voc")]})
    file = root / "labels/a.xml"
    file.write_text(file.read_text().replace("a.png", "C:\\old\\0001.jpg"))
    assert [scene.image.name for scene in read(root, "voc")] == ["a.png"]
    draw(root, "0001.jpg")
    file.write_text(file.read_text().replace("C:\\old\\", ""))
    with pytest.raises(RecordError, match=r"it names 0001\.jpg, and a\.png is there too"):
        read(root, "voc")


# --- Sizes and units ----------------------------------------------------------------------------


def test_image_of_another_size_than_annotated(root: Path) -> None:
    draw(root, "a.jpg")
    said = "annotated on an image of 400 x 200 px, but its file has 200 x 100"
    coco(root, {"a.jpg": [box_of("coco")]}, width=400, height=200)
    with pytest.raises(RecordError, match=said):
        read(root, "coco")
    size = "<size><width>400</width><height>200</height><depth>3</depth></size>"
    voc(root, {"a.jpg": [box_of("voc")]}, size)
    with pytest.raises(RecordError, match=said):
        read(root, "voc")
    coco(root, {"a.jpg": [box_of("coco")]}, width=100, height=200)
    with pytest.raises(RecordError, match=r"200 x 100 \(turned, as its EXIF data say\)"):
        read(root, "coco")
    coco(root, {"a.jpg": [box_of("coco")]}, width=200, height=100)
    assert read(root, "coco")


def images(count: int) -> list[str]:
    return [f"{index}.png" for index in range(count)]


def test_corners_in_place_of_width_and_height(root: Path) -> None:
    draw(root, *images(4))
    corners: list[Any] = [[150, 60, 190, 90], [20, 20, 60, 60], [10, 70, 90, 95], [1, 1, 9, 9]]
    coco(root, {name: [box] for name, box in zip(images(4), corners, strict=True)})
    said = r"as x, y, width, height, 2 of 4 boxes leave .*; as x_min, y_min, x_max, y_max, 0 do"
    for on_missing in ("raise", "skip"):  # no image of such a file can be used
        with pytest.raises(AnnotationError, match=said):
            read(root, "coco", on_missing=on_missing)


def test_width_and_height_in_place_of_corners(root: Path) -> None:
    draw(root, *images(3))
    sizes: list[Any] = [[150, 60, 40, 30], [20, 20, 60, 60], [10, 70, 90, 25]]
    voc(root, {name: [box] for name, box in zip(images(3), sizes, strict=True)})
    with pytest.raises(AnnotationError, match=r"2 of 3 boxes leave .* x, y, width, height, 0 do"):
        read(root, "voc")


def test_one_odd_box_among_many_costs_its_image_alone(root: Path) -> None:
    draw(root, *images(60))
    boxes: Boxes = {name: [[100, 50, 60, 40]] for name in images(60)}
    boxes["7.png"] = [[150, 60, 190, 90]]
    coco(root, boxes)
    with pytest.raises(RecordError, match=r"7: object 0: its box .* leaves .* by 140 px"):
        read(root, "coco")
    assert len(read(root, "coco", on_missing="skip")) == 59


@pytest.mark.parametrize("over", [0, 0.5, 2])
def test_rounding_is_clipped(root: Path, over: float) -> None:
    draw(root, "a.jpg")
    coco(root, {"a.jpg": [[-over, 20, 50, 30], [150, 50, 50 + over, 50 + over]]})
    assert points(read(root, "coco"))[0][0] == -over
    voc(root, {"a.jpg": [[-over, 20, 50, 30], [150, 50, 200 + over, 100 + over]]})
    assert len(points(read(root, "voc"))) == 2


@pytest.mark.parametrize("box", [[100, 50, 110, 20], [100, 50, 20, 60], [-9, 50, 90, 20]])
def test_more_than_rounding_is_not(root: Path, box: list[float]) -> None:
    draw(root, "a.jpg")
    coco(root, {"a.jpg": [[10, 10, 5, 5], box]})
    with pytest.raises(RecordError, match=r"object 1: its box .* leaves the image of 200 x 100 px"):
        read(root, "coco")


def test_rotated_box_may_reach_out_but_not_lie_outside(root: Path) -> None:
    draw(root, "a.png")
    dota(root, {"a.png": [[-30, 20, 60, 20, 60, 50, -30, 50]]})
    assert len(read(root, "dota")) == 1
    dota(root, {"a.png": [[-60, 20, 50, 20, 50, 50, -60, 50]]})
    with pytest.raises(RecordError, match=r"has its centre outside the image .* by 5 px"):
        read(root, "dota")


@LAYOUTS
@pytest.mark.parametrize(("scale", "said"), [(1, "shares of the sides"), (100, "percent")])
def test_shares_and_percent_are_told(root: Path, layout: Layout, scale: float, said: str) -> None:
    draw(root, *images(12), size=(400, 300))
    share = [value / 100 * scale for value in box_of(layout)]
    WRITERS[layout](root, {name: [share] for name in images(12)})
    with pytest.raises(AnnotationError, match=said):
        read(root, layout)


def test_pixels_of_small_images_are_no_percent(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw(root, *images(12), size=(150, 199))
    coco(root, {name: [box_of("coco")] for name in images(12)})
    with caplog.at_level(logging.WARNING):
        assert len(read(root, "coco")) == 12
    assert "percent" not in caplog.text


def test_few_boxes_in_a_corner_may_be_pixels(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(root, "a.png", size=(400, 300))
    coco(root, {"a.png": [box_of("coco")]})
    with caplog.at_level(logging.WARNING):
        assert len(read(root, "coco")) == 1
    assert "if they are percent" in caplog.text


# --- Nothing is left out in silence -------------------------------------------------------------


@LAYOUTS
def test_objects_read_are_those_kept_and_those_dropped(root: Path, layout: Layout) -> None:
    draw(root, *images(60))
    good, outside = box_of(layout), [value + 500 for value in box_of(layout)]
    boxes: Boxes = {name: [good, good] for name in images(60)}
    boxes |= {"7.png": [good, outside], "missing.png": [good, good, good], "8.png": []}
    WRITERS[layout](root, boxes)
    scenes = read(root, layout, on_missing="skip", log_dir=root / "log")
    (file,) = (root / "log").glob("dropped-*-train.jsonl")
    dropped = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["kind"] for row in dropped} == {
        "no boxes",
        "image is missing",
        "box beyond the image",
    }
    kept = {f"{scene.source}/train/{scene.key}": len(scene.boxes) for scene in scenes}
    lost = {row["id"]: len(boxes[f"{row['id'].rsplit('/', 1)[1]}.png"]) for row in dropped}
    assert not kept.keys() & lost.keys()
    assert len(kept) + len(lost) == len(boxes)
    assert sum(kept.values()) + sum(lost.values()) == sum(map(len, boxes.values()))


def test_boxes_of_an_unknown_image_are_told(root: Path) -> None:
    draw(root, "a.jpg")
    coco(root, {"a.jpg": [box_of("coco")]})
    file = root / "labels/a.json"
    content = json.loads(file.read_text())
    content["annotations"] += [{"image_id": 99, "category_id": 1, "bbox": box_of("coco")}] * 2
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"2 boxes of image_id 99, which is not among the images"):
        read(root, "coco")
    assert len(read(root, "coco", on_missing="skip")) == 1


def test_boxes_of_yolo_are_pixels_to_generate_from(root: Path) -> None:
    draw(root, "a.png")
    (root / "labels/a.txt").write_text("0 0.175 0.35 0.25 0.3\n")
    (root / "labels/classes.txt").write_text("ship\n")
    (scene,) = own_scenes(root / "labels", "yolo", root / "images", "train")
    assert [box["label"] for box in scene.boxes] == ["ship"]
    assert points([scene]) == [[10, 20, 60, 50]]
