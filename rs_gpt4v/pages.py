"""Pages and other texts made of templates, written whole or not at all."""

from pathlib import Path

import jinja2

from rs_gpt4v.replacing import replacing


def environment(folder: Path, *, autoescape: bool = True) -> jinja2.Environment:
    """The templates of ``folder``; a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_text(out: Path, text: str) -> None:
    """Write ``text`` to ``out``, which is replaced whole or not at all.

    Raises:
        ValueError: ``out`` is a folder.
    """
    if out.is_dir():
        raise ValueError(f"{out} is a folder: give the file a name, such as {out / 'page.html'}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        # A path or a name in it may hold bytes that are no UTF-8.
        file.write(text.encode(errors="replace"))
