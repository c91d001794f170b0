"""Each part that opens an image opens it by the one door: here it stands before every part."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import datasets
import numpy as np
import pytest
from image_files import POSTSCRIPT, ghostscript_trap, tiff, turned
from PIL import Image
from review_queue import candidate

from rs_gpt4v import chat_api as chat
from rs_gpt4v import images
from rs_gpt4v_builders.audit.images import read_images
from rs_gpt4v_builders.audit.page import _picture
from rs_gpt4v_evaluation.harnesses import lmms_eval
from rs_gpt4v_evaluation.judge.pairs import Pair, check_images
from rs_gpt4v_evaluation.predict.by_model import _Questions
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.report.examples import _Album
from rs_gpt4v_generation.release import ReleaseError, release
from rs_gpt4v_generation.review.server import reviewing

REFUSED = (images.ImageError, PredictionFileError, ReleaseError, HTTPError)
SIDE = (60, 80)
"""Of the picture as it is stored; it is shown lying."""


def _review(path: Path) -> tuple[int, int]:
    queue = path.with_name("queue.jsonl")
    queue.write_text(json.dumps(candidate(0, image=str(path))) + "\n", encoding="utf-8")
    with reviewing(queue, "ann") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with urlopen(f"{server.url}image/0", timeout=20) as answer:
                return images.open_image(answer.read()).size
        finally:
            server.shutdown()


def _judge(path: Path) -> tuple[int, int]:
    pair: Any = Pair("a", "", None, "", (str(path),), ())  # pyright: ignore[reportArgumentType]
    check_images([pair])
    return images.open_image(path).size


def _release(path: Path) -> tuple[int, int]:
    row = candidate(0, image=path.name) | {"split": "train", "source": "own", "reviews": [{}]}
    queue = path.with_name("queue.jsonl")
    queue.write_text(json.dumps(row) + "\n", encoding="utf-8")
    folder = release([queue], path.with_name("root")).folder
    (released,) = (folder / "images").iterdir()
    return images.open_image(released).size


def _predict(path: Path) -> tuple[int, int]:
    row = {"id": "a", "images": [{"path": str(path), "bytes": None}]}
    rows = datasets.Dataset.from_list([row])
    asked: Any = object.__new__(_Questions)
    return asked.decoded(rows[0])["images"][0].size


def _report(path: Path) -> tuple[int, int]:
    album = _Album()
    if not album.add(str(path)):
        raise images.ImageError("left out")
    return _of_uri(album.pictures[str(path)])


def _audit_page(path: Path) -> tuple[int, int]:
    if not (uri := _picture(str(path))):
        raise images.ImageError("left out")
    return _of_uri(uri)


def _of_uri(uri: str) -> tuple[int, int]:
    with urlopen(uri) as file:
        return images.open_image(file.read()).size


def _audit(path: Path) -> tuple[int, int]:
    found = read_images([str(path)], path.with_name("cache.sqlite"))
    if not found.looks.any():
        raise images.ImageError("known by its bytes alone")
    as_shown = images.open_image(path).convert("L").resize((32, 32), Image.Resampling.BOX)
    assert np.array_equal(found.looks[0], as_shown)
    return images.open_image(path).size


def _server(path: Path) -> tuple[int, int]:
    return _of_uri(chat.image_part(path)["image_url"]["url"])


def _harness(path: Path) -> tuple[int, int]:
    return lmms_eval.doc_to_visual({"images": [{"path": str(path), "bytes": None}]})[0].size


def _resized(path: Path) -> tuple[int, int]:
    cache = pytest.importorskip("rs_gpt4v_training.image_cache").ImageCache(
        path.with_name("resized"), 60, enlarge=False
    )
    with Image.open(cache.add(str(path))) as copy:
        return copy.size


PARTS: dict[str, Callable[[Path], tuple[int, int]]] = {
    "review": _review,
    "report": _report,
    "audit": _audit,
    "audit page": _audit_page,
    "judge": _judge,
    "requests": _server,
    "predict": _predict,
    "harness": _harness,
    "release": _release,
    "resized images": _resized,
}


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return ghostscript_trap(tmp_path / "bin")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe; who waits for it is let go after some seconds."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    path = tmp_path / "pipe.png"
    os.mkfifo(path)

    def let_go() -> None:
        with suppress(OSError):  # nobody waits
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    timer = threading.Timer(5, let_go)
    timer.start()
    yield path
    is_late = timer.finished.is_set()
    timer.cancel()
    assert not is_late, "it waited for the pipe"


@pytest.mark.parametrize("part", PARTS)
def test_postscript_is_not_run(part: str, tmp_path: Path, trace: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(POSTSCRIPT)
    with pytest.raises(REFUSED):
        PARTS[part](path)
    assert not trace.exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_named_pipe_is_not_waited_for(part: str, pipe: Path) -> None:
    with pytest.raises((*REFUSED, ValueError)):
        PARTS[part](pipe)


@pytest.mark.parametrize("part", PARTS)
def test_the_frame_is_that_of_datasets(part: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(turned(Image.linear_gradient("L").resize(SIDE).convert("RGB"), "JPEG"))
    decoded = datasets.Image().decode_example({"path": str(path), "bytes": None})
    assert PARTS[part](path) == decoded.size == SIDE[::-1]


@pytest.mark.parametrize("part", sorted(set(PARTS) - {"review", "report", "audit page"}))
def test_deep_pixels_reach_no_model(part: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.arange(400, dtype=np.uint16).reshape(1, 20, 20)))
    with pytest.raises(REFUSED):
        PARTS[part](path)
