"""A Hugging Face image-text-to-text model that answers, with or without a PEFT adapter."""

import copy
import hashlib
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from transformers import AutoModelForImageTextToText, AutoProcessor

from accelerate import PartialState
from rs_gpt4v import model_families as families
from rs_gpt4v.embedded_model import checkpoint
from rs_gpt4v_evaluation.predict.predictions import Decoding
from rs_gpt4v_evaluation.predict.shared_prefix import (
    READS_BOTH_WAYS,
    NotSharedError,
    Prompt,
    Route,
    SharedPrefix,
)

_PROCESSORS = "*processor_config.json"


def processes() -> PartialState:
    """This process among those that ``accelerate launch`` or ``torchrun`` started, or alone."""
    # Who is done waits for the slowest, however long that takes. Without an accelerator, unless
    # it is told of the CPU, each process would take itself for the only one.
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=timedelta(days=30))


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
        self.route = route or (lambda _model, _tasks: nullcontext())
        self.name, self.adapter = model, adapter
        self.decoding: Decoding = {"do_sample": False, "max_new_tokens": max_new_tokens}
        model = checkpoint(model)
        self.model = _load(model, adapter, trust_remote_code=trust_remote_code)
        family = self.model.config.model_type
        self.processor = AutoProcessor.from_pretrained(
            _processor_of(model, adapter),
            trust_remote_code=trust_remote_code,
            **families.image_options(family),
        )
        self.processor.chat_template = self.processor.chat_template or families.template(family)
        self.processor.tokenizer.padding_side = "left"
        self.weights = weights_fingerprint(self.model)
        self.shared = SharedPrefix(self.model, self.processor, self.route, max_new_tokens)

    def with_longest_reply(self, max_new_tokens: int) -> "Predictor":
        """The same model, of which nothing is loaded anew, with another limit on its replies."""
        other = copy.copy(self)
        other.decoding = {**self.decoding, "max_new_tokens": max_new_tokens}
        other.shared = SharedPrefix(self.model, self.processor, self.route, max_new_tokens)
        return other

    @property
    def revision(self) -> str | None:
        """The commit of the Hub that the model was loaded from; None of a folder."""
        if Path(checkpoint(self.name)).is_dir():
            return None
        file = try_to_load_from_cache(self.name, "config.json")
        return Path(file).parent.name if isinstance(file, str) else None

    @property
    def box_format(self) -> str:
        """The codec that the model was trained with here, else its family's."""
        return families.box_format(self.model.config.model_type, self.processor)

    @torch.inference_mode()
    def replies(self, conversations: list[dict[str, Any]]) -> list[str]:
        """The model's reply to each conversation, its last (assistant's) message left out."""
        return self._decoded(*self._generate(conversations, **self.decoding))

    @torch.inference_mode()
    def shared_replies(self, prompts: list[Prompt]) -> list[str]:
        """The same replies, each image read once.

        Raises:
            NotSharedError: A prompt has no prefix that could be shared.
        """
        return self._decoded(*self.shared.generate(prompts, **self.decoding, num_beams=1))

    @torch.inference_mode()
    def why_not_shared(
        self, conversations: list[dict[str, Any]], prompts: list[Prompt]
    ) -> str | None:
        """Why this model must read the image anew for each question; None if it need not.

        It is tried out: the first token of each reply, with and without sharing.
        """
        family = self.model.config.model_type
        if family in READS_BOTH_WAYS:
            return f"a {family} model reads its prompts in both directions"
        options: dict[str, Any] = {
            "max_new_tokens": 1,
            "do_sample": False,
            "output_logits": True,
            "return_dict_in_generate": True,
        }
        try:
            shared = self.shared.generate(prompts, num_beams=1, **options)[0].logits[0]
        except NotSharedError as error:
            return f"of a {family} model, {error}"
        plain = self._generate(conversations, **options)[0].logits[0]
        # What rounding explains: 0.0003 of the largest logit in float32, 0.09 in bfloat16.
        allowed = torch.finfo(self.model.dtype).eps ** 0.5 * plain.abs().max()
        off = (shared - plain).abs().max()
        if off <= allowed:
            return None
        return f"a {family} model's logits would change by {off:.2g}, of {plain.abs().max():.2g}"

    def why_not_without_image(self) -> str | None:
        """Why this model answers no question without an image; None if it does. It is tried out."""
        family = self.model.config.model_type
        words = {"role": "user", "content": "Is there a road?"}
        try:
            inputs = self.inputs([{"messages": [words, words], "images": []}])
        except (ValueError, TypeError, IndexError, KeyError) as error:
            return f"a {family} model answers no question without an image ({error})"
        if getattr(self.processor, "image_token_id", None) in inputs["input_ids"]:
            return f"the chat template of this {family} model puts an image into every question"
        return None

    def inputs(self, conversations: list[dict[str, Any]]) -> Any:
        """The prompts of conversations as the model reads them, padded on the left."""
        return self.processor.apply_chat_template(
            [chat(conversation) for conversation in conversations],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.model.device, self.model.dtype)

    def _generate(self, conversations: list[dict[str, Any]], **options: Any) -> tuple[Any, int]:
        inputs = self.inputs(conversations)
        with self.route(self.model, [conversation["task"] for conversation in conversations]):
            tokens = self.model.generate(**inputs, **options, num_beams=1)
        return tokens, inputs["input_ids"].shape[1]

    def _decoded(self, tokens: torch.Tensor, prompt_length: int) -> list[str]:
        replies = self.processor.batch_decode(tokens[:, prompt_length:], skip_special_tokens=True)
        return [reply.strip() for reply in replies]


def chat(conversation: dict[str, Any]) -> list[dict[str, Any]]:
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


def weights_fingerprint(model: torch.nn.Module) -> str:
    """16 hex digits that tell one state of the weights from another: 64 values of each tensor."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        values = flat[:: max(1, len(flat) // 64)].float().cpu()
        digest.update(f"{name} {tuple(tensor.shape)} {values.tolist()}".encode())
    return digest.hexdigest()[:16]


def _processor_of(model: str, adapter: str | None) -> str:
    """Where the processor is: PEFT alone saves none beside its adapter."""
    if adapter is None:
        return model
    folder = Path(adapter)
    return model if folder.is_dir() and not any(folder.glob(_PROCESSORS)) else adapter


def _load(model: str, adapter: str | None, *, trust_remote_code: bool) -> Any:
    cuda = torch.cuda.is_available()
    device = processes().device if cuda else "cpu"
    # On a CPU half precision is slower and less exact.
    dtype = "auto" if cuda else torch.float32
    with families.loading(model):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            model, dtype=dtype, trust_remote_code=trust_remote_code
        )
    if adapter is not None:
        from peft import PeftModel

        families.ignore_newer_names()
        loaded = PeftModel.from_pretrained(loaded, adapter)
    return loaded.eval().to(device)
