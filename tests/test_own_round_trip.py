"""What `export` writes of own rows, `folder` reads back."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.export import export

TEXT = st.text("aZ9 \n<>[]{}(),.|\"\\'é雨\N{NO-BREAK SPACE}", min_size=1, max_size=20).filter(
    lambda text: text.strip() and text == text.strip() and text != "\N{NO-BREAK SPACE}"
)
TURN = st.tuples(TEXT, TEXT)
ITEM = st.tuples(
    st.lists(st.sampled_from(["1.png", "b c.png", "d/é.png"]), max_size=3),
    st.lists(TURN, min_size=1, max_size=3),
    st.one_of(st.none(), TEXT),
)


def content(root: Path, **options: Any) -> list[Any]:
    rows: Any = datasets.load_dataset(
        NAME, "folder", split="train", data_dir=str(root), text_boxes="none", **options
    )
    return [
        (
            [hashlib.sha256(Path(image["path"]).read_bytes()).digest() for image in row["images"]],
            [(message["role"], message["content"]) for message in row["messages"]],
        )
        for row in rows.with_format("arrow")[:].to_pylist()
    ]


@pytest.mark.parametrize("kind", ["llava", "sharegpt", "ms_swift", "hub"])
@settings(max_examples=4, deadline=None)
@given(items=st.lists(ITEM, min_size=1, max_size=5))
def test_rows_are_read_back(kind: str, items: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "own")
        (root / "d").mkdir(parents=True)
        for number, name in enumerate(["1.png", "b c.png", "d/é.png"]):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(root / name)
        lines = [
            {
                "images": images,
                "messages": [
                    *([{"role": "system", "content": system}] if system else []),
                    *(
                        {"role": role, "content": text}
                        for turn in turns
                        for role, text in zip(("user", "assistant"), turn, strict=True)
                    ),
                ],
            }
            for images, turns, system in items
        ]
        (root / "train.json").write_text(json.dumps(lines), "utf-8")
        options: Any = {"cache_dir": str(Path(folder, "cache"))}
        before = content(root, **options)
        out = export(kind, Path(folder, "out"), ["folder"], data_dir=str(root), **options)
        assert content(out, **options) == before
        assert [len(images) for images, _ in before] == [len(images) for images, *_ in items]
