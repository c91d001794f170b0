"""Asking a model for dialogues, and again where a reply holds none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from rs_gpt4v import chat_api as chat
from rs_gpt4v_generation.products import PAPERS, Dialogue, ProductName
from rs_gpt4v_generation.prompts import request_body
from rs_gpt4v_generation.replies import Unusable, parse
from rs_gpt4v_generation.scene import Scene


@dataclass(frozen=True, slots=True, eq=False)
class GenerationTask:
    """One product of one image."""

    scene: Scene
    product: ProductName


class Attempt(NamedTuple):
    """The last reply to a task.

    Attributes:
        task: What was asked for.
        result: The dialogue, or why there is none.
        request: Hash of the request; None where none was sent.
        model: Who answered, as the server names it; None where nobody did.
    """

    task: GenerationTask
    result: Dialogue | Unusable
    request: str | None = None
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class Generator(chat.Asker):
    """The model that writes the dialogues, and how it is asked.

    At temperature 0, a second try is pointless.

    Args:
        products: What to ask for of each image.
        tries: Requests per task until a reply is a dialogue, with the seeds ``seed``, ``seed`` + 1,
            ...
    """

    products: tuple[ProductName, ...] = PAPERS
    tries: int = 2
    temperature: float = 0.7
    max_tokens: int = 2000

    def tasks(self, scenes: Iterable[Scene]) -> list[GenerationTask]:
        """Every product of every image, image by image."""
        return [GenerationTask(scene, product) for scene in scenes for product in self.products]

    def request_for(self, task: GenerationTask, time: int = 0) -> tuple[str, chat.ChatRequest]:
        """The key and body of the request for a task, the first time (0), the second, ..."""
        scene, product = task.scene, task.product
        body = request_body(
            scene.sheet(),
            product,
            self.endpoint.model,
            image=next(iter(self.images(scene.image)), None),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=self.seed + time,
        )
        return scene.row_id(product), self.request(body)


_FINAL = {*get_args(chat.FailureKind)} - chat.REPLIED
"""Without a reply; asking again would get none either."""


def ask(
    tasks: Sequence[GenerationTask], generator: Generator
) -> tuple[list[Attempt], chat.Rounds[GenerationTask]]:
    """An attempt per task, in order; a reply without a dialogue is asked for again.

    A run that stops early (no credit, cap reached, server gone) gives what there is by then.

    Raises:
        ChatError: Asking could not begin.
    """
    attempts: dict[GenerationTask, Attempt] = {}

    def is_usable(task: GenerationTask, answer: chat.Answer) -> bool:
        if answer.failure:
            result = Unusable(*answer.failure)
        else:
            result = parse(answer.text, task.product, answer.finish_reason)
        attempts[task] = Attempt(task, result, answer.hash, answer.model)
        return isinstance(result, Dialogue) or result.kind in _FINAL

    rounds = generator.ask(
        tasks, generator.request_for, is_usable, generator.tries, desc="Generating"
    )
    unsent = Unusable("unsent", "the run stopped")
    attempts |= {task: Attempt(task, unsent) for task in rounds.unanswered}
    return [attempts[task] for task in tasks], rounds
