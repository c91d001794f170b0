"""The sample in the cache: each config has the releases that it reads drawn, once and whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, OBJECT_SOURCES, all_sources, sample, sources_of
from rs_gpt4v_builders.sample import files, sample_root
from rs_gpt4v_builders.sample.scenes import Scene

NEEDED = {
    "cap_sydney": {"Sydney_captions"},
    "grounding": {"DIOR_RSVG"},
    "detail": {"DIOR_RSVG", "DIOR", "RS_GPT4V_Instruct"},
    "vqa_rsivqa": {
        *("HRRSD", "DOTA", "RSIVQA"),
        *("RSICD_optimal", "Sydney_captions", "UCM_captions"),
    },
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the releases that were drawn: few images, all black, to be quick."""
    names = []
    plain = sample.draw_release

    def write(name: str, root: Path, **_: Any) -> None:
        names.append(name)
        plain(name, root, seed=0, scale=0.001)

    def black(scene: Scene, _: int) -> Image.Image:
        return Image.new("RGB", (scene.size, scene.size))

    monkeypatch.setattr(sample, "draw_release", write)
    monkeypatch.setattr(files, "draw", black)
    return names


def folders(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if not path.name.startswith(".")}


def rows(config: str, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all splits, their images as paths below the sample's root."""
    loaded = datasets.load_dataset(
        NAME, config, sample=True, protocol="release", cache_dir=str(cache)
    )
    paths = datasets.List(datasets.Image(decode=False))
    found = {str(s): part.cast_column("images", paths).to_list() for s, part in loaded.items()}
    for row in (row for part in found.values() for row in part):
        (image,) = row["images"]
        row["images"] = Path(image["path"]).relative_to(sample_root(cache, [])).as_posix()
    return found


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("config", NEEDED)
def test_a_config_has_what_it_reads_drawn_and_no_more(config: str, tmp_path: Path) -> None:
    alone = rows(config, tmp_path / "alone")
    assert folders(sample_root(tmp_path / "alone", [])) == NEEDED[config]
    whole = sample_root(tmp_path / "whole")
    assert folders(whole) >= {source.folders[0] for source in all_sources()}
    assert rows(config, tmp_path / "whole") == alone


def test_each_release_is_drawn_once(written: list[str], tmp_path: Path) -> None:
    cache = str(tmp_path)
    for seed in (0, 1):
        datasets.load_dataset(NAME, "vqa_floodnet", sample=True, seed=seed, cache_dir=cache)
    assert written == ["floodnet"]
    sample_root(tmp_path)
    assert len(written) == len(set(written))
    # In the folder of the conversations, and in those of the captions and of the upright boxes.
    beside = ("rs_gpt4v_instruct_detail", "_scenes", "dior_oriented")
    names = {source.name for source in sources_of(*CONFIGS)}
    assert {*written} >= {name for name in names if not name.endswith(beside)}


def test_rows_drawn_before_are_served_when_more_is_drawn(
    written: list[str], tmp_path: Path
) -> None:
    def hashes() -> list[str | None]:
        return [datasets.load_dataset_builder(NAME, name, **options).hash for name in NEEDED]

    options: dict[str, Any] = {"sample": True, "cache_dir": str(tmp_path)}
    before = hashes()
    count = len(written)
    sample_root(tmp_path)
    assert len(written) > count
    assert hashes() == before


def test_excluding_leaks_needs_the_images_of_all(written: list[str], tmp_path: Path) -> None:
    datasets.load_dataset_builder(
        NAME, "cap_sydney", sample=True, exclude_leaks=True, cache_dir=str(tmp_path)
    )
    assert {*written} >= {"ucm_captions", "rsvqa_hr", "rsivqa", "dior_rsvg"}


def test_generating_needs_the_objects_of_dior(written: list[str], tmp_path: Path) -> None:
    sample_root(tmp_path, OBJECT_SOURCES)
    assert written == ["dior_rsvg", "dior"]


def test_what_was_left_half_drawn_is_drawn_again(
    written: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process leaves some images, the last of them cut short, and no annotations."""
    sources = sources_of("cap_sydney")
    whole = sample_root(tmp_path / "whole", sources)
    with monkeypatch.context() as patch:

        def die(name: str, root: Path, **_: Any) -> None:
            images = root / "Sydney_captions/imgs"
            images.mkdir(parents=True)
            first = (whole / "Sydney_captions/imgs/1.tif").read_bytes()
            (images / "1.tif").write_bytes(first[:100])
            raise KeyboardInterrupt(name)

        patch.setattr(sample, "draw_release", die)
        with pytest.raises(KeyboardInterrupt):
            sample_root(tmp_path / "cut", sources)
    cut = sample_root(tmp_path / "cut", sources)
    assert written == ["sydney_captions"] * 2
    assert contents(cut) == contents(whole)


def contents(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_processes_that_ask_at_once_draw_once(written: list[str], tmp_path: Path) -> None:
    sources = sources_of("cap_sydney", "vqa_floodnet")
    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: sample_root(tmp_path, sources), range(4)))
    assert len(roots) == 1
    assert sorted(written) == ["floodnet", "sydney_captions"]
