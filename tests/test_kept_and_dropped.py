"""What is read is what is kept and what is listed: every source, with one fault at a time."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders import all_sources
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source
from rs_gpt4v_builders.usable_records import RecordError, good_records

SOURCES = {source.name: source for source in all_sources()}
TREES = ["dior", "dior_oriented", "dior_rsvg"]
JSONS = [name for name in SOURCES if name not in (*TREES, "rsivqa")]
ODD = [None, 5, "", " ", "half \ud800", ["a"], [["a"]], {"a": 1}, True, 10**30, float("nan")]
"""What a value of JSON may be replaced by."""
DELETED = object()


@pytest.fixture
def root(releases: Path, tmp_path: Path) -> Path:
    """The sample, its annotation files to break; folders of images are links."""
    root = tmp_path / "root"
    for folder, names, found in os.walk(releases):
        here = root / Path(folder).relative_to(releases)
        here.mkdir(exist_ok=True)
        for name in [name for name in names if "mage" in name or name in ("imgs", "Data")]:
            if name != "ImageSets":
                names.remove(name)
                (here / name).symlink_to(Path(folder, name))
        for name in found:
            shutil.copy(Path(folder, name), here)
    return root


def outcome(
    root: Path, source: Source, protocol: Protocol = "paper"
) -> tuple[int, list[dict[str, str]]]:
    """How many records of all splits are kept, and the lines of those that are dropped.

    Without "skip" the first of each split's lines is the error.
    """
    folder, log = source.find(root), root / "log"
    assert folder is not None
    log.mkdir(exist_ok=True)
    kept, dropped = 0, []
    for split in source.splits(protocol):
        options: Any = {"protocol": protocol, "log_dir": log}
        kept += good_records(source, folder, split, on_missing="skip", **options).num_rows
        file = log / f"dropped-{source.name}-{split}.jsonl"
        lines = (
            [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        )
        file.unlink(missing_ok=True)
        dropped += lines
        if lines:
            with pytest.raises(RecordError) as error:
                good_records(source, folder, split, on_missing="raise", **options)
            assert str(error.value).startswith(f"{lines[0]['id']}: {lines[0]['reason']} (")
    for line in dropped:
        assert line.keys() == {"id", "kind", "reason"}
        assert all(line.values())
    return kept, dropped


def files(source: Source, root: Path) -> list[Path]:
    folder = source.find(root)
    assert folder is not None
    return [source.path(folder, file) for file in source.annotation_files()]


def records_of(content: Any) -> list[dict[str, Any]]:
    """The records in the JSON of any of the sources, to be changed in place."""
    if isinstance(content, dict):
        lists = [v for v in content.values() if isinstance(v, list)]
        content = [row for rows in lists for row in rows] if lists else list(content.values())
    return [row for row in content if row.get("active", True)]


def count(source: Source, root: Path) -> int:
    """The records of a source whose annotation files are JSON, counted without its reader."""
    jsons = [file for file in files(source, root) if file.suffix == ".json"]
    lists = [file for file in jsons if not file.stem.endswith("_answers")]
    return sum(len(records_of(json.loads(file.read_text()))) for file in lists)


def plant(file: Path, whole: str, value: object) -> Iterator[int]:
    """Put ``value`` in the place of each key's, each in a record of its own; how many at a time."""
    keys = list(records_of(json.loads(whole))[-1])
    while keys:
        content = json.loads(whole)
        found = records_of(content)[-len(keys) :]
        for record in found:
            key = keys.pop()
            record |= {key: value}
            if value is DELETED:
                del record[key]
        file.write_text(json.dumps(content))
        yield len(found)


@pytest.mark.parametrize("name", JSONS)
class TestJson:
    def test_any_odd_value_costs_its_own_record_at_most(self, name: str, root: Path) -> None:
        source = SOURCES[name]
        file, whole = files(source, root)[0], count(source, root)
        text = file.read_text()
        assert outcome(root, source) == (whole, [])
        for value in (*ODD, DELETED):
            costs = 0
            for faults in plant(file, text, value):
                kept, dropped = outcome(root, source)
                # A scene's image and its class stand in two files: each may lack the other.
                twice = faults if name == "rsicd_scenes" else 0
                assert whole <= kept + len(dropped) <= whole + twice, value
                assert len(dropped) <= faults + twice, value
                costs += len(dropped)
            assert costs >= 2, value

    def test_missing_image_is_listed(self, name: str, root: Path) -> None:
        source = SOURCES[name]
        whole = count(source, root)
        folder = source.find(root)
        assert folder is not None
        image = Path(source.read(folder, "train")["image"][0].as_py()).name
        for link in [path for path in root.rglob("*") if path.is_symlink()]:
            images = link.resolve()
            link.unlink()
            shutil.copytree(images, link, ignore=lambda *_: [image], symlinks=True)
        kept, dropped = outcome(root, source)
        assert kept + len(dropped) == whole
        assert {line["kind"] for line in dropped} == {"image is missing"}

    def test_record_that_is_no_object_is_told(self, name: str, root: Path) -> None:
        source = SOURCES[name]
        file = files(source, root)[0]
        text = file.read_text()
        start = text.index("{", text.index("[") if "[" in text[:80] else 1)
        _, end = json.JSONDecoder().raw_decode(text, start)
        file.write_text(f"{text[:start]}7{text[end:]}")
        if "instruct" in name:
            _, (line,) = outcome(root, source)
            assert line["kind"] == "item of another form"
        else:
            with pytest.raises(AnnotationError, match=rf"{file.name}.*\b7\b"):
                outcome(root, source)


@pytest.mark.parametrize(
    "name", ["nwpu_captions", "rsicd", "rsitmd", "sydney_captions", "ucm_captions"]
)
def test_unknown_split_is_listed_with_train(name: str, root: Path) -> None:
    source = SOURCES[name]
    file = files(source, root)[0]
    content = json.loads(file.read_text())
    for split in ("trian", "validation", "Train", None, 3):
        records_of(content)[2]["split"] = split
        file.write_text(json.dumps(content))
        kept, (line,) = outcome(root, source)
        assert kept + 1 == count(source, root)
        assert line["kind"] == "unknown split"
        assert line["id"].startswith(f"{name}/train/")
        assert f"split is {split!r}, not one of train" in line["reason"]


def test_rsitmd_s_readers_would_lose_a_validation_split(root: Path) -> None:
    """Copies that were cut further say "val", which the release has not."""
    file = root / "RSITMD/dataset_RSITMD.json"
    content = json.loads(file.read_text())
    for image in content["images"][:3]:
        image["split"] = "val"
    file.write_text(json.dumps(content))
    kept, dropped = outcome(root, SOURCES["rsitmd"])
    assert (kept, len(dropped)) == (len(content["images"]) - 3, 3)
    assert "split is 'val', not one of train, test" in dropped[0]["reason"]


@pytest.mark.parametrize("name", ["rsvqa_lr", "rsvqa_hr"])
class TestAnswers:
    def test_odd_answer_costs_its_question(self, name: str, root: Path) -> None:
        source = SOURCES[name]
        for value in ODD:
            self.change(source, root, {"answer": value})
            kept, (line,) = outcome(root, source)
            assert kept + 1 == count(source, root)
            assert line["kind"] in ("no answer", "value of another type")
            assert isinstance(value, str | None) or "'answer' is" in line["reason"]

    def test_answer_to_no_question_is_told(
        self, name: str, root: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.change(SOURCES[name], root, {"question_id": 10**6})
        _, (line,) = outcome(root, SOURCES[name])
        assert line["kind"] == "no answer"
        assert "1 answers name no question of the split, such as question 1000000" in caplog.text

    def change(self, source: Source, root: Path, values: dict[str, object]) -> None:
        file = files(source, root)[1]
        content = json.loads(file.read_text())
        records_of(content)[1].update(values)
        file.write_text(json.dumps(content))


LINES = ["{} a?no", "{}: no", "{}:a?", "{}: a? ", "no line", "{}:<image>?no"]


@pytest.mark.parametrize("protocol", ["paper", "release"])
def test_a_broken_line_of_rsivqa_is_listed(protocol: Protocol, root: Path) -> None:
    source = SOURCES["rsivqa"]
    before, none = outcome(root, source, protocol)
    assert not none
    file, training = (source.path(root / "RSIVQA", f) for f in source.files("train", "paper"))
    name = training.read_text().split()[0]
    text = file.read_text()
    for line in LINES:
        file.write_text(f"{text}{line.format(name)}\n")
        kept, (dropped,) = outcome(root, source, protocol)
        assert kept == before
        assert dropped["id"].startswith("rsivqa/train/opt_val_vqa/")


ODD_OBJECTS = {
    "<name>": "<name/><name>",
    "<xmin>": "<xmin>x",
    "<ymax>": "<ymax>nan</ymax><ymax>",
    "<filename>": "<filename>9.jpg</filename><filename>",
}
OTHER_DOCUMENTS = {
    "<html><body>404 not found</body></html>": "expected <annotation>, found a document of <html>",
    "<annotations><object/></annotations>": "expected <annotation>, found .* <annotations>",
    "<annotation><object>": "expected XML, but ",
    "": "expected XML, but ",
    '{"images": []}': "expected XML, but ",
    "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>": "expected XML without a DTD",
}


class TestTrees:
    @pytest.mark.parametrize("protocol", ["paper", "release"])
    @pytest.mark.parametrize("name", ["dior", "dior_rsvg"])
    def test_an_odd_object_costs_itself_or_its_image(
        self, name: str, protocol: Protocol, root: Path
    ) -> None:
        source = SOURCES[name]
        before, none = outcome(root, source, protocol)
        assert not none
        file = self.first(source, root)
        text = file.read_text()
        for old, new in ODD_OBJECTS.items():
            file.write_text(text.replace(old, new, 1))
            kept, dropped = outcome(root, source, protocol)
            assert kept + len(dropped) == before
            of_image = old == "<filename>" and name == "dior_rsvg"  # each object is a record
            assert len(dropped) == (text.count("<object>") if of_image else 1)

    @pytest.mark.parametrize("name", TREES)
    def test_another_document_is_an_error(self, name: str, root: Path) -> None:
        file = self.first(SOURCES[name], root)
        for content, said in OTHER_DOCUMENTS.items():
            file.write_text(content)
            with pytest.raises(AnnotationError, match=f"{file.name}: {said}"):
                outcome(root, SOURCES[name])

    def first(self, source: Source, root: Path) -> Path:
        folder = next(path for path in files(source, root) if path.is_dir())
        return min(folder.glob("*.xml"))


class TestAdvice:
    def test_a_file_that_is_not_the_released_one_is_named(self, root: Path) -> None:
        file = root / "RSICD_optimal/dataset_rsicd.json"
        file.write_text('{"images": [')
        with pytest.raises(AnnotationError) as error:
            outcome(root, SOURCES["rsicd"])
        assert "dataset_rsicd.json is not the released file (its checksum is git:" in str(
            error.value
        )
        assert "move it away and `rs-gpt4v download rsicd`" in str(error.value)

    def test_where_nothing_is_known_of_it_both_are_said(self, root: Path) -> None:
        file = root / "UCM_captions/dataset.json"
        file.write_text('{"images": [')
        with pytest.raises(
            AnnotationError, match="Mend it there, if the file is your own; the rel"
        ):
            outcome(root, SOURCES["ucm_captions"])
