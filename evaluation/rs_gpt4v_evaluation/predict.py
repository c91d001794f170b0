"""Replies of a Hugging Face image-text-to-text model, with or without a PEFT adapter."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import torch
from tqdm import tqdm
from transformers import AutoModelForImageTextToText, AutoProcessor

from rs_gpt4v import families
from rs_gpt4v_evaluation.predictions import (
    Decoding,
    PredictedRows,
    Prediction,
    PredictionFileError,
    append_predictions,
    read_predictions,
)

Route: TypeAlias = Callable[[torch.nn.Module, list[str]], AbstractContextManager[None]]


def _no_routing(_: torch.nn.Module, __: list[str]) -> AbstractContextManager[None]:
    return nullcontext()


class Predictor:
    """A model that answers the last turn of conversations, greedily, in left-padded batches.

    Args:
        model: Path or Hub name of a checkpoint.
        adapter: Path or Hub name of a PEFT adapter for ``model``.
        max_new_tokens: Longest reply, in tokens.
        trust_remote_code: Run the code that the checkpoint brings, if it brings any.
        route: ``route(model, tasks)`` opens the context in which an adapter that works by the task
            answers rows of these tasks; None for one that does not.
    """

    def __init__(
        self,
        model: str,
        adapter: str | None = None,
        max_new_tokens: int = 64,
        *,
        trust_remote_code: bool = False,
        route: Route | None = None,
    ) -> None:
        self.route = route or _no_routing
        self.name, self.adapter = model, adapter
        self.decoding: Decoding = {"do_sample": False, "max_new_tokens": max_new_tokens}
        self.model = _load(model, adapter, trust_remote_code=trust_remote_code)
        family = self.model.config.model_type
        self.processor = AutoProcessor.from_pretrained(
            adapter or model, trust_remote_code=trust_remote_code, **families.image_options(family)
        )
        self.processor.chat_template = self.processor.chat_template or families.template(family)
        self.processor.tokenizer.padding_side = "left"
        self.weights = weights_fingerprint(self.model)

    @property
    def box_format(self) -> str:
        """The codec that the model was trained with here, else its family's."""
        return families.box_format(self.model.config.model_type, self.processor)

    @torch.inference_mode()
    def replies(self, conversations: list[dict[str, Any]]) -> list[str]:
        """The model's reply to each conversation, its last (assistant's) message left out."""
        inputs = self.processor.apply_chat_template(
            [_prompt(conversation) for conversation in conversations],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.model.device, self.model.dtype)
        with self.route(self.model, [conversation["task"] for conversation in conversations]):
            tokens = self.model.generate(**inputs, **self.decoding, num_beams=1)
        new = tokens[:, inputs["input_ids"].shape[1] :]
        replies = self.processor.batch_decode(new, skip_special_tokens=True)
        return [reply.strip() for reply in replies]


def weights_fingerprint(model: torch.nn.Module) -> str:
    """16 hex digits that tell one state of the weights from another: 64 values of each tensor."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, len(flat) // 64)].float().cpu()
        digest.update(f"{name} {tuple(tensor.shape)} {some.tolist()}".encode())
    return digest.hexdigest()[:16]


def _load(model: str, adapter: str | None, *, trust_remote_code: bool) -> Any:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # On a CPU half precision is slower and less exact.
    dtype = "auto" if device == "cuda" else torch.float32
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        model, dtype=dtype, trust_remote_code=trust_remote_code
    )
    if adapter is not None:
        from peft import PeftModel

        loaded = PeftModel.from_pretrained(loaded, adapter)
    return loaded.eval().to(device)


def _prompt(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages up to the last reply; images open the first user turn, as TRL trains them."""
    messages = [
        {"role": m["role"], "content": [{"type": "text", "text": m["content"]}]}
        for m in conversation["messages"][:-1]
    ]
    first = next(m for m in messages if m["role"] == "user")
    first["content"] = [
        *({"type": "image", "image": image} for image in conversation["images"]),
        *first["content"],
    ]
    return messages


def predict(
    predictor: Predictor,
    rows: datasets.Dataset,
    described: PredictedRows,
    out: Path,
    batch_size: int = 8,
) -> None:
    """Append the replies to ``rows`` to the file ``out``; rows already in it are not asked again.

    Raises:
        PredictionFileError: ``out`` was made by another model, from other rows or other settings.
    """
    constants = {
        "model": predictor.name,
        "adapter": predictor.adapter,
        "weights": predictor.weights,
        "decoding": predictor.decoding,
        "dataset": described,
    }
    done = _done(out, constants)
    todo = [i for i, row_id in enumerate(rows["id"]) if row_id not in done]
    batches = _batches(predictor, rows.select(todo), constants, batch_size)
    with tqdm(total=len(rows), initial=len(done), unit="row", desc=f"Predicting {out.name}") as bar:
        for size in append_predictions(out, batches):
            bar.update(size)


def _done(out: Path, constants: dict[str, Any]) -> set[str]:
    if not out.is_file():
        return set()
    earlier = read_predictions(out)
    for prediction in earlier[:1]:
        for name, value in constants.items():
            if prediction[name] != value:
                raise PredictionFileError(
                    f"{out} holds predictions with {name} {prediction[name]!r}, not {value!r}. "
                    "Give another file, or delete this one."
                )
    return {prediction["id"] for prediction in earlier}


def _batches(
    predictor: Predictor, rows: datasets.Dataset, constants: dict[str, Any], batch_size: int
) -> Iterator[list[Prediction]]:
    undecoded = rows.select_columns("images").with_format("arrow")
    for start in range(0, len(rows), batch_size):
        places = range(start, min(start + batch_size, len(rows)))
        images = undecoded[places.start : places.stop]["images"].to_pylist()
        batch = [rows[i] for i in places]
        yield [
            _prediction(row, image, reply, constants)
            for row, image, reply in zip(batch, images, predictor.replies(batch), strict=True)
        ]


def _prediction(
    row: dict[str, Any], images: list[dict[str, Any]], reply: str, constants: dict[str, Any]
) -> Prediction:
    prediction: Any = {
        "id": row["id"],
        "source": row["source"],
        "task": row["task"],
        "question_type": row["question_type"],
        "image": images[0]["path"] if images else None,
        "prompt": row["messages"][-2]["content"],
        "prediction": reply,
        "references": row["references"],
        **constants,
    }
    return prediction


def describe(
    rows: datasets.Dataset, *, config: str, split: str, protocol: str, box_format: str
) -> PredictedRows:
    """Which rows these are; the fingerprint is that of their content, on any machine."""
    content = [rows[name] for name in ("id", "messages", "references")]
    content = json.dumps([list(column) for column in content], ensure_ascii=False).encode()
    return {
        "config": config,
        "split": split,
        "protocol": protocol,
        "box_format": box_format,
        "rows": len(rows),
        "fingerprint": hashlib.sha256(content).hexdigest()[:16],
    }
