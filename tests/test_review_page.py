"""The review page in a real browser: keys write the right lines, and words stay words."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from review_queue import SHIPS, candidate, write_queue

from rs_gpt4v_generation.review.server import reviewing

CHROMIUM = Path("/usr/bin/chromium")
IDS = [candidate(number)["id"] for number in range(4)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM))
        yield browser
        browser.close()


@contextmanager
def opened_page(
    browser: Any, queue: Path, *, refused: int | None = None, **options: Any
) -> Iterator[Any]:
    """The page of a queue, once it shows a candidate; nothing may go wrong or leave the machine.

    ``refused`` is a status of the server that the browser's console may tell.
    """
    wrong: list[str] = []
    asked: set[str] = set()
    with reviewing(queue, "ann") as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        page = browser.new_page(**options)
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        try:
            page.goto(server.url)
            page.wait_for_selector(".turn, .nothing")
            yield page
        finally:
            page.close()
            server.shutdown()
            serving.join()
        assert not [url for url in asked if not url.startswith(("data:", server.url))]
        assert not [one for one in wrong if f"status of {refused}" not in one]


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return write_queue(tmp_path, [candidate(number) for number in range(4)])


@pytest.fixture
def page(browser: Any, queue: Path) -> Iterator[Any]:
    with opened_page(browser, queue) as page:
        yield page


def lines(queue: Path) -> list[dict[str, Any]]:
    text = queue.with_name("queue.jsonl.reviews.ann.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def shows(page: Any, number: int) -> None:
    """Wait until the page shows candidate ``number``."""
    page.wait_for_function(
        "id => document.querySelector('#about').textContent.includes(id)", arg=IDS[number]
    )


def test_keys_decide(page: Any, queue: Path) -> None:
    shows(page, 0)
    page.keyboard.press("a")
    shows(page, 1)
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("There are two ships, a r e j.")
    page.keyboard.press("Control+Enter")
    shows(page, 2)
    page.keyboard.press("r")
    page.keyboard.press("2")
    shows(page, 3)
    page.keyboard.press("u")
    shows(page, 2)
    page.keyboard.press("r")
    page.keyboard.press("o")
    page.keyboard.type("1 of my own")
    page.keyboard.press("Enter")
    shows(page, 3)
    page.keyboard.press("s")
    page.wait_for_selector("#decision.skip")
    assert [(IDS.index(one["id"]), one["decision"]) for one in lines(queue)] == [
        (0, "accept"),
        (1, "edit"),
        (2, "reject"),
        (2, "undo"),
        (2, "reject"),
        (3, "skip"),
    ]
    edited = [one["content"] for one in lines(queue)[1]["messages"]]
    generated = [one["content"] for one in candidate(1)["messages"]]
    assert edited == [generated[0], "There are two ships, a r e j.", *generated[2:]]
    assert lines(queue)[2]["reason"] == "cannot be seen in the image"
    assert lines(queue)[4]["reason"] == "1 of my own"
    assert page.inner_text("#progress").startswith("3 of 4 decided · 1 skipped")


def test_escape_leaves_all_as_it_was(page: Any, queue: Path) -> None:
    page.keyboard.press("e")
    page.keyboard.type("x")
    page.keyboard.press("Escape")
    assert "There are three ships. Scene 0 shows a harbor." in page.inner_text("#turns")
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.is_visible("#help-dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.keyboard.press("Control+Enter")  # nothing was changed
    assert page.is_visible("#toast")
    assert lines(queue) == []


def test_turns_can_be_removed_and_added(page: Any, queue: Path) -> None:
    page.keyboard.press("e")
    page.click(".edited >> nth=0 >> text=Remove this turn")
    page.click("text=Add a turn")
    page.keyboard.type("Is there a ship?")
    page.keyboard.press("Tab")
    page.keyboard.type("Yes.")
    page.keyboard.press("Control+Enter")
    shows(page, 1)
    said = [one["content"] for one in lines(queue)[0]["messages"]]
    assert said == [
        *(one["content"] for one in candidate(0)["messages"][2:]),
        "Is there a ship?",
        "Yes.",
    ]
    page.keyboard.press("k")
    page.wait_for_selector("#decision.edit")
    assert page.inner_text("#turns > .turn >> nth=1").endswith("Yes.")
    assert page.locator(".aside .verdict.fail").count() == 1


def test_held_key_decides_once(page: Any, queue: Path) -> None:
    page.keyboard.down("a")
    shows(page, 1)
    for _ in range(5):
        page.keyboard.down("a")
    page.keyboard.up("a")
    page.keyboard.press("j")
    shows(page, 2)
    assert len(lines(queue)) == 1


def test_reload_goes_on(browser: Any, queue: Path) -> None:
    with opened_page(browser, queue) as page:
        page.keyboard.press("a")
        shows(page, 1)
        page.reload()
        shows(page, 1)
    with opened_page(browser, queue) as page:
        shows(page, 1)
        page.keyboard.press("u")
        shows(page, 0)
    assert [one["decision"] for one in lines(queue)] == ["accept", "undo"]


HOSTILE = (
    "<img src=x onerror=\"document.title='run'\"></script><script>document.title='run'</script>"
    "<b>bold</b> &amp; {{7*7}} javascript:alert(1)"
)


def test_words_of_the_queue_are_text(browser: Any, tmp_path: Path) -> None:
    row = candidate(0, model=HOSTILE, prompt=HOSTILE, id=HOSTILE)
    row["messages"] = [{"role": one["role"], "content": HOSTILE} for one in row["messages"]]
    row["verdicts"] = [
        one | {"check": HOSTILE, "rule": HOSTILE, "sentence": HOSTILE} for one in row["verdicts"]
    ]
    row["boxes"][0]["label"] = HOSTILE
    row["reviews"] = [
        {"reviewer": HOSTILE, "decision": "edit", "reason": HOSTILE, "messages": row["messages"]}
    ]
    queue = write_queue(tmp_path, [row])
    with opened_page(browser, queue) as page:
        assert page.locator(".said.user .words").first.inner_text() == HOSTILE
        page.keyboard.press("v")
        assert page.locator("mark").first.inner_text() == HOSTILE
        assert page.locator("#boxes text").first.text_content() == HOSTILE
        assert page.locator("#filters option").nth(5).text_content() == HOSTILE
        page.keyboard.press("e")
        assert page.locator("textarea").first.input_value() == HOSTILE
        page.keyboard.press("End")
        page.keyboard.type(".")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#decision.edit")
        assert page.locator("img, main script, main b:not(.said b, #about b)").count() == 0
        assert page.title() == "Review of queue.jsonl"
    assert lines(queue)[0]["messages"][1]["content"] == HOSTILE + "."


def test_verdict_shows_its_boxes_and_its_sentence(page: Any) -> None:
    assert page.locator("#boxes polygon.over").count() == 3
    page.keyboard.press("v")
    drawn = page.locator("#evidence polygon.over")
    left, top, right, bottom = SHIPS[0]
    corners = f"{left} {top} {right} {top} {right} {bottom} {left} {bottom}"
    assert drawn.first.get_attribute("points") == corners
    assert page.inner_text("mark") == "There are three ships."
    assert page.locator(".verdict[aria-pressed=true] .name").inner_text() == "fail: counts"
    page.keyboard.press("v")
    assert (drawn.count(), page.inner_text("mark")) == (0, "in the lower half")
    page.keyboard.press("v")  # the one that passed opens
    assert (drawn.count(), page.inner_text("mark")) == (3, "The harbor lies below the ships")
    assert page.locator("#boxes.dim").count() == 1
    page.keyboard.press("V")
    assert page.inner_text("mark") == "in the lower half"


def test_boxes_labels_zoom_and_pan(page: Any) -> None:
    page.keyboard.press("b")
    assert not page.is_visible("#boxes")
    page.keyboard.press("b")
    page.keyboard.press("l")
    assert not page.locator("#boxes text").first.is_visible()

    def view() -> list[float]:
        return [float(one) for one in page.get_attribute("#scene", "viewBox").split()]

    whole = view()
    page.keyboard.press("+")
    near = view()
    assert near[2] < whole[2]
    assert near[0] + near[2] / 2 == pytest.approx(160)
    page.keyboard.press("Shift+ArrowRight")
    assert view()[0] > near[0]
    page.keyboard.press("0")
    assert view() == whole
    place = page.locator("#scene").bounding_box()
    at = (place["x"] + place["width"] / 4, place["y"] + place["height"] / 2)
    page.mouse.move(*at)
    page.mouse.wheel(0, -100)
    page.wait_for_function(
        "() => document.querySelector('#scene').getAttribute('viewBox') != '0 0 320 320'"
    )
    before = view()
    page.mouse.down()
    page.mouse.move(at[0] + 40, at[1])
    page.mouse.up()
    assert view()[0] < before[0]


def test_filter_and_search(browser: Any, tmp_path: Path) -> None:
    rows = [candidate(number) for number in range(4)]
    rows[1]["verdicts"] = rows[1]["verdicts"][1:]
    with opened_page(browser, write_queue(tmp_path, rows)) as page:
        assert page.inner_text("#shown") == "1 of 4"
        page.select_option("select[name=result]", "fail")
        page.wait_for_function("() => document.querySelector('#shown').value == '1 of 3'")
        page.keyboard.press("j")
        shows(page, 2)
        page.keyboard.press("/")
        page.keyboard.type("scene 3")
        shows(page, 3)
        page.keyboard.press("Enter")
        page.keyboard.press("a")
        page.wait_for_selector("#decision.accept")
        page.select_option("select[name=decision]", "reject")
        page.wait_for_selector(".nothing")
        assert page.locator("#boxes polygon").count() == 0
        page.keyboard.press("a")
        page.keyboard.press("e")
        page.keyboard.press("u")
        page.wait_for_function("() => document.querySelector('#shown').value == '1 of 1'")
        shows(page, 3)
    assert [one["decision"] for one in lines(tmp_path / "queue.jsonl")] == ["accept", "undo"]


def test_what_was_not_saved_is_said(browser: Any, queue: Path) -> None:
    with opened_page(browser, queue, refused=500) as page:
        full = {"status": 500, "json": {"error": "not saved: disk full"}}
        page.route("**/decide", lambda route: route.fulfill(**full))
        page.keyboard.press("a")
        page.wait_for_selector("#saved.wrong")
        assert "disk full" in page.inner_text("#saved")
        shows(page, 0)
        assert not page.is_visible("#decision")
        page.unroute("**/decide")
        page.keyboard.press("a")
        shows(page, 1)


def test_image_that_is_broken_is_told(browser: Any, tmp_path: Path) -> None:
    queue = write_queue(tmp_path, [candidate(0)])
    (tmp_path / "scene.png").write_bytes(b"no image")
    with opened_page(browser, queue, refused=415) as page:
        page.wait_for_selector("#picture-note:not([hidden])")
        assert "is no image that can be read here" in page.inner_text("#picture-note")


def test_ten_thousand_candidates(browser: Any, tmp_path: Path) -> None:
    queue = write_queue(tmp_path, [candidate(number) for number in range(10_000)])
    with opened_page(browser, queue) as page:
        shows(page, 0)
        assert page.inner_text("#shown") == "1 of 10,000"
        assert page.evaluate("document.querySelectorAll('*').length") < 300
        page.keyboard.press("a")
        shows(page, 1)
        assert page.inner_text("#progress").startswith("1 of 10,000 decided")


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_light_and_dark_and_narrow(browser: Any, queue: Path, scheme: str, is_dark: bool) -> None:
    with opened_page(
        browser, queue, color_scheme=scheme, viewport={"width": 800, "height": 900}
    ) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", ground)[0]) < 128) is is_dark
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
        assert page.locator("#actions").bounding_box()["y"] < 900
