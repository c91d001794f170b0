"""Replies to the rows of a dataset, in a file: resumed, by any number of processes."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from rs_gpt4v.files import AnyPath, locked
from rs_gpt4v_evaluation.predict.batches import Batch, image_keys, own_share, plan
from rs_gpt4v_evaluation.predict.blind import shown_images
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
from rs_gpt4v_evaluation.predict.predictor import Predictor, chat, processes
from rs_gpt4v_evaluation.predict.shared_prefix import NotSharedError, Prompt


def predict(
    predictor: Predictor,
    rows: datasets.Dataset,
    described: PredictedRows,
    out: AnyPath,
    batch_size: int = 8,
    *,
    share_images: bool = True,
    bar: "tqdm[Any] | None" = None,
) -> None:
    """Write the replies to ``rows`` to the file ``out``; rows already in it are kept.

    Each process answers its share, into a part beside ``out``; the last to finish makes the file of
    the parts, in the order of ``rows``. A batch is always of the same rows, so that a run that was
    interrupted, or of more processes, ends with the same bytes.

    Args:
        predictor: The model.
        rows: Of the schema of `load_dataset("rs_gpt4v", ...)`.
        described: What `describe` says of them.
        out: File of JSON lines.
        batch_size: Rows at once.
        share_images: Encode an image once for all its questions, if the model allows it.
        bar: Progress bar to advance by one per row; None for a new one.

    Raises:
        InUseError: Another run writes ``out``.
        PredictionFileError: ``out`` was made by another model, from other rows or other settings.
        ValueError: A row has no image, as in a blind run without any, and the model needs one.
    """
    out = Path(out)
    process = processes()
    with locked(out) if process.is_main_process else nullcontext():
        constants = made_by(
            predictor.name, described, predictor.decoding, predictor.adapter, predictor.weights
        )
        done = finished(out, constants)
        process.wait_for_everyone()  # before anyone adds to what the others read
        questions = _Questions(predictor, rows)
        questions.refuse_without_image()
        batches = questions.batches(batch_size, share_images=share_images)
        missing = [
            batch for batch in batches if any(questions.ids[i] not in done for i in batch.places)
        ]
        own = own_share(missing, process.process_index, process.num_processes)
        new = [[i for i in batch.places if questions.ids[i] not in done] for batch in own]
        answered = questions.predictions(own, new, constants)
        if bar is None:
            shows: Any = tqdm(
                total=len(done) + sum(map(len, new)),
                initial=len(done),
                unit="row",
                desc=f"Predicting {out.name}",
                disable=not process.is_main_process,
            )
        else:
            bar.update(len(done))
            shows = nullcontext(bar)
        with shows as advanced:
            for size in append_predictions(part(out, process.process_index), answered):
                advanced.update(size)
        process.wait_for_everyone()
        if process.is_main_process:
            merge_parts(out, questions.ids)
        process.wait_for_everyone()


class _Questions:
    """Rows, their images undecoded until a model needs them."""

    def __init__(self, predictor: Predictor, rows: datasets.Dataset) -> None:
        self.predictor = predictor
        self.ids = list(rows["id"])
        self.keys = image_keys(rows)
        self.table: Any = rows.with_format("arrow")

    def refuse_without_image(self) -> None:
        """Raise where a row has no image, and the model needs one."""
        row_id = next((one for one, key in zip(self.ids, self.keys, strict=True) if not key), None)
        if row_id is not None and (why := self.predictor.why_not_without_image()):
            raise ValueError(
                f"{row_id} has no image, and {why}. A blind run of it can show grey or other "
                "images: --blind grey, --blind other"
            )

    def batches(self, size: int, *, share_images: bool) -> list[Batch]:
        """All batches, sharing images if the model allows it, which is tried out on a few rows."""
        shared = plan(self.keys, size, share=share_images)
        if not (shared and shared[0].shared):
            return shared
        places = shared[0].places[:4]
        some = self.rows(places)
        tried = [self.decoded(row) for row in some], self.prompts(places, some)
        if why := self.predictor.why_not_shared(*tried):
            if processes().is_main_process:
                tqdm.write(f"Each question reads its image anew: {why}.")
            return plan(self.keys, size, share=False)
        return shared

    def predictions(
        self, batches: list[Batch], new: list[list[int]], constants: dict[str, Any]
    ) -> Iterator[list[Prediction]]:
        """Those of the rows at the places ``new`` of each batch, all of which is answered."""
        for batch, places in zip(batches, new, strict=True):
            rows = self.rows(batch.places)
            yield [
                prediction_line(row, reply, constants)
                for i, row, reply in zip(batch.places, rows, self.replies(batch, rows), strict=True)
                if i in places
            ]

    def replies(self, batch: Batch, rows: list[dict[str, Any]]) -> list[str]:
        if batch.shared:
            try:
                return self.predictor.shared_replies(self.prompts(batch.places, rows))
            except NotSharedError:  # of some family's longest prompts
                pass
        return self.predictor.replies([self.decoded(row) for row in rows])

    def prompts(self, places: list[int], rows: list[dict[str, Any]]) -> list[Prompt]:
        return [
            Prompt(
                image=self.keys[i],
                task=row["task"],
                messages=chat({**row, "images": [None] * len(row["images"])}),
                load=lambda row=row: self.decoded(row)["images"],
            )
            for i, row in zip(places, rows, strict=True)
        ]

    def rows(self, places: list[int]) -> list[dict[str, Any]]:
        """The rows at ``places``, each image as its ``path`` and ``bytes``."""
        return self.table[places].to_pylist()

    def decoded(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "images": shown_images(row)}
