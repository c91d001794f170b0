"""Boxes as detection data sets publish them: one object in every layout, and what is wrong."""

import json
import math
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.folder.annotations import find_annotations
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError

WIDTH, HEIGHT = 200, 100
TURNED = [79.02, 26.34, 130.98, 56.34, 120.98, 73.66, 69.02, 43.66]
"""60 x 20 px around (100, 50), turned by 30 degrees clockwise as seen."""
UPRIGHT = [70, 40, 130, 60]
PAIRS = [TURNED[i : i + 2] for i in (4, 6, 0, 2)]  # another corner first
RADIANS = math.radians(30)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    """Each about an image of its own, a.png and so on."""
    return {
        "images": [
            {"id": i, "file_name": f"{'abcdefghijklm'[i]}.png"} for i in range(len(annotations))
        ],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": [
            {"image_id": i, "category_id": 1, "bbox": [70, 40, 60, 20]} | annotation
            for i, annotation in enumerate(annotations)
        ],
    }


def voc(inside: str) -> str:
    return (
        "<annotation><filename>a.png</filename><size><width>200</width><height>100</height></size>"
        f"<object><name>ship</name>{inside}</object></annotation>"
    )


def tags(**values: float) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def corner_tags(points: list[float]) -> str:
    corners = ("left_top", "right_top", "right_bottom", "left_bottom")
    names = [f"{axis}_{corner}" for corner in corners for axis in "xy"]
    return f"<robndbox>{tags(**dict(zip(names, points, strict=True)))}</robndbox>"


def hrsc(number: str = "100000001", **mbox: float) -> str:
    values = {"mbox_cx": 100, "mbox_cy": 50, "mbox_w": 60, "mbox_h": 20, "mbox_ang": RADIANS}
    return (
        "<HRSC_Image><Img_FileName>a</Img_FileName><Img_FileFmt>bmp</Img_FileFmt>"
        "<Img_SizeWidth>200</Img_SizeWidth><Img_SizeHeight>100</Img_SizeHeight><HRSC_Objects>"
        f"<HRSC_Object><Class_ID>{number}</Class_ID>{tags(**values | mbox)}</HRSC_Object>"
        "</HRSC_Objects></HRSC_Image>"
    )


SYSDATA = (
    "<HRSC><HRSC_Classes><HRSC_Class><Class_ID>100000001</Class_ID><Class_EngName>ship"
    "</Class_EngName></HRSC_Class></HRSC_Classes></HRSC>"
)


def fair1m(points: list[list[float]], coordinate: str = "pixel") -> str:
    listed = "".join(f"<point>{x},{y}</point>" for x, y in points)
    return (
        "<annotation><source><filename>a.png</filename></source><objects><object>"
        f"<coordinate>{coordinate}</coordinate><type>rectangle</type>"
        f"<possibleresult><name>ship</name></possibleresult><points>{listed}</points>"
        "</object></objects></annotation>"
    )


def region(x: float, y: float, rotation: float = 0, **changes: Any) -> dict[str, Any]:
    """A rectangle of 60 x 20 px as Label Studio has it."""
    return {
        "type": "rectanglelabels",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": {
            "x": 100 * x / WIDTH,
            "y": 100 * y / HEIGHT,
            "width": 30,
            "height": 20,
            "rotation": rotation,
            "rectanglelabels": ["ship"],
        },
    } | changes


def task(*results: dict[str, Any], image: str = "a.png", **changes: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(results)}]} | changes


def minimal(result: dict[str, Any]) -> dict[str, Any]:
    sizes = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"image": "a.png", "annotation_id": 3, "label": [result["value"] | sizes]}


SHARES = " ".join(
    str(value / side) for value, side in zip(TURNED, [WIDTH, HEIGHT] * 4, strict=True)
)
POLYGON = [value for pair in PAIRS for value in pair]

ROTATED: dict[str, tuple[str, dict[str, object]]] = {
    "polygon": ("coco", {"a.json": coco({"segmentation": [POLYGON]})}),
    "closed polygon": ("coco", {"a.json": coco({"segmentation": [[*POLYGON, *POLYGON[:2]]]})}),
    "reversed polygon": ("coco", {"a.json": coco({"segmentation": [
        [value for pair in PAIRS[::-1] for value in pair]]})}),
    "five numbers": ("coco", {"a.json": coco({"bbox": [100, 50, 60, 20, -30]})}),
    "rotation of CVAT": ("coco", {"a.json": coco({"attributes": {"rotation": 30.0}})}),
    "DIOR-R": ("voc", {"a.xml": voc(corner_tags(TURNED))}),
    "roLabelImg": ("voc", {"a.xml": voc(
        f"<robndbox>{tags(cx=100, cy=50, w=60, h=20, angle=RADIANS)}</robndbox>")}),
    "attribute of CVAT": ("voc", {"a.xml": voc(
        f"<bndbox>{tags(xmin=70, ymin=40, xmax=130, ymax=60)}</bndbox><attributes><attribute>"
        "<name>rotation</name><value>30.0</value></attribute></attributes>")}),
    "HRSC2016": ("hrsc", {"Annotations/a.xml": hrsc(), "sysdata.xml": SYSDATA}),
    "FAIR1M": ("fair1m", {"a.xml": fair1m([*PAIRS, PAIRS[0]])}),
    "FAIR1M, open": ("fair1m", {"a.xml": fair1m(PAIRS)}),
    "Label Studio": ("label_studio", {"a.json": [task(region(79.02, 26.34, 30))]}),
    "JSON-MIN": ("label_studio", {"a.json": [minimal(region(79.02, 26.34, 30))]}),
    "YOLO-OBB": ("yolo", {"a.txt": f"0 {SHARES}\n", "classes.txt": "ship\n"}),
    "DOTA v1.5": ("dota", {"a.txt": "imagesource:GoogleEarth\ngsd:0.14\n"
        f"{' '.join(map(str, POLYGON))} ship 1\n"}),
}  # fmt: skip

UPRIGHT_FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "bbox": ("coco", {"a.json": coco({})}),
    "upright polygon": ("coco", {"a.json": coco(
        {"segmentation": [[70, 40, 130, 40, 130, 60, 70, 60]]})}),
    "outlines": ("coco", {"a.json": coco(
        {"segmentation": [POLYGON]}, {"segmentation": [[70, 40, 130, 40, 130, 60]]})}),
    "no rotation of CVAT": ("coco", {"a.json": coco({"attributes": {"rotation": 0.0}})}),
    "bndbox": ("voc", {"a.xml": voc(
        f"<bndbox>{tags(xmin=70, ymin=40, xmax=130, ymax=60)}</bndbox>")}),
    "YOLO": ("yolo", {"a.txt": "0 0.5 0.5 0.3 0.2\n", "data.yaml": "names: [ship]"}),
    "Label Studio": ("label_studio", {"a.json": [task(region(70, 40))]}),
    "JSON-MIN": ("label_studio", {"a.json": [minimal(region(70, 40))]}),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    picture(folder / "a.png")
    picture(folder / "b.png")
    return folder


def load(root: Path, **options: Any) -> Any:
    options = {"tasks": ["detection"], "cache_dir": str(root.parent / "cache"), **options}
    return datasets.load_dataset(NAME, "folder", data_dir=str(root), **options)


def rows(root: Path, split: str = "train", **options: Any) -> list[dict[str, Any]]:
    return load(root, **options)[split].with_format("arrow")[:].to_pylist()


def ids(root: Path, split: str = "train", **options: Any) -> list[str]:
    return [row["id"].removeprefix(f"folder/{split}/") for row in rows(root, split, **options)]


@pytest.mark.parametrize("form", ROTATED)
def test_rotated_box_in_every_layout(root: Path, form: str) -> None:
    layout, files = ROTATED[form]
    for name, content in files.items():
        write(root / name, content)
    assert find_annotations(root).layout.name == layout
    (row,) = rows(root)
    (box,) = row["boxes"]
    assert (box["label"], box["kind"]) == ("ship", "obb")
    assert box["points"] == pytest.approx(TURNED, abs=0.01)
    assert Path(row["images"][0]["path"]).name == "a.png"


@pytest.mark.parametrize("form", UPRIGHT_FORMS)
def test_upright_box_in_every_layout(root: Path, form: str) -> None:
    layout, files = UPRIGHT_FORMS[form]
    for name, content in files.items():
        write(root / name, content)
    assert find_annotations(root).layout.name == layout
    box = rows(root)[0]["boxes"][0]
    assert (box["label"], box["kind"]) == ("ship", "hbb")
    assert box["points"] == pytest.approx(UPRIGHT, abs=1e-4)


# --- COCO ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"bbox": [1, 2, 3, 4, 5, 6]}, r"annotations\[1\] has bbox \[1, 2, 3, 4, 5, 6\], expected"),
        ({"bbox": [1, 2, 3, 4, None]}, r"annotations\[1\] has bbox .*None\], expected x, y, width"),
        (
            {"rotation": 12},
            r"annotations\[1\] has rotation 12 beside a bbox of four numbers: around",
        ),
        ({"angle": 0.5}, r"Write the four corners as its segmentation"),
        ({"bbox_mode": 0}, r"annotations\[1\] has bbox_mode 0, expected 1"),
        ({"bbox_mode": 1, "bbox": [1, 2, 3, 4, 5]}, "has bbox_mode 1, expected 4"),
        ({"attributes": {"rotation": "9"}}, r"has attributes.rotation '9', expected degrees"),
    ],
)
def test_odd_rotated_box_of_coco(root: Path, annotation: dict[str, Any], reason: str) -> None:
    write(root / "x.json", coco({}, annotation))
    with pytest.raises(RecordError, match=reason):
        load(root)
    assert ids(root, on_missing="skip") == ["a/ship/boxes"]


def test_other_files_of_coco_have_the_boxes_again(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, extra in (("instances", {}), ("person_keypoints", {"num_keypoints": 0})):
        write(root / f"annotations/{name}_train2017.json", coco(extra))
    assert ids(root) == ["a/ship/boxes"]
    assert "not read: annotations/person_keypoints_train2017.json" in caplog.text


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        ("voc", {"0.xml": "<annotation", "a.xml": voc(corner_tags(TURNED))}),
        ("hrsc", {"0.xml": "<annotation", "a.xml": hrsc(), "sysdata.xml": SYSDATA}),
        ("fair1m", {"0.xml": "", "a.xml": fair1m(PAIRS)}),
        ("dota", {"0.txt": "1 2 3", "a.txt": f"{' '.join(map(str, POLYGON))} ship 1"}),
        ("yolo", {"0.txt": "ship 2 3", "a.txt": f"0 {SHARES}", "classes.txt": "ship"}),
    ],
)
def test_layout_is_recognised_although_the_first_file_is_broken(
    root: Path, layout: str, files: dict[str, str]
) -> None:
    for name, content in files.items():
        write(root / "labels" / name, content)
    assert find_annotations(root).layout.name == layout
    with pytest.raises(RecordError, match=r"folder/train/0: .*labels/0\.(xml|txt)"):
        load(root)
    assert ids(root, on_missing="skip") == ["a/ship/boxes"]


def test_objects_of_an_image_in_two_files(root: Path) -> None:
    for name in ("Horizontal", "Oriented"):
        write(root / f"Annotations/{name}/a.xml", voc(corner_tags(TURNED)))
    with pytest.raises(
        AnnotationError, match=r"Horizontal and .*Oriented both annotate a\.png: an"
    ):
        load(root)
    assert ids(root, data_files="Annotations/Oriented") == ["a/ship/boxes"]


def test_file_of_the_very_name_is_not_in_doubt(root: Path) -> None:
    (root / "a.png").rename(root / "a.jpg")
    picture(root / "Images/a.png")
    write(root / "x.json", coco({}))
    assert rows(root)[0]["images"][0]["path"] == str(root / "Images/a.png")


def test_radians_of_coco(root: Path) -> None:
    for name in "cdefghijkl":
        picture(root / f"{name}.png")
    write(root / "x.json", coco(*[{"bbox": [100, 50, 60, 20, 0.1 * n]} for n in range(1, 13)]))
    with pytest.raises(AnnotationError, match=r"all 12 angles of bbox are within 3\.15: radians"):
        load(root)
    write(root / "x.json", coco(*[{"bbox": [100, 50, 60, 20, n % 3]} for n in range(1, 13)]))
    assert len(rows(root)) == 12  # whole degrees may be small


# --- XML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            voc(f"<robndbox>{tags(cx=100, cy=50, w=60, h=20, angle=30)}</robndbox>"),
            "object 0 has the angle 30, expected radians",
        ),
        (voc("<robndbox><cx>100</cx></robndbox>"), "object 0 has a <robndbox> without numbers"),
        (
            voc(
                f"<bndbox>{tags(xmin=70, ymin=40, xmax=130, ymax=60)}</bndbox><attributes>"
                "<attribute><name>rotation</name><value>much</value></attribute></attributes>"
            ),
            "object 0 has rotation 'much', expected degrees",
        ),
        (fair1m(PAIRS), "expected <object> in <annotation>, found <objects>"),
        (hrsc(), "expected <annotation>, found a document of <HRSC_Image>"),
    ],
)
def test_odd_file_of_voc(root: Path, content: str, reason: str) -> None:
    write(root / "a.xml", ROTATED["DIOR-R"][1]["a.xml"])
    write(root / "b.xml", content.replace("a.png", "b.png"))
    with pytest.raises(RecordError, match=rf"folder/train/b: .*b\.xml: {reason}"):
        load(root)
    assert ids(root, on_missing="skip") == ["a/ship/boxes"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (fair1m(PAIRS, "geodegree"), "object 0 has <coordinate> 'geodegree', expected pixel"),
        (fair1m(PAIRS[:3]), r"object 0 has the points .* expected four corners x,y and the first"),
        (fair1m([*PAIRS, [0, 0]]), "object 0 has the points"),
        (fair1m([["", 1]]), "object 0 has the points"),  # type: ignore[list-item]
        (fair1m(PAIRS).replace("<name>ship</name>", ""), "object 0 has no name of a class"),
        (voc(""), "expected <objects> in <annotation>, found none"),
    ],
)
def test_odd_file_of_fair1m(root: Path, content: str, reason: str) -> None:
    write(root / "a.xml", fair1m(PAIRS))
    write(root / "b.xml", content.replace("a.png", "b.png"))
    with pytest.raises(RecordError, match=rf"folder/train/b: .*b\.xml: {reason}"):
        load(root)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (hrsc("100000002"), r"object 0 has Class_ID '100000002', no class in .*own/sysdata\.xml"),
        (hrsc(mbox_ang=57), "object 0 has the angle 57, expected radians"),
        (hrsc(mbox_w=math.nan), "object 0 has no numbers under mbox_cx"),
    ],
)
def test_odd_file_of_hrsc(root: Path, content: str, reason: str) -> None:
    write(root / "sysdata.xml", SYSDATA)
    write(root / "Annotations/a.xml", hrsc())
    write(root / "Annotations/b.xml", content.replace("<Img_FileName>a", "<Img_FileName>b"))
    with pytest.raises(RecordError, match=rf"folder/train/b: .*b\.xml: {reason}"):
        load(root)


def test_classes_of_hrsc_are_never_invented(root: Path) -> None:
    write(root / "Annotations/a.xml", hrsc())
    with pytest.raises(
        AnnotationError, match=r"sysdata\.xml, which has their names, is neither th"
    ):
        load(root)


def test_lists_of_splits_beside_hrsc(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "sysdata.xml", SYSDATA)
    for name in "ab":
        (root / f"{name}.png").unlink()
        picture(root / f"AllImages/{name}.bmp")
        write(root / f"Annotations/{name}.xml", hrsc().replace("FileName>a", f"FileName>{name}"))
    write(root / "ImageSets/trainval.txt", "a\n")
    write(root / "ImageSets/test.txt", "b\n")
    assert (ids(root), ids(root, "test")) == (["a/ship/boxes"], ["b/ship/boxes"])
    assert not caplog.messages


# --- YOLO ---------------------------------------------------------------------------------------

LINE = "1 0.5 0.5 0.3 0.2\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "names: [plane, ship]\nnc: 2"),
        ("own.yml", "names:\n  1: ship\n"),
        ("classes.txt", "plane\nship\n"),
        ("obj.names", "plane\n ship \n\n"),
        ("labels/classes.txt", "plane\r\nship"),
    ],
)
def test_names_of_classes_of_yolo(root: Path, name: str, content: str) -> None:
    write(root / "labels/a.txt", LINE)
    write(root / name, content)
    assert rows(root)[0]["boxes"][0]["label"] == "ship"


def test_classes_of_yolo_are_never_invented(root: Path) -> None:
    write(root / "labels/a.txt", LINE)
    write(root / "config.yaml", "{broken: [")  # of something else
    with pytest.raises(AnnotationError, match=r"own/labels: its labels have numbers .* data\.yaml"):
        load(root)
    write(root / "classes.txt", "ship\n")
    write(root / "labels/b.txt", "0 0.5 0.5 0.3 0.2")
    with pytest.raises(
        RecordError, match=r"a\.txt, line 1: class 1 is not in .*classes\.txt: it n"
    ):
        load(root)
    assert ids(root, on_missing="skip") == ["b/ship/boxes"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"data.yaml": "names: [a, b]", "classes.txt": "a\nc"}, "name the classes differently"),
        ({"data.yaml": "names: {ship: 1}"}, r"data\.yaml: class 'ship' is 1, expected a number"),
        ({"data.yaml": "names: [a, null]"}, r"data\.yaml: class 1 is None, expected a number"),
        ({"data.yaml": "names: [a"}, r"data\.yaml: expected YAML, but"),
        ({"data.yaml": "names: !python [a]"}, r"data\.yaml: expected YAML, but"),
        ({"classes.txt": "a\n\nb"}, r"classes\.txt: class 1 is '', expected a number"),
    ],
)
def test_odd_names_of_classes(root: Path, files: dict[str, str], message: str) -> None:
    write(root / "labels/a.txt", LINE)
    for name, content in files.items():
        write(root / name, content)
    with pytest.raises(AnnotationError, match=message):
        load(root)


@pytest.mark.parametrize(
    "line",
    [
        "1 0.5 0.5 0.3",
        "1 0.5 0.5 0.3 0.2 0.9",
        "1 0.1 0.1 0.5 0.1 0.3 0.4",
        "x 1 2 3 4",
        "1.5 1 1 1 1",
    ],
)
def test_odd_line_of_yolo(root: Path, line: str) -> None:
    write(root / "labels/a.txt", LINE)
    write(root / "labels/b.txt", f"{LINE}{line}\n")
    write(root / "classes.txt", "plane\nship\n")
    with pytest.raises(
        RecordError, match=r"labels/b\.txt, line 2: expected the number of a class a"
    ):
        load(root)
    assert ids(root, on_missing="skip") == ["a/ship/boxes"]


def test_outlines_are_no_boxes_of_yolo(root: Path) -> None:
    write(root / "labels/a.txt", "0 0.1 0.1 0.5 0.1 0.3 0.4 0.2 0.2 0.1 0.2\n")
    write(root / "classes.txt", "ship\n")
    with pytest.raises(
        AnnotationError, match=r"a\.txt, line 1: expected the number of a class and"
    ):
        load(root)


def test_pixels_are_no_shares(root: Path) -> None:
    write(root / "labels/a.txt", "0 100 50 60 20\n")
    write(root / "classes.txt", "ship\n")
    with pytest.raises(AnnotationError, match=r"1 of 1 boxes are no shares of the sides, 0 to 1"):
        load(root)


def test_share_beyond_its_image(root: Path) -> None:
    write(root / "labels/a.txt", "0 0.9 0.5 0.3 0.2\n")
    write(root / "classes.txt", "ship\n")
    with pytest.raises(RecordError, match=r"leaves the image of 200 x 100 px, by 10 px"):
        load(root)


@pytest.mark.parametrize("names", ["names: [plane, ship]", "names: {0: plane, 1: ship}"])
def test_folders_of_ultralytics(root: Path, names: str) -> None:
    for split, name in (("train", "1"), ("val", "2")):
        picture(root / f"images/{split}/{name}.png")
        write(root / f"labels/{split}/{name}.txt", LINE)
    write(root / "data.yaml", f"path: /elsewhere\ntrain: images/train\nval: images/val\n{names}")
    assert (ids(root), ids(root, "validation")) == (["1/ship/boxes"], ["2/ship/boxes"])
    assert rows(root)[0]["images"][0]["path"] == str(root / "images/train/1.png")


@pytest.mark.parametrize("start", ["", "../", "./"])
def test_splits_that_the_yaml_file_alone_says(root: Path, start: str) -> None:
    for part, name in (("north", "1"), ("south", "2")):
        picture(root / f"{part}/images/{name}.png")
        write(root / f"{part}/labels/{name}.txt", LINE)
    text = f"train: {start}south/images\ntest: [{start}north/images]\nnames: [plane, ship]"
    write(root / "data.yaml", text)
    assert (ids(root), ids(root, "test")) == (["2/ship/boxes"], ["1/ship/boxes"])


@pytest.mark.parametrize("start", ["./", "", "data/", "/home/someone/set/", "../set/"])
def test_lists_of_images_that_the_yaml_file_names(root: Path, start: str) -> None:
    for name in "123":
        picture(root / f"images/{name}.png")
        write(root / f"labels/{name}.txt", LINE)
    write(root / "train.txt", f"{start}images/1.png\n{start}images/3.png\n")
    write(root / "test.txt", f"{start}images/2.png\n{start}images/4.png\n")
    write(root / "data.yaml", "train: train.txt\ntest: test.txt\nnames: [plane, ship]")
    with pytest.raises(
        RecordError, match=r"folder/test/4: the list of test names it, and .*labels"
    ):
        load(root)
    assert ids(root, on_missing="skip") == ["1/ship/boxes", "3/ship/boxes"]
    assert ids(root, "test", on_missing="skip") == ["2/ship/boxes"]


def test_images_that_the_yaml_file_names(root: Path) -> None:
    for name in "12":
        picture(root / f"images/{name}.png")
        write(root / f"labels/{name}.txt", LINE)
    write(root / "data.yaml", "train: [images/1.png]\nval: [images/2.png]\nnames: [plane, ship]")
    assert (ids(root), ids(root, "validation")) == (["1/ship/boxes"], ["2/ship/boxes"])


def test_labels_below_the_folder_of_a_split(root: Path) -> None:
    picture(root / "images/train/lake/1.png")
    write(root / "labels/train/lake/1.txt", LINE)
    write(root / "classes.txt", "plane\nship\n")
    assert rows(root)[0]["images"][0]["path"] == str(root / "images/train/lake/1.png")


def test_image_without_objects(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "labels/a.txt", "")
    write(root / "labels/b.txt", LINE)
    write(root / "classes.txt", "plane\nship\n")
    assert ids(root, tasks=["presence"]) == ["a/ship/presence", "b/ship/presence"]
    assert not caplog.messages
    picture(root / "c.png")
    picture(root / "elsewhere/d.png")
    rows(root)
    (message,) = caplog.messages
    assert "own/labels: 1 images beside those with labels have no label file" in message
    assert "c.png" in message


# --- Label Studio -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("1.png", "/data/upload/3/0a1b2c3d-1.png"),
        ("0a1b2c3d-1.png", "/data/upload/3/0a1b2c3d-1.png"),
        ("upload/3/0a1b2c3d-1.png", "/data/upload/3/0a1b2c3d-1.png"),
        ("tiles/1 2.png", "/data/local-files/?d=tiles/1%202.png"),
        ("lake/1.png", "https://example.org/tiles/lake/1.png?x=y"),
        ("lake/1.png", "s3://bucket/lake/1.png"),
        ("1.png", "/1"),
    ],
)
def test_images_of_label_studio(root: Path, there: str, named: str) -> None:
    picture(root / there)
    write(root / "x.json", [task(region(70, 40), image=named)])
    (row,) = rows(root)
    assert row["images"][0]["path"] == str(root / there)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (task(annotations=[]), "nobody has annotated it"),
        (task(annotations=[{"result": [], "was_cancelled": True}]), "nobody has annotated it"),
        (task(annotations=[{"result": []}] * 2), "annotated 2 times: mark one as ground truth"),
        (task(annotations=[{"result": None}]), "expected a list under 'result', found None"),
        (
            task(region(70, 40, type="polygonlabels")),
            "result 0 is of type 'polygonlabels': draw a rect",
        ),
        (
            task(region(70, 40, type="rectangle", value={"x": 1, "y": 2})),
            "result 0 is of type 'recta",
        ),
        (
            task(region(70, 40, type="labels", id="i", value={"x": 1, "labels": ["a"]})),
            "type 'labels'",
        ),
        ({"image": "a.png", "annotation_id": 1, "box": [{"x": 1, "width": 2}]}, "is of type 'box'"),
        (task(region(70, 40, original_width=None)), "result 0 has original_width None and"),
        (task(region(70, 40, image_rotation=90)), "of the image turned by 90 degrees"),
        (task(region(70, 40), region(70, 40, original_width=9)), "its results state several sizes"),
        (
            task(region(70, 40, value={"rectanglelabels": ["a", "b"]})),
            r"rectanglelabels \['a', 'b'\]",
        ),
        (
            task(region(70, 40, value={"rectanglelabels": ["a"], "x": 1})),
            "expected numbers under x",
        ),
        (task(data={"text": "a"}), r"expected one image, found a list of 0 in an object with text"),
        (task(data={"a": "a.png", "b": "b.png"}), "expected one image, found a list of 2"),
        (7, "task 1: expected an object, found 7"),
    ],
)
def test_odd_task_of_label_studio(root: Path, odd: Any, reason: str) -> None:
    write(root / "x.json", [task(region(70, 40), image="b.png"), odd])
    with pytest.raises(RecordError, match=rf"x\.json, task 1: .*{reason}|{reason}"):
        load(root)
    assert ids(root, on_missing="skip") == ["b/ship/boxes"]


def test_what_is_asked_of_an_object_is_no_object(root: Path) -> None:
    asked = region(70, 40, type="choices", id="i", value={"x": 1, "choices": ["sure"]})
    text = region(70, 40, type="textarea", id="i", value={"x": 1, "words": ["a"]})
    write(root / "x.json", [task(region(70, 40, id="i"), asked, text)])
    assert len(rows(root)[0]["boxes"]) == 1


def test_ground_truth_of_label_studio_is_taken(root: Path) -> None:
    others = [{"result": []}, {"result": [region(70, 40)], "ground_truth": True}]
    write(root / "x.json", [task(annotations=others, predictions=[{"result": []}])])
    assert ids(root) == ["a/ship/boxes"]
