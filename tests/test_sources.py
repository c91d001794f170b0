"""What `rs-gpt4v sources` tells: what is found, what is missing, and where to get it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SHARED, needs_shared
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_builders import CONFIGS, all_sources
from rs_gpt4v_builders.inventory import (
    choose,
    count_images,
    human_size,
    inventory,
    to_json,
    to_text,
)
from rs_gpt4v_builders.sources import (
    dior,
    dior_rsvg,
    rsivqa,
    ucm_captions,
)
from rs_gpt4v_builders.sources.source import Source

EVERY_SOURCE = pytest.mark.parametrize("source", all_sources(), ids=lambda source: source.name)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["sources", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def text(source: Source, root: Path | None) -> str:
    """The text on one source, with runs of white space as one blank."""
    return " ".join(to_text(inventory(root, [source]), root).split())


@EVERY_SOURCE
class TestProvenance:
    def test_pages_are_addresses(self, source: Source) -> None:
        for page in (source.homepage, *source.mirrors):
            assert re.fullmatch(r"https://[\w.-]+\.\w+(/\S*)?( \(.+\))?", page)

    def test_licence_and_size_are_stated(self, source: Source) -> None:
        assert source.license
        assert source.size

    def test_citation_is_bibtex(self, source: Source) -> None:
        assert re.match(r"@(article|inproceedings)\{\w+, ", source.citation)
        assert source.citation.count("{") == source.citation.count("}")
        for name in ("title", "author", "year"):
            assert re.search(rf" {name}=\{{[^{{}}]+\}}", source.citation)

    def test_downloads_are_of_a_fixed_version_and_needed(self, source: Source) -> None:
        fixed = (
            r"https://(zenodo\.org/records/\d+/files|\S+\.githubusercontent\.com/\S+/[0-9a-f]{40})/"
        )
        lacking = to_json(inventory(None, [source]))[0]["lacking"]
        for download in source.downloads:
            assert re.match(fixed, download.url)
            assert download.gives in lacking
            if download.checksum is not None:
                kinds = r"(md5:[0-9a-f]{32}|git:[0-9a-f]{40}|sha256:[0-9a-f]{64})"
                assert re.fullmatch(kinds, download.checksum)

    def test_archives_have_a_checksum(self, source: Source) -> None:
        """Nothing else guards what is unpacked."""
        assert all(download.checksum for download in source.downloads if download.unpack)

    def test_where_to_get_it_is_told_without_a_data_root(self, source: Source) -> None:
        told = text(source, None)
        assert f"missing {source.title}: " in told
        assert f"expected {source.folders[0]}/ with {source.annotation_files()[0]}" in told
        for page in (source.homepage, *source.mirrors):
            assert page in told
        assert ("fetch rs-gpt4v download " in told) is bool(source.downloads)
        (found,) = to_json(inventory(None, [source]))
        assert ("by hand" in told) is (len(found["to_fetch"]) < len(found["lacking"]))


def test_no_line_is_wider_than_a_terminal() -> None:
    longest = max(to_text(inventory(None), None, citations=True).splitlines(), key=len)
    assert len(longest) <= 100


class TestStatus:
    @pytest.fixture
    def root(self, releases: Path, tmp_path: Path) -> Path:
        shutil.copytree(releases / "UCM_captions", tmp_path / "UCM_captions")
        return tmp_path

    @pytest.fixture
    def ucm(self, root: Path) -> Source:
        """UCM-Captions, were it as small as the sample."""
        number = count_images(ucm_captions.SOURCE, root / "UCM_captions")
        assert number > 10
        return replace(ucm_captions.SOURCE, image_count=number)

    def test_found_is_two_facts(self, root: Path, ucm: Source) -> None:
        assert text(ucm, root) == (
            f"{root}: 1 found found UCM-Captions: (no config: dialogues are generated from it) "
            f"at {root}/UCM_captions ({ucm.image_count} of {ucm.image_count} images) "
            f"licence {ucm.license}"
        )

    def test_absent_image_makes_it_partial(self, root: Path, ucm: Source) -> None:
        next((root / "UCM_captions/imgs").iterdir()).unlink()
        told = text(ucm, root)
        assert "1 partial" in told
        assert "missing 1 image licence" in told
        assert "images complete the folder by hand" in told
        assert ucm.homepage in told

    def test_absent_folder_of_images_makes_it_partial(self, root: Path, ucm: Source) -> None:
        shutil.rmtree(root / "UCM_captions/imgs")
        assert f"missing imgs/; {ucm.image_count} images licence" in text(ucm, root)

    def test_two_files_of_one_image_count_once(self, root: Path, ucm: Source) -> None:
        image = next((root / "UCM_captions/imgs").iterdir())
        shutil.copy(image, image.with_suffix(".PNG"))
        assert inventory(root, [ucm])[0].images == ucm.image_count

    def test_what_only_the_release_protocol_needs_is_told_apart(self, tmp_path: Path) -> None:
        (tmp_path / "DIOR_RSVG/Annotations").mkdir(parents=True)
        told = text(dior_rsvg.SOURCE, tmp_path)
        assert (
            'missing JPEGImages/; for protocol="release" only: train.txt, val.txt, test.txt; '
            "17,402 images"
        ) in told
        assert "fetch rs-gpt4v download dior_rsvg: train.txt, val.txt, test.txt (218.8 kB)" in told
        assert "by hand JPEGImages/" in told


class TestCommand:
    def test_every_source_and_config_is_there(self) -> None:
        told = run()
        assert all(source.title in told for source in all_sources())
        assert all(name in told for name in CONFIGS)

    def test_names_choose(self, tmp_path: Path) -> None:
        told = json.loads(run("captioning", "rsvqa_hr", "--data-dir", tmp_path, "--json"))
        assert [source["name"] for source in told] == [
            *("nwpu_captions", "rsicd", "rsitmd", "sydney_captions", "ucm_captions", "rsvqa_hr")
        ]

    def test_json_holds_what_a_script_needs(self, tmp_path: Path) -> None:
        (told,) = json.loads(run("vqa_lr", "--data-dir", tmp_path, "--json"))
        assert told["status"] == "missing"
        assert told["configs"] == ["vqa_lr"]
        assert told["images"] == {"found": None, "expected": 772}
        assert told["by_hand"] == []
        assert told["to_fetch"] == told["lacking"] == told["expected_files"]
        assert told["downloads"][-1] == {
            "url": "https://zenodo.org/records/6344334/files/Images_LR.zip",
            "file": "Images_LR.zip",
            "size": 95_008_155,
            "checksum": "md5:2329258d74d54600628b8652a0e42672",
            "unpacks_to": "Images_LR",
        }
        assert {"homepage", "mirrors", "license", "citation", "size", "note", "folder"} < set(told)

    def test_citations_are_told_where_asked_for(self) -> None:
        assert "@article{lobry2020rsvqa" not in run("vqa_lr")
        assert "@article{lobry2020rsvqa" in run("vqa_lr", "--citations")

    def test_data_root_that_is_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="is no folder: give the releases' parent"):
            run("--data-dir", tmp_path / "nowhere")


def test_names_of_configs_groups_and_sources_choose() -> None:
    assert choose(["grounding", "dior", "region_caption"]) == [dior_rsvg.SOURCE, dior.SOURCE]
    with pytest.raises(ValueError, match=r"config 'rscid'\. Did you mean rsicd"):
        choose(["rscid"])


@pytest.mark.parametrize(
    ("size", "said"),
    [(2, "2 bytes"), (15_237_158, "15.2 MB"), (999, "999 bytes"), (13_500_000_000, "13.5 GB")],
)
def test_sizes_are_said_as_a_person_says_them(size: int, said: str) -> None:
    assert human_size(size) == said


@needs_shared
@pytest.mark.parametrize(
    ("source", "file", "place"),
    [
        (dior_rsvg.SOURCE, "train.txt", "dior_rsvg/train.txt"),
        (dior_rsvg.SOURCE, "val.txt", "dior_rsvg/val.txt"),
        (dior_rsvg.SOURCE, "test.txt", "dior_rsvg/test.txt"),
        (rsivqa.SOURCE, "HRRSD/opt_val_vqa.txt", "rsivqa/HRRSD/opt_val_vqa.txt"),
        (rsivqa.SOURCE, "UCM/ucm_vqa.txt", "rsivqa/UCM/ucm_vqa.txt"),
        (rsivqa.SOURCE, "UCM/ucm_res.txt", "rsivqa/UCM/ucm_res.txt"),
        (
            rsivqa.SOURCE,
            "../HRRSD/ImageSets/Main/train.txt",
            "rsivqa/HRRSD_ImageSets_Main/train.txt",
        ),
    ],
)
def test_checksums_are_those_of_the_released_files(source: Source, file: str, place: str) -> None:
    (download,) = (download for download in source.downloads if download.file == file)
    assert download.size is not None
    assert download.checksum is not None
    assert download.mismatch(SHARED / place) is None
