"""Lines of predictions files for tests, each task with a row that is right."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OF_TASK: dict[str, dict[str, Any]] = {
    "vqa": {"source": "rsvqa_lr", "question_type": "presence", "references": ["yes"]},
    "caption": {"source": "rsicd", "references": ["a road by a river", "a road"]},
    "region_caption": {"source": "dior_rsvg", "references": ["a white ship"]},
    "grounding": {
        "source": "dior_rsvg",
        "references": ["[0.1, 0.1, 0.5, 0.5]"],
        "boxes": [{"label": "ship", "points": [10, 10, 50, 50], "kind": "hbb"}],
    },
    "probe": {"source": "dior", "question_type": "present", "references": ["yes"]},
    "scene": {
        "source": "rsicd_scenes",
        "prompt": "Which class: airport, bare land?",
        "references": ["airport"],
    },
    "detection": {
        "source": "dior",
        "question_type": "ship",
        "references": ["[0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]"],
        "boxes": [
            {"label": "ship", "points": [10, 10, 50, 50], "kind": "hbb"},
            {"label": "ship", "points": [60, 60, 90, 90], "kind": "hbb"},
        ],
    },
    "conversation": {"source": "rs_gpt4v_instruct", "references": ["Two ships."]},
    "detail": {"source": "rs_gpt4v_instruct", "references": ["A pier."]},
}


def row(number: int, task: str = "vqa", **changes: Any) -> dict[str, Any]:
    """A row whose reply is its first reference, of an image of 100 x 100 px of its own."""
    own = _OF_TASK[task] | changes
    if task == "probe" and number % 2 == 0 and not changes:  # no score without both answers
        own |= {"question_type": "random", "references": ["no"]}
    return {
        "id": f"{own['source']}/{task}/{number}",
        "task": task,
        "question_type": None,
        "image": f"{number}.png",
        "prompt": "?",
        "prediction": own["references"][0],
        "boxes": [],
        "width": 100,
        "height": 100,
        "model": "m",
        "adapter": None,
        "weights": "w",
        "decoding": {"do_sample": False, "max_new_tokens": 8},
        **own,
    }


def write(path: Path, rows: Iterable[dict[str, Any]], /, **dataset: Any) -> Path:
    """A predictions file of ``rows``; ``dataset`` says what else is to be said of all of them."""
    lines = list(rows)
    described = {
        "config": "all",
        "split": "test",
        "protocol": "paper",
        "box_format": "llava",
        "rows": len(lines),
        "fingerprint": "f",
        **dataset,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"dataset": described, **line}) + "\n" for line in lines))
    return path
