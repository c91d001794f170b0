"""The board as a browser shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_files import questions, results

from rs_gpt4v_evaluation.board.make import board

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of three models of our own, one of them on some rows only, and the paper's."""
    folder = tmp_path_factory.mktemp("board")
    given = [
        questions(folder / "a" / "a.jsonl", 1, model="alpha"),
        questions(folder / "b" / "b.jsonl", 3, model=HOSTILE),
        questions(folder / "c" / "c.jsonl", 2, of=2, model="part", dataset={"rows": 4}),
        results(folder / "d.json", "alpha", scores={"pr_50": 0.3}),
    ]
    board(given, folder / "out", with_reports=False, resamples=20)
    return folder / "out" / "index.html"


def opened(browser: Any, file: Path, **options: Any) -> Iterator[Any]:
    """The page, which must neither complain nor ask for anything else."""
    context = browser.new_context(**options)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert [url for url in asked if not url.startswith("data:")][1:] == []
    assert said == []


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    yield from opened(browser, file, viewport={"width": 1280, "height": 900})


@pytest.fixture
def phone(browser: Any, file: Path) -> Iterator[Any]:
    yield from opened(browser, file, viewport={"width": 390, "height": 844})


@pytest.fixture
def plain(browser: Any, file: Path) -> Iterator[Any]:
    yield from opened(browser, file, java_script_enabled=False)


def names(table: Any) -> list[str]:
    """The models of a table from top to bottom."""
    heads = table.locator("tbody tr:not(.group) th").all_inner_texts()
    return [text.split("\n")[0] for text in heads]


def test_a_head_sorts_and_apart_scores_and_gaps_stay_below(page: Any) -> None:
    expect(page.get_by_text("Click a head to sort.")).to_be_visible()
    table = page.locator(".overview")
    head = table.locator("thead th", has_text="RSVQA-LR").filter(has_text="OA")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(table)[:3] == [HOSTILE, "alpha", "part"]
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(table)[:3] == ["alpha", HOSTILE, "part"]
    expect(table.locator("[aria-sort]")).to_have_count(1)


def test_the_keyboard_sorts_too(page: Any) -> None:
    table = page.locator(".overview")
    table.locator("thead button").first.focus()
    page.keyboard.press("Enter")
    assert names(table) == sorted(names(table), key=str.casefold)
    page.keyboard.press("Space")
    assert names(table) == sorted(names(table), key=str.casefold, reverse=True)


def test_a_group_is_sorted_within_itself(page: Any) -> None:
    table = page.locator("#vqa-vqa_lr-test-paper-oa table")
    assert names(table) == [HOSTILE, "alpha", "part"]
    table.get_by_role("button", name="Score").click()
    table.get_by_role("button", name="Score").click()
    assert names(table) == ["alpha", HOSTILE, "part"]
    expect(table.locator("tbody").nth(1).locator("tr").first).to_contain_text("Not ranked")


def test_without_scripts_the_tables_are_plain(plain: Any) -> None:
    expect(plain.locator("thead button")).to_have_count(0)
    expect(plain.get_by_text("Click a head to sort.")).to_be_hidden()
    assert names(plain.locator("#vqa-vqa_lr-test-paper-oa table")) == [HOSTILE, "alpha", "part"]
    expect(plain.locator(".overview thead th").first).to_have_text("Model")


def test_a_phone_scrolls_tables_and_not_the_page(phone: Any) -> None:
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width == 390
    expect(phone.locator(".overview tbody th").first).to_be_visible()


def test_published_scores_link_their_source(page: Any) -> None:
    table = page.locator("#grounding-grounding-test-paper-pr_50 table")
    link = table.get_by_role("link", name="RS-GPT4V, arXiv 2406.12479, Table 2").first
    expect(link).to_have_attribute("href", "https://arxiv.org/abs/2406.12479")
    assert names(table)[:3] == ["MoE-LoRA", "Full-FT", "LoRA"]
    expect(table.locator("tbody")).to_have_count(1)
