"""The docs site: built strictly and without a network, every link leads somewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install --group docs")

ROOT = Path(__file__).parents[1]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}
"""What a browser fetches without being asked."""
HTML = re.compile(
    "a|article|aside|b|blockquote|body|br|button|circle|code|dd|details|div|dl|dt|em|footer|form|"
    "h[1-6r]|head|header|html|img|input|label|li|line|link|main|meta|nav|ol|p|path|pre|script|"
    "section|small|span|strong|style|su[bp]|summary|svg|t(able|body|d|h|head|itle|r)|ul"
)


class Page(HTMLParser):
    """The ids and links of a page, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids = {""}
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("id", "name"):
                self.ids.add(value or "")
            if (tag, name) in LOADED:
                self.loaded.add(value or "")
            if name in ("href", "src"):
                self.links.add(value or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning ends the build, as mkdocs.yml is strict (not so with --quiet)."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    # The links of 404.html begin at the site's root.
    files = [file for file in site.rglob("*.html") if file.name != "404.html"]
    assert len(files) > 30
    return {file: Page(file.read_text(encoding="utf-8")) for file in files}


def test_links_lead_somewhere(pages: dict[Path, Page]) -> None:
    wrong = []
    for file, page in pages.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (file.parent / unquote(address.path)).resolve() if address.path else file
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].ids if target in pages else {address.fragment}
            if not target.is_file() or unquote(address.fragment) not in known:
                wrong.append(f"{file.name}: {link}")
    assert not wrong


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert not [link for link in loaded if urlsplit(link).netloc]


def test_words_in_angle_brackets_are_shown(pages: dict[Path, Page]) -> None:
    """ "<bndbox>" in a docstring is no tag: a browser would show nothing."""
    tags = {tag: file.name for file, page in pages.items() for tag in page.tags}
    assert not {tag: name for tag, name in tags.items() if not HTML.fullmatch(tag)}


def test_what_is_no_page_of_docs_is_in_the_site(site: Path) -> None:
    """The board, the metric cards, every verb, and the layout of every source."""
    assert (site / "board/index.html").is_file()
    assert (site / "metrics/rs_vqa.html").is_file()
    assert "rs-gpt4v bench" in (site / "reference/cli.html").read_text(encoding="utf-8")
    sources = (site / "reference/sources.html").read_text(encoding="utf-8")
    assert sources.count("<h2") == 12
    assert "dataset_rsicd.json" in sources
