"""What the page asks a model, and the images that it asks about."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from datasets import load_dataset
from typing_extensions import TypedDict

from rs_gpt4v import NAME
from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.conversation import Message, dialogue_problem
from rs_gpt4v.images import AS_IS, Conversion, ImageFile, checked, frame_size, open_image
from rs_gpt4v_builders.pick import pick, pool

EXAMPLES = ("cap_ucm", "vqa_lr", "vqa_hr", "grounding", "region_caption", "detail")
"""The configs whose sample has an example on the page."""

_MOST_IMAGES = 40  # that were dropped, the last ones


class Model(Protocol):
    """What answers: `rs_gpt4v_evaluation.predict.Predictor`."""

    name: str
    adapter: str | None
    model: Any

    def replies(self, conversations: list[dict[str, Any]]) -> list[str]:
        """The reply to each conversation, whose last message is left out."""
        ...

    def why_not_without_image(self) -> str | None:
        """Why it answers no question without an image; None if it does."""
        ...


class Example(NamedTuple):
    """A row of the sample: an image, a question and its true answer."""

    image: ImageFile
    question: str
    truth: str
    task: str


class Question(TypedDict):
    """What the page sends: all messages, the last a question, about an image that was added.

    ``task`` is for adapters that route by the task; others do not look at it.
    """

    image: str | None
    messages: list[Message]
    task: str


class BadQuestionError(ValueError):
    """A question cannot be asked; the message says why."""


class UnknownImageError(LookupError):
    """An image was never added, or so long ago that it is forgotten."""


class ChatSession:
    """One model, which answers one question at a time.

    Args:
        model: Answers.
        box_format: The codec by which its boxes are read; None where it has none that is known.
        conversion: What to do with deep and many-band images.
        examples: Rows to try; see `sample_examples`.
    """

    def __init__(
        self,
        model: Model,
        box_format: str | None,
        conversion: Conversion = AS_IS,
        examples: Sequence[Example] = (),
    ) -> None:
        self.model, self.box_format, self.conversion = model, box_format, conversion
        self.examples = {f"example-{i}": example for i, example in enumerate(examples)}
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def tasks(self) -> list[str]:
        """The tasks that the adapter routes by; none where it does not."""
        configs = getattr(self.model.model, "peft_config", {}).values()
        return [
            task
            for config in configs
            if getattr(config, "routing", None) == "task"
            for task in config.tasks
        ]

    def about(self) -> dict[str, Any]:
        """What the page shows before anything is asked."""
        return {
            "model": self.model.name,
            "adapter": self.model.adapter,
            "box_format": self.box_format,
            "tasks": self.tasks,
            "examples": [
                {**self._described(name), **example._asdict(), "image": name}
                for name, example in self.examples.items()
            ],
        }

    def add_image(self, content: bytes) -> dict[str, Any]:
        """Keep an image, by which name it is asked about, and its size in pixels.

        Raises:
            ImageError: It is none that can be used.
        """
        checked(content, self.conversion)
        name = hashlib.sha256(content).hexdigest()[:24]
        self._images[name] = content
        self._images.move_to_end(name)
        while len(self._images) > _MOST_IMAGES:
            self._images.popitem(last=False)
        return self._described(name)

    def image(self, name: str) -> ImageFile:
        """The image of this name.

        Raises:
            UnknownImageError: There is none.
        """
        if example := self.examples.get(name):
            return example.image
        if content := self._images.get(name):
            return content
        raise UnknownImageError("the image is not here any more: add it again")

    def ask(self, question: Question) -> dict[str, Any]:
        """The model's reply, the boxes in it and in the last question, and how long it took.

        Boxes are lists of 4 or 8 numbers in pixels of the image.

        Raises:
            BadQuestionError: The messages are no dialogue, or the model cannot be asked so.
            UnknownImageError: The image is not here.
            ImageError: It cannot be read.
            RuntimeError: The model failed.
        """
        messages: list[Any] = [*question["messages"], {"role": "assistant", "content": "?"}]
        if problem := dialogue_problem(messages):
            raise BadQuestionError(problem)
        name = question["image"]
        images = [] if name is None else [self._opened(name)]
        asked = {"messages": messages, "images": images, "task": question["task"]}
        with self._lock:
            if not images and (why := self.model.why_not_without_image()):
                raise BadQuestionError(f"{why}: add an image first")
            started = time.monotonic()
            (reply,) = self.model.replies([asked])
        return {
            "reply": reply,
            "boxes": self._boxes(reply, name),
            "asked": self._boxes(messages[-2]["content"], name),
            "seconds": round(time.monotonic() - started, 1),
        }

    def _opened(self, name: str) -> Any:
        return open_image(self.image(name), self.conversion).convert("RGB")

    def _described(self, name: str) -> dict[str, Any]:
        width, height = frame_size(self.image(name))
        return {"image": name, "width": width, "height": height}

    def _boxes(self, text: str, name: str | None) -> list[list[float]]:
        if name is None or self.box_format is None:
            return []
        boxes = CODECS[self.box_format].parse_each(text, *frame_size(self.image(name)))
        if isinstance(boxes, ParseFailure):
            return []
        return [list(box) for box in boxes if not isinstance(box, ParseFailure)]


def sample_examples(box_format: str | None) -> list[Example]:
    """A row of the sample's test split of each of `EXAMPLES`, boxes as the model writes them."""
    codec: dict[str, Any] = {} if box_format is None else {"box_format": box_format}
    loaded = [load_dataset(NAME, name, sample=True, split="test", **codec) for name in EXAMPLES]
    rows = pick([pool(rows) for rows in loaded], len(EXAMPLES))
    return [
        Example(
            image=row["images"][0]["bytes"] or row["images"][0]["path"],
            question=row["messages"][0]["content"],
            truth=row["messages"][1]["content"],
            task=row["task"],
        )
        for row in rows
    ]
