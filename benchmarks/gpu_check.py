"""What only a GPU can tell, in one command of at most eight minutes, as tables in a Markdown file.

    python benchmarks/gpu_check.py [OUT.md] [--toy]

For one card of 80 GB. It needs no network and no weights: the model has the shape of LLaVA-1.5-7B
and random values, on which speed and memory do not depend. Measured are (`gpu_parts.py`):

* a training step of the recipes ``llava15_7b_lora`` and ``llava15_7b_moe_lora`` (routing ``token``
  and ``top_k``) and of LoRA over weights of four bits, by our trainer: tokens/s, the share of the
  card's peak (MFU), and the peak of memory beside what the dry run counts;
* prediction with each image read once, against plain batches of 8;
* attention: eager, PyTorch's (sdpa), flash_attn's; with and without padding;
* one adapted layer, and the collator, whose time is compared with that of a step.

Each part is a process of its own: it frees the card when it ends, may fail alone, and is cut after
its share of the time. The tables are written anew after each line, and what the parts print goes to
OUT.log. Without a GPU, or with --toy, all is tiny.

On a machine without network these wheels must be there, beside torch for CUDA and what it brings:
accelerate, annotated-types, anyio, certifi, datasets, defusedxml, dill, h11, httpcore2, httpx2,
huggingface_hub, multiprocess, pandas, peft, pillow, psutil, pyarrow, pydantic, pydantic-core,
pyyaml, regex, requests, rich, safetensors, tokenizers, tqdm, transformers, trl, truststore,
typing-inspection, wrapt, xxhash; if wanted, bitsandbytes (QLoRA) and flash-attn. This
package itself is read from the checkout.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = (".", "builders", "generation", "training", "evaluation", "tests", "benchmarks")
SECONDS = 465  # of the whole; the rest of the eight minutes is for starting and ending

Values = dict[str, Any]
Tables = dict[str, dict[str, Values]]


class Part(NamedTuple):
    """What one process measures.

    Attributes:
        table: The heading of its table.
        row: Its row, where it could not be measured.
        seconds: The longest that it may take, its start included.
    """

    table: str
    row: str
    seconds: float


TRAINING = "Training"
PARTS = {
    "card": Part("Card", "card", 45),
    "lora": Part(TRAINING, "LoRA", 80),
    "moe_lora_token": Part(TRAINING, "MoE-LoRA, token", 80),
    "moe_lora_top_k": Part(TRAINING, "MoE-LoRA, top_k", 80),
    "qlora": Part(TRAINING, "QLoRA", 80),
    "prediction": Part("Prediction", "prediction", 90),
    "attention": Part("Attention", "attention", 45),
    "layer": Part("One layer", "layer", 45),
    "collator": Part("Collator", "collator", 60),
}
"""In this order, so that what matters most is measured if the time runs out."""

STEP, OF_LORA, ONE_CORE = "s a micro-batch", "relative to LoRA", "s a micro-batch, one core"
COLUMNS = {
    "memory, GiB": ".1f",
    "torch": "",
    "transformers": "",
    "peft": "",
    "bf16 product, TFLOP/s": ",.0f",
    "data sheet, TFLOP/s": ",.0f",
    "tokens": ",d",
    STEP: ".3f",
    OF_LORA: ".2f",
    "tokens/s": ",.0f",
    "TFLOP/s": ",.0f",
    "MFU": ".1%",
    "peak, GiB": ".1f",
    "reserved, GiB": ".1f",
    "counted, GiB": ".1f",
    "counted / peak": ".3f",
    "hours of the paper's run on 4": ".1f",
    "ms an answer, plain batches of 8": ".1f",
    "image read once": ".1f",
    "times as fast": ".1f",
    "replies the same": ".0%",
    "ms, rows of one length": ".1f",
    "ms, padded rows": ".1f",
    ONE_CORE: ".3f",
    "of TRL's": ".2f",
    "of a LoRA step": ".0%",
    "note": "",
}
"""All columns in their order, and how their values are written."""


def main() -> int:
    """Measure all parts; 1 if one failed or was cut."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=Path("gpu_check.md"))
    parser.add_argument("--toy", action="store_true", help="tiny, for any machine")
    given = parser.parse_args()
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_parts.py")]
    options = ["--toy"] if given.toy else []
    whole = measure_all(given.out, lambda name: [*command, name, *options], PARTS, SECONDS)
    print(given.out.read_text(encoding="utf-8"))
    return 0 if whole else 1


def measure_all(out: Path, command: Any, parts: dict[str, Part], seconds: float) -> bool:
    """Write the tables of ``parts`` to ``out``; return whether all of them came to their end.

    Args:
        out: A Markdown file; what the parts print goes beside it.
        command: ``command(name)`` is the command line of a part.
        parts: By name.
        seconds: The longest that all may take together.
    """
    end = time.monotonic() + seconds
    tables: Tables = {}
    whole = True
    with out.with_suffix(".log").open("w", encoding="utf-8") as log:
        for name, part in parts.items():
            left = min(part.seconds, end - time.monotonic())
            for line in run(command(name), left, log):
                whole = whole and "failed" not in line
                row = tables.setdefault(part.table, {}).setdefault(line.get("row", part.row), {})
                row |= line.get("values", {"note": line.get("failed")})
                out.write_text(to_markdown(tables), encoding="utf-8")
    return whole


def run(command: list[str], seconds: float, log: IO[str]) -> Iterator[dict[str, Any]]:
    """The lines of a part as it prints them; the last one has ``failed`` if it did not end well.

    It is killed after ``seconds``, with all processes that it has started.
    """
    if seconds <= 0:
        yield {"failed": "not begun: the time was over"}
        return
    log.write(f"\n$ {' '.join(command)}\n")
    log.flush()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env=_env(), start_new_session=True
    )
    output: Any = process.stdout
    cut = threading.Timer(seconds, _kill, [process])
    cut.start()
    reason = ""
    try:
        for text in output:
            if text.startswith("{") and text.endswith("}\n"):  # all else is some library's
                line = json.loads(text)
                reason = line.pop("reason", reason)
                yield from [line] if line else []
        status = process.wait()
        if not cut.is_alive():
            yield {"failed": f"cut after {seconds:.0f} s"}
        elif status:
            yield {"failed": reason or f"ended with status {status}: see the log"}
    finally:
        cut.cancel()
        _kill(process)
        process.wait()
        output.close()


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _env() -> dict[str, str]:
    """No network, one GPU, and this checkout's packages."""
    paths = [str(ROOT / folder) for folder in FOLDERS]
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": gpu,
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": os.pathsep.join(filter(None, [*paths, os.environ.get("PYTHONPATH")])),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }


def to_markdown(tables: Tables) -> str:
    """The tables as Markdown, with what compares their rows."""
    lora = tables.get(TRAINING, {}).get("LoRA", {}).get(STEP)
    for rows in tables.values() if lora else ():
        for row in rows.values():
            if STEP in row:
                row[OF_LORA] = row[STEP] / lora
            if ONE_CORE in row:
                row["of a LoRA step"] = row[ONE_CORE] / lora
    return "\n".join(line for title, rows in tables.items() for line in _table(title, rows))


def _table(title: str, rows: dict[str, Values]) -> Iterator[str]:
    columns = [name for name in COLUMNS if any(name in row for row in rows.values())]
    yield f"| {' | '.join([title, *columns])} |"
    yield "| --- |" + " ---: |" * len(columns)
    for name, row in rows.items():
        values = [format(row[c], COLUMNS[c]) if c in row else "" for c in columns]
        yield f"| {' | '.join([name, *values])} |".replace("\n", " ")
    yield ""


if __name__ == "__main__":
    sys.exit(main())
