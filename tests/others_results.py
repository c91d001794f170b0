"""Files of results in the layouts of others, written of our rows for tests."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets

from rs_gpt4v import NAME

Row = dict[str, Any]
_ASKED = "\nAnswer the question using a single word or phrase."


def built(config: str, root: Path, split: str = "test", **options: Any) -> list[Row]:
    """The rows of a split, each with its ``image`` path and the release's own ``question``."""
    rows = datasets.load_dataset(
        NAME, config, data_dir=str(root), split=split, wording="fixed", **options
    )
    undecoded = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    return [
        {
            **row,
            "image": row["images"][0]["path"],
            "question": row["messages"][-2]["content"].removesuffix(_ASKED),
        }
        for row in undecoded
    ]


def reply(number: int, row: Row) -> str:
    """What the model says to row ``number``: the truth, or something wrong of its own."""
    return row["references"][0] if number % 3 else f"wrong {number}"


def write_lines(path: Path, items: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def _name(row: Row) -> str:
    return Path(row["image"]).name


def _stem(row: Row) -> str:
    return Path(row["image"]).stem


def earthdial(row: Row, said: str, _: int) -> Row:
    """As rs_vqa/vqa_test.py writes an answer."""
    question = f"[hr_rgb_0.5] <image>\\n {row['question']} Answer the question using a single word."
    answers = {"answer": said, "annotation": row["references"][0]}
    return {"question": question, **answers, "vqa_type": row["question_type"]}


def earthdial_caption(row: Row, said: str, _: int) -> Row:
    """As rs_image_caption/captioning_test.py does."""
    question = " [caption] [hr_rgb_0.5] <image> \\n Could you please provide the caption?"
    captions = {f"caption{n}": text for n, text in enumerate(row["references"])}
    return {"question": question, "answer": said, **captions}


def llava(row: Row, said: str, number: int) -> Row:
    """As llava/eval/model_vqa.py does."""
    asked = f"{row['question']}\nAnswer the question using a single word or phrase."
    own = {"answer_id": f"a{number}", "model_id": "llava-v1.5-7b", "metadata": {}}
    return {"question_id": number, "prompt": asked, "text": said, **own}


def llava_question(row: Row, number: int) -> Row:
    """A line of the questions file that it reads."""
    asked = f"{row['question']}\nAnswer the question using a single word or phrase."
    return {"question_id": number, "image": _name(row), "text": asked, "category": "default"}


def geochat(row: Row, said: str, number: int) -> Row:
    """As geochat/eval/batch_geochat_referring.py does; its images have no suffix."""
    asked = {"question": row["question"], "ground_truth": row["references"][0]}
    return {"question_id": number, "image_id": _stem(row), "answer": said, **asked, "type": "ref"}


def geochat_vqa(row: Row, said: str, number: int) -> Row:
    """As geochat/eval/batch_geochat_vqa.py does: no question."""
    return {"question_id": number, "image_id": _name(row), "answer": said}


def lhrs_boxes(row: Row, said: str, _: int) -> Row:
    """As main_vg.py of LHRS-Bot does: no question, and the true box as two decimals."""
    return {"pred": said, "target": f"[{row['references'][0]}]", "filename": _name(row)}


def rsevalkit(row: Row, said: str, _: int) -> Row:
    """As model_eval_mp.py of RSEvalKit does."""
    query = "{VQA} " + row["question"]
    own = {"filename": f"/data/vhm_eval/lr/{_stem(row)}.JPG", "size": [256, 256]}
    return {**own, "query": query, "answer": row["references"][0], "pred": said}


def lhrs(row: Row, said: str, _: int) -> Row:
    """As main_vqa.py of LHRS-Bot does: the number is that of the release."""
    number = int(row["id"].rpartition("/")[2])
    own = {"types": row["question_type"], "question_id": number}
    return {"pred": said, "target": row["references"][0], **own}


def llama_factory(row: Row, said: str, _: int) -> Row:
    """As LLaMA-Factory does, with Qwen2-VL's template."""
    prompt = f"system\nYou are a helpful assistant.\nuser\n{row['question']}\nassistant\n"
    return {"prompt": prompt, "predict": said, "label": row["references"][0]}


def ms_swift(row: Row, said: str, _: int) -> Row:
    """As `swift infer` does."""
    messages = [
        {"role": "user", "content": f"<image>{row['question']}"},
        {"role": "assistant", "content": said},
    ]
    own = {"labels": row["references"][0], "logprobs": None, "messages": messages}
    return {"response": said, **own, "images": [{"bytes": None, "path": row["image"]}]}


def lmms_eval(row: Row, said: str, number: int) -> Row:
    """As --log_samples does for a task of its own."""
    own = {"doc_id": number, "target": row["references"][0], "doc_hash": "0", "exact_match": 1.0}
    return {**own, "filtered_resps": [said], "input": f"{row['question']}\nAnswer briefly."}


def vlmevalkit(row: Row, said: str, number: int) -> Row:
    """A custom table with the replies of VLMEvalKit."""
    asked = {"image_path": row["image"], "question": row["question"]}
    return {"index": number, **asked, "answer": row["references"][0], "prediction": said}


def table(row: Row, said: str, _: int) -> Row:
    """A table of one's own."""
    return {"image": _name(row), "question": row["question"], "prediction": said}


def own(row: Row, said: str, _: int) -> Row:
    """The least that a file has to say."""
    return {"id": row["id"], "prediction": said}


Writer = Callable[[Row, str, int], Row]


def write(path: Path, rows: Sequence[Row], writer: Writer, places: Sequence[int]) -> Path:
    """The results of the rows at ``places``, in this order: JSON lines, JSON, CSV or TSV."""
    return write_items(path, [writer(rows[n], reply(n, rows[n]), n) for n in places])


def write_items(path: Path, items: Sequence[Row]) -> Path:
    """Results as the suffix says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(items), encoding="utf-8")
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.DictWriter(file, items[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            lines.writeheader()
            lines.writerows(items)
    elif path.suffix == ".parquet":
        datasets.Dataset.from_list([*items]).to_parquet(path)
    else:
        write_lines(path, items)
    return path
