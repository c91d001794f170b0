"""FloodNet: questions on drone images after Hurricane Harvey (Rahnemoonfar et al., 2021).

On disk, the EarthVision 2021 challenge, track 2::

    FloodNet/
      Questions/Training Question.json    {"0": {"Image_ID": "10165.JPG", "Question",
                                          "Ground_Truth", "Question_Type"}}
      Images/Train_Image/*.JPG            some 4000 x 3000 px, RGB

Types: Condition_Recognition ("flooded,non flooded" where both are seen), Yes_No, Simple_Counting,
Complex_Counting (an integer in the file, text here). 4,511 questions on 1,448 images; those of the
challenge's validation and test images come without answers, so there is one split. Licence: the
authors state CDLA-Permissive-1.0 for FloodNet, catalogues CC-BY-SA-4.0 for the challenge's files.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources.reading import read_json_object
from rs_gpt4v_builders.sources.source import Source

_QUESTIONS = "Questions/Training Question.json"


def _read(folder: Path, _: str, __: Protocol) -> pa.Table:
    path = SOURCE.path(folder, _QUESTIONS)
    content = read_json_object(path, of=dict)
    rows = [_record(key, question) | {"where": str(path)} for key, question in content.items()]
    return records.table(rows, records.QUESTIONS)


def _record(key: str, question: dict[str, Any]) -> dict[str, Any]:
    answer = question.get("Ground_Truth")
    return {
        "key": key,
        "image": question.get("Image_ID"),
        "question": question.get("Question"),
        "answer": str(answer) if type(answer) is int else answer,
        "question_type": question.get("Question_Type"),
    }


SOURCE = Source(
    name="floodnet",
    title="FloodNet",
    homepage="https://github.com/BinaLab/FloodNet-Challenge-EARTHVISION2021",
    license="CDLA-Permissive-1.0 (its authors, of FloodNet-Supervised) or CC-BY-SA-4.0 (by "
    "dataset-ninja): unsure",
    citation="@article{rahnemoonfar2021floodnet, title={FloodNet: A high resolution aerial imagery "
    "dataset for post flood scene understanding}, author={Rahnemoonfar, Maryam and "
    "Chowdhury, Tashnim and Sarkar, Argho and Varshney, Debvrat and Yari, Masoud and "
    "Murphy, Robin Roberson}, journal={IEEE Access}, volume={9}, year={2021}}",
    folders=("FloodNet", "FloodNet Challenge @ EARTHVISION 2021 - Track 2", "floodnet"),
    annotations={"train": (_QUESTIONS,)},
    images=("Images/Train_Image", "Train_Image", "Images"),
    reader=_read,
    mirrors=(
        "https://drive.google.com/drive/folders/1g1r419bWBe4GEF-7si5DqWCjxiC8ErnY (track 2)",
        "https://github.com/FujitsuResearch/TMN-FloodNet-VQA (Data/Questions/Question.json: the "
        "training questions alone)",
    ),
    size="Training Question.json 885,985 bytes; images of some 3 MB each",
    image_count=1_448,
    suffixes=(".JPG", ".jpg", ".png"),
    spellings={
        _QUESTIONS: (
            "Questions/Training_Question.json",
            "Training Question.json",
            "Training_Question.json",
        )
    },
)
