"""Batches for PaliGemma, which reads its question both ways and learns the answer to it."""

from dataclasses import dataclass
from typing import Any

from trl.data_utils import prepare_multimodal_messages


@dataclass
class PrefixSuffixCollator:
    """Makes a batch of one-turn rows with images, labels on the answer and the stop token alone.

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
