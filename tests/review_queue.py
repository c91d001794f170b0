"""A queue of made-up candidates with drawn pictures, for the tests of the review page."""

import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

SIZE = 320
SHIPS = ([40, 60, 90, 110], [150, 60, 200, 110])
HARBOR = [60, 180, 240, 150, 260, 250, 80, 280]


def draw(path: Path) -> None:
    """Two ships beside a slanting harbor, as the format that the suffix names."""
    image = Image.new("RGB", (SIZE, SIZE), "#2c5f7c")
    pen = ImageDraw.Draw(image)
    for box in SHIPS:
        pen.ellipse(box, fill="#d9d2c3")
    pen.polygon(HARBOR, fill="#8a8f86")
    image.save(path)


def candidate(number: int, **changes: Any) -> dict[str, Any]:
    """Candidate ``number``: two turns, one verdict of each result, three boxes."""
    return {
        "id": f"dior/{number:05d}/conversation",
        "image": "scene.png",
        "width": SIZE,
        "height": SIZE,
        "product": ("conversation", "reasoning", "detail")[number % 3],
        "messages": [
            {"role": "user", "content": "How many ships are in the image?"},
            {
                "role": "assistant",
                "content": f"There are three ships. Scene {number} shows a harbor.",
            },
            {"role": "user", "content": "Where is the harbor?"},
            {"role": "assistant", "content": "The harbor lies below the ships, in the lower half."},
        ],
        "boxes": [
            *({"label": "ship", "points": list(box), "kind": "hbb"} for box in SHIPS),
            {"label": "harbor", "points": HARBOR, "kind": "obb"},
        ],
        "verdicts": [
            {
                "check": "counts",
                "result": "fail",
                "turn": 0,
                "sentence": "There are three ships.",
                "rule": "the boxes have 2 ships, the answer says 3",
                "boxes": [list(box) for box in SHIPS],
            },
            {
                "check": "beyond the boxes",
                "result": "cannot tell",
                "turn": 1,
                "sentence": "in the lower half",
                "rule": "no box decides it",
                "boxes": [],
            },
            {
                "check": "relations",
                "result": "pass",
                "turn": 1,
                "sentence": "The harbor lies below the ships",
                "rule": "the centre of harbor is below the centres of both ships",
                "boxes": [HARBOR, *(list(box) for box in SHIPS)],
            },
        ],
        "model": "example-model",
        "prompt": "conversation-1",
        "request": "5f2b6c0d9e",
        "note": {"kept": True},
        **changes,
    }


def write_queue(folder: Path, rows: list[Any], picture: str = "scene.png") -> Path:
    """Write ``rows`` as a queue, text as it is, and the picture that they name."""
    draw(folder / picture)
    path = folder / "queue.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path
