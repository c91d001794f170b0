"""Gets one file over HTTP: resumed where it was cut, checked, in its place only when whole."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from tqdm import tqdm
from typing_extensions import TypedDict

from rs_gpt4v.files import InvalidFileError, read_json
from rs_gpt4v_builders.sources.source import Download

_ATTEMPTS = 5  # in a row that bring no byte more
_LONGEST_WAIT_S = 60.0
_CHUNK_BYTES = 1 << 16  # what a broken connection loses at most


class DownloadError(OSError):
    """A file cannot be fetched; the message says which, why, and what to do."""


class _PassingError(Exception):
    """Worth another try, after ``wait_s`` seconds at least."""

    def __init__(self, said: str, wait_s: float = 0.0) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class _Note(TypedDict):
    url: str
    validator: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """What was fetched so far of ``whole``: beside it, with a note of what it is a part of."""

    whole: Path

    @property
    def path(self) -> Path:
        return self.whole.with_name(f"{self.whole.name}.part")

    @property
    def note(self) -> Path:
        return self.whole.with_name(f"{self.whole.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, url: str) -> str | None:
        """What the server called the version of ``url`` that this is a part of."""
        try:
            noted = read_json(self.note, _Note)
        except (OSError, InvalidFileError):  # absent, or cut by a kill
            return None
        return noted["validator"] if noted["url"] == url else None

    def begin(self, url: str, validator: str | None) -> None:
        """Start over: an empty part, then the note, so that the note never fits older bytes."""
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _Session(requests.Session):
    """Refuses to be led from https to plain http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target:
            _check_address(urljoin(resp.url, target))
        return target


def fetch(
    download: Download, path: Path, *, backoff_s: float = 1.0, timeout_s: float = 60.0
) -> None:
    """Bring ``download`` to ``path``, where no file is; an interrupted fetch goes on.

    Args:
        download: What to fetch.
        path: Where to; ``path.part`` holds what is not whole yet.
        backoff_s: Wait before the second attempt; doubled each time.
        timeout_s: Longest silence of the server.

    Raises:
        DownloadError: The server refuses or is not reached, the disk is too small, or what came
            is not the released file (nothing is kept then).
    """
    _check_address(download.url)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Part(path)
    with _Session() as session:
        _fill(session, download, part, backoff_s, timeout_s)
    if problem := download.mismatch(part.path):
        part.remove()
        raise _not_as_released(download, problem)
    part.path.replace(path)
    part.remove()


def _check_address(url: str) -> None:
    address = urlsplit(url)
    loopback = address.hostname in ("localhost", "127.0.0.1", "::1")
    if address.scheme != "https" and not (address.scheme == "http" and loopback):
        raise DownloadError(f"{url} is not https: not fetched")


def _not_as_released(download: Download, problem: str) -> DownloadError:
    return DownloadError(
        f"{download.url} is not the released {Path(download.file).name}: {problem}. Nothing was "
        "kept. Try again; if it stays so, the server has another file: take it from a mirror that "
        "`rs-gpt4v sources` lists, and tell us."
    )


def _fill(
    session: requests.Session, download: Download, part: Part, backoff_s: float, timeout_s: float
) -> None:
    """Attempt until the part is whole; a broken connection that brought bytes costs nothing."""
    failures, most = 0, part.size
    while error := _failure(session, download, part, timeout_s):
        failures = 0 if part.size > most else failures + 1
        most = max(most, part.size)
        if failures == _ATTEMPTS:
            raise DownloadError(
                f"{download.url}: {_said(error)} ({_ATTEMPTS} attempts). What has come is kept: "
                "the same command goes on. Or take it from a mirror: `rs-gpt4v sources` lists them."
            ) from error
        asked_s = error.wait_s if isinstance(error, _PassingError) else 0.0
        time.sleep(min(max(backoff_s * 2**failures, asked_s), _LONGEST_WAIT_S))


def _said(error: Exception) -> str:
    """Our own words: those of the HTTP library may hold addresses of proxies and what they keep."""
    passing = isinstance(error, _PassingError)
    return str(error) if passing else f"the connection failed ({type(error).__name__})"


def _failure(
    session: requests.Session, download: Download, part: Part, timeout_s: float
) -> Exception | None:
    """What broke an attempt and may pass; None where it succeeded."""
    try:
        _attempt(session, download, part, timeout_s)
    except (requests.RequestException, _PassingError) as error:
        return error
    return None


def _attempt(session: requests.Session, download: Download, part: Part, timeout_s: float) -> None:
    if download.size is not None and part.size == download.size:
        return  # whole already, killed before it was checked
    validator = part.validator(download.url)
    # With a checksum, no word of the server is needed that the rest is of the same version.
    start = part.size if validator or download.checksum else 0
    headers = {"Accept-Encoding": "identity"}  # or else ranges would count compressed bytes
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with session.get(download.url, headers=headers, stream=True, timeout=timeout_s) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _after_refused_range(response, part)
            return
        _check_status(response, download)
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            _check_same_version(response, part, start, validator)
        else:
            start = 0
            part.begin(download.url, _validator(response))
        _check_length(response, download, part, start)
        _append(response, download, part)


def _after_refused_range(response: requests.Response, part: Part) -> None:
    """Bytes after the last were asked for: the part is whole, or of another version."""
    if response.headers.get("Content-Range") == f"bytes */{part.size}":
        return
    part.remove()
    raise _PassingError("the server's file is shorter than the part that was kept")


def _check_status(response: requests.Response, download: Download) -> None:
    status = f"{response.status_code} {response.reason}"
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or (
        response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    ):
        asked = response.headers.get("Retry-After", "")
        raise _PassingError(f"the server says {status}", float(asked) if asked.isdecimal() else 0)
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise DownloadError(
            f"{download.url}: the server says {status}. Take the file from a mirror and put it at "
            f"{download.file} in the release's folder: `rs-gpt4v sources` lists the mirrors."
        )


def _check_same_version(
    response: requests.Response, part: Part, start: int, validator: str | None
) -> None:
    """The server should have sent all of another version; not all servers do."""
    offered = response.headers.get("Content-Range", "")
    changed = validator and _validator(response) not in (None, validator)
    if changed or not offered.startswith(f"bytes {start}-"):
        part.remove()
        raise _PassingError(f"the file has changed, or its part {offered!r} was not asked for")


def _validator(response: requests.Response) -> str | None:
    """What may be sent as If-Range: a strong ETag, or a date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _check_length(response: requests.Response, download: Download, part: Part, start: int) -> None:
    """Notice a file of another size, or a disk too small for it, before fetching it."""
    length = _length(response)
    if length is None:
        return
    total = start + length
    if download.size not in (None, total):
        part.remove()
        raise _not_as_released(download, f"it has {total:,} bytes, {download.size:,} were expected")
    # An archive's content comes beside it, and photographs take in it what they take outside.
    need_room(part.path.parent, length * (2 if download.unpack else 1), download.url)


def _length(response: requests.Response) -> int | None:
    """How many bytes the server says that it sends; none where it says nothing to reckon with."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else None


def need_room(folder: Path, size: int, what: str) -> None:
    """Raise DownloadError unless ``folder``'s disk has ``size`` bytes free."""
    if (free := shutil.disk_usage(folder).free) < size:
        raise DownloadError(
            f"{what} needs {size:,} bytes, and {folder} has {free:,} free. Make room and give the "
            "same command again."
        )


def _append(response: requests.Response, download: Download, part: Part) -> None:
    size = part.size
    with part.path.open("ab") as file, _bar(response, download, size) as bar:
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if download.size is not None and size > download.size:
                break
            file.write(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if download.size is not None and size > download.size:
        part.remove()
        raise _not_as_released(download, f"it has more than the {download.size:,} bytes expected")


def _bar(response: requests.Response, download: Download, start: int) -> "tqdm[Any]":
    length = _length(response)
    return tqdm(
        total=download.size if length is None else start + length,
        initial=start,
        desc=Path(download.file).name,
        unit="B",
        unit_scale=True,
        disable=None,  # none where nobody watches
    )
