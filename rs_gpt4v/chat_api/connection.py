"""One attempt over HTTP: a bounded, masked reply, or why there is none, in our own words.

Texts of the HTTP library never leave this module: some repeat the request, with its key.
"""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from rs_gpt4v.chat_api.answers import LONGEST_REPLY
from rs_gpt4v.chat_api.masking import Mask
from rs_gpt4v.chat_api.mirrors import spread
from rs_gpt4v.chat_api.requests import Endpoint
from rs_gpt4v.chat_api.transport import NoReplyError, Post, Reply

_LONGEST_ERROR = 64 * 2**10  # bytes
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@asynccontextmanager
async def connection(endpoint: Endpoint, key: str | None) -> AsyncIterator[Post]:
    """Posts to ``endpoint``, with ``key``, which is struck out of whatever comes back."""
    async with AsyncExitStack() as stack:
        posts = [
            (urlsplit(own.url).netloc, await stack.enter_async_context(_connection(own, key)))
            for own in endpoint.each
        ]
        yield spread(posts, endpoint.backoff_s)


@asynccontextmanager
async def _connection(endpoint: Endpoint, key: str | None) -> AsyncIterator[Post]:
    import aiohttp

    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    host, proxy = urlsplit(endpoint.url).netloc, _proxy(endpoint.url)
    mask = Mask([key, *_secrets(proxy)])
    session = aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=endpoint.concurrency),
        timeout=aiohttp.ClientTimeout(total=endpoint.timeout_s),
        proxy=proxy,
        auto_decompress=False,  # it would unpack any amount
    )

    async def post(body: bytes) -> Reply:
        try:
            # A redirect would carry the key elsewhere.
            async with session.post(endpoint.url, data=body, allow_redirects=False) as response:
                content, is_cut = await _read(response)
        except asyncio.TimeoutError:
            failure = NoReplyError(f"no answer within {endpoint.timeout_s:g} s", sent=True)
        except Exception as error:  # noqa: BLE001 - its text may hold the key, so it ends here
            failure = _failure(error, host)
        else:
            return Reply(response.status, response.headers, mask.body(content), is_cut)
        raise failure  # outside of `except`: with no trace of the library's error

    async with session:
        yield post


async def _read(response: Any) -> tuple[bytes, bool]:
    """The body, and whether it is longer than we read; of an error, its beginning is kept."""
    is_error = response.status != HTTPStatus.OK
    limit = _LONGEST_ERROR if is_error else LONGEST_REPLY
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise zlib.error
    unpacking = None if coding in ("", "identity") else zlib.decompressobj(_GZIP_OR_ZLIB)
    content = bytearray()
    async for chunk in response.content.iter_any():
        room = limit + 1 - len(content)
        content += unpacking.decompress(chunk, room) if unpacking else chunk[:room]
        if len(content) > limit:
            response.close()
            return bytes(content[:limit]) if is_error else b"", True
    return bytes(content), False


def _failure(error: Exception, host: str) -> NoReplyError:
    """What ``error`` means, told from its type, its number and ``host`` alone."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        return NoReplyError(f"cannot connect to {_whereto(error, host)}", sent=False)
    return NoReplyError(_how_it_broke(error, host), sent=True)


def _whereto(error: Any, host: str) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{host}: its certificate is not trusted"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"{host}: it speaks no TLS there; is the address one of http:// ?"
    name = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else host
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"{name}: no such host is known"
    number = error.os_error.errno
    return f"{name}: {os.strerror(number)}" if number else name


def _how_it_broke(error: Exception, host: str) -> str:
    import aiohttp

    if isinstance(error, zlib.error):
        return f"{host} sent an answer that cannot be unpacked"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refuses to connect to {host}: it says {error.status}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{host} does not answer in HTTP as it should; does a chat server listen there?"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer of {host} broke off"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return f"{host} closed the connection"
    return f"the connection to {host} broke ({type(error).__name__})"


def _proxy(url: str) -> str | None:
    """What the environment names; asked once, as aiohttp's own way takes a thread a request."""
    address = urlsplit(url)
    if proxy_bypass(address.netloc):
        return None
    return getproxies().get(address.scheme)


def _secrets(proxy: str | None) -> list[str | None]:
    address = urlsplit(proxy or "")
    if address.password is None:
        return []
    name, password = unquote(address.username or ""), unquote(address.password)
    return [password, f"{name}:{password}"]
