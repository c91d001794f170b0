"""How much of a score comes from the image, and what a constant guess would score."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.metric import Rules
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_evaluation.report import groups, report
from rs_gpt4v_evaluation.score import METRIC_OF_TASK, score
from rs_gpt4v_evaluation.score.blind import ImageShare, blind_pairs, image_share
from rs_gpt4v_evaluation.score.most_frequent import most_frequent
from rs_gpt4v_evaluation.score.results import results_of

ANSWERS = ["yes", "yes", "no", "yes", "no", "yes"]


def questions(path: Path, replies: list[str], **dataset: Any) -> Path:
    """Questions on presence, two an image."""
    rows = [
        row(i, references=[true], prediction=said, image=f"{i // 2}.png")
        for i, (true, said) in enumerate(zip(ANSWERS, replies, strict=True))
    ]
    return write(path, rows, **dataset)


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    return questions(tmp_path / "seen/vqa.jsonl", ANSWERS)


@pytest.fixture
def blind(tmp_path: Path) -> Path:
    return questions(tmp_path / "blind-grey/vqa.jsonl", ["yes"] * 6, images="grey")


def test_the_share_is_seen_minus_blind_with_a_paired_interval(seen: Path, blind: Path) -> None:
    (task,) = image_share(read_predictions(seen), read_predictions(blind), resamples=200)
    assert (task.task, task.shown, task.n, task.images) == ("vqa", "grey", 6, 3)
    share = task.scores["oa"]
    assert share.seen == 1.0
    assert share.blind == pytest.approx(4 / 6)
    assert share.difference == pytest.approx(2 / 6)
    # The images' differences are 0, 1/2 and 1/2: their mean over three drawn images.
    assert (share.low, share.high) == (pytest.approx(0.0), pytest.approx(0.5))
    assert share.guess == pytest.approx(4 / 6)
    assert set(task.scores) == {"accuracy_presence", "aa", "oa"}
    again = image_share(read_predictions(seen), read_predictions(blind)[::-1], resamples=200)
    assert again[0].scores == task.scores


def test_only_rows_of_both_are_compared(seen: Path, blind: Path) -> None:
    some = read_predictions(blind)[:3]
    (task,) = image_share(read_predictions(seen), some, resamples=0)
    assert (task.n, task.images) == (3, 2)
    assert task.scores["oa"].blind == pytest.approx(2 / 3)
    assert task.scores["oa"].low is None
    with pytest.raises(PredictionFileError, match="no row in common"):
        image_share(read_predictions(seen)[3:], some)


def test_what_is_not_a_model_and_its_blind_run_is_refused(
    seen: Path, blind: Path, tmp_path: Path
) -> None:
    ours, theirs = read_predictions(seen), read_predictions(blind)
    for pair in ((theirs, ours), (ours, ours), (theirs, theirs)):
        with pytest.raises(PredictionFileError, match="and then a blind run"):
            image_share(*pair)
    other = questions(tmp_path / "o.jsonl", ["no"] * 6, images="none", split="validation")
    with pytest.raises(PredictionFileError, match="is of one model and split"):
        image_share(ours, read_predictions(other))
    text = blind.read_text().replace('"references": ["no"]', '"references": ["maybe"]')
    blind.write_text(text)
    with pytest.raises(PredictionFileError, match="the references of rsvqa_lr/vqa/2 is"):
        image_share(ours, read_predictions(blind))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (ImageShare(0.9, 0.5, 0.4, 0.3, 0.5, 0.6), ""),
        (ImageShare(0.5, 0.5, 0.0, -0.1, 0.1, None), "no better with the image than without it"),
        (ImageShare(0.6, 0.5, 0.1, -0.1, 0.3, 0.6), "the difference may be chance"),
        (ImageShare(0.6, 0.5, 0.1, 0.05, 0.3, 0.7), "worse than guessing"),
        (ImageShare(0.4, 0.5, -0.1, -0.2, 0.1, None, is_merit=False), ""),
    ],
)
def test_words_say_what_the_numbers_mean(share: ImageShare, words: str) -> None:
    assert share.words == words


def test_blind_runs_go_with_their_model(seen: Path, blind: Path, tmp_path: Path) -> None:
    none = questions(tmp_path / "blind-none/vqa.jsonl", ["no"] * 6, images="none")
    other = write(tmp_path / "other.jsonl", [row(0, model="another")], images="none")
    files = [blind, seen, none, other]
    assert blind_pairs(files) == [(seen, blind), (seen, none)]


def test_score_says_that_a_file_is_blind_and_prints_the_share(seen: Path, blind: Path) -> None:
    run = CliRunner().invoke(app, ["score", str(seen), str(blind), "--resamples", "200"])
    assert run.exit_code == 0, run.output
    assert f"{blind}: all/test, vqa, blind: a grey image" in run.output
    assert f"The image's share: {seen} minus {blind}" in run.output
    assert "6 rows of task vqa about 3 images, seen and blind (a grey image)" in run.output
    line = re.search(r"^  oa +1\.0000 +0\.6667 +\+0\.3333 .*$", run.output, re.MULTILINE)
    assert line
    assert line[0].endswith("]  0.6667  the difference may be chance")
    assert score(blind)["signature"].endswith("|blind:grey")
    assert "blind" not in score(seen)["signature"]
    run = CliRunner().invoke(app, ["score", str(seen), str(blind), "--json"])
    first, second = json.loads(run.output)
    assert "image_share" not in first
    (share,) = second["image_share"]
    assert share["seen"] == str(seen)
    assert share["scores"]["oa"]["difference"] == pytest.approx(2 / 6)
    assert share["most_frequent"]["answers"] == {"presence": "yes"}


def test_the_seed_of_other_images_is_in_the_signature(tmp_path: Path) -> None:
    file = questions(tmp_path / "o.jsonl", ANSWERS, images="other", images_seed=3)
    assert score(file)["signature"].endswith("|blind:other,seed:3")


def test_a_rate_of_yes_is_neither_better_nor_worse(tmp_path: Path) -> None:
    rows = [row(i, "probe") for i in range(4)]
    said = [one | {"prediction": "no"} for one in rows]
    seen = read_predictions(write(tmp_path / "a.jsonl", rows))
    blind = read_predictions(write(tmp_path / "b.jsonl", said, images="none"))
    (task,) = image_share(seen, blind, resamples=0)
    assert task.scores["yes_rate"].difference == 0.5
    assert task.scores["yes_rate"].words == ""
    assert task.scores["accuracy"].words == ""
    turned = [one | {"prediction": "yes"} for one in rows]
    blind = read_predictions(write(tmp_path / "b.jsonl", turned, images="none"))
    (task,) = image_share(seen, blind, resamples=0)
    assert task.scores["yes_rate"].difference == -0.5
    assert task.scores["yes_rate"].words == ""


def test_a_report_shows_seen_and_blind_with_their_difference(
    seen: Path, blind: Path, tmp_path: Path
) -> None:
    report([seen, blind], tmp_path / "r.md", resamples=200, card=tmp_path / "card.md")
    text = (tmp_path / "r.md").read_text()
    assert "seen: with the image and with a grey image, 6 rows" in text
    assert (
        "| All questions (OA) | 100.0\u00a0% | 66.7\u00a0% | +33.3 (0.0 to +50.0) | 66.7\u00a0% "
        "| the difference may be chance |"
    ) in text
    # The blind run comes first, so that the page is about the other and their difference positive.
    assert re.search(r"\| All questions .* \| \+33\.3 \|$", text, re.MULTILINE)
    card = (tmp_path / "card.md").read_text()
    assert "rs_vqa" in card
    assert "blind:grey" not in card
    report([blind, seen], tmp_path / "r.html")
    assert "seen: with the image and with a grey image" in (tmp_path / "r.html").read_text()


def without_common_rows(seen: Path, blind: Path) -> None:
    for path, keeps in ((seen, slice(3)), (blind, slice(3, None))):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[keeps]))


def test_what_the_image_adds_is_left_out_where_no_row_is_in_both(
    seen: Path, blind: Path, tmp_path: Path
) -> None:
    without_common_rows(seen, blind)
    why = "What the image adds is not known: a blind run and one with images have no row in common"
    report([seen, blind], tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    assert f"seen and blind-grey: {why}." in text
    assert "All questions (OA)" in text
    assert "with the image and with" not in text
    run = CliRunner().invoke(app, ["score", str(seen), str(blind)])
    assert run.exit_code == 0, run.output
    assert f"{seen} and {blind}: {why}" in run.output
    (entry,) = results_of([seen], [blind], folder=tmp_path)["entries"]
    assert (entry["n"], entry["blind"]) == (3, {})
    assert entry["notes"] == [f"blind-grey/vqa.jsonl: {why}"]


def test_a_task_that_the_common_rows_cannot_score_leaves_the_rest(tmp_path: Path) -> None:
    """Probes need a present and an absent object; those of one blind image may all be present."""
    rows = [row(i, "probe") for i in range(4)]
    seen = write(tmp_path / "a/p.jsonl", rows)
    blind = write(tmp_path / "b/p.jsonl", rows[1:2], images="none")
    (entry,) = results_of([seen], [blind])["entries"]
    assert entry["scores"]["accuracy"] == 1.0
    assert entry["blind"] == {}
    assert "What the image adds is not known" in entry["notes"][0]


def claiming(number: int, *classes: str) -> dict[str, Any]:
    own = {"classes": list(classes), "denied": [], "counts": [], "denied_counts": []}
    return row(number, "detail", claims=own)


def test_claims_that_one_run_alone_has_are_left_out(tmp_path: Path) -> None:
    asked = [row(i) for i in range(4)]
    plain = [row(i, "detail") for i in range(2)]
    claimed = [claiming(i, "ship") for i in range(2)]
    for number, (seen, blind) in enumerate(((plain, claimed), (claimed, plain))):
        files = [
            write(tmp_path / f"a{number}" / "p.jsonl", [*asked, *seen]),
            write(tmp_path / f"b{number}" / "p.jsonl", [*asked, *blind], images="none"),
        ]
        ours, theirs = map(read_predictions, files)
        shares = image_share(ours, theirs, resamples=0)
        assert [share.task for share in shares] == ["vqa"]
        report(files, tmp_path / "r.md")


def test_a_blind_run_that_names_nothing_has_no_share_of_what_is_made_up(tmp_path: Path) -> None:
    seen = write(tmp_path / "a.jsonl", [claiming(i, "ship") for i in range(3)])
    blind = write(tmp_path / "b.jsonl", [claiming(i) for i in range(3)], images="none")
    (share,) = image_share(read_predictions(seen), read_predictions(blind), resamples=20)
    assert set(share.scores) == {"chair_s"}
    seen = write(tmp_path / "a.jsonl", [claiming(i) for i in range(3)])
    blind = write(tmp_path / "b.jsonl", [claiming(i, "ship") for i in range(3)], images="none")
    (share,) = image_share(read_predictions(seen), read_predictions(blind), resamples=20)
    assert set(share.scores) == {"chair_s"}


def test_notes_of_results_name_files_as_seen_from_their_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "predictions" / "all.jsonl", [row(0), row(1), row(0, "detail")])
    questions, dialogues = results_of([file], folder=tmp_path)["entries"]
    assert questions["notes"] == []
    assert "rs-gpt4v judge predictions/all.jsonl" in dialogues["notes"][0]


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 0, 1]])
def test_a_report_reads_each_file_once(
    seen: Path, blind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[int]
) -> None:
    files = [seen, blind, questions(tmp_path / "blind-none/vqa.jsonl", ANSWERS, images="none")]
    read: list[Path] = []

    def counting(path: Path) -> Any:
        read.append(path)
        return read_predictions(path)

    monkeypatch.setattr(groups, "read_predictions", counting)
    (group,) = groups.read_groups([files[i] for i in order])
    assert sorted(read) == sorted(files)
    blind_labels = [files[i].parent.name for i in order if i]
    assert group.labels == [*blind_labels, "seen"]
    assert [share.shown for _, share in group.shares] == [
        label.removeprefix("blind-") for label in blind_labels
    ]


# --- The constant guess ----------------------------------------------------------------------


def guess(rows: list[dict[str, Any]], rules: Rules | None = None) -> Any:
    return most_frequent(METRIC_OF_TASK[rows[0]["task"]], rows, rules or Rules())


def test_the_most_frequent_answer_is_a_range_where_ranges_are_compared() -> None:
    rows = [
        row(i, question_type="count", references=[str(n)]) for i, n in enumerate([0, 0, 3, 4, 5])
    ]
    found = guess(rows)
    assert found.answers == {"count": "between 0 and 10"}
    assert found.scores["oa"] == pytest.approx(3 / 5)
    assert guess(rows, Rules(counts="exact")).answers == {"count": "0"}
    assert guess(rows, Rules(counts="exact")).rules == ["Count answers are compared exactly."]


def test_the_most_frequent_caption_is_one_of_the_references() -> None:
    texts = [["a road", "a long road"], ["a road", "a river"], ["a lake", "a pond"]]
    found = guess([row(i, "caption", references=own) for i, own in enumerate(texts)])
    assert (found.name, found.answers) == ("most frequent caption", {"caption": "a road"})
    assert 0 < found.scores["bleu_1"] < 1
    assert "meteor" not in found.scores


def test_the_median_box_is_scaled_to_each_image() -> None:
    def of(number: int, points: list[int], side: int) -> dict[str, Any]:
        box = {"label": "ship", "points": points, "kind": "hbb"}
        return row(number, "grounding", boxes=[box], width=side, height=side)

    boxes = [
        of(0, [10, 10, 50, 50], 100),
        of(1, [20, 20, 100, 100], 200),
        of(2, [80, 8, 99, 9], 100),
    ]
    found = guess(boxes)
    assert (found.name, found.answers) == ("median box", {"box": "[0.100, 0.100, 0.500, 0.500]"})
    assert found.scores["pr_50"] == pytest.approx(2 / 3)
    turned = {"label": "ship", "points": [10, 10, 50, 12, 50, 50, 8, 50], "kind": "obb"}
    assert guess([row(0, "grounding", boxes=[turned])]) is None


@pytest.mark.parametrize("task", ["probe", "detection"])
def test_other_tasks_have_no_constant_guess(task: str) -> None:
    assert guess([row(1, task), row(2, task)]) is None


def test_the_most_frequent_class_is_of_all_images() -> None:
    rows = [row(i, "scene", references=[name]) for i, name in enumerate(["bare land", "airport"])]
    assert guess(rows).answers == {"class of scene": "airport"}
