"""Croissant metadata: mlcroissant accepts it, and reads the rows by it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_builders import CONFIGS, sources_of
from rs_gpt4v_builders.croissant import of_source
from rs_gpt4v_builders.export import export
from rs_gpt4v_builders.sources import rsvqa_lr

mlcroissant = pytest.importorskip("mlcroissant")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of mlcroissant's libraries


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Path:
    out = tmp_path_factory.mktemp("croissant") / "hub"
    return export("hub", out, ["cap_ucm", "grounding"], data_dir=str(releases))


def plain(value: Any) -> Any:
    """A record as Arrow has it: mlcroissant gives bytes, and names of fields in full."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["cap_ucm-train", "grounding-test"])
def test_rows_are_read_by_the_description(exported: Path, name: str) -> None:
    import pyarrow.parquet as pq

    dataset = mlcroissant.Dataset(jsonld=str(exported / "croissant.json"))
    rows = pq.read_table(exported / f"{name}.parquet").to_pylist()
    assert [plain(record) for record in dataset.records(name)] == rows


def test_description_of_an_export_names_sources_and_citations(exported: Path) -> None:
    described = json.loads((exported / "croissant.json").read_text(encoding="utf-8"))
    assert [source["name"] for source in described["isBasedOn"]] == ["UCM-Captions", "DIOR-RSVG"]
    assert described["citeAs"].startswith("@article{xu2024rsgpt4v")
    images = described["distribution"][-1]
    assert images["includes"] == ["images/**"]
    assert images["encodingFormat"] == ["image/jpeg", "image/tiff"]


def test_own_files_get_no_licence_or_citation_that_nobody_stated(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("image,caption\na.png,A field.\n")
    out = export("hub", tmp_path / "out", ["folder"], data_dir=str(tmp_path))
    described = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert not described.keys() & {"license", "citeAs", "url", "isBasedOn"}
    (record,) = mlcroissant.Dataset(jsonld=str(out / "croissant.json")).records("folder-train")
    assert plain(record)["references"] == ["A field."]


@pytest.mark.parametrize("source", sources_of(*CONFIGS), ids=lambda source: source.name)
def test_descriptions_of_sources_are_valid(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=of_source(source))
    assert dataset.metadata.name == source.title
    known = [file for file in source.downloads if (file.checksum or "").startswith(("md5", "sha"))]
    assert len(dataset.metadata.distribution) == len(known)


def test_verb_writes_a_file_for_each_source(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["sources", "vqa_lr", "--croissant", str(tmp_path / "new")])
    assert done.exit_code == 0
    described = json.loads((tmp_path / "new/rsvqa_lr.json").read_text(encoding="utf-8"))
    assert described["citeAs"] == rsvqa_lr.SOURCE.citation
    images = {file["name"]: file for file in described["distribution"]}["Images_LR.zip"]
    assert f"md5:{images['md5']}" == rsvqa_lr.SOURCE.downloads[-1].checksum
    assert images["encodingFormat"] == "application/zip"
