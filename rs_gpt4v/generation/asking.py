"""Asking a model for dialogues, and again where its reply makes none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from rs_gpt4v import chat
from rs_gpt4v.generation.products import PRODUCTS, Product
from rs_gpt4v.generation.prompts import request_body
from rs_gpt4v.generation.replies import Dialogue, Unusable, parse
from rs_gpt4v.generation.scenes import Scene


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Who writes the dialogues, and how it is asked.

    Args:
        endpoint: The server and its model.
        journal: Every reply paid for; with the same one nothing is asked twice.
        products: What to ask for of each image.
        tries: Times that a product of an image is asked for until a reply makes a dialogue, with
            the seeds ``seed``, ``seed`` + 1, ...
        seed: For the server's sampling, as far as it heeds it.
        temperature: 0 for the most probable reply, which makes a second try pointless.
        max_tokens: Longest reply.
        with_image: Show the image; otherwise the facts are all that is told.
        image_detail: How finely servers such as OpenAI's look at it.
        with_schema: Hold the reply to a JSON schema. `settled` finds out whether the server can.
        body: More fields of each request, which win; None takes a field out.
        cap_usd: Spend no more in all runs with this journal.
        prices: USD per million tokens by model.
    """

    endpoint: chat.Endpoint
    journal: Path
    products: tuple[Product, ...] = PRODUCTS
    tries: int = 2
    seed: int = 0
    temperature: float = 0.7
    max_tokens: int = 2000
    with_image: bool = True
    image_detail: Literal["auto", "low", "high"] = "auto"
    with_schema: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)
    cap_usd: float | None = None
    prices: Mapping[str, chat.Price] = field(default_factory=lambda: chat.PRICES)

    def request(self, wish: "Wish", time: int = 0) -> chat.ChatRequest:
        """The body that asks for ``wish`` the first time (0), the second, ..."""
        shown = chat.image_part(wish.scene.image, self.image_detail) if self.with_image else None
        request = request_body(
            wish.scene.sheet(),
            wish.product,
            self.endpoint.model,
            image=shown,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=self.seed + time,
        )
        if not self.with_schema:
            del request["response_format"]
        wanted = {**request, **self.body}
        return {name: value for name, value in wanted.items() if value is not None}


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
    summaries, stopped, again = [], None, list(wished)
    for time in range(generator.tries):
        if not again or stopped:
            break
        drafts |= {wish: Draft(wish, Unusable("unsent", "the run stopped")) for wish in again}
        with _answers(again, generator, time) as answers:
            try:
                for wish, answer in zip(again, answers, strict=True):
                    drafts[wish] = _draft(wish, answer)
            except chat.ChatStoppedError as error:
                stopped = str(error)
        summaries.append(answers.summary)
        again = [wish for wish in again if _can_do_better(drafts[wish])]
    return Asked([drafts[wish] for wish in wished], summaries, stopped)


def _answers(
    asked: Sequence[Wish], generator: Generator, time: int
) -> AbstractContextManager[chat.Answers]:
    return chat.complete(
        requests(asked, generator, time),
        generator.endpoint,
        generator.journal,
        cap_usd=generator.cap_usd,
        prices=generator.prices,
        total=len(asked),
        desc="Generating" if time == 0 else f"Asking again ({time})",
    )


def requests(
    asked: Iterable[Wish], generator: Generator, time: int = 0
) -> Iterator[tuple[str, chat.ChatRequest]]:
    """What is sent, made when its turn comes: it holds the image."""
    for wish in asked:
        yield wish.id, generator.request(wish, time)


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


def settled(wished: Sequence[Wish], generator: Generator) -> Generator:
    """``generator``, without a schema if the server refuses the first wish for its schema."""
    if not wished or not generator.with_schema:
        return generator
    with_schema = chat.takes_schema(
        generator.request(wished[0]),
        generator.endpoint,
        generator.journal,
        cap_usd=generator.cap_usd,
        prices=generator.prices,
    )
    return replace(generator, with_schema=with_schema)


def estimate(wished: Sequence[Wish], generator: Generator) -> chat.Estimate:
    """What asking once for each takes; a second try comes on top where a reply is no dialogue."""
    return chat.estimate(requests(wished, generator), generator.endpoint, generator.prices)
