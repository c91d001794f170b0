"""A client of OpenAI-compatible chat servers that keeps every paid answer in a journal.

A request is a JSON body. An answer is a text, or the reason why there is none.
"""

from rs_gpt4v.chat_api.answers import (
    REPLIED,
    Answer,
    ChatError,
    ChatStoppedError,
    Failure,
    FailureKind,
    Summary,
    Usage,
)
from rs_gpt4v.chat_api.asking import Asker, Rounds
from rs_gpt4v.chat_api.batch import read_batch, write_batch
from rs_gpt4v.chat_api.client import complete
from rs_gpt4v.chat_api.prices import PRICES, Estimate, Price, estimate, read_prices
from rs_gpt4v.chat_api.requests import (
    ChatRequest,
    Endpoint,
    Part,
    image_part,
    read_body,
    request_hash,
    text_part,
)

__all__ = [
    "PRICES",
    "REPLIED",
    "Answer",
    "Asker",
    "ChatError",
    "ChatRequest",
    "ChatStoppedError",
    "Endpoint",
    "Estimate",
    "Failure",
    "FailureKind",
    "Part",
    "Price",
    "Rounds",
    "Summary",
    "Usage",
    "complete",
    "estimate",
    "image_part",
    "read_batch",
    "read_body",
    "read_prices",
    "request_hash",
    "text_part",
    "write_batch",
]
