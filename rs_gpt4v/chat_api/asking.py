"""How a verb asks: settings, requests, and asking again for what cannot be used."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from rs_gpt4v.chat_api.answers import Answer, ChatError, ChatStoppedError, Summary
from rs_gpt4v.chat_api.client import complete
from rs_gpt4v.chat_api.masking import Mask
from rs_gpt4v.chat_api.prices import PRICES, Estimate, Price, estimate
from rs_gpt4v.chat_api.requests import ChatRequest, Endpoint, Part, image_part, key_of
from rs_gpt4v.files import AnyPath

T = TypeVar("T")
A = TypeVar("A", bound="Asker")


@dataclass(frozen=True)  # Python 3.10 knows no generic NamedTuple
class Rounds(Generic[T]):
    """The account of each time of asking.

    ``stopped`` says why not all was asked, and is None where all was; ``unanswered`` is what the
    last time of asking was to answer then, and did not.
    """

    summaries: list[Summary]
    stopped: str | None
    unanswered: Sequence[T]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """A chat task: the server, and how it is asked.

    Args:
        endpoint: The server and its model.
        journal: Every reply paid for; with the same one nothing is asked twice.
        seed: For the server's sampling; servers may ignore it.
        temperature: 0 for the most probable reply.
        max_tokens: Longest reply.
        with_image: Show the image.
        image_detail: "low", "high" or "auto", for servers such as OpenAI's.
        with_schema: Hold the reply to a JSON schema. `without_schema_if_refused` finds out whether
            the server can.
        body: Fields that override those of each request; None removes a field.
        cap_usd: Spend no more in all runs with this journal.
        prices: USD per million tokens by model.
    """

    endpoint: Endpoint
    journal: AnyPath
    seed: int = 0
    temperature: float = 0.0
    max_tokens: int
    with_image: bool = True
    image_detail: Literal["auto", "low", "high"] = "auto"
    with_schema: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)
    cap_usd: float | None = None
    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES)

    def __post_init__(self) -> None:
        """Raise ChatError where ``body``, which files and reports repeat, holds the key."""
        if Mask([key_of(self.endpoint)]).holds(json.dumps(dict(self.body))):
            raise ChatError(
                "the further fields of requests (--body) hold the key, which would end in files: "
                "it is sent as a header, so leave it out"
            )

    def images(self, *images: AnyPath) -> list[Part]:
        """The parts of a message that show ``images``; none where none is to be shown."""
        shown = images if self.with_image else ()
        return [image_part(Path(image), self.image_detail) for image in shown]

    def request(self, fields: ChatRequest) -> ChatRequest:
        """``fields`` as they are to be sent, without a schema where there is to be none."""
        schema = {} if self.with_schema else {"response_format": None}
        wanted = {**fields, **schema, **self.body}
        return {name: value for name, value in wanted.items() if value is not None}

    def estimate(self, requests: Iterable[tuple[str, ChatRequest]]) -> Estimate:
        """What asking each once would take; asking again comes on top."""
        return estimate(requests, self.endpoint, self.prices)

    def without_schema_if_refused(self: A, requests: Iterable[tuple[str, ChatRequest]]) -> A:
        """The same, without a schema if the server refuses the first of ``requests`` for its own.

        The answer is in the journal, so that asking it again with the others costs nothing. A run
        that is stopped by this request shows nothing, and will be stopped by it again.

        Raises:
            ChatError: As `complete`.
        """
        first = next(iter(requests), None) if self.with_schema else None
        if first is None:
            return self
        reasons: list[str] = []
        with (
            suppress(ChatStoppedError),
            complete(
                [("schema", first[1])],
                replace(self.endpoint, max_attempts=1),  # some answer 500, always
                self.journal,
                cap_usd=self.cap_usd,
                prices=self.prices,
                desc="Trying the schema",
            ) as answers,
        ):
            reasons += [answer.failure.reason for answer in answers if answer.failure]
        words = ("response_format", "json_schema", "guided")
        refused = any(word in reason for reason in reasons for word in words)
        return replace(self, with_schema=not refused)

    def ask(
        self,
        items: Sequence[T],
        request: Callable[[T, int], tuple[str, ChatRequest]],
        is_usable: Callable[[T, Answer], bool],
        times: int,
        desc: str,
    ) -> Rounds[T]:
        """Ask for each of ``items``, and again for those whose answer is not usable.

        Args:
            items: What to ask for.
            request: The key and the body for an item, the first time (0), the second, ...; called
                when its turn comes, in another thread, as it may hold an image.
            is_usable: Takes each answer, in the order of the items.
            times: That an item is asked for at most.
            desc: What the progress bar says.

        Raises:
            ChatError: Asking could not begin.
        """
        summaries: list[Summary] = []
        for time in range(times):
            if not items:
                break
            again, count = [], 0
            with complete(
                map(request, items, repeat(time)),
                self.endpoint,
                self.journal,
                cap_usd=self.cap_usd,
                prices=self.prices,
                total=len(items),
                desc=desc if time == 0 else f"{desc} again ({time})",
            ) as answers:
                summaries.append(answers.summary)
                try:
                    # Strict, so that the end of `answers` is read: it says if the run was stopped.
                    for item, answer in zip(items, answers, strict=True):
                        count += 1
                        if not is_usable(item, answer):
                            again.append(item)
                except ChatStoppedError as error:
                    return Rounds(summaries, str(error), items[count:])
            items = again
        return Rounds(summaries, None, [])
