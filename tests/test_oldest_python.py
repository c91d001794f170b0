"""What Python 3.10 refuses when it imports a module, and a newer one does not."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("rs_gpt4v", "builders", "evaluation", "generation", "training")


def test_no_named_tuple_has_a_second_base() -> None:
    refused = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "NamedTuple, " in (text := path.read_text(encoding="utf-8")) or ", NamedTuple" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and _is_named_tuple(node) and len(node.bases) > 1
    ]
    assert refused == []


def _is_named_tuple(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).split(".")[-1] == "NamedTuple" for base in node.bases)
