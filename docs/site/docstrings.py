"""Docstrings as Markdown: mkdocstrings shows them, and pages.py those of the sources' readers."""

import re
from typing import Any

from griffe import Extension, Object

_LINE_START = re.compile(r"^", re.MULTILINE)
_CODE = re.compile(r"(`+.+?`+)", re.DOTALL)


class MarkdownDocstrings(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """MkDocs calls it for modules, classes, functions and attributes."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    r"""Doctests, tables and literal blocks fenced; "<" in the prose is no tag.

    >>> print(markdown("Of a <box>::\n\n    a  b"))
    Of a &lt;box>:
    <BLANKLINE>
    ```text
    a  b
    ```
    """
    blocks: list[str] = []
    literal_below = -1  # the indentation of the paragraph that announced a literal block
    for block in re.split(r"\n(?:[ ]*\n)+", docstring):
        indent = len(block) - len(block.lstrip())
        if 0 <= literal_below < indent:
            blocks.append(_fenced(block, "text", literal_below))
            continue
        literal_below = indent if block.endswith("::") else -1
        if block.lstrip().startswith((">>>", "==")):
            blocks.append(_fenced(block, "pycon" if ">>>" in block else "text", indent))
        else:
            blocks.append(_prose(block.replace("::", ":") if block.endswith("::") else block))
    return "\n\n".join(blocks)


def _fenced(block: str, language: str, indent: int) -> str:
    lines = block.splitlines()
    least = min(len(line) - len(line.lstrip()) for line in lines)
    text = "\n".join([f"```{language}", *(line[least:] for line in lines), "```"])
    return _LINE_START.sub(" " * indent, text)


def _prose(block: str) -> str:
    parts = _CODE.split(block)  # every second part is code
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)
