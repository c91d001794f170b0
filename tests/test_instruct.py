"""RS-GPT4V-Instruct's lists, and what else is published in LLaVA's form, on a few items."""

import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from PIL import Image

from rs_gpt4v import NAME, records
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.rs_gpt4v_instruct import DETAIL, SOURCE
from rs_gpt4v_builders.usable_records import RecordError

Item = dict[str, Any]
H, G = {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A field."}
OK: Item = {"id": "a", "image": "00001.jpg", "conversations": [H, G]}
READ = [("user", "What is it?"), ("assistant", "A field.")]


def turns(*said: tuple[object, object]) -> list[Item]:
    return [{"from": speaker, "value": value} for speaker, value in said]


def read(root: Path, content: object, file: str = "conversation_train.json") -> list[Item]:
    """The records of one file, given as its bytes or as what it is the JSON of."""
    path = root / "RS_GPT4V_Instruct" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    found = SOURCE.read(root / "RS_GPT4V_Instruct", "train")
    return found.append_column("why", records.problems(found)).to_pylist()


def said(record: Item) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in record["messages"]]


def picture(path: Path, colour: str = "black") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)
    return path


@pytest.mark.parametrize(
    "item",
    [
        OK,
        {**OK, "image": ["00001.jpg"]},
        {"id": "a", "images": ["00001.jpg"], "conversations": [H, G]},
        {"id": "a", "images": "00001.jpg", "conversations": [H, G]},
        {**OK, "conversations": turns(("human", "What is it?"), ("gpt", " A field. "))},
        {**OK, "conversations": turns(("user", "What is it?"), ("assistant", "A field."))},
        {**OK, "conversations": turns(("USER", "What is it?"), ("Assistant ", "A field."))},
        {
            "image": "00001.jpg",
            "messages": [
                {"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "A field."},
            ],
        },
        {
            "images": ["00001.jpg"],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "A field."}]},
            ],
        },
    ],
)
def test_forms_of_an_item(tmp_path: Path, item: Item) -> None:
    (record,) = read(tmp_path, [item])
    assert record["why"] is None
    assert said(record) == READ
    assert record["image"] == "DIOR_trainval/00001.jpg"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"\n".join(json.dumps(OK | {"id": n}).encode() for n in range(3)), 3),
        (json.dumps(OK).encode(), 1),
        (b"\xef\xbb\xbf" + json.dumps([OK], indent=1).replace("\n", "\r\n").encode(), 1),
        (json.dumps([OK]).encode("utf-16"), 1),
        (json.dumps([OK]).encode("utf-32"), 1),
        (b"[]", 0),
    ],
    ids=["lines", "one line", "byte order mark", "utf-16", "utf-32", "empty"],
)
def test_forms_of_a_file(tmp_path: Path, content: bytes, count: int) -> None:
    found = read(tmp_path, content)
    assert [(said(record), record["why"]) for record in found] == [(READ, None)] * count


def test_a_line_that_is_cut_short_costs_that_line(tmp_path: Path) -> None:
    lines = [json.dumps(OK | {"id": name}) for name in "abc"]
    found = read(tmp_path, "\n".join([lines[0], lines[1][:30], "", lines[2]]).encode())
    assert [record["why"] and record["why"]["kind"] for record in found] == [
        None,
        "item of another form",
        None,
    ]
    assert "conversation_train.json, line 2: expected an object, found" in found[1]["why"]["reason"]


@pytest.mark.parametrize(
    "question",
    [
        "<image>\nWhy so?",
        "Why so?\n<image>",
        "<image> Why so?",
        "Why <image> so?",
        "Why so?<image>",
    ],
)
def test_mark_of_the_image_is_taken_out(tmp_path: Path, question: str) -> None:
    (record,) = read(
        tmp_path, [OK | {"conversations": turns(("human", question), ("gpt", " Yes"))}]
    )
    assert said(record) == [("user", "Why so?"), ("assistant", "Yes")]


def test_a_number_is_an_answer(tmp_path: Path) -> None:
    (record,) = read(tmp_path, [OK | {"conversations": turns(("human", "How many?"), ("gpt", 3))}])
    assert said(record) == [("user", "How many?"), ("assistant", "3")]


def test_system_message_is_kept(tmp_path: Path) -> None:
    (record,) = read(tmp_path, [OK | {"conversations": [*turns(("system", "Be brief.")), H, G]}])
    assert said(record) == [("system", "Be brief."), *READ]
    assert (record["why"], record["change"]) == (None, None)


def test_turns_without_their_other_half_are_left_out_and_told(tmp_path: Path) -> None:
    spoken = turns(("system", "s"), ("gpt", "Hello"), ("human", "a"), ("gpt", "b"), ("human", "c"))
    (record,) = read(tmp_path, [OK | {"conversations": spoken}])
    assert said(record) == [("system", "s"), ("user", "a"), ("assistant", "b")]
    assert record["change"]["kind"] == "turns left out"
    assert "item 0: 2 turns before the first question or" in record["change"]["reason"]


@pytest.mark.parametrize("key", ["image", "images"])
def test_several_images_are_kept_in_order(tmp_path: Path, key: str) -> None:
    item = {"id": "t", key: ["00001.jpg", "00003.jpg"], "conversations": [H, G]}
    (record,) = read(tmp_path, [item])
    assert record["why"] is None
    assert record["image"] == "DIOR_trainval/00001.jpg"
    assert record["further_images"] == ["DIOR_trainval/00003.jpg"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("text", "item 0: expected an object, found 'text'"),
        (None, "item 0: expected an object, found None"),
        ({"id": "t", "conversations": [H, G]}, "no image under 'image' or 'images': .* id, conv"),
        ({**OK, "image": []}, "item 0: it names no image"),
        ({**OK, "image": ""}, "item 0: its image is '', expected a file's name"),
        ({**OK, "image": 3}, "item 0: its image is 3, expected a file's name"),
        (
            {"id": "a", "image": "00001.jpg", "dialogue": []},
            "a list under 'conversations' or 'messages', found None in .* id, image, dialogue",
        ),
        ({**OK, "conversations": []}, "found a list of 0"),
        ({**OK, "conversations": ["a"]}, "turn 0 is 'a', expected an object"),
        ({**OK, "conversations": [H]}, "it has no question with an answer"),
        ({**OK, "conversations": [G]}, "it has no question with an answer"),
        ({**OK, "conversations": [H, H, G]}, "item 0: its roles do not go user, assistant"),
        ({**OK, "conversations": [{"value": "q"}, G]}, "turn 0 is by None, .*an object with value"),
        (
            {**OK, "conversations": [H, {"from": "function_call", "value": "f"}, G]},
            "turn 1 is by 'function_call', expected human, user, gpt, assistant, system",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), (["gpt"], "a"))},
            "turn 1 is by a list of 1",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), ("gpt", None))},
            "turn 1 says None, expected",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), ("gpt", True))},
            "turn 1 says True, expected",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), ("gpt", "  "))},
            "one of its messages is empty",
        ),
        ({**OK, "conversations": turns(("human", "<image>"), ("gpt", "a"))}, "messages is empty"),
        (
            {**OK, "conversations": turns(("human", "<im<image>age>"), ("gpt", "a"))},
            "holds '<image>'",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), ("gpt", [{"type": "video"}]))},
            "turn 1 says a list of 1, expected text",
        ),
        (
            {**OK, "conversations": turns(("human", "q"), ("gpt", "half \ud800"))},
            "'messages' holds half a surrogate pair",
        ),
        ({**OK, "image": "\ud800.jpg"}, "'.ud800.jpg' is not in"),
    ],
)
def test_item_that_cannot_be_used_says_why_and_costs_no_other(
    tmp_path: Path, item: object, reason: str
) -> None:
    bad, good = read(tmp_path, [item, OK | {"id": "b"}])
    assert good["why"] is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(bad["why"]["reason"])


def test_nan_where_a_text_should_be(tmp_path: Path) -> None:
    content = (
        b'[{"id": NaN, "image": "00001.jpg", "conversations": [{"from": "human", "value": "q"},'
    )
    (record,) = read(tmp_path, content + b'{"from": "gpt", "value": NaN}]}]')
    assert "turn 1 says nan, expected text" in record["why"]["reason"]


@pytest.mark.parametrize(
    ("ids", "keys"),
    [
        (["a", 7], ["a", "7"]),
        ([0, 1], ["0", "1"]),
        (["a", "a"], ["000000", "000001"]),
        (["a", None], ["000000", "000001"]),
    ],
)
def test_ids(tmp_path: Path, ids: list[object], keys: list[str]) -> None:
    found = read(tmp_path, [OK | {"id": i} for i in ids])
    assert [record["key"] for record in found] == keys


class TestFile:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"rows": [OK]}, "expected a list of objects, or an object a line, found .* with rows"),
            (b'[{"id": "a", ', "line 1 column 14: expected JSON, but the file ends there"),
            (b'[{"id": "a"} {"id": "b"}]', r"line 1 column 14: expected JSON, but found '\{\"id"),
            (b"", "the file is empty"),
            (
                b"<!DOCTYPE html><html>404",
                "it is a page of HTML or XML; it begins '<!DOCTYPE html>",
            ),
            (b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS"),
            (b"[" * 100_000, "its JSON is nested too deeply"),
            (b"caf\xe9", "byte 3 is not UTF-8 .* save it as UTF-8"),
        ],
    )
    def test_what_is_no_list_says_what_it_is(
        self, tmp_path: Path, content: object, reason: str
    ) -> None:
        with pytest.raises(AnnotationError, match=rf"conversation_train\.json.*{reason}"):
            read(tmp_path, content)

    def test_a_number_of_5000_digits_costs_nothing(self, tmp_path: Path) -> None:
        content = json.dumps([OK | {"n": 0}, OK | {"id": "b"}]).replace(
            " 0}", " " + "1" * 5000 + "}"
        )
        assert [record["why"] for record in read(tmp_path, content.encode())] == [None, None]

    @pytest.mark.parametrize("file", DETAIL.spellings["detail_test.json"])
    def test_other_names(self, tmp_path: Path, file: str) -> None:
        path = tmp_path / "RS_GPT4V_Instruct" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
        assert DETAIL.find(tmp_path) == tmp_path / "RS_GPT4V_Instruct"
        assert DETAIL.read(tmp_path / "RS_GPT4V_Instruct", "test").num_rows == 0
        assert SOURCE.find(tmp_path) is None

    def test_list_of_another_split_is_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "RS_GPT4V_Instruct").mkdir()
        (tmp_path / "RS_GPT4V_Instruct/conversation_val.json").write_text("[]")
        (tmp_path / "RS_GPT4V_Instruct/conversation_test.json").write_text("[]")
        with caplog.at_level(logging.WARNING):
            read(tmp_path, [OK])
        assert "not read, no split of ours: conversation_val.json" in caplog.text


class TestImages:
    def test_path_as_given_is_the_image(self, tmp_path: Path) -> None:
        """Beside the file, then in the release, then in the data root; DIOR's last, by number."""
        dior = picture(tmp_path / "DIOR/JPEGImages-trainval/00001.jpg")
        root = picture(tmp_path / "00001.jpg")
        release = picture(tmp_path / "RS_GPT4V_Instruct/00001.jpg")
        beside = picture(tmp_path / "RS_GPT4V_Instruct/train/00001.jpg")
        for path in (beside, release, root, dior):
            assert self.found(tmp_path, "00001.jpg", "train/conversation.json") == path
            path.unlink()

    @pytest.mark.parametrize(
        ("name", "place"),
        [
            ("RSICD/RSICD_images/00001.jpg", "RS_GPT4V_Instruct/RSICD/RSICD_images/00001.jpg"),
            ("RSICD/RSICD_images/00001.jpg", "RSICD/RSICD_images/00001.jpg"),
            ("images/00001.jpg", "RS_GPT4V_Instruct/images/00001.jpg"),
            ("./images/../00001.jpg", "RS_GPT4V_Instruct/00001.jpg"),
            ("images\\mine\\00001.jpg", "RS_GPT4V_Instruct/images/mine/00001.jpg"),
            ("../mine/00001.jpg", "mine/00001.jpg"),
            ("images/00001.JPG", "RS_GPT4V_Instruct/images/00001.jpg"),
            ("images/a.jpg", "RS_GPT4V_Instruct/images/a.JPG"),
            ("{root}/mine/00001.jpg", "mine/00001.jpg"),
            ("DIOR_test/00001.jpg", "RS_GPT4V_Instruct/DIOR_test/00001.jpg"),
            ("data root/00001.jpg", "RS_GPT4V_Instruct/data root/00001.jpg"),
            ("00001.jpg", "DIOR/JPEGImages-trainval/00001.jpg"),
            ("./11725.jpg", "DIOR/JPEGImages/11725.jpg"),
            ("11726.jpg", "DIOR_RSVG/JPEGImages/11726.jpg"),
            ("11726.jpg", "DIOR/JPEGImages-test/11726.jpg"),
        ],
    )
    def test_found(self, tmp_path: Path, name: str, place: str) -> None:
        path = picture(tmp_path / place)
        assert self.found(tmp_path, name.format(root=tmp_path)) == path

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("RSICD/RSICD_images/00001.jpg", "image is missing"),
            ("images/mine/00001.jpg", "image is missing"),
            ("DIOR/JPEGImages-test/00001.jpg", "image is missing"),
            ("JPEGImages/00001.jpg", "image is missing"),
            ("photo.jpg", "image is missing"),
            ("images/a.png", "image is missing"),
            ("..", "image is missing"),
            ("../../00001.jpg", "image is missing"),
            ("..\\..\\00001.jpg", "image is missing"),
            ("D:\\data\\DIOR\\00001.jpg", "image path leaves the data root"),
            ("D:/DIOR/00001.jpg", "image path leaves the data root"),
            ("/data/DIOR/00001.jpg", "image path leaves the data root"),
            ("https://example.org/00001.jpg", "image is missing"),
            (f"{'1' * 180}.jpg", "image is missing"),
        ],
    )
    def test_no_other_image_of_that_name_is_taken(
        self, tmp_path: Path, name: str, kind: str
    ) -> None:
        root = tmp_path / "root"
        for place in ("DIOR/JPEGImages-trainval", "RS_GPT4V_Instruct/images", ".."):
            picture(root / place / "00001.jpg")
        picture(root / "RS_GPT4V_Instruct/images/a.jpg")
        (record,) = read(root, [OK | {"image": name}])
        assert record["why"]["kind"] == kind
        assert repr(name) in record["why"]["reason"]

    @pytest.mark.parametrize(
        "name", ["1" * 5000 + ".jpg", "images/" + "a" * 5000, "images/a\0.jpg"]
    )
    def test_name_that_no_file_can_have_costs_its_item(self, tmp_path: Path, name: str) -> None:
        bad, good = read(tmp_path, [OK | {"image": name}, OK | {"id": "b"}])
        assert (bad["why"]["kind"], good["why"]) == ("image is missing", None)

    def test_missing_image_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        (record,) = read(tmp_path, [OK | {"image": "mine/a.jpg"}], "train/conversation.json")
        folders = (tmp_path / f for f in ("RS_GPT4V_Instruct/train", "RS_GPT4V_Instruct", "."))
        said = f"'mine/a.jpg' is not in {' nor '.join(map(str, folders))}"
        assert record["why"]["reason"].endswith(said)

    def found(self, root: Path, name: str, file: str = "conversation_train.json") -> Path:
        (record,) = read(root, [OK | {"image": name}], file)
        finder = ImageFinder(SOURCE, root / "RS_GPT4V_Instruct")
        measured = finder.measure(pa.array([record["image"]])).to_pylist()[0]
        assert measured["image_problem"] is None
        return Path(measured["path"])


class TestBuild:
    def load(self, root: Path, items: list[object], **options: Any) -> datasets.DatasetDict:
        picture(root / "DIOR/JPEGImages-trainval/00001.jpg")
        read(root, items)
        return self.again(root, **options)

    def again(self, root: Path, **options: Any) -> datasets.DatasetDict:
        return datasets.load_dataset(
            NAME, "conversation", data_dir=str(root), cache_dir=str(root / "cache"), **options
        )

    def test_an_image_of_the_item_s_own_is_the_row_s(self, tmp_path: Path) -> None:
        name = "RSICD/RSICD_images/00001.jpg"
        picture(tmp_path / "RS_GPT4V_Instruct" / name, "red")
        rows = self.load(tmp_path, [OK | {"image": name}], on_missing="skip")["train"]
        assert rows[0]["images"][0].getpixel((3, 3))[0] > 250

    def test_image_that_came_later_builds_anew(self, tmp_path: Path) -> None:
        """Where it may lie is only said by the list."""
        items = [OK, OK | {"id": "b", "image": "RSICD/images/1.jpg"}]
        (tmp_path / "RSICD/images").mkdir(parents=True)
        assert len(self.load(tmp_path, items, on_missing="skip")["train"]) == 1
        picture(tmp_path / "RSICD/images/1.jpg")
        assert len(self.again(tmp_path, on_missing="skip")["train"]) == 2

    def test_an_item_a_line_may_hold_odd_line_ends(self, tmp_path: Path) -> None:
        from rs_gpt4v_builders.sources import dialogues

        path = tmp_path / "conversation_train.json"
        items = [OK | {"id": "one\u2028line\x85"}, OK | {"id": "b"}]
        lines = [json.dumps(item, ensure_ascii=False) for item in items]
        path.write_text("\r\n".join(lines), "utf-8", newline="")
        assert [item for _, item in dialogues.items(path)] == items

    def test_nothing_usable_says_why(self, tmp_path: Path) -> None:
        why = "rs_gpt4v_instruct-train: 2 left out, the first because .* it names no image"
        items = [{"conversations": [H, G]}, OK | {"image": "images/a.jpg"}]
        with pytest.raises(RecordError, match=f"no usable record in .*{why}"):
            self.load(tmp_path, items, on_missing="skip")

    def test_an_item_s_fault_is_not_the_release_s(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="item 0: turn 1 says None") as error:
            self.load(tmp_path, [OK | {"conversations": turns(("human", "q"), ("gpt", None))}])
        assert "Fetch" not in str(error.value)
        assert "DIOR" not in str(error.value)

    def test_changed_dialogues_are_listed(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.load(tmp_path, [OK | {"conversations": [G, H, G]}], on_missing="skip")
        rows = self.again(tmp_path, on_missing="skip")
        folder = Path(rows["train"].cache_files[0]["filename"]).parent
        line = (folder / "changed-rs_gpt4v_instruct-train.jsonl").read_text()
        assert json.loads(line)["id"] == "rs_gpt4v_instruct/train/a"
        assert json.loads(line)["kind"] == "turns left out"
        assert "kept 1 records, changed 1 (" in caplog.text
        assert "1 records were changed when it was built, see /" in caplog.text
