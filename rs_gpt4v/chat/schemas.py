"""Whether a server can hold its replies to a JSON schema: not all can."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rs_gpt4v.chat.answers import ChatStoppedError
from rs_gpt4v.chat.client import complete
from rs_gpt4v.chat.prices import PRICES, Price
from rs_gpt4v.chat.requests import ChatRequest, Endpoint


def takes_schema(
    request: ChatRequest,
    endpoint: Endpoint,
    journal: Path,
    *,
    cap_usd: float | None = None,
    prices: Mapping[str, Price] = PRICES,
) -> bool:
    """Ask ``request``, which has a schema: False where the server refuses it for that.

    The answer is in the journal, so that asking it again with the others costs nothing. A run that
    is stopped by this request shows nothing, and will be stopped by it again.

    Raises:
        ChatError: As `complete`.
    """
    failures = []
    with (
        suppress(ChatStoppedError),
        complete(
            [("schema", request)],
            replace(
                endpoint, max_attempts=1
            ),  # some answer 500, which would be tried again and again
            journal,
            cap_usd=cap_usd,
            prices=prices,
            desc="Trying the schema",
        ) as answers,
    ):
        failures += [answer.failure for answer in answers if answer.failure]
    return not any(_names_schema(one.reason) for one in failures)


def _names_schema(reason: str) -> bool:
    return any(word in reason for word in ("response_format", "json_schema", "guided"))
