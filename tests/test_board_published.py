"""The scores that others print: those that are shipped, and a user's own file."""

import json
from pathlib import Path
from typing import Any

import pytest

from rs_gpt4v.files import InvalidFileError
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_evaluation.board.published import read_published, shipped
from rs_gpt4v_evaluation.report.paper import TABLE_2, TABLE_3
from rs_gpt4v_evaluation.score import METRICS

TABLE: dict[str, Any] = {
    "source": {"title": "A paper", "url": "https://example.org/1", "where": "Table 1"},
    "config": "cap_ucm",
    "split": "test",
    "protocol": "paper",
    "task": "caption",
    "metric": "rs_caption",
    "measure": "cider",
    "name": "CIDEr",
    "per_unit": 100,
    "digits": 1,
    "rows": 210,
    "rule": {},
    "differs": "",
    "note": "",
    "values": {"A model": 251.5},
}


def written(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({"format": 1, "tables": [TABLE, TABLE | changes]}))
    return path


def test_the_papers_tables_are_read_from_the_published_ones() -> None:
    assert (TABLE_2.number, TABLE_2.key, TABLE_2.rows) == (2, "pr_50", 18_677)
    assert TABLE_2.values["MoE-LoRA"] == 37.86
    assert TABLE_2.configs == ("grounding",)
    assert [(table.key, table.rows, table.values["Full-FT"]) for table in TABLE_3] == [
        ("conversation", 3_987, 6.27),
        ("detail", 613, 6.53),
        ("all", 4_600, 6.304),
    ]


def test_every_shipped_score_has_a_source_and_a_place_of_ours() -> None:
    metrics = {metric.name for metric in METRICS} | {"rs_judge"}
    for table in shipped():
        assert table["source"]["url"].startswith("https://")
        assert table["config"] in {*CONFIGS, "instruct"}
        assert table["metric"] in metrics
        # What one source says of the rows of a table decides what it is ranked with.
        assert table["rows"] or table["differs"]
    sources = {table["source"]["title"] for table in shipped()}
    assert len(sources) >= 5


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    first, _ = read_published(written(tmp_path / "own.json"))
    assert first["values"] == {"A model": 251.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": {}}, r"tables\[1\].values"),
        ({"values": {"A model": "251.5"}}, r"tables\[1\].values.A model is '251.5'"),
        ({"per_unit": 0}, r"tables\[1\].per_unit is 0"),
        (
            {"source": {"title": "A paper"}},
            r"lacks tables\[1\].source.url, tables\[1\].source.where",
        ),
        ({"task": "captioning"}, r"tables\[1\].task is 'captioning'"),
        ({"rows": None}, r"tables\[1\].rows is null; expected a number"),
        (
            {"source": TABLE["source"] | {"url": "javascript:alert(1)"}},
            r"tables\[1\].source.url is 'javascript:alert\(1\)'",
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_ones_own_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidFileError, match=message) as error:
        read_published(written(tmp_path / "own.json", **changes))
    assert "own.json" in str(error.value)
