"""Pages and other texts made of templates."""

from pathlib import Path

import jinja2


def environment(folder: Path, *, autoescape: bool = True) -> jinja2.Environment:
    """The templates of ``folder``; a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
