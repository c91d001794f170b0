"""Published replies of EarthDial, imported: the numbers that its paper and the reference state."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from conftest import SHARED, needs_shared
from typer.testing import CliRunner

from rs_gpt4v import NAME, adapt
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.cli import app
from rs_gpt4v_builders.sources import rsicd
from rs_gpt4v_evaluation.imports import import_results, read_results
from rs_gpt4v_evaluation.imports.matching import match
from rs_gpt4v_evaluation.imports.rows import Rows
from rs_gpt4v_evaluation.metric import Rules
from rs_gpt4v_evaluation.rs_caption.meteor import missing
from rs_gpt4v_evaluation.score import score

pytestmark = needs_shared
OUTPUTS = SHARED / "model_outputs"


def imported(file: str, config: str, out: Path) -> Path:
    flags = ["--config", config, "--model", "EarthDial", "--out", str(out)]
    done = CliRunner().invoke(app, ["import", str(OUTPUTS / file), *flags])
    assert done.exit_code == 0, done.output
    return out


def test_answers_to_rsvqa_lr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    out = imported("vqa_rsvqa_lr.jsonl", "vqa_lr", tmp_path / "p.jsonl")
    scored = score(out)
    assert scored["n"] == 10_004
    shares = {name: round(100 * float(scored["scores"][f"accuracy_{name}"]), 2) for name in TYPES}
    assert shares == TYPES
    exact = score(out, Rules(counts="exact"))["scores"]["accuracy_count"]
    assert round(100 * float(exact), 2) == 27.69


TYPES = {"presence": 92.59, "comp": 92.75, "rural_urban": 94.0, "count": 71.73}


@pytest.mark.parametrize(("config", "name"), [("cap_rsicd", "rsicd"), ("cap_ucm", "ucm")])
def test_captions(config: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    reference = json.loads((OUTPUTS / "coco_reference.json").read_text())[f"captions_{name}"]
    ours = score(imported(f"captions_{name}.jsonl", config, tmp_path / "p.jsonl"))["scores"]
    scores = ["Bleu_1", "Bleu_4", "ROUGE_L", "CIDEr", *([] if missing() else ["METEOR"])]
    for key in scores:
        assert float(ours[key.lower()]) == pytest.approx(reference[key]["corpus"], abs=1e-9)


def test_captions_tell_which_images_of_rsicd_they_are_about() -> None:
    """Its images are not here, and nobody needs them to know the row of a reply."""
    table = adapt.captions(rsicd.SOURCE.read(SHARED / "rsicd", "test"), Adaption("", "test"))
    images: Any = [[{"bytes": None, "path": name}] for name in table["image"].to_pylist()]
    rows = datasets.Dataset(table.append_column("images", pa.array(images)))
    found = match(read_results(OUTPUTS / "captions_rsicd.jsonl").results, Rows(rows))
    assert found.ways == {"true answers": 1_093}
    assert (found.left_out, found.otherwise, found.repeated) == ([], [], 0)


def test_images_of_ucm_with_the_same_captions_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").mkdir()
    for ours, theirs in (("dataset.json", "dataset.json"), ("imgs", "imgs_jpg")):
        (tmp_path / "UCM_captions" / ours).symlink_to(SHARED / "ucm_captions" / theirs)
    splits: Any = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(tmp_path))
    file = read_results(OUTPUTS / "captions_ucm.jsonl")
    own = {"config": "cap_ucm", "split": "test", "protocol": "paper", "splits": splits}
    done = import_results(file, **own, model="EarthDial")
    assert (done.written, len(done.left_out)) == (87, 123)
    assert {each.kind for each in done.left_out} == {"equal rows"}
    paired = import_results(file, **own, model="EarthDial", pair_equal=True)
    assert (paired.written, paired.matches.interchangeable) == (210, 123)
