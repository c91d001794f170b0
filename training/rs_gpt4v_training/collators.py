"""Batches where TRL's own will not do: PaliGemma's, and those of rows that stream."""

from dataclasses import dataclass
from typing import Any

from trl.data_utils import prepare_multimodal_messages

from rs_gpt4v_training.row_checks import TooLongError


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
