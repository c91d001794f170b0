"""Exports: read back by the tool they are for, each image once, the same bytes every time."""

import base64
import gc
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import permutations
from pathlib import Path
from typing import Any

import datasets
import pytest
import webdataset
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v.files import InUseError
from rs_gpt4v_builders.export import FORMATS, export, hub, images, web_dataset
from rs_gpt4v_builders.export._folder import MARKER, ExportFolderError
from rs_gpt4v_builders.export.images import image_names
from rs_gpt4v_builders.usable_records import RecordError
from rs_gpt4v_evaluation.harnesses import HARNESSES

CONFIGS = ("cap_ucm", "vqa_hr", "grounding", "region_caption", "conversation")
Row = dict[str, Any]

KIND = pytest.mark.parametrize("kind", FORMATS)


@pytest.fixture(scope="module")
def exported(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export of each kind. Read only."""
    root = tmp_path_factory.mktemp("exported")
    return {kind: export(kind, root / kind, CONFIGS, data_dir=str(releases)) for kind in FORMATS}


def build(config: str, root: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(NAME, config, data_dir=str(root))


def undecoded(rows: datasets.Dataset) -> list[Row]:
    """The rows with the digest of each image file in place of the image."""
    plain = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    return [row | {"images": [digest(Path(i["path"])) for i in row["images"]]} for row in plain]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): digest(path) for path in files}


def json_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


_PLAIN = """
import hashlib, json, pathlib, sys
sys.modules["rs_gpt4v"] = None  # as where it is not installed
import datasets
rows = {}
for config in datasets.get_dataset_config_names(sys.argv[1]):
    for split, part in datasets.load_dataset(sys.argv[1], config).items():
        assert part.features["images"] == datasets.List(datasets.Image()), part.features
        assert part[0]["images"][0].size == (part[0]["width"], part[0]["height"])
        part = part.cast_column("images", datasets.List(datasets.Image(decode=False)))
        assert all(image["bytes"] is None for row in part for image in row["images"])
        digests = lambda row: [
            hashlib.sha256(pathlib.Path(image["path"]).read_bytes()).hexdigest()
            for image in row["images"]
        ]
        rows[f"{config}-{split}"] = [row | {"images": digests(row)} for row in part]
pathlib.Path(sys.argv[2]).write_text(json.dumps(rows))
"""


def read_plain(folder: Path, tmp_path: Path) -> dict[str, list[Row]]:
    """The rows of a hub export as `datasets` reads them where this package is not."""
    out = tmp_path / "rows.json"
    command = [sys.executable, "-W", "error", "-c", _PLAIN, str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json_of(out)


def test_plain_datasets_reads_a_hub_export_with_every_column_equal(
    exported: dict[str, Path], releases: Path, tmp_path: Path
) -> None:
    ours = {
        f"{config}-{split}": undecoded(rows)
        for config in CONFIGS
        for split, rows in build(config, releases).items()
    }
    theirs = read_plain(exported["hub"], tmp_path)
    assert theirs.keys() == ours.keys()
    for name, rows in ours.items():
        assert theirs[name] == rows


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "webdataset"])
def test_each_image_is_stored_once(kind: str, exported: dict[str, Path], releases: Path) -> None:
    used = {
        image["path"]
        for config in CONFIGS
        for rows in build(config, releases).values()
        for row in rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
        for image in row["images"]
    }
    stored = [path for path in (exported[kind] / "images").rglob("*") if path.is_file()]
    assert len(stored) == len(used)
    assert sorted(map(digest, stored)) == sorted(digest(Path(path)) for path in used)


@KIND
def test_second_export_has_the_same_bytes(
    kind: str, exported: dict[str, Path], releases: Path, tmp_path: Path
) -> None:
    again = export(kind, tmp_path / "again", CONFIGS, data_dir=str(releases))
    assert content(again) == content(exported[kind])


@KIND
def test_repeated_call_copies_nothing(kind: str, releases: Path, tmp_path: Path) -> None:
    out = export(kind, tmp_path / "out", ["cap_ucm"], data_dir=str(releases))
    files = [*out.rglob("*.tif"), *out.rglob("*.tar")]
    assert files
    before = {path: path.stat().st_ino for path in files}
    export(kind, out, ["cap_ucm"], data_dir=str(releases))
    assert {path: path.stat().st_ino for path in files} == before


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from rs_gpt4v_builders.export import export, images

def copy_some(source, target, done=[]):
    done.append(target)
    if len(done) == 8:
        target.write_bytes(Path(source).read_bytes()[:100])
        os.kill(os.getpid(), signal.SIGKILL)
    shutil.copyfile(source, target)

images.PUT["copy"] = copy_some
export("hub", Path(sys.argv[1]), ["cap_ucm"], data_dir=sys.argv[2])
"""


def test_killed_while_copying_it_goes_on(releases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", _KILLED, str(out), str(releases)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    whole = {path: path.stat().st_ino for path in out.rglob("*.tif")}
    assert len(whole) == 7
    assert len(list(out.rglob(".*.part"))) == 1
    export("hub", out, ["cap_ucm"], data_dir=str(releases))
    assert {path: path.stat().st_ino for path in whole} == whole
    whole_export = export("hub", tmp_path / "whole", ["cap_ucm"], data_dir=str(releases))
    assert content(out) == content(whole_export)


def test_image_of_another_size_is_copied_again(releases: Path, tmp_path: Path) -> None:
    out = export("llava", tmp_path / "out", ["cap_ucm"], data_dir=str(releases))
    before = content(out)
    cut = next(out.rglob("*.tif"))
    cut.write_bytes(cut.read_bytes()[:-1])
    export("llava", out, ["cap_ucm"], data_dir=str(releases))
    assert content(out) == before


@pytest.mark.parametrize("how", ["hardlink", "symlink"])
def test_links_instead_of_copies(how: str, releases: Path, tmp_path: Path) -> None:
    out = export("hub", tmp_path / "out", ["cap_ucm"], data_dir=str(releases), images=how)
    image = next(out.rglob("*.tif"))
    assert image.samefile(
        releases / "UCM_captions" / image.relative_to(out / "images/UCM_captions")
    )
    assert image.is_symlink() == (how == "symlink")
    assert len(read_plain(out, tmp_path)["cap_ucm-train"]) > 0


def test_folder_with_other_things_is_refused(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ExportFolderError, match=r"is not empty and holds no export"):
        export("hub", tmp_path, ["cap_ucm"], data_dir=str(releases))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("mark", ["[1]", "{", "\\ud800", "{}"])
def test_folder_with_a_broken_mark_is_refused(mark: str, releases: Path, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(mark)
    with pytest.raises(ExportFolderError, match="Give a new folder"):
        export("llava", tmp_path, ["cap_ucm"], data_dir=str(releases))
    assert (tmp_path / MARKER).read_text() == mark


def test_two_exports_at_once_do_not_mix(releases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FileLock(out / f"{MARKER}.lock"), pytest.raises(InUseError):
        export("hub", out, ["cap_ucm"], data_dir=str(releases))
    assert [file.name for file in out.iterdir()] in ([], [f"{MARKER}.lock"])
    export("hub", out, ["cap_ucm"], data_dir=str(releases))  # what a kill leaves is no hindrance
    assert not (out / f"{MARKER}.lock").exists()


def test_folder_of_another_export_is_refused(releases: Path, tmp_path: Path) -> None:
    out = export("llava", tmp_path / "out", ["cap_ucm"], data_dir=str(releases))
    before = content(out)
    for kind, configs, options in (
        ("hub", ["cap_ucm"], {}),
        ("llava", ["cap_rsicd"], {}),
        ("llava", ["cap_ucm"], {"protocol": "release"}),
        ("llava", ["cap_ucm"], {"images": "symlink"}),
    ):
        with pytest.raises(ExportFolderError, match="holds another export"):
            export(kind, out, configs, data_dir=str(releases), **options)
    assert content(out) == before


def test_export_of_releases_that_changed_is_refused(releases: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(releases / "UCM_captions", root / "UCM_captions")
    out = export("llava", tmp_path / "out", ["cap_ucm"], data_dir=str(root))
    annotations = root / "UCM_captions/dataset.json"
    annotations.write_text(annotations.read_text() + "\n")
    with pytest.raises(ExportFolderError, match="from releases that have changed since"):
        export("llava", out, ["cap_ucm"], data_dir=str(root))


def test_absent_image_stops_the_export_and_names_it(releases: Path, tmp_path: Path) -> None:
    shutil.copytree(releases / "UCM_captions", tmp_path / "UCM_captions")
    next((tmp_path / "UCM_captions").rglob("*.tif")).unlink()
    with pytest.raises(RecordError, match=r"\.tif is missing"):
        export("hub", tmp_path / "out", ["cap_ucm"], data_dir=str(tmp_path))
    assert not (tmp_path / "out").exists()
    export("hub", tmp_path / "out", ["cap_ucm"], data_dir=str(tmp_path), on_missing="skip")


@pytest.mark.parametrize("wrong", [{"kind": "zip"}, {"images": "move"}])
def test_unknown_choice_names_the_known(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        export(**{"kind": "hub", "out": tmp_path / "out", "configs": ["cap_ucm"], **wrong})
    assert not (tmp_path / "out").exists()


# Names of images


def test_names_are_the_paths_below_the_root() -> None:
    names = image_names(["/data/UCM/imgs/1.tif", "/data/DIOR/a/1.jpg"], Path("/data"))
    assert names == {
        "/data/UCM/imgs/1.tif": "images/UCM/imgs/1.tif",
        "/data/DIOR/a/1.jpg": "images/DIOR/a/1.jpg",
    }


def test_name_outside_the_root_stays_inside_the_export() -> None:
    names = image_names(["/data/DIOR/1.jpg", "/data/own/up/DIOR/1.jpg"], Path("/data/own"))
    assert names["/data/DIOR/1.jpg"].startswith("images/up/DIOR/1")
    assert len(set(names.values())) == 2


def test_names_that_differ_in_case_or_odd_signs_stay_apart_in_any_order() -> None:
    paths = ["/r/a/B.tif", "/r/a/b.tif", "/r/a/x?.tif", "/r/a/x*.tif", "/r/a/é.tif"]
    paths.append("/r/a/e\u0301.tif")  # the same to some file systems
    assert len({name.casefold() for name in image_names(paths, Path("/r")).values()}) == 6
    every = [image_names(order, Path("/r")) for order in permutations(paths)]
    assert all(names == every[0] for names in every)


_PART = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@given(st.sets(st.lists(_PART, min_size=1, max_size=3).map(lambda p: "/r/" + "/".join(p) + ".tif")))
def test_any_names_are_unique_plain_and_below_images(paths: set[str]) -> None:
    different = {os.path.normpath(path) for path in paths}
    names = image_names(different, Path("/r"))
    assert len({name.casefold() for name in names.values()}) == len(different)
    for name in names.values():
        first, *folders, file = name.split("/")
        assert first == "images"
        assert file.count(".") <= 1
        assert all(part[0] not in "._" and not set(part) & set('*?[]<>:"\\|') for part in folders)


def test_folder_too_large_for_the_hub_is_parted() -> None:
    paths = [f"/r/NWPU/{n:05d}.jpg" for n in range(10_001)]
    names = image_names([*paths, "/r/UCM/1.tif"], Path("/r"))
    folders = [name.rpartition("/")[0] for name in names.values()]
    assert max(map(folders.count, set(folders))) < 100
    assert names["/r/UCM/1.tif"] == "images/UCM/1.tif"
    assert image_names(paths[:9_000], Path("/r"))[paths[0]] == "images/NWPU/00000.jpg"


def test_parted_folder_is_read_back(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_IN_A_FOLDER", 5)
    out = export("hub", tmp_path / "out", ["cap_ucm"], data_dir=str(releases))
    assert not list((out / "images/UCM_captions/imgs").glob("*.tif"))
    ours = undecoded(build("cap_ucm", releases)["train"])
    assert read_plain(out, tmp_path)["cap_ucm-train"] == ours


@pytest.fixture
def odd(releases: Path, tmp_path: Path) -> Path:
    """UCM-Captions with an image's name and a caption that are made to break things."""
    root = tmp_path / "root"
    shutil.copytree(releases / "UCM_captions", root / "UCM_captions")
    file = root / "UCM_captions/dataset.json"
    release = json_of(file)
    first = next(image for image in release["images"] if image["split"] == "train")
    image = next(root.rglob(first["filename"]))
    first["filename"] = '<b>a b&"ü[1]*.json%20.tif'
    first["sentences"][0]["raw"] = '<script>alert("1")</script> \u2028 "quoted" {} 飞机 .'
    image.rename(image.with_name(first["filename"]))
    file.write_text(json.dumps(release), encoding="utf-8")
    return root


@KIND
def test_odd_names_and_captions_survive(kind: str, odd: Path, tmp_path: Path) -> None:
    out = export(kind, tmp_path / "out", ["cap_ucm"], data_dir=str(odd))
    ours = undecoded(build("cap_ucm", odd)["train"])
    said = next(row["messages"][1]["content"] for row in ours if "script" in str(row["messages"]))
    pixels = digest(next(odd.rglob("*ü*")))
    found = _READERS[kind](out, tmp_path)
    assert [image for answer, image in found if answer == said] == [pixels]
    assert len(found) == len(ours)


def with_caption(root: Path, words: str) -> str:
    """Put ``words`` into the caption of a training image; return the row's id."""
    file = root / "UCM_captions/dataset.json"
    release = json_of(file)
    image = [image for image in release["images"] if image["split"] == "train"][1]
    image["sentences"][0]["raw"] = words
    file.write_text(json.dumps(release), encoding="utf-8")
    return f"ucm_captions/train/{Path(image['filename']).stem}/0"


@pytest.mark.parametrize(
    ("kind", "marker"),
    [
        *(("ms_swift", marker) for marker in ("<bbox>", "<ref-object>", "<cot-process>")),
        *(("llava", marker) for marker in ("</s>", "ASSISTANT: ", "<im_patch>")),
    ],
)
def test_words_that_a_tool_would_take_for_its_own_are_refused(
    kind: str, marker: str, odd: Path, tmp_path: Path
) -> None:
    row = with_caption(odd, f"a {marker}plane .")
    with pytest.raises(
        ValueError, match=rf"^{row}: its text holds '{marker}', a special token of {kind}\."
    ):
        export(kind, tmp_path / "out", ["cap_ucm"], data_dir=str(odd))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "marker"), [("hub", "<image>"), ("lmms_eval", "<video>"), ("vlmevalkit", "<audio>")]
)
def test_no_export_has_words_that_mark_an_image(
    kind: str, marker: str, odd: Path, tmp_path: Path
) -> None:
    row = with_caption(odd, f"a {marker} of a plane .").rpartition("/")[0]
    with pytest.raises(RecordError, match=rf"{row}: .*: one of its captions holds '{marker}'"):
        export({**FORMATS, **HARNESSES}[kind], tmp_path / "out", ["cap_ucm"], data_dir=str(odd))


def test_another_tool_s_signs_are_words(odd: Path, tmp_path: Path) -> None:
    with_caption(odd, "a <bbox> plane .")
    out = export("sharegpt", tmp_path / "out", ["cap_ucm"], data_dir=str(odd))
    assert any(said == "a <bbox> plane ." for said, _ in _sharegpt_answers(out, tmp_path))


def _hub_answers(out: Path, tmp_path: Path) -> list[tuple[str, str]]:
    rows = read_plain(out, tmp_path)["cap_ucm-train"]
    return [(row["messages"][1]["content"], row["images"][0]) for row in rows]


def _llava_answers(out: Path, _: Path) -> list[tuple[str, str]]:
    items = json_of(out / "cap_ucm-train.json")
    return [(i["conversations"][1]["value"], digest(out / i["image"])) for i in items]


def _sharegpt_answers(out: Path, _: Path) -> list[tuple[str, str]]:
    items = json_of(out / "cap_ucm-train.json")
    return [(i["messages"][1]["content"], digest(out / i["images"][0])) for i in items]


def _ms_swift_answers(out: Path, _: Path) -> list[tuple[str, str]]:
    items = lines_of(out / "cap_ucm-train.jsonl")
    return [(i["messages"][1]["content"], digest(out / i["images"][0])) for i in items]


def _webdataset_answers(out: Path, _: Path) -> list[tuple[str, str]]:
    return [
        (row["messages"][1]["content"], hashlib.sha256(sample["tif"]).hexdigest())
        for sample in samples_of(out / "train-000000.tar")
        for row in json.loads(sample["json"])["rows"]
    ]


def samples_of(shard: Path, *, decode: bool = False) -> list[Row]:
    """What `webdataset` makes of a shard; it leaves closing the file to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        samples = webdataset.WebDataset(str(shard), shardshuffle=False)
        found = list(
            samples.decode("pil").rename(image="tif;jpg;png", json="json") if decode else samples
        )
        del samples
        gc.collect()
    return found


_READERS = {
    "hub": _hub_answers,
    "llava": _llava_answers,
    "sharegpt": _sharegpt_answers,
    "ms_swift": _ms_swift_answers,
    "webdataset": _webdataset_answers,
}


# Each format's contract


def test_llava_dialogues_are_read_back_by_our_own_reader(
    exported: dict[str, Path], releases: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported["llava"] / "images", tmp_path / "RS_GPT4V_Instruct/images")
    ours = build("conversation", releases)
    for split in ours:
        file = f"RS_GPT4V_Instruct/conversation_{split}.json"
        shutil.copy(exported["llava"] / f"conversation-{split}.json", tmp_path / file)
    again = build("conversation", tmp_path)
    for split, rows in ours.items():
        assert again[split]["messages"] == rows["messages"]
        assert [row["images"] for row in undecoded(again[split])] == [
            row["images"] for row in undecoded(rows)
        ]


def test_llava_marks_the_image_once_at_the_start(exported: dict[str, Path]) -> None:
    for file in exported["llava"].glob("*-*.json"):
        for item in json_of(file):
            first, *others = item["conversations"]
            assert first["from"] == "human"
            assert first["value"].startswith("<image>\n")
            assert not any("<image>" in turn["value"] for turn in others)


def test_sharegpt_is_as_llama_factory_documents_it(exported: dict[str, Path]) -> None:
    known = json_of(exported["sharegpt"] / "dataset_info.json")
    files = {file.stem for file in exported["sharegpt"].glob("*-*.json")}
    assert set(known) == files
    for name, entry in known.items():
        assert entry["formatting"] == "sharegpt"
        tags, columns = entry["tags"], entry["columns"]
        for item in json_of(exported["sharegpt"] / entry["file_name"]):
            turns, images = item[columns["messages"]], item[columns["images"]]
            roles = [turn[tags["role_tag"]] for turn in turns]
            assert roles == [tags["user_tag"], tags["assistant_tag"]] * (len(turns) // 2), name
            words = "".join(turn[tags["content_tag"]] for turn in turns)
            assert words.count("<image>") == len(images)
            assert all((exported["sharegpt"] / image).is_file() for image in images)


@pytest.mark.parametrize("config", ["grounding", "region_caption"])
def test_ms_swift_objects_fill_the_placeholders(
    config: str, exported: dict[str, Path], releases: Path
) -> None:
    ours = build(config, releases)["train"]
    items = lines_of(exported["ms_swift"] / f"{config}-train-boxes.jsonl")
    assert not (exported["ms_swift"] / f"{config}-train.jsonl").exists()
    for item, row in zip(items, undecoded(ours), strict=True):
        objects = item["objects"]
        assert objects["bbox_type"] == "real"
        assert objects["bbox"] == [row["boxes"][0]["points"]]
        words = [message["content"] for message in item["messages"]]
        assert "".join(words).count("<bbox>") == len(objects["bbox"])
        assert "".join(words).count("<ref-object>") == len(objects["ref"])
        text = row["messages"][1 if config == "grounding" else 0]["content"]
        box = text[text.index("[") : text.index("]") + 1]
        filled = [
            w.replace("<bbox>", box).replace("<ref-object>", objects["ref"][0]) for w in words
        ]
        assert filled[0] == "<image>\n" + row["messages"][0]["content"]
        assert filled[1] == row["messages"][1]["content"]


def test_ms_swift_parts_a_mixture_so_that_each_file_has_one_set_of_fields(
    releases: Path, tmp_path: Path
) -> None:
    out = export("ms_swift", tmp_path / "out", data_dir=str(releases), images="symlink")
    plain, boxed = (lines_of(out / f"all-train{part}.jsonl") for part in ("", "-boxes"))
    assert {frozenset(item) for item in plain} == {frozenset(["id", "messages", "images"])}
    assert {frozenset(item) for item in boxed} == {
        frozenset(["id", "messages", "images", "objects"])
    }
    ids = build("all", releases)["train"]["id"]
    assert sorted(item["id"] for item in (*plain, *boxed)) == sorted(ids)


def names_in(tar: Path) -> list[str]:
    with tarfile.open(tar) as shard:
        return shard.getnames()


def shards(releases: Path, out: Path, **options: Any) -> Path:
    return export("webdataset", out, CONFIGS, data_dir=str(releases), **options)


def test_webdataset_reads_every_row_with_its_image(
    exported: dict[str, Path], releases: Path
) -> None:
    samples = samples_of(exported["webdataset"] / "train-000000.tar", decode=True)
    assert len({sample["json"]["image"] for sample in samples}) == len(samples)
    for sample in samples:
        assert isinstance(sample["image"], Image.Image)
        assert sample["image"].size == (sample["json"]["width"], sample["json"]["height"])
    rows = {row["id"]: row for sample in samples for row in sample["json"]["rows"]}
    ours = [row for config in CONFIGS for row in undecoded(build(config, releases)["train"])]
    assert rows == {
        row["id"]: {k: row[k] for k in row if k not in ("images", "width", "height")}
        for row in ours
    }


def test_plain_datasets_streams_the_shards(exported: dict[str, Path], releases: Path) -> None:
    found = datasets.load_dataset(str(exported["webdataset"]), streaming=True)
    for split, samples in found.items():
        ids = [row["id"] for sample in samples for row in sample["json"]["rows"]]
        ours = [build(config, releases) for config in CONFIGS]
        assert sorted(ids) == sorted(i for of in ours if split in of for i in of[split]["id"])
    first = next(iter(found["train"]))
    assert first["tif"].size == (first["json"]["width"], first["json"]["height"])


def test_shards_are_cut_by_size_and_resumed(releases: Path, tmp_path: Path) -> None:
    out = shards(releases, tmp_path / "out", shard_bytes=1_000_000)
    whole = content(out)
    tars = sorted(out.glob("train-*.tar"))
    assert len(tars) > 2
    names = [name for tar in tars for name in names_in(tar)]
    assert names == sorted(names, key=lambda name: name.split(".")[0])
    assert len(set(names)) == len(names)
    kept = tars[0].stat().st_ino
    tars[1].unlink()
    with tarfile.open(tars[2]) as shard:
        text = shard.getmembers()[1]
    damaged = bytearray(tars[2].read_bytes())
    damaged[text.offset_data + 20] ^= 1
    tars[2].write_bytes(damaged)
    shutil.copy(tars[0], out / "train-000999.tar")
    shards(releases, out, shard_bytes=1_000_000)
    assert content(out) == whole
    assert tars[0].stat().st_ino == kept


def test_a_group_and_its_member_would_have_rows_twice(releases: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cap_ucm: given twice"):
        export("webdataset", tmp_path / "out", ["captioning", "cap_ucm"], data_dir=str(releases))


def test_rows_of_an_image_are_one_sample_wherever_they_stand() -> None:
    names = ["b.tif", "a.tif", "b.tif", "a.tif"]
    rows = datasets.Dataset.from_dict(
        {"id": list("1234"), "images": [[{"bytes": None, "path": name}] for name in names]},
    )
    sorted_rows = web_dataset._by_image(_Material(rows), "train")  # type: ignore[arg-type]
    assert sorted_rows["id"] == ["1", "3", "2", "4"]


class _Material:
    def __init__(self, rows: datasets.Dataset) -> None:
        self.configs = {"c": {"train": rows}}


def test_hub_card_tells_sources_citations_and_limits(exported: dict[str, Path]) -> None:
    text = (exported["hub"] / "README.md").read_text(encoding="utf-8")
    assert "UCM-Captions" in text
    assert "NWPU" not in text
    assert text.count("@article{xu2024rsgpt4v,") == 1
    assert "## Limits and bias\n\n* " in text
    assert "Synthetic" not in text  # these have been given as releases
    assert "\nlicense: other\n" in text
    assert "No record was left out." in text


def test_hub_card_tells_what_was_left_out(releases: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(releases / "UCM_captions", root / "UCM_captions")
    next((root / "UCM_captions").rglob("*.tif")).unlink()
    options: dict[str, Any] = {"data_dir": str(root), "on_missing": "skip"}
    text = (export("hub", tmp_path / "out", ["cap_ucm"], **options) / "README.md").read_text()
    assert re.search(r"\| `cap_ucm` \| \w+ \| ucm_captions \| \d+ \| image is missing \|", text)


# The verb, and the Hub


class FakeHub(BaseHTTPRequestHandler):
    """The addresses that `huggingface_hub` uses to make a repository and commit files to it."""

    requests: list[tuple[str, Any]]
    blobs: dict[str, bytes]
    files: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/commit/main"):
            answer = self.commit([json.loads(line) for line in body.splitlines()])
        else:
            sent = json.loads(body)
            self.requests.append((self.path, sent))
            answer = self.answer(sent)
        self.send(json.dumps(answer).encode())

    def do_PUT(self) -> None:
        self.blobs[self.path.rpartition("/")[2]] = self.rfile.read(
            int(self.headers["Content-Length"])
        )
        self.send(b"")

    def answer(self, sent: Any) -> Any:
        here = f"http://{self.headers['Host']}"
        if self.path.endswith("/repos/create"):
            return {"url": f"{here}/datasets/user/rows"}
        if self.path.endswith("/preupload/main"):
            mode = {"README.md": "regular"}
            return {
                "files": [
                    {
                        "path": f["path"],
                        "uploadMode": mode.get(f["path"], "lfs"),
                        "shouldIgnore": False,
                    }
                    for f in sent["files"]
                ]
            }
        if self.path.endswith("/lfs/objects/batch"):
            upload = [
                o | {"actions": {"upload": {"href": f"{here}/blobs/{o['oid']}"}}}
                for o in sent["objects"]
            ]
            return {"transfer": "basic", "objects": upload}
        return {"errors": [], "warnings": []}

    def commit(self, lines: list[Row]) -> Row:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.blobs[value["oid"]]
        oid = "0" * 40
        return {
            "commitOid": oid,
            "commitUrl": f"http://{self.headers['Host']}/datasets/user/rows/commit/{oid}",
        }

    def send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.git-lfs+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def fake_hub() -> Iterator[tuple[str, type[FakeHub]]]:
    handler = type("Hub", (FakeHub,), {"requests": [], "blobs": {}, "files": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_verb_exports_and_pushes(
    fake_hub: tuple[str, type[FakeHub]], releases: Path, tmp_path: Path
) -> None:
    address, received = fake_hub
    out = tmp_path / "out"
    command = [sys.executable, "-m", "rs_gpt4v.cli", "export", "hub", str(out), "cap_ucm"]
    # huggingface_hub reads these when it is imported.
    environment = os.environ | {
        "HF_ENDPOINT": address,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_of_nobody",
    }
    done = subprocess.run(
        [*command, "--data-dir", str(releases), "--push", "user/rows"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"Exported: {out}\nPushed: {address}/datasets/user/rows\n" in done.stdout
    created = dict(received.requests)["/api/repos/create"]
    assert created.get("private") or created["visibility"] == "private"  # before, and from hub 2 on
    assert created["type"] == "dataset"
    arrived = {name: hashlib.sha256(data).hexdigest() for name, data in received.files.items()}
    arrived.pop(".gitattributes", None)
    here = content(out)
    del here[MARKER]
    assert arrived == here


def test_push_of_another_kind_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["export", "llava", str(out), "cap_ucm", "--sample", "--push", "user/rows"]
    result = CliRunner().invoke(app, arguments)
    assert "--push uploads a hub export" in str(result.exception)
    assert not out.exists()


def test_verb_says_what_is_wrong_with_the_folder(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    arguments = ["export", "llava", str(tmp_path), "cap_ucm", "--data-dir", str(releases)]
    result = CliRunner().invoke(app, arguments)
    assert "holds no export" in str(result.exception)


def test_push_is_public_only_where_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[bool] = []

    class Api:
        def create_repo(self, repo: str, *, private: bool, **_: object) -> Any:
            asked.append(private)
            return type("Url", (str,), {"repo_id": repo})(f"https://hub/datasets/{repo}")

        def upload_folder(self, **_: object) -> None:
            """Take what comes."""

    monkeypatch.setattr(hub, "HfApi", Api)
    hub.push(tmp_path, "user/rows")
    hub.push(tmp_path, "user/rows", private=False)
    assert asked == [True, False]
