"""Does any parser of foreign text end in something other than its documented error?

    python benchmarks/fuzz.py predictions --seconds 180

Each case is a valid file or reply with one to three places broken: a JSON value replaced by an odd
one, bytes removed, doubled or put in. Needs hypothesis; it is no test of CI.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.chat_api.answers import ChatError
from rs_gpt4v.chat_api.journal import Journal
from rs_gpt4v.reviews import ReviewsError, read_decisions
from rs_gpt4v_builders import sample, sources_of
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source
from rs_gpt4v_evaluation.judge.replies import read_choice, read_score
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_generation import replies
from rs_gpt4v_generation.candidates import EmptyQueueError, read_queue
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import fact_sheet
from rs_gpt4v_generation.products import PRODUCTS

Expected = tuple[type[Exception], ...]
Parser = Callable[[Path], object]

NESTED, LONG = "NESTED", "LONG"  # stand for what json.dumps would not write
ABSENT: Any = object()
ODD = st.sampled_from(
    [
        *(ABSENT, None, True, 0, -1, 1.5, 1e400, 10**30, "", " ", "1", "nan", "a" * 999),
        *("\ud800", "\x00", "\u2028", "\u200b", "<image>", "../x", NESTED, LONG),
        *([], {}, [[]], [None], {"a": 1}, [1, 2], [0, 0, 0, 0], ["a"]),
    ]
)
_BYTES = st.sampled_from(
    [
        *(b"", b"\n", b"\r\n", b"{", b"}", b"[", b"]", b'"', b",", b"-", b"<", b"</a>", b"&x;"),
        *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\\ud800", b"NaN", b"1e999"),
        *(b"9" * 5_000, b"[" * 100_000),
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a JSON value, itself first."""
    if not isinstance(value, dict | list):
        return [path]
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    if new is ABSENT and len(path) == 1:
        del copy[path[0]]
    return copy


@st.composite
def broken_json(draw: Any, value: Any) -> str:
    """JSON of ``value`` with one to three values replaced."""
    for _ in range(draw(st.integers(1, 3))):
        new = draw(ODD)
        places = _places(value)[new is ABSENT :]
        value = _replaced(value, draw(st.sampled_from(places)), new) if places else None
    text = json.dumps(value).replace(f'"{NESTED}"', "[" * 50_000 + "]" * 50_000)
    return text.replace(f'"{LONG}"', "9" * 5_000)


@st.composite
def broken_bytes(draw: Any, content: bytes) -> bytes:
    """``content`` with one to three places removed, doubled or filled."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(_BYTES, st.just(content[start:end] * 2), st.binary(max_size=4)))
        content = content[:start] + put + content[end:]
    return content


def broken(content: bytes, *, lines: bool = False) -> st.SearchStrategy[bytes]:
    """``content``, a JSON text, JSON lines or any other, broken in one of the two ways."""
    ways = [broken_bytes(content)]
    texts = content.decode().splitlines() if lines else [content.decode(errors="replace")]
    values = [json.loads(text) for text in texts if text.startswith(("{", "["))]
    for value in values[:3]:
        rest = content if lines else b""
        ways.append(broken_json(value).map(lambda text, rest=rest: text.encode() + b"\n" + rest))
    return st.one_of(ways)


def run(
    name: str,
    cases: st.SearchStrategy[bytes],
    parse: Parser,
    expected: Expected,
    seconds: float,
) -> None:
    """Try ``cases`` in a file until the time is over; report each new kind of crash once."""
    found: dict[str, bytes] = {}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name.replace("/", "_")

        @settings(
            max_examples=500,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(cases)
        def one(content: bytes) -> None:
            nonlocal count
            count += 1
            path.write_bytes(content)
            try:
                parse(path)
            except expected:
                return
            except Exception as error:  # noqa: BLE001  (that is what it looks for)
                trace = error.__traceback__
                while trace and trace.tb_next:
                    trace = trace.tb_next
                at = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
                found.setdefault(f"{type(error).__name__} at {at}: {error!s:.150}", content)

        start = time.monotonic()
        rounds = 0
        while time.monotonic() - start < seconds:
            seed(rounds)(one)()
            rounds += 1
    print(f"{name}: {count} cases, {len(found)} kinds of crash")
    for told, content in found.items():
        print(f"  {told}\n    {content[:300]!r}")


def fuzz_readers(seconds: float) -> None:
    """The annotation files of the embedded sample, each broken and read by its source."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "sample"
        sample.write_sample(root)
        files = [
            (source, place, split, source.path(place, file))
            for source in sources_of("all")
            if (place := source.find(root)) is not None
            for split, needed in [next(iter(source.splits("paper").items()))]
            for file in needed
            if not file.startswith("../")
        ]
        for source, place, split, file in files:
            _fuzz_reader(source, place, split, file, seconds / len(files))


def _fuzz_reader(source: Source, place: Path, split: str, file: Path, seconds: float) -> None:
    if file.is_dir():
        file = next(path for path in sorted(file.iterdir()) if path.is_file())
    original = file.read_bytes()

    def parse(path: Path) -> object:
        shutil.copyfile(path, file)
        return source.read(place, split, "paper")

    run(f"{source.name}/{file.name}", broken(original), parse, (AnnotationError,), seconds)
    file.write_bytes(original)


def _line(values: Any) -> bytes:
    return json.dumps(values).encode() + b"\n"


_BOX = {"label": "ship", "points": [1.0, 2.0, 30.0, 40.0], "kind": "hbb"}
_SAID = [
    {"role": "user", "content": "How many ships are in the image?"},
    {"role": "assistant", "content": "There are two ships on the left."},
]
_PREDICTION = {
    "id": "a/test/0",
    "source": "dior_rsvg",
    "task": "grounding",
    "question_type": None,
    "image": "a.png",
    "history": _SAID,
    "prompt": "Where is the ship?",
    "prediction": "[0.1, 0.2, 0.3, 0.4]",
    "references": ["[0.1, 0.2, 0.3, 0.4]"],
    "boxes": [_BOX],
    "width": 100,
    "height": 100,
    "model": "m",
    "adapter": None,
    "weights": "w",
    "decoding": {"do_sample": False, "max_new_tokens": 64},
    "dataset": {
        "config": "grounding",
        "split": "test",
        "protocol": "paper",
        "box_format": "llava",
        "rows": 2,
        "fingerprint": "f",
    },
}
_PREDICTIONS = _line(_PREDICTION) + _line(_PREDICTION | {"id": "a/test/1"})
_CANDIDATE = {
    "id": "dior/1/conversation",
    "image": "a.png",
    "width": 100,
    "height": 100,
    "product": "conversation",
    "messages": _SAID,
    "boxes": [_BOX],
    "verdicts": [
        {
            "check": "counts",
            "result": "fail",
            "turn": 0,
            "sentence": "There are two ships.",
            "rule": "one annotated",
            "boxes": [[1, 2, 30, 40]],
        }
    ],
}
_DECISION = {
    "id": "dior/1/conversation",
    "digest": "d",
    "decision": "edit",
    "reviewer": "ann",
    "time": "2026-01-01T00:00:00+00:00",
    "messages": _SAID,
    "reason": "x",
}
_ENTRY = {
    "hash": "h",
    "key": "k",
    "endpoint": "http://localhost/v1",
    "cost_usd": 0.1,
    "response": {
        "model": "m",
        "choices": [
            {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop", "index": 0}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    },
    "batch": False,
    "time": "2026-01-01T00:00:00+00:00",
}
_DIALOGUE = {"turns": [{"question": m["content"], "answer": m["content"]} for m in _SAID]}


def _journal(path: Path) -> None:
    with Journal(path) as journal:
        journal.answer("k", "h")


def _generated(path: Path) -> None:
    reply = path.read_bytes().decode(errors="replace")
    for product in PRODUCTS:
        dialogue = replies.parse(reply, product)
        if isinstance(dialogue, replies.Dialogue):
            check(dialogue.messages, fact_sheet([_BOX], 100, 100), product)


def _judged(path: Path) -> None:
    reply = path.read_bytes().decode(errors="replace")
    read_score(reply)
    read_choice(reply)


def _boxes(path: Path) -> None:
    reply = path.read_bytes().decode(errors="replace")
    for codec in CODECS.values():
        codec.parse(reply, 800, 600)


_REPLIES = (
    b"<box>(10,20),(30,40)</box>",
    b"{<40><60><50>|<90>}",
    b"[0.1, 0.2, 0.3, 0.4]",
    b"ship: (10.5%, 20%) to (30%, 40%) px",
)
_SCORES = (
    b'<think>x</think> {"score": 8, "reason": "good"}',
    b"**Score:** 8/10, 8 out of 10",
    b'{"choice": "A", "reason": "better"}',
)
PARSERS: dict[str, tuple[st.SearchStrategy[bytes], Parser, Expected]] = {
    "predictions": (broken(_PREDICTIONS, lines=True), read_predictions, (PredictionFileError,)),
    "queue": (broken(_line(_CANDIDATE), lines=True), read_queue, (EmptyQueueError,)),
    "decisions": (broken(_line(_DECISION) * 2, lines=True), read_decisions, (ReviewsError,)),
    "journal": (broken(_line(_ENTRY) * 2, lines=True), _journal, (ChatError,)),
    "generation": (broken(json.dumps(_DIALOGUE).encode()), _generated, ()),
    "judge": (st.sampled_from(_SCORES).flatmap(broken_bytes), _judged, ()),
    "boxes": (st.sampled_from(_REPLIES).flatmap(broken_bytes), _boxes, ()),
}


def main() -> None:
    """Fuzz what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parsers", nargs="*", help=f"readers, {', '.join(PARSERS)}; all by default")
    parser.add_argument("--seconds", type=float, default=180, help="for each parser")
    options = parser.parse_args()
    for name in options.parsers or ["readers", *PARSERS]:
        if name == "readers":
            fuzz_readers(options.seconds)
        else:
            run(name, *PARSERS[name], options.seconds)


if __name__ == "__main__":
    main()
