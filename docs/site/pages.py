"""Pages of the docs site that are not Markdown files in ``docs/``; MkDocs calls the functions.

Metric cards, CONTRIBUTING and the like stay where they belong in the repository. In the site they
are pages too, and a link to another file of the repository leads to a copy of it.
"""

import importlib
import inspect
import pkgutil
import posixpath
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click
from typer.main import get_command

from rs_gpt4v.cli import app
from rs_gpt4v_builders import CONFIGS, sources
from rs_gpt4v_builders.sources.source import Source

sys.path.insert(
    0, str(Path(__file__).parent)
)  # MkDocs runs this file, not as a module of a package
from docstrings import markdown

ROOT = Path(__file__).parents[2]
METRICS = "evaluation/rs_gpt4v_evaluation"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmark_scripts.md",
    "rs_gpt4v/embedded_model/README.md": "embedded_model_card.md",
    **{
        f"{METRICS}/{card.parent.name}/README.md": f"metrics/{card.parent.name}.md"
        for card in sorted((ROOT / METRICS).glob("rs_*/README.md"))
    },
}
"""Markdown files of the repository, and the pages that show them."""
_SOURCES_HEAD = """# Sources' files

How each release lies on disk, as its reader expects it, from the readers' own documentation.
Unpack the releases side by side in one folder. `rs-gpt4v sources --data-dir DIR` says which are
there and what is missing.
"""
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
"""The file that a link of Markdown leads to, without the place in it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the files that pages link to."""
    for path, page in PAGES.items():
        text = _without_head((ROOT / path).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "reference/cli.md", content=_command_line()))
    files.append(File.generated(config, "reference/sources.md", content=_sources()))
    linked = {
        path
        for file in files.documentation_pages()
        for path in _outside(_repository_path(file), file.content_string)
    }
    for path in sorted(linked - PAGES.keys()):
        content = (ROOT / path).read_bytes()
        files.append(File.generated(config, f"files/{path}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to files that are no pages of ``docs/`` to their pages and copies."""
    path = _repository_path(page.file)

    def moved(link: re.Match[str]) -> str:
        target = _target(path, link[1])
        if not (ROOT / target).is_file():
            return link[1]  # MkDocs will complain
        place = target.removeprefix("docs/") if target.startswith("docs/") else f"files/{target}"
        here = posixpath.dirname(page.file.src_uri) or "."
        return posixpath.relpath(PAGES.get(target, place), here)

    return _LINK.sub(moved, markdown)


def _command_line() -> str:
    """Every verb with its options, as ``--help`` has them."""
    command = get_command(app)
    context = typer.Context(command, info_name="rs-gpt4v")
    return get_docs_for_click(obj=command, ctx=context, name="rs-gpt4v", title="Command line")


def _sources() -> str:
    """What the readers' docstrings say of the files, and where each source comes from."""
    modules = [importlib.import_module(f"{sources.__name__}.{name}") for name in _modules()]
    found = [(module, _sources_of(module)) for module in modules]
    return _SOURCES_HEAD + "".join(_source(module, of) for module, of in found if of)


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def _sources_of(module: ModuleType) -> list[Source]:
    """The sources that this module reads; scenes are read from those of captions."""
    of = {value.name: value for value in vars(module).values() if isinstance(value, Source)}
    return [source for source in of.values() if source.name.startswith(_name(module))]


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _source(module: ModuleType, of: list[Source]) -> str:
    doc = inspect.getdoc(module) or ""
    first = of[0]
    facts = [
        f"[home page]({first.homepage})",
        f"licence: {first.license}",
        *([f"{first.image_count:,} images"] if first.image_count else []),
        *([f"size: {first.size}"] if first.size != "unknown" else []),
    ]
    names = {source.name for source in of}
    configs = ", ".join(f"`{name}`" for name, c in CONFIGS.items() if c.source.name in names)
    title = " and ".join(dict.fromkeys(source.title.partition(",")[0] for source in of))
    return f"\n## {title}\n\n{configs}: {'; '.join(facts)}\n\n{markdown(doc)}\n"


def _without_head(text: str) -> str:
    """A metric card begins with settings for the Hub."""
    return text.split("---\n", 2)[2] if text.startswith("---\n") else text


def _repository_path(file: File) -> str:
    paths = {page: path for path, page in PAGES.items()}
    return paths.get(file.src_uri, f"docs/{file.src_uri}")


def _outside(path: str, text: str) -> set[str]:
    """Files outside ``docs/`` to which the text links that is in ``path``."""
    targets = (_target(path, link[1]) for link in _LINK.finditer(text))
    return {t for t in targets if not t.startswith("docs/") and (ROOT / t).is_file()}


def _target(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
