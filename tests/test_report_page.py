"""The report as a browser shows it."""

import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prediction_lines import row, write
from report_files import (
    AFTER,
    BEFORE,
    DETAIL,
    TURNS,
    captions,
    dialogues,
    grounding,
    judged,
    made,
    score_of,
    vqa,
)

from rs_gpt4v_evaluation.report.columns import Group
from rs_gpt4v_evaluation.report.groups import read_groups
from rs_gpt4v_evaluation.report.page import html
from rs_gpt4v_evaluation.report.tables import table

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may load one file, and must neither complain nor ask for anything else."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    yield page
    context.close()
    assert [url for url in asked if not url.startswith("data:")][1:] == []
    assert said == []


def show(page: Any, text: str, folder: Path) -> None:
    path = folder / "shown.html"
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    expect(page.locator("#status")).to_contain_text(" rows")


@pytest.fixture
def shown(page: Any, tmp_path: Path) -> Any:
    """Seven questions, two captions and two boxes, before and after."""
    for name in "01":
        Image.new("RGB", (400, 200), "gray").save(tmp_path / f"{name}.png")
    files = []
    for name, answers, boxes in (
        ("before", BEFORE, ["nowhere", "[0.1, 0.1, 0.3, 0.3]"]),
        ("after", [HOSTILE, *AFTER[1:]], ["[0.2, 0.1, 0.4, 0.3]", "[0.1, 0.1, 0.3, 0.3]"]),
    ):
        truth = [[40.0, 20, 120, 60], [80.0, 0, 120, 40, 80, 80, 40, 40]]
        files += [
            vqa(tmp_path / name / "vqa_hr.jsonl", answers),
            captions(tmp_path / name / "cap_ucm.jsonl", ["A road by a river.", HOSTILE]),
            grounding(tmp_path / name / "grounding.jsonl", list(zip(truth, boxes, strict=True))),
        ]
    show(page, made(files), tmp_path)
    return page


def status(page: Any, text: str) -> None:
    expect(page.locator("#status")).to_have_text(text)


def test_all_rows_are_shown_first_and_filters_narrow_them(shown: Any) -> None:
    status(shown, "1–11 of 11 rows")  # noqa: RUF001
    cards = shown.locator("#cards .card")
    expect(cards).to_have_count(11)
    shown.select_option("#task", "Visual question answering")
    expect(cards).to_have_count(7)
    shown.select_option("#kind", "Presence")
    expect(cards).to_have_count(3)
    shown.select_option("#result", "wrong")
    expect(cards).to_have_count(1)
    expect(cards.locator("dd.latest")).to_contain_text("no")
    shown.select_option("#result", "wrong, then right")
    expect(cards).to_have_count(2)
    shown.click("button[type=reset]")
    expect(cards).to_have_count(11)
    shown.select_option("#source", "dior_rsvg")
    expect(cards).to_have_count(2)
    shown.click("button[type=reset]")
    shown.check("#pictured")
    expect(cards).to_have_count(6)


def test_options_say_how_many_rows_they_leave(shown: Any) -> None:
    assert shown.locator("#task option").all_text_contents() == [
        "all",
        "Captioning (2)",
        "Visual grounding (2)",
        "Visual question answering (7)",
    ]
    # Of the questions 5 are right after; of the boxes one overlaps by 0.6, the other by a third.
    assert shown.locator("#result option").all_text_contents()[1:3] == ["right (6)", "wrong (3)"]


def test_search_finds_words_of_any_text(shown: Any) -> None:
    # The counts alternate, for the status is that of the last search until the next is done.
    found = {
        "three": 1,
        "find": 2,
        "x/test/6": 1,
        "bold": 2,
        "planes bold": 1,
        "0.png": 3,
        "RIVER": 1,
    }
    for query, count in found.items():
        shown.fill("#search", query)
        status(shown, f"1–{count} of {count} rows")  # noqa: RUF001
    shown.fill("#search", "no such words")
    status(shown, "No row has all of this.")
    expect(shown.locator("#cards .card")).to_have_count(0)


def test_links_of_the_tables_choose_their_rows(shown: Any) -> None:
    shown.click('[data-group="1"]')
    expect(shown.locator("#group")).to_have_value("cap_ucm, test")
    expect(shown.locator("#cards .card")).to_have_count(2)


def test_rows_are_ordered_by_their_value(shown: Any) -> None:
    shown.select_option("#source", "dior_rsvg")
    values = shown.locator("#cards .card dd.latest .value")
    shown.select_option("#order", "lowest")
    assert values.all_text_contents() == ["IoU 0.33", "IoU 0.60"]
    shown.select_option("#order", "highest")
    assert values.all_text_contents() == ["IoU 0.60", "IoU 0.33"]


def test_rows_without_a_value_come_last(shown: Any) -> None:
    rows = shown.locator("#status").text_content()
    shown.select_option("#order", "lowest")
    assert shown.locator("#status").text_content() == rows
    last = shown.locator("#cards .card").last
    expect(last.locator("dd.latest .value")).to_have_count(0)


def test_boxes_stand_where_they_are_in_the_picture(shown: Any) -> None:
    shown.select_option("#source", "dior_rsvg")
    shown.fill("#search", "x/test/0")
    status(shown, "1–1 of 1 rows")  # noqa: RUF001
    card = shown.locator("#cards .card")
    expect(card.locator("dd").nth(1)).to_contain_text("no box")
    truth = card.locator("polygon.truth:not(.halo)")
    found = card.locator("polygon.latest:not(.halo)")
    assert truth.get_attribute("points") == "40,20 120,20 120,60 40,60"
    assert found.get_attribute("points") == "80,20 160,20 160,60 80,60"
    # 400 x 200 px in a square: a quarter of the height is empty above and below.
    frame = card.locator("svg.picture").bounding_box()
    assert frame is not None
    scale = frame["width"] / 400
    top = frame["y"] + (frame["height"] - 200 * scale) / 2
    on_screen = (
        "e => [...e.points].map(p => p.matrixTransform(e.getScreenCTM())).map(p => [p.x, p.y])"
    )
    for (x, y), corner in zip(
        [(40, 20), (120, 20), (120, 60), (40, 60)], truth.evaluate(on_screen), strict=True
    ):
        assert corner == pytest.approx([frame["x"] + x * scale, top + y * scale], abs=0.5)
    dashes = [each.evaluate("e => getComputedStyle(e).strokeDasharray") for each in (truth, found)]
    assert dashes[0] == "none" != dashes[1]


def test_oriented_boxes_keep_their_corners(shown: Any) -> None:
    shown.select_option("#source", "dior_rsvg")
    shown.fill("#search", "x/test/1")
    status(shown, "1–1 of 1 rows")  # noqa: RUF001
    truth = shown.locator("#cards .card polygon.truth:not(.halo)")
    assert truth.get_attribute("points") == "80,0 120,40 80,80 40,40"


def test_rows_without_a_picture_name_it(shown: Any) -> None:
    shown.fill("#search", "x/test/6")
    status(shown, "1–1 of 1 rows")  # noqa: RUF001
    expect(shown.locator("#cards .card .absent")).to_have_text("Not pictured here: 6.png")


def test_hostile_replies_are_text(shown: Any) -> None:
    shown.fill("#search", "bold")
    status(shown, "1–2 of 2 rows")  # noqa: RUF001
    assert (
        shown.locator("#cards .card dd.latest > span:first-child").all_text_contents()
        == [HOSTILE] * 2
    )
    expect(shown.locator("#cards .card dd b, .card dd img")).to_have_count(0)


def test_the_page_opens_with_replies_and_their_boxes(shown: Any) -> None:
    opening = shown.locator(".opening")
    assert opening.locator("h3").all_text_contents() == [
        "Visual question answering",
        "Captioning",
        "Visual grounding",
    ]
    card = opening.locator(".card", has_text="wrong", has=shown.locator("svg.picture"))
    truth = card.locator("polygon.truth:not(.halo)")
    found = card.locator("polygon.latest:not(.halo)")
    assert truth.get_attribute("points") == "40.0,20.0 120.0,20.0 120.0,60.0 40.0,60.0"
    assert found.get_attribute("points") == "80.0,20.0 160.0,20.0 160.0,60.0 80.0,60.0"
    dashes = [each.evaluate("e => getComputedStyle(e).strokeDasharray") for each in (truth, found)]
    assert dashes[0] == "none" != dashes[1]


def test_the_first_rows_are_mixed_over_tasks_then_tables(page: Any, tmp_path: Path) -> None:
    folder = tmp_path / "after"
    boxes = [([40.0, 20, 120, 60], "[0.2, 0.1, 0.4, 0.3]")] * 9
    files = [
        vqa(folder / "vqa_hr.jsonl", AFTER),
        vqa(folder / "vqa_lr.jsonl", AFTER),
        captions(folder / "cap_ucm.jsonl", ["A road.", "A jet."]),
        grounding(folder / "grounding.jsonl", boxes),
    ]
    show(page, made(files), tmp_path)
    kinds = page.locator("#cards .card .kind").all_text_contents()
    names = [kind.split(",")[0] for kind in kinds]
    assert names[:6] == ["vqa_hr", "cap_ucm", "grounding", "vqa_lr", "cap_ucm", "grounding"]
    assert names[6:] == ["vqa_hr", "grounding", "vqa_lr", "grounding", "vqa_hr", "grounding"]


@pytest.fixture
def with_judge(page: Any, tmp_path: Path) -> Any:
    """Three turns and a description; the judge gives 3, 4, no score and 9, then a 9 to all."""
    answers = dict(zip([*TURNS, DETAIL], (3, 4, "none", 9), strict=True))
    files = [
        judged(dialogues(tmp_path / name, weights=name), functools.partial(score_of, scores=scores))
        for name, scores in (("before", answers), ("after", dict.fromkeys(answers, 9)))
    ]
    show(page, made(files), tmp_path)
    return page


def test_a_judge_gives_its_score_and_says_why(with_judge: Any) -> None:
    with_judge.fill("#search", "conversation/1")
    status(with_judge, "1–1 of 1 rows")  # noqa: RUF001
    card = with_judge.locator("#cards .card")
    assert card.locator("dt").all_text_contents() == ["truth", "before", "after"]
    assert card.locator(".value").all_text_contents() == ["Score 4.00", "Score 9.00"]
    assert card.locator(".why").all_text_contents() == [f"Because of {TURNS[1]}"] * 2
    expect(card.locator(".mark")).to_have_count(0)
    expect(card.locator("details li").first).to_be_hidden()
    card.locator("summary", has_text="after 1 earlier question").click()
    assert card.locator("details li").all_text_contents() == ["Ships?", "Two ships, moored."]
    expect(card.locator("details li").first).to_be_visible()


def test_an_answer_without_a_score_says_so(with_judge: Any) -> None:
    with_judge.fill("#search", "conversation/2")
    status(with_judge, "1–1 of 1 rows")  # noqa: RUF001
    card = with_judge.locator("#cards .card")
    assert card.locator(".value").all_text_contents() == ["no score", "Score 9.00"]
    assert "score is 'none', not a number" in card.locator(".why").first.text_content()


def test_a_judges_words_are_found_and_are_text(with_judge: Any) -> None:
    for query in ("because <i>in</i>", "not number"):
        with_judge.fill("#search", query)
        status(with_judge, "1–1 of 1 rows")  # noqa: RUF001
    expect(with_judge.locator("#cards .card i")).to_have_count(0)
    with_judge.fill("#search", "")
    with_judge.select_option("#task", "Conversation")
    status(with_judge, "1–3 of 3 rows")  # noqa: RUF001
    assert with_judge.locator("#result").is_hidden()


def test_dark_mode_is_dark_and_readable(shown: Any) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        body = shown.locator("body")
        seen[scheme] = [
            _brightness(body.evaluate(f"e => getComputedStyle(e).{name}"))
            for name in ("backgroundColor", "color")
        ]
    assert seen["light"][0] > 200 > 60 > seen["light"][1]
    assert seen["dark"][0] < 60 < 200 < seen["dark"][1]


def _brightness(colour: str) -> float:
    numbers = [float(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    return sum(numbers) / 3


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_screen(shown: Any, width: int) -> None:
    shown.set_viewport_size({"width": width, "height": 900})
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    with Image.open(io.BytesIO(shown.screenshot(full_page=True))) as shot:
        assert shot.width == width


@pytest.mark.parametrize("width", [390, 1200])
def test_what_the_image_adds_needs_no_scrolling(page: Any, tmp_path: Path, width: int) -> None:
    rows = [row(i, prediction=["no", "yes", "yes"][i % 3]) for i in range(20)]
    files = [
        write(tmp_path / "a-model-fine-tuned" / "vqa.jsonl", rows),
        write(tmp_path / "blind-grey" / "vqa.jsonl", rows, images="grey"),
    ]
    show(page, made(files, resamples=50), tmp_path)
    page.set_viewport_size({"width": width, "height": 900})
    share = page.locator("table.share")
    expect(share).to_contain_text("worse than guessing, no better with the image than without it")
    assert share.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")


def test_200_000_rows_are_all_found_and_few_are_drawn(page: Any, tmp_path: Path) -> None:
    (group,) = read_groups([vqa(tmp_path / "a/vqa_hr.jsonl", AFTER)])
    many = [group.last.rows[i % 7]._replace(id=f"x/test/{i}") for i in range(200_000)]
    groups = [Group([group.last._replace(rows=many)])]
    text = html("Many", groups, [table(group)], None, pictures=240)
    assert len(text) < 8_000_000
    show(page, text, tmp_path)
    status(page, "1–12 of 200,000 rows")  # noqa: RUF001
    count = functools.partial(page.evaluate, "document.querySelectorAll('*').length")
    assert count() < 1_500
    page.click("#next")
    status(page, "13–24 of 200,000 rows")  # noqa: RUF001
    page.fill("#search", "x/test/199999")
    status(page, "1–1 of 1 rows")  # noqa: RUF001
    page.fill("#search", "")
    page.select_option("#result", "wrong")
    status(page, "1–12 of 28,571 rows")  # noqa: RUF001
    assert count() < 1_500
