"""Asking a model for dialogues, and again where its reply makes none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from rs_gpt4v import chat_api as chat
from rs_gpt4v_generation.products import PRODUCTS, Product
from rs_gpt4v_generation.prompts import request_body
from rs_gpt4v_generation.replies import Dialogue, Unusable, parse
from rs_gpt4v_generation.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Generator(chat.Asker):
    """Who writes the dialogues, and how it is asked; without the image, the facts are all.

    At temperature 0, a second try is pointless.

    Args:
        products: What to ask for of each image.
        tries: Times that a product of an image is asked for until a reply makes a dialogue, with
            the seeds ``seed``, ``seed`` + 1, ...
    """

    products: tuple[Product, ...] = PRODUCTS
    tries: int = 2
    temperature: float = 0.7
    max_tokens: int = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What is asked for: a product of an image."""

    scene: Scene
    product: Product

    @property
    def id(self) -> str:
        """Of the candidate that comes of it."""
        return f"{self.scene.split}/{self.scene.key}/{self.product}"


class Draft(NamedTuple):
    """What came of a wish.

    Attributes:
        wish: What was asked for.
        told: The dialogue, or why there is none.
        request: Hash of the request that was answered last; None where none was sent.
        model: Who answered, as the server names it; None where nobody did.
    """

    wish: Wish
    told: Dialogue | Unusable
    request: str | None = None
    model: str | None = None


class Asked(NamedTuple):
    """The drafts in the order of their wishes, and the account of each time of asking.

    ``stopped`` says why not all was asked; it is None where all was.
    """

    drafts: list[Draft]
    summaries: list[chat.Summary]
    stopped: str | None


def wishes(scenes: Sequence[Scene], products: Sequence[Product]) -> list[Wish]:
    """Everything to ask for, image by image."""
    return [Wish(scene, product) for scene in scenes for product in products]


def ask(wished: Sequence[Wish], generator: Generator) -> Asked:
    """Ask for all of ``wished``; what is no dialogue is asked for again, up to ``tries`` times.

    A run that stops early (no credit, cap reached, server gone) gives what there is by then.

    Raises:
        ChatError: Asking could not begin.
    """
    drafts: dict[Wish, Draft] = {}

    def is_usable(wish: Wish, answer: chat.Answer) -> bool:
        drafts[wish] = _draft(wish, answer)
        return not _can_do_better(drafts[wish])

    def request(wish: Wish, time: int) -> tuple[str, chat.ChatRequest]:
        return request_for(wish, generator, time)

    rounds = generator.ask(wished, request, is_usable, generator.tries, "Generating")
    unsent = Unusable("unsent", "the run stopped")
    drafts |= {wish: Draft(wish, unsent) for wish in rounds.unanswered}
    return Asked([drafts[wish] for wish in wished], rounds.summaries, rounds.stopped)


def request_for(wish: Wish, generator: Generator, time: int = 0) -> tuple[str, chat.ChatRequest]:
    """What asks for ``wish`` the first time (0), the second, ..."""
    image = next(iter(generator.images(wish.scene.image)), None)
    body = request_body(
        wish.scene.sheet(),
        wish.product,
        generator.endpoint.model,
        image=image,
        temperature=generator.temperature,
        max_tokens=generator.max_tokens,
        seed=generator.seed + time,
    )
    return wish.id, generator.request(body)


def requests(
    wished: Iterable[Wish], generator: Generator
) -> Iterator[tuple[str, chat.ChatRequest]]:
    """What asks for all of ``wished`` once, made one by one: it holds the image."""
    return (request_for(wish, generator) for wish in wished)


def _draft(wish: Wish, answer: chat.Answer) -> Draft:
    if answer.failure:
        told = Unusable(*answer.failure)
    else:
        told = parse(answer.text, wish.product, answer.finish_reason)
    return Draft(wish, told, answer.hash, answer.model)


def _can_do_better(draft: Draft) -> bool:
    """Whether there was a reply of which another of the same model may differ."""
    wrong = getattr(draft.told, "wrong", None)
    return wrong is not None and wrong not in _WITHOUT_REPLY


_WITHOUT_REPLY = {*get_args(chat.FailureKind)} - chat.REPLIED
