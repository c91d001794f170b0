"""What a recipe or a flag may say; what it may not is told in one line with file and key."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.recipe import RecipeError, accelerate_path, recipe_path
from rs_gpt4v_training.sft import load_processor, run

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


def parsed(folder: Path, text: str, *flags: str) -> Any:
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"datasets: [vqa_lr]\nuse_cpu: true\nbf16: false\noutput_dir: out\n{text}\n")
    return parse([str(recipe), *flags])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("lerning_rate: 1", "lerning_rate: there is no such option. Did you mean learning_rate?"),
        ("xyzzy: 1", r"xyzzy: there is no such option\.$"),
        ("max_steps: many", "max_steps: expected int, found 'many'"),
        ("max_steps: [1]", r"max_steps: expected int, found \[1\]"),
        ("max_steps: 1.5", "max_steps: expected int, found 1.5"),
        ("max_steps: true", "max_steps: expected int, found True"),
        ("learning_rate: fast", "learning_rate: expected float, found 'fast'"),
        ("save_strategy: no", r"save_strategy: .*found False .*write \"no\""),
        ("datasets: vqa_hr", "datasets: expected list"),
        ("datasets: [1, 2]", "datasets: expected list"),
        ("train: projector", "train: expected list"),
        ("use_cpu: perhaps", "use_cpu: expected bool"),
        ("max_rows: {a: 1}", "max_rows: expected int or None"),
        ("routing: tokens", "routing: expected one of token, top_k, task, found 'tokens'"),
        ("mixture: [1]", "mixture: expected"),
        ("mixture: {cap_ucm: much}", "mixture: expected"),
        ("data_dir: 5", "data_dir: expected str or None, found 5"),
        ("1: 2", "1: there is no such option"),
        ("a: [", "not YAML: .*line 6"),
        ("- a", "not YAML"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=rf"^{tmp_path}/recipe\.yaml: .*{fault}") as error:
        parsed(tmp_path, line)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (("--max_stpes", "3"), "--max_stpes: there is no such option. Did you mean --max_steps"),
        (("--max-stpes=3",), "--max-stpes: there is no such option. Did you mean --max_steps"),
        (("--xyzzy",), r"--xyzzy: there is no such option\.$"),
        (("outputs",), "'outputs': expected an option, such as --max_steps 100"),
    ],
)
def test_a_wrong_flag_is_named_with_what_was_meant(
    tmp_path: Path, flags: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(RecipeError, match=f"^{fault}"):
        parsed(tmp_path, "max_steps: 1", *flags)


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a word", b"\xff\xfe\x00", b"[" * 5_000])
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: bytes) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(content)
    with pytest.raises(RecipeError, match=rf"^{recipe}: (not YAML|expected options and their)"):
        parse(["--config", str(recipe)])


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path: Path) -> None:
    data, training, _ = parsed(tmp_path, 'learning_rate: 1e-4\nmax_steps: "7"\nmax_rows: 3.0')
    assert (training.learning_rate, training.max_steps, data.max_rows) == (1e-4, 7, 3)
    assert parsed(tmp_path, 'save_strategy: "no"\nmixture: {vqa_lr: 2}')[0].weights == {"vqa_lr": 2}


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--lerning_rate", "1"], "lerning_rate"),
        (["--max_steps", "many"], "max-steps: invalid int value: 'many'"),
        (["--routing", "tokens"], "routing: invalid choice: 'tokens'"),
        (["--max_steps"], "max-steps: expected one argument"),
        (["--mixture", "{bad"], r"mixture: '\{bad' is no JSON"),
    ],
)
def test_a_wrong_flag_is_an_error_without_the_list_of_all(
    tmp_path: Path, flags: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=fault):
        parsed(tmp_path, "", *flags)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "max_rows",
        "image_size",
        "shuffle_buffer",
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "global_batch_size",
        "gradient_accumulation_steps",
        "max_length",
        "lora_r",
        "num_experts",
    ],
)
@pytest.mark.parametrize("value", [0, -4])
def test_sizes_are_above_0(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {value}: expected a whole number above 0"):
        parsed(tmp_path, f"{name}: {value}")
    with pytest.raises(RecipeError, match="expected a weight"):
        parsed(tmp_path, "", "--mixture", "[1]")


def test_the_home_folder_s_sign_is_written_out_in_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_llava: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.jinja").write_text("a template")
    (tmp_path / "model").symlink_to(tiny_llava)
    (tmp_path / "mine.yaml").write_text("num_processes: 2\n")
    paths = {
        "model_name_or_path": "~/model",
        "chat_template_path": "~/own.jinja",
        "resume_from_checkpoint": "~/out/checkpoint-2",
        "output_dir": "~/out",
    }
    parsed(tmp_path, "\n".join(f"{name}: {path}" for name, path in paths.items()))
    _, training, model = parse(["~/recipe.yaml"])
    assert model.model_name_or_path == f"{tmp_path}/model"
    assert training.resume_from_checkpoint == f"{tmp_path}/out/checkpoint-2"
    assert training.output_dir == f"{tmp_path}/out"
    assert load_processor("llava", training, model).chat_template == "a template"
    flags = ["--model_name_or_path", "~/other", "--chat_template_path", "~/two.jinja"]
    _, training, model = parse(["~/recipe.yaml", *flags])
    assert model.model_name_or_path == f"{tmp_path}/other"
    assert training.chat_template_path == f"{tmp_path}/two.jinja"
    assert recipe_path("~/recipe.yaml") == tmp_path / "recipe.yaml"
    assert accelerate_path("~/mine.yaml") == tmp_path / "mine.yaml"


# How training ends


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a row\nis wrong"), "Error: a row is wrong\n"),
        (FileNotFoundError(2, "No such file", "x"), "Error: [Errno 2] No such file: 'x'\n"),
        (
            ValueError(
                "Caught it in DataLoader worker 0.\nTraceback (most recent call last):\n a\nV: b: c"
            ),
            "Error: b: c\n",
        ),
    ],
)
def test_expected_errors_are_one_line(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    monkeypatch.delenv("RS_GPT4V_TRACEBACK", raising=False)
    monkeypatch.setattr("rs_gpt4v_training.sft.main", fail)
    assert run() == 1
    assert capsys.readouterr().err == said
    monkeypatch.setenv("RS_GPT4V_TRACEBACK", "1")
    with pytest.raises(type(error)):
        run()


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rs_gpt4v_training.sft.main", lambda: [][0])
    with pytest.raises(IndexError):
        run()


def test_the_verb_ends_with_the_message_of_training_and_no_traceback(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"use_cpu": True, "bf16": False, "use_cqu": 3}))
    done = subprocess.run(
        [sys.executable, "-m", "rs_gpt4v.cli", "train", str(recipe)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"Error: {recipe}: use_cqu: there is no such option. Did you mean use_cpu"
    )
