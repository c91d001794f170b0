"""Whether a server can hold its replies to a JSON schema: not all can."""

from collections.abc import Mapping
from pathlib import Path

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

    The answer is in the journal, so that asking it again with the others costs nothing.

    Raises:
        ChatError: As `complete`.
    """
    with complete(
        [("schema", request)],
        endpoint,
        journal,
        cap_usd=cap_usd,
        prices=prices,
        desc="Trying the schema",
    ) as answers:
        failures = [answer.failure for answer in answers if answer.failure]
    return not any(one.kind == "rejected" and _names_schema(one.reason) for one in failures)


def _names_schema(reason: str) -> bool:
    return any(word in reason for word in ("response_format", "json_schema", "guided"))
