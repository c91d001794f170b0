"""Several servers of one model as one: each request goes to the one that has least to do."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from rs_gpt4v.chat_api.transport import NoReplyError, Post, Reply

logger = logging.getLogger(__name__)

_LONGEST_REST = 60  # in units of the first rest
_TRY_ANOTHER = {HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass
class _Mirror:
    """One address: the requests under way, and until when it rests after failures in a row."""

    host: str
    post: Post
    under_way: int = 0
    failures: int = 0
    rests_until: float = 0.0

    def order(self, now: float) -> tuple[bool, int]:
        """Less is better. One that failed last gets a single request, once it has rested."""
        is_out = self.failures > 0 and (self.under_way > 0 or self.rests_until > now)
        return is_out, self.under_way


def spread(posts: Sequence[tuple[str, Post]], rest_s: float) -> Post:
    """Sends each body to one of ``posts``, which are named by their hosts; if it fails, to another.

    One that fails rests for ``rest_s``, then twice as long and so on, up to 60 times as long. Only
    where all fail does the request, as the last of them did.
    """
    mirrors = [_Mirror(*named) for named in posts]

    async def post(body: bytes) -> Reply:
        left = list(mirrors)
        while True:
            now = asyncio.get_running_loop().time()
            mirror = min(left, key=lambda own: own.order(now))
            left.remove(mirror)
            try:
                reply = await _post(mirror, body)
            except NoReplyError as error:
                _rest(mirror, rest_s, str(error))
                if not left:
                    raise
                continue
            if not _is_failure(reply):
                mirror.failures, mirror.rests_until = 0, 0.0
                return reply
            _rest(mirror, rest_s, f"it says {reply.status}")
            if not left:
                return reply

    return post if len(mirrors) > 1 else mirrors[0].post


async def _post(mirror: _Mirror, body: bytes) -> Reply:
    mirror.under_way += 1
    try:
        return await mirror.post(body)
    finally:
        mirror.under_way -= 1


def _is_failure(reply: Reply) -> bool:
    return reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _TRY_ANOTHER


def _rest(mirror: _Mirror, rest_s: float, reason: str) -> None:
    now = asyncio.get_running_loop().time()
    if mirror.rests_until > now:
        return  # another request of the same time has failed
    mirror.rests_until = now + rest_s * min(2**mirror.failures, _LONGEST_REST)
    mirror.failures += 1
    if mirror.failures == 1:
        logger.warning("%s fails, other servers answer meanwhile: %s", mirror.host, reason)
