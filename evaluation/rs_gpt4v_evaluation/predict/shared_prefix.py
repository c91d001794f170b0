"""Many questions on one image: the model reads the image once, and each question after it.

A prompt is cut behind its last image token. What stands before, the prefix, is the same for all
questions on an image; its keys and values are kept, and the questions go on from them.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeAlias

import torch
from transformers import Cache, DynamicCache, GenerationMixin
from transformers.cache_utils import DynamicLayer

Route: TypeAlias = Callable[[torch.nn.Module, list[str]], AbstractContextManager[None]]

# What a processor returns for each token; everything else describes images.
_BY_TOKEN = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
# What `generate` calls the keys and values that it gets: another name from transformers 5.24 on.
_PREPARE: Any = vars(GenerationMixin)["prepare_inputs_for_generation"]
_KEPT = next(
    name for name in ("cache", "past_key_values") if name in signature(_PREPARE).parameters
)
READS_BOTH_WAYS = {"paligemma"}
"""Families whose prompts attend in both directions: what the image says depends on the question."""


class NotSharedError(ValueError):
    """These prompts have no prefix that could be shared; the message says why."""


@dataclass(frozen=True)
class Prompt:
    """One question.

    Attributes:
        image: Tells images apart.
        task: Of the row, for adapters that work by the task.
        messages: Of the chat, the images in it as bare placeholders.
        load: Loads the images; called only where the prefix is new.
    """

    image: str
    task: str
    messages: list[dict[str, Any]]
    load: Callable[[], list[Any]]


@dataclass(frozen=True)
class _Prefix:
    """Token ids [length]; keys and values of each layer, [1, heads, length, size].

    ``rope_deltas`` [1, 1] is by how much the positions after it lag behind the number of tokens,
    where the model counts an image's rows and columns (M-RoPE).
    """

    ids: torch.Tensor
    layers: list[tuple[torch.Tensor, ...]]
    rope_deltas: Any


class SharedPrefix:
    """Answers prompts from the kept prefixes of their images: those of the last batch, no others.

    Args:
        model: The model, with or without an adapter.
        processor: Its processor.
        route: Opens the context in which an adapter answers rows of given tasks.
        longest: Tokens that a reply may have.
    """

    def __init__(self, model: Any, processor: Any, route: Route, longest: int) -> None:
        self.model, self.processor = model, processor
        self.route, self.longest = route, longest
        self.kept: dict[Hashable, _Prefix] = {}
        # An M-RoPE model notes there by how much the prompts that it read last lag.
        self.mrope = next((m for m in model.modules() if hasattr(m, "rope_deltas")), None)

    def generate(self, prompts: list[Prompt], **options: Any) -> tuple[Any, int]:
        """What ``model.generate(**options)`` returns for ``prompts``, and their padded length.

        Raises:
            NotSharedError: A prompt has no prefix that could be shared.
        """
        prefixes, tails = [], []
        read: dict[Hashable, _Prefix] = {}
        for prompt in prompts:
            text = self._rendered(prompt.messages)
            head, tail = self._cut(text)
            key = (prompt.image, prompt.task, head)
            if key not in read:
                read[key] = self.kept.get(key) or self._read(prompt, text, tail)
            prefixes.append(read[key])
            tails.append(tail)
        self.kept = read
        inputs = self._continued(prefixes, tails)
        with self.route(self.model, [prompt.task for prompt in prompts]):
            return self.model.generate(**inputs, **options), inputs["input_ids"].shape[1]

    def _rendered(self, messages: list[dict[str, Any]]) -> str:
        return self.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )

    def _cut(self, text: str) -> tuple[tuple[int, ...], list[int]]:
        """Token ids up to the last image, one for each image, and those behind it."""
        ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        image = getattr(self.processor, "image_token_id", None)
        if image not in ids or ids[-1] == image:
            raise NotSharedError("no token of its prompts marks the image, with words behind it")
        end = len(ids) - ids[::-1].index(image)
        return tuple(ids[:end]), ids[end:]

    def _read(self, prompt: Prompt, text: str, tail: list[int]) -> _Prefix:
        bos = self.processor.tokenizer.bos_token
        inputs = self.processor(
            text=[text],
            images=[prompt.load()],
            return_tensors="pt",
            add_special_tokens=not (bos and text.startswith(bos)),  # as for any chat template
        ).to(self.model.device, self.model.dtype)
        whole = inputs["input_ids"][0]
        length = len(whole) - len(tail)
        if whole[length:].tolist() != tail:
            raise NotSharedError("its processor changes the words behind the image")
        self._check_window(len(whole))
        inputs |= {name: inputs[name][:, :length] for name in _BY_TOKEN if name in inputs}
        # Of plain layers: a sliding window that no prompt leaves is none.
        cache = DynamicCache()
        with self.route(self.model, [prompt.task]):
            self.model.generate(
                **inputs, **{_KEPT: cache}, max_new_tokens=1, do_sample=False, num_beams=1
            )
        deltas = None if self.mrope is None else self.mrope.rope_deltas
        return _Prefix(whole[:length], _states(cache, length), deltas)

    def _check_window(self, length: int) -> None:
        window = getattr(self.model.config.get_text_config(), "sliding_window", None)
        if window is not None and length + self.longest > window:
            raise NotSharedError(f"a prompt of {length} tokens leaves its window of {window}")

    def _continued(self, prefixes: list[_Prefix], tails: list[list[int]]) -> dict[str, Any]:
        """Prefixes and tails, each padded on the left: positions follow the attention mask."""
        if self.mrope is not None:
            self.mrope.rope_deltas = torch.cat([prefix.rope_deltas for prefix in prefixes])
        heads = [prefix.ids for prefix in prefixes]
        ends = [torch.tensor(tail, device=self.model.device) for tail in tails]
        pad = self.processor.tokenizer.pad_token_id or 0
        return {
            "input_ids": torch.cat([_padded(heads, pad), _padded(ends, pad)], dim=1),
            "attention_mask": torch.cat([_mask(heads), _mask(ends)], dim=1),
            _KEPT: _cache(prefixes),
        }


def _padded(rows: list[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(
        rows, batch_first=True, padding_value=value, padding_side="left"
    )


def _mask(rows: list[torch.Tensor]) -> torch.Tensor:
    return _padded([torch.ones_like(row) for row in rows], 0)


def _states(cache: DynamicCache, length: int) -> list[tuple[torch.Tensor, ...]]:
    """Keys and values of the first ``length`` tokens.

    Raises:
        NotSharedError: A layer keeps something else.
    """
    layers: list[Any] = cache.layers
    if any(type(layer) is not DynamicLayer for layer in layers):
        raise NotSharedError("a layer keeps more than keys and values")
    return [(one.keys[..., :length, :], one.values[..., :length, :]) for one in layers]


def _cache(prefixes: list[_Prefix]) -> Cache:
    """One row for each of ``prefixes``, zeros before the shorter ones."""
    layers = []
    for of_one_layer in zip(*(prefix.layers for prefix in prefixes), strict=True):
        layer = DynamicLayer()
        keys, values = (_rows(states) for states in zip(*of_one_layer, strict=True))
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        layers.append(layer)
    return Cache(layers=layers)


def _rows(states: tuple[torch.Tensor, ...]) -> torch.Tensor:
    if all(one is states[0] for one in states):  # a view: nothing is copied before it grows
        return states[0].expand(len(states), -1, -1, -1)
    longest = max(one.shape[-2] for one in states)
    pad = torch.nn.functional.pad
    return torch.cat([pad(one, (0, 0, longest - one.shape[-2], 0)) for one in states])
