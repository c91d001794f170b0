"""Batches: TRL's own made faster, PaliGemma's, and those of rows that stream."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.utils.chat_template_utils import render_jinja_template
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v_training.pixels import with_tables
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.row_checks import TooLongError

logger = logging.getLogger(__name__)

# In a text, these replace the tokens that stand for images, and change nothing else.
_KNOWN_PROCESSORS = {
    "Idefics3Processor",
    "InternVLProcessor",
    "LlavaNextProcessor",
    "LlavaProcessor",
    "Qwen2VLProcessor",
    "Qwen2_5_VLProcessor",
    "Qwen3VLProcessor",
    "SmolVLMProcessor",
}


# Their language models number the tokens of a row from 0, whatever the images.
_PLAIN_POSITIONS = {"llava", "llava_next", "idefics3", "smolvlm", "internvl"}


def faster(collator: Any) -> Any:
    """A `ChatCollator` with the batches of ``collator`` if that is TRL's, of a known processor.

    Any other collator is returned as it is.
    """
    if not isinstance(collator, DataCollatorForVisionLanguageModeling):
        return collator
    processor: Any = collator.processor
    if reason := _reason_against(collator, processor):
        logger.debug("TRL's own collator makes the batches, which takes longer: %s", reason)
        return collator
    return ChatCollator(
        with_tables(processor),
        collator.chat_template or processor.chat_template,
        collator.assistant_only_loss,
        collator.pad_to_multiple_of or 1,
    )


def _reason_against(collator: DataCollatorForVisionLanguageModeling, processor: Any) -> str:
    """Why `ChatCollator` cannot make the batches of ``collator``; "" where it can."""
    name = type(processor).__name__
    if name not in _KNOWN_PROCESSORS:
        return f"{name} is none of {', '.join(sorted(_KNOWN_PROCESSORS))}"
    if collator.max_length is not None or collator.completion_only_loss:
        return "max_length or completion_only_loss is given"
    token = processor.tokenizer.added_tokens_decoder.get(processor.image_token_id)
    if token is None or token.lstrip or token.rstrip or token.single_word or token.normalized:
        return f"how the text around {processor.image_token} is tokenised may depend on the image"
    return ""


@dataclass
class ChatCollator:
    """The batches of TRL's collator, equal to the bit, in half of its time or less.

    TRL's tokenises every text with the hundreds of tokens of its images, and looks through all of
    them for the answers, one by one. Here a text has one token for each image until it is an array.

    Args:
        processor: One that `faster` knows.
        chat_template: A template whose answers are marked.
        assistant_only_loss: Whether the answers alone are learned, and not all of the text.
        multiple: The batch's length in tokens is a multiple of it.
    """

    processor: Any
    chat_template: str
    assistant_only_loss: bool = True
    multiple: int = 1

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """The batch of ``rows``, padded on the right."""
        ids, learned, lengths = self._texts(rows)
        batch, image_tokens, image_lengths = self._images(rows)
        is_image = ids == self.processor.image_token_id
        repeats = np.ones_like(ids)
        repeats[is_image] = image_lengths
        lengths = np.add.reduceat(repeats, np.cumsum(lengths) - lengths)
        is_image = np.repeat(is_image, repeats)
        ids = np.repeat(ids, repeats)
        columns = {"attention_mask": np.ones_like(ids)}
        for name, tokens in image_tokens.items():
            columns[name] = ids if name == "input_ids" else np.zeros_like(ids)
            columns[name][is_image] = tokens
        columns["labels"] = np.where(np.repeat(learned, repeats), ids, -100)
        padding = {"input_ids": self.processor.tokenizer.pad_token_id, "labels": -100}
        for name, values in columns.items():
            batch[name] = self._padded(values, lengths, padding.get(name, 0))
        return batch

    def _texts(self, rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The tokens of all texts with one for each image, which are learned, and each's length."""
        tokenizer = self.processor.tokenizer
        # A template sees that there are images, not what they show.
        dialogues = [
            prepare_multimodal_messages(row["messages"], images=[""] * len(row["images"]))
            for row in rows
        ]
        rendered: Any = render_jinja_template(  # annotated as a string, which it is not
            dialogues,
            chat_template=self.chat_template,
            return_assistant_tokens_mask=self.assistant_only_loss,
            **tokenizer.special_tokens_map,
        )
        texts, answers = rendered
        encoded = tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
        )
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        learned = np.full(lengths.sum(), not self.assistant_only_loss)
        if self.assistant_only_loss:
            learned = np.concatenate(
                [_inside(*pair) for pair in zip(encoded["offset_mapping"], answers, strict=True)]
            )
        return np.concatenate(encoded["input_ids"]), learned, lengths

    def _images(self, rows: list[dict[str, Any]]) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
        """The images' tensors; their tokens, one image after the other; and each's length."""
        tokenizer = self.processor.tokenizer
        images = [row["images"] for row in rows]
        # A padding token shows where the tokens of an image end.
        one = self.processor.image_token + tokenizer.pad_token
        batch = self.processor(
            images=images if any(images) else None,
            text=[one * len(of_row) for of_row in images],
            add_special_tokens=False,
            return_attention_mask=False,
            images_kwargs={"return_tensors": "pt"},
        )
        names = {"input_ids", "token_type_ids", "mm_token_type_ids"} & batch.keys()
        tokens = {
            name: np.concatenate([np.array(of_row, int) for of_row in batch[name]])
            for name in names
        }
        of_image = tokens["input_ids"] != tokenizer.pad_token_id
        last = of_image & ~np.append(of_image[1:], False)
        lengths = np.diff(np.cumsum(of_image)[last], prepend=0)
        return batch, {name: values[of_image] for name, values in tokens.items()}, lengths

    def _padded(self, values: np.ndarray, lengths: np.ndarray, fill: int) -> torch.Tensor:
        """``values``, those of one row after the other, as a tensor of shape (rows, tokens)."""
        longest = -(-lengths.max() // self.multiple) * self.multiple
        padded = np.full((len(lengths), longest), fill)
        padded[np.arange(longest) < lengths[:, None]] = values
        return torch.from_numpy(padded)


def _inside(offsets: list[tuple[int, int]], spans: list[tuple[int, int]]) -> np.ndarray:
    """Which tokens, from one character to another, have a character in any of ``spans``."""
    starts, ends = np.array(offsets).T
    inside = np.zeros(len(offsets), bool)
    for start, end in spans:
        inside |= (starts < end) & (ends > start)
    return inside


@dataclass
class PrefixSuffixCollator:
    """A batch for PaliGemma: one-turn rows, labels on the answer and the stop token alone.

    TRL's collator hands the processor one text. All of it would count as the question, which a
    PaliGemma attends to both ways, so each answer's token would be read off the token itself.
    """

    processor: Any

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """The batch, padded on the right.

        Raises:
            jinja2.TemplateError: A row has more than one question and its answer.
        """
        return self.processor(
            images=[row["images"] for row in rows],
            text=[self._question(row) for row in rows],
            suffix=[row["messages"][-1]["content"] for row in rows],
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )

    def _question(self, row: dict[str, Any]) -> str:
        messages = prepare_multimodal_messages(row["messages"][:-1], images=row["images"])
        return self.processor.apply_chat_template(messages, tokenize=False)


@dataclass
class PaddingFree:
    """The batches of ``collator`` as one long row each, without padding.

    Positions begin anew with each row. Where there is no attention mask, transformers tells the
    rows apart by that, and none attends to another: flash attention gets the lengths, and the other
    implementations a mask of blocks.
    """

    collator: Any

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """The batch: (1, tokens of all rows) instead of (rows, tokens of the longest)."""
        batch = self.collator(rows)
        is_token = batch.pop("attention_mask").bool()
        batch["position_ids"] = is_token.cumsum(1) - 1
        for name, values in batch.items():
            if values.shape == is_token.shape:
                batch[name] = values[is_token][None]
        return batch


def refuse_padding_free(family: str) -> None:
    """Raise unless `PaddingFree` can be had for ``family``.

    Raises:
        RecipeError: Says why not.
    """
    if family in _PLAIN_POSITIONS:
        return
    reasons = {
        "paligemma": "its rows attend both ways within the question, by a mask of its own",
        **dict.fromkeys(
            ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
            "its positions have three axes, which the model itself computes of a padded batch",
        ),
    }
    raise RecipeError(
        f"padding_free: not for {family}: {reasons.get(family, 'it was not tried')}. Leave it out, "
        "and take group_by_length: true"
    )


@dataclass
class Uncut:
    """A collator that raises where a row is longer than ``max_length``; TRL would cut it."""

    collator: Any
    max_length: int

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch of ``examples``.

        Raises:
            TooLongError: Names the longest row by the words it begins with.
        """
        texts = [example["messages"][0]["content"] for example in examples]
        batch = self.collator(examples)
        lengths = batch["attention_mask"].sum(dim=1)
        if lengths.max() > self.max_length:
            raise TooLongError(
                f"max_length {self.max_length} would cut a row of {lengths.max()} tokens; it "
                f"begins {texts[int(lengths.argmax())][:100]!r}. Set max_length: {lengths.max()} "
                "or more."
            )
        return batch
