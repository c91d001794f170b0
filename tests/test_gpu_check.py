"""The check of a GPU: its parts at a toy's size, and that one part's failure is its own."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def check() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_check
    return gpu_check


@pytest.fixture(scope="module")
def gpu_parts() -> Any:
    pytest.importorskip("trl")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_parts
    return gpu_parts


GOOD = """
print("some library says something")
print('{"row": "LoRA", "values": {"s a micro-batch": 2.0, "MFU": 0.25}}')
"""
SLOWER = """print('{"row": "MoE-LoRA", "values": {"s a micro-batch": 2.5}}')"""
SHARE = """print('{"row": "TIFF", "values": {"s a micro-batch, one core": 0.5}}')"""
FAILS = """
import sys
print('{"row": "half", "values": {"tokens/s": 1234.5}}')
print('{"reason": "OutOfMemoryError: none is left"}')
sys.exit(1)
"""
CRASHES = "import os; os.abort()"
HANGS = """
import subprocess, sys, time
print('{"row": "begun", "values": {"MFU": 0.5}}', flush=True)
subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"])  # it holds the pipe
"""


def measured(
    check: Any, out: Path, scripts: dict[str, tuple[str, str]], seconds: float
) -> tuple[bool, str]:
    parts = {name: check.Part(title, name, 30.0) for name, (title, _) in scripts.items()}
    whole = check.measure_all(
        out, lambda name: [sys.executable, "-S", "-c", scripts[name][1]], parts, seconds
    )
    return whole, out.read_text()


def test_rows_are_compared_with_lora(check: Any, tmp_path: Path) -> None:
    scripts = {"a": ("Training", GOOD), "b": ("Training", SLOWER), "c": ("Collator", SHARE)}
    assert measured(check, tmp_path / "gpu.md", scripts, 60) == (
        True,
        "| Training | s a micro-batch | relative to LoRA | MFU |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| LoRA | 2.000 | 1.00 | 25.0% |\n"
        "| MoE-LoRA | 2.500 | 1.25 |  |\n"
        "\n"
        "| Collator | s a micro-batch, one core | of a LoRA step |\n"
        "| --- | ---: | ---: |\n"
        "| TIFF | 0.500 | 25% |\n",
    )


def test_a_part_fails_alone(check: Any, tmp_path: Path) -> None:
    scripts = {"fails": ("T", FAILS), "crashes": ("T", CRASHES), "a": ("T", GOOD)}
    whole, text = measured(check, tmp_path / "gpu.md", scripts, 60)
    assert not whole
    assert text.splitlines()[2:] == [
        "| half |  | 1,234 |  |  |",
        "| fails |  |  |  | OutOfMemoryError: none is left |",
        "| crashes |  |  |  | ended with status -6: see the log |",
        "| LoRA | 2.000 |  | 25.0% |  |",
    ]


def test_a_slow_part_is_cut_with_all_that_it_started(check: Any, tmp_path: Path) -> None:
    start = time.monotonic()
    scripts = {"hangs": ("T", HANGS), "late": ("T", GOOD)}
    whole, text = measured(check, tmp_path / "gpu.md", scripts, 2)
    assert time.monotonic() - start < 20
    assert not whole
    assert text.splitlines()[2:] == [
        "| begun | 50.0% |  |",
        "| hangs |  | cut after 2 s |",
        "| late |  | not begun: the time was over |",
    ]


def test_what_was_measured_is_there_before_the_end(check: Any, tmp_path: Path) -> None:
    out = tmp_path / "gpu.md"
    see = f"""
import pathlib, json
count = pathlib.Path({str(out)!r}).read_text().count("LoRA")
print(json.dumps({{"row": str(count), "values": {{}}}}))
"""
    _, text = measured(check, out, {"a": ("T", GOOD), "b": ("U", see)}, 60)
    assert "| 1 |" in text


def test_all_parts_have_their_time(check: Any, gpu_parts: Any) -> None:
    assert list(check.PARTS) == list(gpu_parts.PARTS)
    assert check.SECONDS < 8 * 60


TRAINED = {
    "s a micro-batch",
    "tokens/s",
    "TFLOP/s",
    "hours of the paper's run on 4",
    "counted, GiB",
}
EXPECTED: dict[str, dict[str, set[str]]] = {
    "card": {"the CPU": {"torch", "transformers", "peft", "note", "bf16 product, TFLOP/s"}},
    "lora": {"LoRA": TRAINED},
    "moe_lora_token": {"MoE-LoRA, token": TRAINED},
    "moe_lora_top_k": {"MoE-LoRA, top_k": TRAINED},
    "prediction": {
        "3 questions an image": {
            "ms an answer, plain batches of 8",
            "image read once",
            "times as fast",
            "replies the same",
        }
    },
    "attention": {
        "sdpa": {"ms, rows of one length", "ms, padded rows"},
        "eager": {"ms, rows of one length", "ms, padded rows"},
        "flash_attention_2": {"note"},
    },
    "layer": {
        f"{form}, width 256, rank 128": {"relative to LoRA"}
        for form in ("LoRA", "token", "top-2", "task", "loop")
    },
    "collator": {
        kind: {"s a micro-batch, one core", "of TRL's", "note"}
        for kind in ("512 px TIFF", "800 px JPEG")
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_part_measures_its_rows(
    name: str, check: Any, gpu_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_parts, "STEPS", 2)
    rows: dict[str, dict[str, Any]] = {}
    threads = gpu_parts.torch.get_num_threads()
    gpu_parts.PARTS[name](lambda row, values: rows.setdefault(row, {}).update(values), toy=True)
    gpu_parts.torch.set_num_threads(threads)
    assert {row: set(values) for row, values in rows.items()} == EXPECTED[name]
    columns = set().union(*EXPECTED[name].values())
    assert columns <= set(check.COLUMNS)
    if name == "prediction":
        assert rows["3 questions an image"]["replies the same"] == 1
    if name == "collator":
        assert {values["note"] for values in rows.values()} == {"tensors equal TRL's"}


def test_four_bits_without_their_library_are_said(
    gpu_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_parts, "find_spec", lambda _: None)
    said: list[Any] = []
    gpu_parts.PARTS["qlora"](lambda *line: said.append(line), toy=True)
    assert said == [("QLoRA", {"note": "bitsandbytes is not installed"})]


def test_operations_are_nearly_those_that_torch_counts(gpu_parts: Any) -> None:
    """Torch counts the head for all tokens and the way back through images, but no attention."""
    from peft import LoraConfig, get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    from rs_gpt4v_training.adapters import LANGUAGE_MODEL_LINEARS

    config = gpu_parts.llava_config(toy=True)
    model: Any = get_peft_model(
        gpu_parts.llava(config), LoraConfig(r=8, target_modules=LANGUAGE_MODEL_LINEARS)
    )
    batch = gpu_parts.make_batch(config, 2, 16)
    with FlopCounterMode(display=False) as counter:
        model(**batch).loss.backward()
    ours = gpu_parts.model_flops(model, batch)
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.25)
