"""Questions on what is not there: true answers, POPE's kinds of negatives, never to train on."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from rs_gpt4v import NAME, records
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.adapt_objects import classes_of, occurrence
from rs_gpt4v.adapt_probes import POSITIVES, presence, relation
from rs_gpt4v.cli import app
from rs_gpt4v.object_classes import CONFUSED, in_words
from rs_gpt4v_builders import CONFIGS, GROUPS
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError

SIZE = 800
Objects = list[tuple[str, int, int, int]]
"""A class, the centre of its box and half a side, in pixels."""
Row = dict[str, Any]


def table(images: list[Objects]) -> pa.Table:
    rows = [
        {
            "key": str(number),
            "image": f"{number}.png",
            "boxes": [
                {"label": label, "points": [x - half, y - half, x + half, y + half], "kind": "hbb"}
                for label, x, y, half in objects
            ],
            "width": SIZE,
            "height": SIZE,
        }
        for number, objects in enumerate(images)
    ]
    schema = records.FOUND_OBJECTS.append(pa.field("width", pa.int32()))
    return pa.Table.from_pylist(rows, schema.append(pa.field("height", pa.int32())))


def probes(adapt: Any, images: list[Objects], most: int = 3, seed: int = 0) -> list[Row]:
    boxes = table(images)
    classes = classes_of(boxes)
    has = occurrence(boxes, classes).astype(int)
    adaption = Adaption(
        "own/test/",
        "test",
        seed=seed,
        classes=classes,
        together=has.T @ has,
        probes_per_image=most,
    )
    rows = adapt(boxes, adaption)
    return rows.to_pylist()


def asked(rows: list[Row], image: int = 0) -> dict[str, list[str]]:
    """The classes that an image is asked about, by kind."""
    by_kind = defaultdict(list)
    for row in rows:
        _, _, key, _, kind, *classes = row["id"].split("/")
        if key == str(image):
            by_kind[kind].append("/".join(classes))
    return dict(by_kind)


def image(*labels: str) -> Objects:
    return [(label, 100, 100, 20) for label in labels]


# --- Presence ------------------------------------------------------------------------------------

TOWN = [image("pool", "car", "tree"), *[image("car", "tree")] * 4, *[image("barn", "cow")] * 3]


def test_the_kinds_are_popes() -> None:
    kinds = asked(probes(presence, [image("car"), *TOWN]))
    assert kinds["present"] == ["car"]
    # "tree" is in most images and stands most often beside "car" too.
    assert kinds["popular"] == kinds["adversarial"] == ["tree"]
    kinds = asked(probes(presence, [image("cow", "pool"), *TOWN]))
    assert sorted(kinds["present"]) == ["cow", "pool"]
    assert kinds["popular"] == ["car", "tree"]
    # "barn" stands beside "cow", "car" as often beside "pool" as "tree": the first by name.
    assert dict(zip(kinds["present"], kinds["adversarial"], strict=True)) == {
        "cow": "barn",
        "pool": "car",
    }


def reference(
    images: list[Objects], number: int, present: list[str]
) -> tuple[list[str], list[str]]:
    """POPE's popular and adversarial classes of an image, by its definition; no random rest."""
    sets = [{name for name, *_ in objects} for objects in images]
    every = sorted(set().union(*sets))
    counts = Counter(name for names in sets for name in names)
    beside = {
        name: Counter(o for names in sets if name in names for o in names if o != name)
        for name in every
    }
    popular = [n for n in sorted(every, key=lambda n: (-counts[n], n)) if n not in sets[number]]
    adversarial: list[str] = []
    for name in present:
        ranked = sorted(beside[name], key=lambda n: (-beside[name][n], n))
        first = [n for n in ranked if n not in sets[number] and n not in adversarial]
        adversarial.append(first[0] if first else "")
    return popular[: len(present)], adversarial


IMAGES = st.lists(
    st.lists(st.sampled_from("abcdefgh"), max_size=5).map(lambda labels: image(*labels)),
    min_size=1,
    max_size=12,
)


@given(IMAGES, st.integers(1, 5), st.integers(0, 3))
@settings(deadline=None)
def test_negatives_are_those_of_a_plain_reference(
    images: list[Objects], most: int, seed: int
) -> None:
    if not any(images):
        return
    rows = probes(presence, images, most, seed)
    assert len({row["id"] for row in rows}) == len(rows)
    classes = {name for objects in images for name, *_ in objects}
    for number, objects in enumerate(images):
        has = {name for name, *_ in objects}
        kinds = asked(rows, number)
        present = kinds.pop("present", [])
        assert len(present) == len(set(present)) == min(most, len(has))
        assert set(present) <= has
        popular, adversarial = reference(images, number, present)
        count = min(len(present), len(classes - has))
        assert {kind: len(own) for kind, own in kinds.items()} == (
            dict.fromkeys(("random", "popular", "adversarial"), count) if count else {}
        )
        for own in kinds.values():
            assert len(set(own)) == len(own)
            assert not has & set(own)
        assert kinds.get("popular", []) == popular[:count]
        taken = kinds.get("adversarial", [])
        drawn = adversarial.index("") if "" in adversarial else len(adversarial)
        assert taken[:drawn] == adversarial[:drawn][:count]


def test_what_may_be_there_without_a_box_is_not_denied() -> None:
    labels = sorted({name for group in CONFUSED for name in group})
    images = [image(name.replace(" ", "")) for name in labels]
    rows = probes(presence, images, 20)
    for number, name in enumerate(labels):
        denied = {c for kind, own in asked(rows, number).items() if kind in POSITIVES for c in own}
        near = {other for group in CONFUSED if name in group for other in group}
        assert not near & {in_words(label) for label in denied}


def test_a_class_without_company_is_followed_by_a_random_one() -> None:
    kinds = asked(probes(presence, [image("car"), image("cow"), image("pig")]))
    assert kinds["adversarial"][0] in {"cow", "pig"}


def test_answers_and_words() -> None:
    rows = probes(presence, [image("tenniscourt"), image("Expressway-toll-station")])
    for row in rows:
        assert row["task"] == "probe"
        assert row["references"] == [["no"], ["yes"]][row["question_type"] == "present"]
        assert row["messages"][1]["content"] == row["references"][0]
        words = row["messages"][0]["content"]
        assert "tennis court" in words or "expressway toll station" in words


@pytest.mark.parametrize("adapt", [presence, relation])
def test_order_and_seed(adapt: Any) -> None:
    images = [*TOWN, [("cow", 100, 100, 20), ("car", 700, 300, 20)], [("cow", 600, 80, 9)]]
    rows = probes(adapt, images)
    assert probes(adapt, images) == rows
    assert probes(adapt, images, seed=1) != rows
    assert Counter(row["question_type"] for row in probes(adapt, images, seed=1)) == Counter(
        row["question_type"] for row in rows
    )
    assert len(probes(adapt, images, 1)) < len(rows)


def test_images_without_an_object_are_named(caplog: pytest.LogCaptureFixture) -> None:
    assert len(probes(presence, [image("car"), [], image("cow"), []])) == 8
    assert "own/test/1: 2 of 4 images are not asked about" in caplog.text


# --- Relations -----------------------------------------------------------------------------------

OBJECTS = st.lists(
    st.tuples(st.sampled_from("abc"), *[st.integers(20, 780)] * 2, st.integers(2, 300)), max_size=6
)


def is_so(row: Row, objects: Objects) -> bool:
    """By the centres alone, without any margin."""
    words = " ".join(row["messages"][0]["content"].split())
    kind, *labels = row["id"].split("/")[4:]
    clipped = [
        (label, (max(x - h, 0) + min(x + h, SIZE)) / 2, (max(y - h, 0) + min(y + h, SIZE)) / 2)
        for label, x, y, h in objects
    ]
    if kind in ("located", "elsewhere"):
        middle = SIZE / 2
        return any(
            label == labels[0]
            and ("left" not in words or x < middle)
            and ("right" not in words or x > middle)
            and ("top" not in words or y < middle)
            and ("bottom" not in words or y > middle)
            for label, x, y in clipped
        )
    (ax, ay), (bx, by) = (
        next((x, y) for name, x, y in clipped if name == label) for label in labels
    )
    ways = {"left of": ax < bx, "right of": ax > bx, "above": ay < by, "below": ay > by}
    return next(holds for way, holds in ways.items() if f"{way} the {labels[1]}" in words)


@given(OBJECTS, st.integers(1, 4), st.integers(0, 3))
@settings(deadline=None)
def test_no_negative_holds_and_every_positive_does(objects: Objects, most: int, seed: int) -> None:
    if not objects:
        return
    rows = probes(relation, [objects], most, seed)
    for row in rows:
        assert is_so(row, objects) is (row["references"] == ["yes"])
        assert (row["references"] == ["no"]) is (row["question_type"] in POSITIVES)
    counts = Counter(row["question_type"] for row in rows)
    assert counts["related"] == counts["opposite"] <= most
    assert counts["located"] == counts["elsewhere"] <= most


def test_only_single_objects_are_related() -> None:
    cows: Objects = [("cow", 100, 100, 20), ("cow", 100, 200, 20)]
    assert "related" not in asked(probes(relation, [[*cows, ("car", 700, 100, 20)]]))
    assert asked(probes(relation, [[cows[0], ("car", 700, 100, 20)]]))["related"][0] in (
        "cow/car",
        "car/cow",
    )


def test_what_nobody_would_agree_on_is_not_asked() -> None:
    near: Objects = [("cow", 400, 400, 20), ("car", 410, 410, 20)]
    assert probes(relation, [near]) == []


# --- Configs -------------------------------------------------------------------------------------


def test_no_config_has_training_rows(releases: Path) -> None:
    for config in GROUPS["probes"]:
        assert "train" not in CONFIGS[config].splits("paper")
        assert "train" not in CONFIGS[config].splits("release")
    rows: Any = datasets.load_dataset(NAME, "probes", data_dir=str(releases))
    assert list(rows) == ["test"]
    numbers = {int(i.split("/")[2]) for i in rows["test"]["id"]}
    assert min(numbers) > 11725  # the paper trains on the images up to it
    more: Any = datasets.load_dataset(
        NAME, "probe_presence", data_dir=str(releases), probes_per_image=1, split="test"
    )
    assert max(Counter((i.split("/")[2], i.split("/")[4]) for i in more["id"]).values()) == 1


def test_training_on_probes_is_refused(releases: Path) -> None:
    pytest.importorskip("trl")
    from rs_gpt4v_training.arguments import DataArguments
    from rs_gpt4v_training.rows import load_rows

    where: Any = {"data_dir": str(releases), "box_format": "llava"}
    data = DataArguments(datasets=["probes", "probe_relation"], **where)
    with pytest.raises(ValueError, match="'train': probes, probe_relation are for evaluation"):
        load_rows(data, "train", 0)
    mixed = DataArguments(datasets=["probe_presence", "cap_ucm"], **where)
    assert set(load_rows(mixed, "train", 0)["task"]) == {"caption"}


@pytest.mark.parametrize(
    ("value", "reason"), [(0, "expected 1 or more"), ("3", "a whole number"), (True, "a whole")]
)
def test_a_number_of_probes_that_is_none_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"probes_per_image=.*{reason}"):
        datasets.load_dataset(NAME, "probe_presence", sample=True, probes_per_image=value)


@pytest.mark.parametrize(
    ("config", "options"),
    [("cap_ucm", {}), ("captioning", {}), ("detect_dior", {}), ("folder", {"tasks": ("count",)})],
)
def test_a_number_of_probes_is_for_probes_alone(config: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"probes_per_image=5: .*not for '{config}', which has no"):
        datasets.load_dataset(NAME, config, probes_per_image=5, **options)


def said(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


def test_verbs_take_the_number_of_probes_for_the_configs_that_have_some(
    releases: Path, tmp_path: Path
) -> None:
    where = ("--data-dir", releases, "--probes-per-image", 1)
    expected: Any = datasets.load_dataset(
        NAME, "probe_presence", data_dir=str(releases), probes_per_image=1, split="test"
    )
    built = said("build", "probe_presence", "cap_sydney", *where)
    assert f"probe_presence: test {len(expected):,}\n" in built
    assert "cap_sydney: train" in built
    with pytest.raises(ValueError, match="not for 'cap_sydney', which has no probes: leave it out"):
        said("build", "cap_sydney", *where)
    out = tmp_path / "tasks"
    said("export", "lmms_eval", out, "probe_presence", "cap_sydney", *where)
    for config, is_limited in (("probe_presence", True), ("cap_sydney", False)):
        tasks = [file.read_text() for file in out.glob(f"*{config}*.yaml")]
        assert {'"probes_per_image": 1' in task for task in tasks} == {is_limited}


def test_verbs_take_the_number_of_probes_of_own_boxes(tmp_path: Path) -> None:
    root = coco(tmp_path / "own", "test", [["ship", "cow"], []], ["ship", "cow", "pig"])
    where = ("folder", "--data-dir", root, "--tasks", "probe_relation", "--probes-per-image")
    assert "folder: test 4\n" in said("build", *where, 2)
    assert "folder: test 2\n" in said("build", *where, 1)


def coco(root: Path, split: str, images: list[list[str]], names: list[str]) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    for number in range(len(images)):
        Image.new("RGB", (200, 100)).save(root / f"images/{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"images/{n}.png"} for n in range(len(images))],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"image_id": n, "category_id": names.index(label), "bbox": [10, 10, 20, 20]}
            for n, labels in enumerate(images)
            for label in labels
        ],
    }
    (root / f"{split}.json").write_text(json.dumps(content))
    return root


def own(root: Path, **options: Any) -> Any:
    options = {"tasks": ["probe_presence", "probe_relation"], **options}
    cache = str(root.parent / "cache")
    return datasets.load_dataset(NAME, "folder", data_dir=str(root), cache_dir=cache, **options)


def test_own_boxes_give_the_same_rows(tmp_path: Path) -> None:
    root = coco(tmp_path / "own", "test", [["ship"], ["ship", "cow"], []], ["ship", "cow", "pig"])
    coco(root, "train", [["ship"]], ["ship"])
    rows = own(root)
    assert list(rows) == ["test"]
    counts = Counter(rows["test"]["question_type"])
    assert counts["present"] == 3
    assert counts["random"] == 1  # nobody shows a pig, so the second image has nothing to deny
    assert counts["located"] == counts["elsewhere"] == 3
    with_train = own(root, tasks=["probe_presence", "count"])
    assert set(with_train["train"]["task"]) == {"vqa"}
    assert "probe" not in set(own(root, tasks=None)["test"]["task"])


def test_training_images_alone_are_refused(tmp_path: Path) -> None:
    root = coco(tmp_path / "own", "train", [["ship"]], ["ship"])
    with pytest.raises(ValueError, match="nothing but training images, and probes are for eval"):
        own(root)


@pytest.mark.parametrize("tasks", [["probe_presence"], ["probe_relation"], ["detection"]])
def test_images_that_have_no_object_at_all_are_told(tmp_path: Path, tasks: list[str]) -> None:
    root = coco(tmp_path / "own", "test", [[], []], ["ship", "cow"])
    files = {"layout": "coco", "data_files": {"test": "test.json"}}
    with pytest.raises(
        RecordError, match=r"no record of split 'test' .*, or none with an object to"
    ):
        own(root, tasks=tasks, **files)


def test_a_class_in_two_spellings_is_named_with_its_images(tmp_path: Path) -> None:
    images = [["storage tank"], ["ship"], ["Storage-tank"]]
    root = coco(tmp_path / "own", "test", images, ["storage tank", "Storage-tank", "ship"])
    for on_missing in ("raise", "skip"):  # no image can be told to lack it
        with pytest.raises(
            AnnotationError,
            match=r"'Storage-tank' \(first in .*test\.json: images\[2\]\) and 'storage tank' "
            r"\(first in .*test\.json: images\[0\]\) are one class in two spellings",
        ):
            own(root, on_missing=on_missing)
