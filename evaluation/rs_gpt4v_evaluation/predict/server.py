"""Replies of a model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from rs_gpt4v import chat_api as chat
from rs_gpt4v.files import AnyPath, locked
from rs_gpt4v_evaluation.predict.batches import image_keys, plan
from rs_gpt4v_evaluation.predict.blind import shown_files
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    Prediction,
    append_predictions,
    finished,
    made_by,
    merge_parts,
    part,
    prediction_line,
)


def predict_by_server(
    endpoint: chat.Endpoint,
    rows: datasets.Dataset,
    described: PredictedRows,
    out: AnyPath,
    max_new_tokens: int = 64,
    seed: int = 0,
    *,
    bar: Any = None,
) -> list[str]:
    """Write the server's replies to ``rows`` to the file ``out``, and say which rows have none.

    Rows already in it are not asked again. Every answer is kept in ``OUT.journal`` as it
    comes, so that an interrupted run asks for none twice. Questions on one image follow each
    other: servers that keep prefixes read it once.

    Args:
        endpoint: The server, and the name that it gives the model.
        rows: Of the schema of `load_dataset("rs_gpt4v", ...)`.
        described: What `describe` says of them.
        out: File of JSON lines.
        max_new_tokens: Longest reply, in tokens.
        seed: Sent with each request; the temperature is 0.
        bar: Progress bar to advance by one per row; None for a new one.

    Returns:
        A line for each row without a reply: its id, and why. The next run asks them again.

    Raises:
        InUseError: Another run writes ``out``.
        PredictionFileError: ``out`` was made by another model, from other rows or other settings.
        ChatError: The server cannot be asked, or no more.
    """
    out = Path(out)
    decoding = {"do_sample": False, "max_new_tokens": max_new_tokens, "seed": seed}
    constants = made_by(endpoint.model, described, decoding)
    with locked(out):
        done = finished(out, constants)
        table: Any = rows.with_format("arrow")
        ids = list(rows["id"])
        by_image = plan(image_keys(rows), 1, share=True)
        todo = [i for batch in by_image for i in batch.places if ids[i] not in done]
        requests = (_request(endpoint, row, decoding) for row in _each(table, todo))
        journal = out.with_name(f"{out.name}.journal")
        failed: list[str] = []
        desc = f"Predicting {out.name}"
        if bar is not None:
            bar.update(len(done))
        with chat.complete(requests, endpoint, journal, desc=desc, bar=bar) as answers:
            replies = zip(_each(table, todo), answers, strict=True)
            for _ in append_predictions(part(out, 0), _answered(replies, constants, failed)):
                pass
        merge_parts(out, ids)
    return failed


def _each(table: Any, places: list[int]) -> Iterator[dict[str, Any]]:
    for place in places:
        yield table[[place]].to_pylist()[0]


def _request(
    endpoint: chat.Endpoint, row: dict[str, Any], decoding: dict[str, Any]
) -> tuple[str, chat.ChatRequest]:
    """As `predictor.chat` puts it to a local model: images open the first user turn."""
    messages: list[Any] = [dict(message) for message in row["messages"][:-1]]
    first = next(message for message in messages if message["role"] == "user")
    images = [chat.image_part(file) for file in shown_files(row)]
    first["content"] = [*images, chat.text_part(first["content"])]
    return row["id"], {
        "model": endpoint.model,
        "messages": messages,
        "max_tokens": decoding["max_new_tokens"],
        "temperature": 0,
        "seed": decoding["seed"],
    }


def _answered(
    replies: Iterator[tuple[dict[str, Any], chat.Answer]],
    constants: dict[str, Any],
    failed: list[str],
) -> Iterator[list[Prediction]]:
    for row, answer in replies:
        if answer.failure:
            failed.append(f"{row['id']}: {answer.failure.reason}")
            continue
        line = prediction_line(row, (answer.text or "").strip(), constants)
        line["server"] = {"model": answer.model, "fingerprint": answer.fingerprint}
        yield [line]
