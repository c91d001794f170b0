"""The options of a recipe: the fields of three dataclasses, flat in one YAML file."""

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, TypeVar, cast

from trl import DPOConfig, GRPOConfig, KTOConfig, ModelConfig, SFTConfig, TrlParser

from rs_gpt4v.embedded_model import checkpoint
from rs_gpt4v_training.batch import accumulation_steps, refuse_other_world
from rs_gpt4v_training.parts import refuse_unknown_parts
from rs_gpt4v_training.recipe import RecipeError, check_recipe
from rs_gpt4v_training.rewards import check_rewards

Options = TypeVar("Options", bound="Arguments")


def _refuse_below_one(options: Any, *names: str) -> None:
    for name in names:
        if (value := getattr(options, name)) is not None and value < 1:
            raise ValueError(f"{name}: {value}: expected a whole number above 0")


def _expand(options: Any, *names: str) -> None:
    """Write out "~" in paths: a shell does so in its own command line alone."""
    for name in names:
        if str(value := getattr(options, name)).startswith("~"):
            setattr(options, name, str(Path(value).expanduser()))


def _json(name: str, flag: str) -> object:
    try:
        return json.loads(flag)
    except json.JSONDecodeError as error:
        raise RecipeError(f"{name}: {flag!r} is no JSON: {error}") from error


@dataclass
class DataArguments:
    """The rows to train on.

    Args:
        datasets: Configs of ``load_dataset("rs_gpt4v", ...)``, mixed in proportion to their size.
        mixture: Weights of configs, or of members of a group, in training: 0.5 for half of the
            rows in each epoch, 2 for each row twice; default 1. As a flag, JSON.
        own_datasets: More names for ``datasets``, each with options of ``load_dataset("rs_gpt4v",
            ...)`` that differ for it: ``{tiles: {config: folder, data_dir: /data/tiles}}``. As a
            flag, JSON.
        repository: A Hub repository, or the folder of an export or of Parquet files, whose configs
            ``datasets`` names instead.
        data_dir: Data root; default ``$RS_GPT4V_DATA``.
        sample: Train on the embedded synthetic sample.
        protocol: "paper" or "release".
        on_missing: "raise", or "skip" records whose image or answer is missing.
        box_format: The codec that writes boxes in messages, or "auto" for that of the model's
            family.
        exclude_leaks: Leave out rows whose image is a test image of any release in the data root.
        stretch: "percentile" makes 8 bits of deeper pixels, which are refused otherwise.
        bands: Which bands of many become red, green and blue: [3, 2, 1].
        max_rows: Most rows of each config, picked at random by ``seed``; the first ones when
            streaming.
        image_size: Shorter side, in pixels, to which images are resized once and kept on disk.
        streaming: Read rows during training, without building them first; needs ``max_steps``.
        shuffle_buffer: When streaming, number of rows that the next one is drawn from.
    """

    datasets: list[str] = field(default_factory=list)
    data_dir: str | None = None
    sample: bool = False
    protocol: str = "paper"
    on_missing: str = "raise"
    box_format: str = "auto"
    exclude_leaks: bool = False
    stretch: str | None = None
    bands: list[int] | None = None
    max_rows: int | None = None
    mixture: dict[str, float] | str | None = None
    own_datasets: dict[str, dict[str, Any]] | str | None = None
    repository: str | None = None
    image_size: int | None = None
    streaming: bool = False
    shuffle_buffer: int = 1_000

    def __post_init__(self) -> None:
        if isinstance(self.mixture, str):  # a flag; a recipe has the mapping itself
            self.mixture = cast("Any", _json("mixture", self.mixture))
        if not isinstance(self.mixture, dict | None):
            raise RecipeError(f"mixture: expected a weight for each name, got {self.mixture!r}")
        self._check_own_datasets()
        self._refuse_beside_repository()
        if self.image_size is not None and self.box_format == "qwen2_5_vl":
            raise RecipeError(
                "box_format qwen2_5_vl gives boxes in pixels of the released image as the model "
                "resizes it: leave image_size out, or take box_format: norm1000"
            )

        _refuse_below_one(self, "max_rows", "image_size", "shuffle_buffer")

    def _check_own_datasets(self) -> None:
        if isinstance(self.own_datasets, str):
            self.own_datasets = cast("Any", _json("own_datasets", self.own_datasets))
        if not isinstance(self.own_datasets, dict | None):
            raise RecipeError(
                f"own_datasets: expected options for each name, got {self.own_datasets!r}"
            )
        for name, options in self.own.items():
            if not isinstance(options, dict) or not isinstance(options.get("config"), str):
                raise RecipeError(
                    f"own_datasets: {name}: expected a config and its options, such as "
                    f"{{config: folder, data_dir: /data/tiles}}, got {options!r}"
                )
            if name not in self.datasets:
                raise RecipeError(f"own_datasets: {name!r} is not in datasets: name it there too")

    def _refuse_beside_repository(self) -> None:
        """What decides how rows are built says nothing of rows that are built already."""
        building = [
            "own_datasets",
            "data_dir",
            "sample",
            "protocol",
            "on_missing",
            "exclude_leaks",
            "stretch",
            "bands",
        ]
        given = [name for name in building if getattr(self, name) != getattr(DataArguments, name)]
        if self.repository is not None and given:
            raise ValueError(
                f"{', '.join(given)} and repository exclude each other: its rows are built "
                "already. Give them to `rs-gpt4v export` instead"
            )

    @property
    def own(self) -> dict[str, dict[str, Any]]:
        """The datasets with options of their own."""
        return cast("dict[str, dict[str, Any]]", self.own_datasets or {})

    @property
    def weights(self) -> dict[str, float]:
        """The mixture, empty where none is given."""
        return cast("dict[str, float]", self.mixture or {})


@dataclass
class RunOptions:
    """What every method of training has beside the options of TRL.

    Args:
        train: Parts of the model to train, the others are frozen: some of "language", "projector"
            and "vision"; default: all. Not with an adapter: ``lora_modules_to_save`` then names
            modules trained in full beside it.
        projector_learning_rate: Of the projector, where it is trained; default: ``learning_rate``.
        global_batch_size: Rows per optimizer step, over all processes; the number of accumulation
            steps follows from it.
        expected_processes: Refuse to start on another number of processes.
        resume: Continue from the last complete checkpoint in ``output_dir``, if there is one.
    """

    train: list[str] = field(default_factory=list)
    projector_learning_rate: float | None = None
    global_batch_size: int | None = None
    expected_processes: int | None = None
    resume: bool = False


def _check_options(options: Any) -> None:
    """Check and complete what TRL looks at afterwards."""
    _expand(options, "chat_template_path", "resume_from_checkpoint", "deepspeed", "fsdp_config")
    _refuse_below_one(
        options,
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "global_batch_size",
        "gradient_accumulation_steps",
        "max_length",
    )
    refuse_unknown_parts(options.train)
    if options.use_cpu:
        options.tf32 = None  # a matter of GPUs, and refused elsewhere


def _accumulate(options: Any, processes: int) -> None:
    """Set the accumulation steps that ``global_batch_size`` takes on so many processes."""
    if options.global_batch_size is not None:
        if options.gradient_accumulation_steps != 1:
            raise RecipeError(
                "give global_batch_size or gradient_accumulation_steps: each decides the other"
            )
        options.gradient_accumulation_steps = accumulation_steps(
            options.global_batch_size, options.per_device_train_batch_size, processes
        )


@dataclass
class TrainingArguments(RunOptions, SFTConfig):
    """`trl.SFTConfig` with `RunOptions` and the defaults that conversations about images need.

    The loss counts answers only (TRL's default counts image tokens and prompts too), and nothing is
    cut at 1,024 tokens: one image takes LLaVA-1.5 576.

    Args:
        group_by_length: Put rows of similar length into one step, so that less of it is padding,
            and rows with images and without into steps of their own.
    """

    assistant_only_loss: bool = True
    max_length: int | None = 2048
    group_by_length: bool = False

    def __post_init__(self) -> None:
        _check_options(self)
        super().__post_init__()
        if self.group_by_length:
            # TRL would drop the lengths before the sampler asks for them.
            self.remove_unused_columns = False
        refuse_other_world(self.expected_processes, self.world_size)
        _accumulate(self, self.world_size)


@dataclass
class FurtherOptions(RunOptions):
    """What methods have that train a model further.

    Args:
        adapter: Folder of a trained adapter to go on with, instead of a new one: of a fine-tuning.
        max_length: Most tokens of a row with its answer.
        chat_template_path: A .jinja file in place of the checkpoint's chat template.
    """

    adapter: str | None = None
    max_length: int | None = 2048
    chat_template_path: str | None = None

    group_by_length: ClassVar[bool] = False  # replies belong together, by question


@dataclass
class GrpoArguments(FurtherOptions, GRPOConfig):
    """`trl.GRPOConfig` with `FurtherOptions` and the rewards.

    Args:
        rewards: Weights of `rs_gpt4v_training.rewards.REWARDS`; default 1 for one of each task. As
            a flag, JSON.
        counts: How counts are compared: "source", as the authors of a row's source do, "bucket" or
            "exact".
        areas: The same of areas.
        log_completions: Print samples of replies with their rewards, and keep all in
            ``output_dir/completions``.
        num_completions_to_print: So many at each logging step.
    """

    rewards: dict[str, float] | str | None = None
    counts: Literal["source", "bucket", "exact"] = "source"
    areas: Literal["source", "bucket", "exact"] = "source"
    log_completions: bool = True
    num_completions_to_print: int | None = 2
    # The router's top_k has the name; generation_kwargs takes that of sampling.
    top_k: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _check_options(self)
        _expand(self, "adapter")
        if isinstance(self.rewards, str):
            self.rewards = cast("Any", _json("rewards", self.rewards))
        if self.reward_weights is not None:
            raise RecipeError("reward_weights: give each reward's weight in rewards instead")
        self.reward_weights = [*check_rewards(self.rewards).values()]
        # TRL derives the numbers of replies from it at once, before it knows the processes.
        _accumulate(self, int(os.environ.get("WORLD_SIZE", "1")))
        super().__post_init__()
        refuse_other_world(self.expected_processes, self.world_size)
        self._refuse_saves_between_generations()

    def _refuse_saves_between_generations(self) -> None:
        """Replies are not saved, so a run that resumes in the midst of them would make others."""
        every = cast("int", self.steps_per_generation) * self.num_iterations
        steps, rest = divmod(every, self.gradient_accumulation_steps)
        saves = self.save_strategy == "steps" and self.save_steps * self.gradient_accumulation_steps
        if saves and (rest or self.save_steps % steps):
            raise RecipeError(
                f"save_steps {self.save_steps:g}: replies are learned from in {every} batches of "
                f"{self.gradient_accumulation_steps} a step, and a run can resume only where new "
                f"ones are made: take a multiple of {steps if not rest else every}"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each reward."""
        return check_rewards(self.rewards)


@dataclass
class PreferenceOptions(FurtherOptions):
    """What DPO and KTO have.

    Args:
        preferences: Folder of `rs-gpt4v preferences`, or a repository of that form.
    """

    preferences: str | None = None

    def __post_init__(self) -> None:
        _check_options(self)
        _expand(self, "adapter", "preferences")
        super().__post_init__()  # pyright: ignore[reportAttributeAccessIssue] - of TRL's options
        refuse_other_world(self.expected_processes, cast("Any", self).world_size)
        _accumulate(self, cast("Any", self).world_size)


@dataclass
class DpoArguments(PreferenceOptions, DPOConfig):
    """`trl.DPOConfig` with `PreferenceOptions`."""


@dataclass
class KtoArguments(PreferenceOptions, KTOConfig):
    """`trl.KTOConfig` with `PreferenceOptions`."""


Arguments: TypeAlias = TrainingArguments | GrpoArguments | DpoArguments | KtoArguments
"""The options of a method."""


@dataclass
class ModelArguments(ModelConfig):
    """`trl.ModelConfig`, how images are fitted, and the options of MoE-LoRA; see `MoeLoraConfig`.

    ``image_aspect: pad`` pads images to a square before they are resized, as LLaVA-1.5 does; by
    default the checkpoint decides, and `llava-1.5-7b-hf` cuts off what the square in the middle
    leaves out. It is saved with what is trained, so predictions do the same.

    With ``use_moe_lora``, ``lora_r`` is the rank of all experts together, and the other ``lora_*``
    options (alpha, dropout, target modules, modules to save) mean what they mean for LoRA.
    """

    image_aspect: Literal["pad"] | None = None
    use_moe_lora: bool = False
    num_experts: int = 4
    rank_per_expert: int | None = None
    routing: Literal["token", "top_k", "task"] = "token"
    top_k: int = 2
    load_balance_coef: float | None = None
    z_loss_coef: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_below_one(self, "lora_r", "num_experts", "rank_per_expert", "top_k")
        _expand(self, "model_name_or_path")
        self.model_name_or_path = checkpoint(str(self.model_name_or_path))

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, of whatever method."""
        return self.use_peft or self.use_moe_lora


class _Parser(TrlParser):
    """Raises where argparse would print all 300 options and exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse(argv: list[str]) -> tuple[DataArguments, TrainingArguments, ModelArguments]:
    """`parse_for` of supervised fine-tuning."""
    return parse_for(TrainingArguments, argv)


def parse_for(
    method: type[Options], argv: list[str]
) -> tuple[DataArguments, Options, ModelArguments]:
    """Arguments from a recipe (first, if it is no flag) and from flags, which win.

    Args:
        method: The options of the method of training.
        argv: The recipe and the flags.

    Raises:
        ValueError: An option is unknown, or two exclude each other.
    """
    kinds: Any = (DataArguments, method, ModelArguments)
    if argv and not argv[0].startswith("--"):
        argv = ["--config", str(Path(argv[0]).expanduser()), *argv[1:]]
    if "--config" in argv[:-1]:
        check_recipe(Path(argv[argv.index("--config") + 1]), kinds)
    data, training, model, *_, rest = cast(
        "Any", _Parser(kinds).parse_args_and_config(args=argv, return_remaining_strings=True)
    )
    _refuse_unknown(rest, kinds)
    _refuse_two_adapters(model)
    if model.use_moe_lora and getattr(training, "padding_free", False):
        raise RecipeError(
            "padding_free and use_moe_lora exclude each other: routers are told the task of each "
            "row of a batch, and without padding a batch has one row"
        )
    if training.train and model.has_adapter:
        raise ValueError(
            f"train: {', '.join(training.train)} and an adapter exclude each other. Modules "
            "trained in full beside the adapter are named in lora_modules_to_save"
        )
    return data, training, model


def _refuse_unknown(rest: list[str], kinds: Iterable[type]) -> None:
    """Raise RecipeError for the first word of the command line that no dataclass takes."""
    if not rest:
        return
    flag = rest[0].split("=")[0]
    if not flag.startswith("--"):
        raise RecipeError(f"{flag!r}: expected an option, such as --max_steps 100")
    names = [option.name for kind in kinds for option in fields(kind)]
    near = difflib.get_close_matches(flag[2:].replace("-", "_"), names)
    meant = f" Did you mean {' or '.join(f'--{name}' for name in near)}?" if near else ""
    raise RecipeError(f"{flag}: there is no such option.{meant}")


def _refuse_two_adapters(model: ModelArguments) -> None:
    lora_alone = ("use_peft", "use_dora", "use_rslora", "lora_target_parameters")
    given = [name for name in lora_alone if getattr(model, name)]
    if model.use_moe_lora and given:
        raise ValueError(f"{', '.join(given)} and use_moe_lora exclude each other: leave one out")
