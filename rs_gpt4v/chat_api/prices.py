"""What requests cost: prices, OpenAI's rules for tokens of images, estimates and a hard cap."""

import asyncio
import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge
from typing_extensions import TypedDict

from rs_gpt4v.chat_api.answers import ChatError, Usage
from rs_gpt4v.chat_api.requests import ChatRequest, Endpoint
from rs_gpt4v.files import AnyPath, InvalidFileError, read_json
from rs_gpt4v.images import web_size

_PATCHES_AT_MOST = 1536
_MESSAGE_TOKENS = 4  # around each message's text
_BYTES_PER_TOKEN = 4.0  # of English


class Tiles(NamedTuple):
    """An image costs ``base`` tokens, and in high detail ``tile`` for each 512 px square.

    Before, it is shrunk to fit 2048 x 2048 px, then to 768 px on its shorter side.
    """

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of an image of ``width`` x ``height`` px."""
        if detail == "low":
            return self.base
        fit = min(1.0, 2048 / max(width, height))
        fit = min(fit, 768 / min(width, height))
        across, down = (
            math.ceil(round(width * fit, 3) / 512),
            math.ceil(round(height * fit, 3) / 512),
        )
        return self.base + self.tile * across * down


class Patches(NamedTuple):
    """An image costs ``factor`` tokens for each 32 px square, of which there are 1536 at most."""

    factor: float

    def tokens(self, width: int, height: int, detail: str) -> int:  # noqa: ARG002 - it is ignored
        """Tokens of an image of ``width`` x ``height`` px, in any detail."""
        patches = math.ceil(width / 32) * math.ceil(height / 32)
        return math.ceil(min(patches, _PATCHES_AT_MOST) * self.factor)


class Price(NamedTuple):
    """USD per million tokens, and how the model counts an image."""

    input_usd: float
    output_usd: float
    image: Tiles | Patches = Tiles(85, 170)

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """USD."""
        return (prompt_tokens * self.input_usd + completion_tokens * self.output_usd) / 1e6

    def cost_of(self, usage: Usage | None) -> float | None:
        """USD of what a server counted; None where it counted nothing."""
        return self.cost(usage["prompt_tokens"], usage["completion_tokens"]) if usage else None


PRICES: Mapping[str, Price] = {
    "gpt-4-turbo": Price(10.00, 30.00),
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-mini": Price(0.15, 0.60, Tiles(2833, 5667)),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60, Patches(1.62)),
    "gpt-4.1-nano": Price(0.10, 0.40, Patches(2.46)),
    "gpt-5": Price(1.25, 10.00, Tiles(70, 140)),
    "gpt-5-mini": Price(0.25, 2.00, Patches(1.62)),
    "gpt-5-nano": Price(0.05, 0.40, Patches(2.46)),
    "gpt-5.1": Price(1.25, 10.00, Tiles(70, 140)),
    "o3": Price(2.00, 8.00, Tiles(75, 150)),
    "o4-mini": Price(1.10, 4.40, Patches(1.72)),
}
"""OpenAI's standard prices and image rules as publicly listed in April 2026. They change: compare
with https://openai.com/api/pricing before you spend, and give your own with `read_prices`."""


class _PriceEntry(TypedDict):
    input_usd: Annotated[float, Ge(0)]
    output_usd: Annotated[float, Ge(0)]


def read_prices(path: AnyPath) -> dict[str, Price]:
    """Prices of ``{"MODEL": {"input_usd": 2.5, "output_usd": 10}, ...}``, beside `PRICES`.

    Both are per million tokens. Images are counted as for the model of that name in `PRICES`, else
    as for gpt-4o.

    Raises:
        ChatError: The file is not of this form.
    """
    path = Path(path)
    try:
        entries = read_json(path, dict[str, _PriceEntry])
    except InvalidFileError as error:
        expected = '{"MODEL": {"input_usd": 2.5, "output_usd": 10}}'
        raise ChatError(f"{error}; in all, expected {expected}, USD per million") from None
    own = {
        model: Price(
            float(entry["input_usd"]),
            float(entry["output_usd"]),
            image_rule(price_of(model, PRICES)),
        )
        for model, entry in entries.items()
    }
    return {**PRICES, **own}


def image_rule(price: Price | None) -> Tiles | Patches:
    """How images are counted at ``price``; as for gpt-4o where it is not known."""
    return price.image if price else Tiles(85, 170)


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of ``model``, or of the model that it is a dated version of."""
    return prices.get(model) or prices.get(re.sub(r"-\d{4}-\d\d-\d\d$", "", model))


def prompt_tokens(
    request: ChatRequest, rule: Tiles | Patches, bytes_per_token: float = _BYTES_PER_TOKEN
) -> int:
    """Tokens of a prompt, estimated: its text at ``bytes_per_token``, and its images by ``rule``.

    With 1 byte a token, which is the least, no prompt is paid with more.
    """
    texts, image_tokens = [], 0
    for message in request["messages"]:
        for part in _parts(message):
            if part["type"] == "image_url":
                image_tokens += _image_tokens(part["image_url"], rule)
            else:
                texts.append(part.get("text", ""))
    schema = {name: request[name] for name in ("response_format", "tools") if name in request}
    texts.append(json.dumps(schema))
    size = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    around = _MESSAGE_TOKENS * (len(request["messages"]) + 1)
    return round(size / bytes_per_token) + around + image_tokens


def _parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content") or ""
    yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


def _image_tokens(image: dict[str, Any], rule: Tiles | Patches) -> int:
    url = image["url"]
    if not url.startswith("data:"):
        return rule.tokens(2048, 768, "high")  # unseen: the most there is
    size = web_size(base64.b64decode(url.partition(",")[2]))
    return rule.tokens(*size, image.get("detail", "auto"))


def completion_tokens_at_most(request: ChatRequest) -> int | None:
    """The longest reply that ``request`` allows; None where it sets no bound."""
    bound = request.get("max_completion_tokens") or request.get("max_tokens")
    return bound if isinstance(bound, int) and bound > 0 else None


@dataclass(frozen=True)
class Estimate:
    """What requests would take; costs are None where the price or a longest reply is unknown.

    Args:
        requests: How many, each counted, also where it repeats another.
        prompt_tokens: Estimated; see docs/chat_api.md.
        max_completion_tokens: If every reply were as long as it may be.
    """

    model: str
    requests: int
    prompt_tokens: int
    max_completion_tokens: int | None
    price: Price | None

    @property
    def cost_usd_at_most(self) -> float | None:
        """USD where every reply is as long as it may be."""
        if self.price is None or self.max_completion_tokens is None:
            return None
        return self.price.cost(self.prompt_tokens, self.max_completion_tokens)

    @property
    def cost_usd(self) -> float | None:
        """USD of the prompts alone: no reply can make it less."""
        return self.price and self.price.cost(self.prompt_tokens, 0)

    def __str__(self) -> str:
        text = f"{self.requests:,} requests to {self.model}, some {self.prompt_tokens:,} tokens"
        if self.price is None:
            return f"{text}; its price is not known: give a table of prices"
        if self.cost_usd_at_most is None:
            return f"{text}: ${self.cost_usd:.2f}, and replies without bound (max_tokens)"
        return (
            f"{text} and at most {self.max_completion_tokens:,} in replies: between "
            f"${self.cost_usd:.2f} and ${self.cost_usd_at_most:.2f}, half as a batch. Prices "
            f"${self.price.input_usd:g} and ${self.price.output_usd:g} per million: check them"
        )


def estimate(
    requests: Iterable[tuple[str, ChatRequest]],
    endpoint: Endpoint,
    prices: Mapping[str, Price] = PRICES,
) -> Estimate:
    """Estimate the tokens and the cost, without sending anything; ``requests`` are read once."""
    price = price_of(endpoint.model, prices)
    rule = image_rule(price)
    count, prompts, replies = 0, 0, 0.0
    for _, request in requests:
        count += 1
        prompts += prompt_tokens(request, rule)
        longest = completion_tokens_at_most(request)
        replies += math.inf if longest is None else longest
    most = None if math.isinf(replies) else int(replies)
    return Estimate(endpoint.model, count, prompts, most, price)


class Budget:
    """A cap on spending that also counts what the requests in flight can cost at most.

    Args:
        cap_usd: None for no cap.
        spent_usd: What was spent before.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float) -> None:
        self.cap_usd = math.inf if cap_usd is None else cap_usd
        self.spent_usd = spent_usd
        self._in_flight_usd, self._in_flight = 0.0, 0
        self._settled = asyncio.Condition()

    async def reserve(self, most_usd: float) -> bool:
        """Wait until ``most_usd`` fits; False where it never will."""
        async with self._settled:
            while self.spent_usd + self._in_flight_usd + most_usd > self.cap_usd:
                if not self._in_flight:
                    return False
                await self._settled.wait()
            self._in_flight_usd += most_usd
            self._in_flight += 1
            return True

    async def settle(self, most_usd: float, paid_usd: float) -> None:
        """``paid_usd`` was spent of the ``most_usd`` that were reserved."""
        async with self._settled:
            self._in_flight -= 1
            self._in_flight_usd = self._in_flight_usd - most_usd if self._in_flight else 0.0
            self.spent_usd += paid_usd
            self._settled.notify_all()
