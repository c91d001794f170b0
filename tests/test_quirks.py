"""What each release does that a reader must survive, on files of a few records."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rs_gpt4v import adapt
from rs_gpt4v.adapt import Adaption
from rs_gpt4v_builders.inventory import inventory
from rs_gpt4v_builders.sources import floodnet, nwpu_captions, rsitmd, rsivqa, sydney_captions
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source

Row = dict[str, Any]


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def picture(path: Path, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6)).save(path)


def captions(source: Source, folder: Path, split: str = "train") -> list[list[str]]:
    return source.read(folder, split)["captions"].to_pylist()


class TestCaptions:
    def read(self, folder: Path, source: Source, raws: Iterable[str | None]) -> list[list[str]]:
        file = source.annotation_files()[0]
        image = {"filename": "a_1.tif", "split": "train", "sentences": [{"raw": r} for r in raws]}
        write(folder / file, {"images": [image]})
        return captions(source, folder)

    @pytest.mark.parametrize("raw", ["two hosues .", " .", "With a stop. ", "Zwölf  ’x’"])  # noqa: RUF001
    def test_are_kept_as_released(self, tmp_path: Path, raw: str) -> None:
        assert self.read(tmp_path, sydney_captions.SOURCE, [raw, raw]) == [[raw, raw]]

    def test_that_say_nothing_are_none(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, rsitmd.SOURCE, ["", "a lake", " ", None]) == [["a lake"]]

    def test_one_sentence_five_times_is_one_row_as_in_the_present_rsitmd(
        self, tmp_path: Path
    ) -> None:
        self.read(tmp_path, rsitmd.SOURCE, ["a viaduct"] * 5)
        records = rsitmd.SOURCE.read(tmp_path, "train")
        assert adapt.captions(records, Adaption("", "train")).num_rows == 1

    def test_case_counts_in_telling_captions_apart(self, tmp_path: Path) -> None:
        self.read(tmp_path, rsitmd.SOURCE, ["A lake", "a lake", "a lake", "a lake ", "a lake."])
        records = rsitmd.SOURCE.read(tmp_path, "train")
        assert adapt.captions(records, Adaption("", "train")).num_rows == 4

    def test_rsitmd_has_no_validation_split(self) -> None:
        assert list(rsitmd.SOURCE.annotations) == ["train", "test"]


def test_a_tiff_of_four_channels_is_measured(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.tif", "CMYK")
    finder = ImageFinder(rsitmd.SOURCE, tmp_path)
    assert finder.measure(_names("a.tif")).to_pylist()[0]["image_problem"] is None


def _names(*names: str) -> Any:
    import pyarrow as pa

    return pa.array(names)


NWPU_RECORD = {
    "filename": "airport_631.jpg",
    "imgid": 7,
    "split": "val",
    "raw": "One .",
    "raw_1": "Two  spaces .",
    "raw_2": " .",
    "raw_3": "Café’s .",  # noqa: RUF001
    "raw_4": "One .",
    "sentids": 35,
}


class TestNwpu:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Any:
        write(tmp_path / "dataset_nwpu.json", {"airport": [NWPU_RECORD], "airplane": []})
        return nwpu_captions.SOURCE.read(tmp_path, "validation")

    def test_five_keys_are_the_captions(self, table: Any) -> None:
        five = ["One .", "Two  spaces .", " .", "Café’s .", "One ."]  # noqa: RUF001
        assert table["captions"].to_pylist() == [five]

    def test_paper_counts_distinct_captions_the_blank_one_included(self, table: Any) -> None:
        assert adapt.captions(table, Adaption("", "validation")).num_rows == 4

    def test_image_lies_in_the_folder_of_its_class(self, table: Any) -> None:
        assert table["image"].to_pylist() == ["airport/airport_631.jpg"]
        assert table["key"].to_pylist() == ["airport_631"]

    def test_list_in_place_of_the_classes_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "dataset_nwpu.json", [NWPU_RECORD])
        with pytest.raises(AnnotationError, match="expected an object that holds lists of objects"):
            nwpu_captions.SOURCE.read(tmp_path, "train")


class TestFloodNet:
    def read(self, folder: Path, *answers: object, file: str | None = None) -> list[Row]:
        asked = {"Image_ID": "7292.JPG", "Question": "How many?", "Question_Type": "Yes_No"}
        questions = {str(n): asked | {"Ground_Truth": a} for n, a in enumerate(answers)}
        write(folder / (file or "Questions/Training Question.json"), questions)
        return floodnet.SOURCE.read(folder, "train").to_pylist()

    @pytest.mark.parametrize(
        ("released", "answer"),
        [
            (3, "3"),
            ("Yes", "Yes"),
            ("flooded,non flooded", "flooded,non flooded"),
            (None, None),
            ([3], None),
        ],
    )
    def test_answers(self, tmp_path: Path, released: object, answer: str | None) -> None:
        assert self.read(tmp_path, released)[0]["answer"] == answer

    def test_integers_and_strings_in_one_file(self, tmp_path: Path) -> None:
        assert [row["answer"] for row in self.read(tmp_path, 3, "No", 12)] == ["3", "No", "12"]

    def test_key_image_and_type_are_the_release_s(self, tmp_path: Path) -> None:
        row = self.read(tmp_path, "No", "Yes")[1]
        assert (row["key"], row["image"], row["question_type"]) == ("1", "7292.JPG", "Yes_No")

    @pytest.mark.parametrize("file", floodnet.SOURCE.spellings["Questions/Training Question.json"])
    def test_other_spellings_of_the_file(self, tmp_path: Path, file: str) -> None:
        assert len(self.read(tmp_path / "FloodNet", 3, file=file)) == 1
        assert floodnet.SOURCE.find(tmp_path) == tmp_path / "FloodNet"

    @pytest.mark.parametrize("name", ["7292.JPG", "7292.jpg"])
    def test_suffix_in_either_case(self, tmp_path: Path, name: str) -> None:
        picture(tmp_path / "Images/Train_Image" / name)
        found = ImageFinder(floodnet.SOURCE, tmp_path).measure(_names("7292.JPG")).to_pylist()[0]
        assert (found["image_problem"], found["width"], found["height"]) == (None, 8, 6)

    def test_list_in_place_of_the_object_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "Questions/Training Question.json", [{"Image_ID": "7292.JPG"}])
        with pytest.raises(AnnotationError, match="expected an object that holds objects"):
            floodnet.SOURCE.read(tmp_path, "train")


class TestRsivqa:
    def read(self, root: Path, text: str, file: str = "HRRSD/opt_val_vqa.txt") -> list[Row]:
        """The rows of one question file; the other six are empty."""
        for name in rsivqa.SOURCE.release_annotations["train"]:  # pyright: ignore
            write(root / "RSIVQA" / name, text if name == file else "")
        return rsivqa.SOURCE.read(root / "RSIVQA", "train", "release").to_pylist()

    def test_suffix_of_hrrsd_and_dota_is_added(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "00001: a?no\n")[0]["image"] == "HRRSD/00001.jpg"
        dota = self.read(tmp_path, "P0000: a?21\n", "DOTA/dota_val_vqa2.txt")
        assert dota[0]["image"] == "DOTA_val/P0000.png"

    def test_file_named_aid_is_about_rsicd(self, tmp_path: Path) -> None:
        rows = self.read(tmp_path, "airport_1.jpg:a?airport\n", "AID/rsicd_vqa.txt")
        assert rows[0]["image"] == "RSICD/airport_1.jpg"

    @pytest.mark.parametrize(
        ("line", "question", "answer"),
        [
            ("1: does this picture contain ship?no", "does this picture contain ship?", "no"),
            ("1:where is it?everywhere ", "where is it?", "everywhere"),
            ("1:how many? in all?two", "how many? in all?", "two"),
            ("1:at 10:30?yes", "at 10:30?", "yes"),
            ("1:How many  in the picture?one", "How many  in the picture?", "one"),
            ("1:what is the theme?harobr", "what is the theme?", "harobr"),
        ],
        ids=["leading space", "trailing space", "two ?", "two :", "no noun", "typing error"],
    )
    def test_lines(self, tmp_path: Path, line: str, question: str, answer: str) -> None:
        self.read(tmp_path, f"{line}\n")
        records = rsivqa.SOURCE.read(tmp_path / "RSIVQA", "train", "release")
        row = adapt.questions(records, Adaption("", "train", seed=None)).to_pylist()[0]
        assert row["messages"][0]["content"].startswith(question)
        assert row["references"] == [answer]

    def test_doubled_lines_are_rows_with_ids_of_their_own(self, tmp_path: Path) -> None:
        rows = self.read(tmp_path, "6385: a?no\n6385: a?no\n")
        assert [row["key"] for row in rows] == ["opt_val_vqa/1", "opt_val_vqa/2"]

    def test_blank_lines_and_carriage_returns_are_harmless(self, tmp_path: Path) -> None:
        rows = self.read(tmp_path, "1: a?no\r\n\r\n2: a?yes\r\n")
        assert [(row["key"], row["answer"]) for row in rows] == [
            ("opt_val_vqa/1", "no"),
            ("opt_val_vqa/3", "yes"),
        ]

    @pytest.mark.parametrize("line", ["00001 a?no", "00001: no"])
    def test_broken_line_is_named(self, tmp_path: Path, line: str) -> None:
        good, bad = self.read(tmp_path, f"1: a?no\n{line}\n")
        assert good["problem"] is None
        assert bad["problem"]["kind"] == "line of another form"
        assert (
            f"opt_val_vqa.txt, line 2: expected image:question?answer, found '{line}'"
            in (bad["problem"]["reason"])
        )

    def test_another_document_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AnnotationError, match=r"opt_val_vqa\.txt: it is a page of HTML"):
            self.read(tmp_path, "<!DOCTYPE html>\n<a href='https://a.b/?c'>404</a>\n")
        with pytest.raises(AnnotationError, match=r"opt_val_vqa\.txt: none of its lines is image"):
            self.read(tmp_path, "00001;does this picture contain ship?;no\n" * 2)

    def test_paper_takes_the_images_of_hrrsd_s_training_list(self, tmp_path: Path) -> None:
        self.read(tmp_path, "00001: a?no\n00002: a?no\n00002: b?yes\n")
        write(tmp_path / "HRRSD/ImageSets/Main/train.txt", "00002\n00003\n")
        rows = rsivqa.SOURCE.read(tmp_path / "RSIVQA", "train", "paper").to_pylist()
        assert [row["key"] for row in rows] == ["opt_val_vqa/2", "opt_val_vqa/3"]

    def test_paper_needs_two_files_release_seven(self) -> None:
        paper, release = (rsivqa.SOURCE.files("train", p) for p in ("paper", "release"))
        assert paper == ("HRRSD/opt_val_vqa.txt", "../HRRSD/ImageSets/Main/train.txt")
        assert len(release) == 7

    def test_hrrsd_s_repository_may_be_beside_it_also_where_links_are(self, tmp_path: Path) -> None:
        self.read(tmp_path / "elsewhere", "00001: a?no\n")
        main = tmp_path / "root/TGRS-HRRSD-Dataset/OPT2017"
        write(main / "ImageSets/Main/train.txt", "00001\n")
        picture(main / "JPEGImages/00001.jpg")
        (tmp_path / "root/RSIVQA").symlink_to(tmp_path / "elsewhere/RSIVQA")
        folder = rsivqa.SOURCE.find(tmp_path / "root")
        assert folder is not None
        records = rsivqa.SOURCE.read(folder, "train", "paper")
        measured = ImageFinder(rsivqa.SOURCE, folder).measure(_names(*records["image"].to_pylist()))
        assert measured["image_problem"].to_pylist() == [None]

    def test_question_files_in_the_repository_s_own_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "RSIVQA/RSIVQA/HRRSD/opt_val_vqa.txt", "00001: a?no\n")
        write(tmp_path / "HRRSD/ImageSets/Main/train.txt", "00001\n")
        folder = rsivqa.SOURCE.find(tmp_path)
        assert folder == tmp_path / "RSIVQA"
        assert rsivqa.SOURCE.read(folder, "train", "paper").num_rows == 1

    def test_hrrsd_alone_is_no_rsivqa(self, tmp_path: Path) -> None:
        write(tmp_path / "HRRSD/ImageSets/Main/train.txt", "00001\n")
        (tmp_path / "RSICD").mkdir()
        assert rsivqa.SOURCE.find(tmp_path) is None
        assert rsivqa.SOURCE.find(tmp_path / "RSICD") is None

    @pytest.mark.parametrize("name", ["/etc/hostname", "../../../secret", "..\\secret"])
    def test_image_names_cannot_leave_their_release(self, tmp_path: Path, name: str) -> None:
        image = self.read(tmp_path, f"{name}:a?no\n", "UCM/ucm_vqa.txt")[0]["image"]
        measured = ImageFinder(rsivqa.SOURCE, tmp_path / "RSIVQA").measure(_names(image))
        assert measured["image_problem"][0]["kind"].as_py() == "image name leaves the release"

    def test_inventory_names_the_image_folders_that_lack(self, tmp_path: Path) -> None:
        self.read(tmp_path, "00001: a?no\n")
        picture(tmp_path / "HRRSD/OPT2017/JPEGImages/00001.jpg")
        picture(tmp_path / "DOTA/images/P0000.png")
        found = next(f for f in inventory(tmp_path) if f.source.name == "rsivqa")
        assert found.status == "partial"
        assert found.missing == (
            "../HRRSD/ImageSets/Main/train.txt",
            "../RSICD_optimal/RSICD_images/",
            "../Sydney_captions/imgs/",
            "../UCM_captions/imgs/",
        )
