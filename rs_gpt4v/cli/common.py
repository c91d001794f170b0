"""Options that several verbs have, and their checks."""

import inspect
import json
import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rs_gpt4v.chat_api import Endpoint
    from rs_gpt4v_generation.scene import Scene

FOLDER = "folder"
"""The config of a user's own files, as `rs_gpt4v_builders.folder.source` calls it."""


def _from_home(path: Path | None) -> Path | None:
    return path and path.expanduser()  # a shell expands no "~" in a variable


def finite(value: float | None) -> float | None:
    """For options with bounds, which "nan" would pass."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("expected a finite number")
    return value


_RELEASES = typer.Option(
    help="Folder with the releases.", envvar="RS_GPT4V_DATA", callback=_from_home
)
DataDir = Annotated[Path | None, _RELEASES]
ReleasesDir = Annotated[Path, _RELEASES]
Sample = Annotated[bool, typer.Option("--sample", help="Use the embedded synthetic sample.")]
Protocol = Annotated[str, typer.Option(help="paper: the rows of Table 1; release: all rows.")]
OnMissing = Annotated[
    str, typer.Option(help="raise: stop at an unusable record; skip: list and omit it.")
]
Stretch = Annotated[
    str | None, typer.Option(help="percentile: convert 16-bit and float images to 8 bits.")
]
Bands = Annotated[
    str | None,
    typer.Option(help="Bands to use of many-band images: 3,2,1 (red, green, blue) or 1."),
]
ProbesPerImage = Annotated[
    int | None,
    typer.Option(min=1, help="Most classes, or pairs, that probes ask about in an image (3)."),
]
ExcludeLeaks = Annotated[
    bool, typer.Option("--exclude-leaks", help="Omit training rows whose image is a test image.")
]
Split = Annotated[str, typer.Option(help="Split to read.")]
Files = Annotated[list[Path], typer.Argument(help="Predictions files (JSON lines).")]
Intervals = Annotated[
    bool, typer.Option("--intervals", help="Add 95 % bootstrap intervals over images.")
]
Counts = Annotated[
    str, typer.Option(help="Compare counts: bucket, exact, or source (each source's rule).")
]
Areas = Annotated[str, typer.Option(help="Compare areas: bucket, exact or source.")]
Normalise = Annotated[str, typer.Option(help="Compare answers: lenient or strict.")]
StrictIou = Annotated[
    bool, typer.Option("--strict-iou", help="Require IoU > threshold instead of >=.")
]
SkipBadBoxes = Annotated[
    bool,
    typer.Option("--skip-bad-boxes", help="Omit and list rows whose true box is invalid."),
]

Adapter = Annotated[str | None, typer.Option(help="PEFT adapter for the model.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Rows per batch; does not change answers.")]
BoxFormat = Annotated[str, typer.Option(help="How the model writes boxes; auto: by family.")]
Servers = Annotated[
    list[str] | None,
    typer.Option(help="Address of an OpenAI-compatible server of MODEL; repeatable: they share."),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the checkpoint's own code.")
]
BaseUrl = Annotated[str, typer.Option(help="Address of the OpenAI-compatible server.")]
OPENAI = "https://api.openai.com/v1"
ApiKeyEnv = Annotated[str, typer.Option(help="Environment variable that holds the API key.")]
Temperature = Annotated[float, typer.Option(min=0, callback=finite, help="Sampling temperature.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at each server.")]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0, callback=finite, help="Limit in USD over all runs with this --out."),
]
Prices = Annotated[Path | None, typer.Option(help="JSON file of model prices.")]
Body = Annotated[str, typer.Option(help="JSON fields to add to each request; null removes one.")]
Oriented = Annotated[
    bool, typer.Option("--oriented", help="Use DIOR-R (oriented boxes) instead of DIOR.")
]
Boxes = Annotated[
    Path | None,
    typer.Option(help="Your own boxes: a COCO file, or a folder of DOTA or VOC files, ..."),
]
Layout = Annotated[
    str,
    typer.Option(help="Format of --boxes: coco, label_studio, dota, yolo, voc, hrsc or fair1m."),
]
ImagesOfBoxes = Annotated[
    Path | None, typer.Option(help="Folder of the images of --boxes; default: beside it.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Estimate requests and cost; send nothing.")
]


def _own(help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Your own files: config folder")


def folder_options(
    layout: Annotated[
        str | None, _own("Layout of the files: llava, coco, ...; default: recognised by content.")
    ] = None,
    images_from: Annotated[
        Path | None, _own("Folder that image names are relative to.", "--images")
    ] = None,
    columns: Annotated[
        list[str] | None, _own("Name of a column, such as caption=text_en; repeatable.")
    ] = None,
    data_files: Annotated[
        list[str] | None, _own("Annotation file, such as a.json or train=a.json; repeatable.")
    ] = None,
    tasks: Annotated[
        list[str] | None,
        _own("Rows to make from boxes: grounding, count, ...; repeatable; default: all."),
    ] = None,
    text_boxes: Annotated[
        str | None, _own("Form of boxes in the texts of dialogues; default: recognised.")
    ] = None,
    id_prefix: Annotated[str | None, _own("What row ids begin with; default: folder.")] = None,
) -> dict[str, Any]:
    """The options of config "folder" as ``load_dataset`` takes them: those that are given."""
    given = {
        "layout": layout,
        "images": images_from and str(images_from),
        "columns": columns and dict(pair("--columns", text) for text in columns),
        "data_files": data_files and _data_files(data_files),
        "tasks": tasks and tuple(tasks),
        "text_boxes": text_boxes,
        "id_prefix": id_prefix,
    }
    return {name: value for name, value in given.items() if value}


def pair(option: str, text: str) -> tuple[str, str]:
    """The two sides of ``NAME=VALUE``, which an option was given."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        kind = "PATH" if option == "--beside" else "VALUE"
        raise ValueError(f"{option} {text}: expected NAME={kind}, such as {_PAIRS[option]}")
    return name, value


_PAIRS = {
    "--columns": "caption=text_en",
    "--data-files": "train=a.json",
    "--fields": "prediction=reply",
    "--beside": "GeoChat=geochat.json",
}


def paths_by_name(option: str, texts: Sequence[str]) -> dict[str, Path]:
    """What ``NAME=PATH`` says, each name once."""
    pairs = [pair(option, text) for text in texts]
    named = {name: Path(path).expanduser() for name, path in pairs}
    if len(named) < len(pairs):
        raise ValueError(f"{option}: two have the same name: {', '.join(n for n, _ in pairs)}")
    return named


def _data_files(texts: list[str]) -> list[str] | dict[str, list[str]]:
    """Files, or those of each split where the user names splits."""
    if not any("=" in text for text in texts):
        return texts
    by_split: dict[str, list[str]] = {}
    for split, file in (pair("--data-files", text) for text in texts):
        by_split.setdefault(split, []).append(file)
    return by_split


def as_flags(options: Mapping[str, Any]) -> str:
    """The options of `folder_options` as they are typed, each after a space."""
    words: list[str] = []
    for name, value in options.items():
        words += _words(f"--{name.replace('_', '-')}", value)
    return "".join(f" {shlex.quote(word)}" for word in words)


def _words(flag: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [flag, value]
    if isinstance(value, Mapping):
        pairs = [
            (name, one)
            for name, some in value.items()
            for one in ([some] if isinstance(some, str) else some)
        ]
        return [word for name, one in pairs for word in (flag, f"{name}={one}")]
    return [word for one in value for word in (flag, one)]


def as_recipe_flag(options: Mapping[str, Any]) -> str:
    """The same as a flag of ``rs-gpt4v train``, after a space; "" where there are none."""
    if not options:
        return ""
    own = {FOLDER: {"config": FOLDER, **options}}
    return f" --own_datasets {shlex.quote(json.dumps(own))}"


FolderOptions = dict[str, Any]
"""What `folder_options` returns."""


def with_folder_options(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with the options of `folder_options`, of which it gets the result as ``folder``.

    What is ``--images`` elsewhere is ``--images-from`` where the verb has an option of that name.
    """
    return _with_options(verb, "folder", folder_options, _of_folder(verb), _refuse_environment)


def with_row_options(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with the options of `row_options` and `folder_options`.

    It gets them as ``options``, as ``load_dataset`` takes them. See `with_folder_options` for
    ``--images``.
    """
    *own, _more = inspect.signature(row_options).parameters.values()
    of_folder = _of_folder(verb)

    def made(**given: Any) -> dict[str, Any]:
        folder = folder_options(**{name: given.pop(name) for name in of_folder})
        return row_options(**given, **folder)

    added = {parameter.name: parameter for parameter in own} | of_folder
    return _with_options(verb, "options", made, added, _refuse_environment)


def _of_folder(verb: Callable[..., None]) -> dict[str, inspect.Parameter]:
    added = dict(inspect.signature(folder_options).parameters)
    if "images" in inspect.signature(verb).parameters:
        there = _own("Folder that image names are relative to.", "--images-from")
        added["images_from"] = added["images_from"].replace(
            annotation=Annotated[Path | None, there]
        )
    return added


def with_scene_options(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with the options of `scene_options`, of which it gets the result as ``scenes``."""
    added = dict(inspect.signature(scene_options).parameters)
    return _with_options(verb, "scenes", scene_options, added)


def _with_options(
    verb: Callable[..., None],
    name: str,
    options: Callable[..., dict[str, Any]],
    added: dict[str, inspect.Parameter],
    check: Callable[[typer.Context, dict[str, Any]], None] = lambda *_: None,
) -> Callable[..., None]:
    """A verb with the parameters ``added``, which gets what ``options`` makes of them."""

    @wraps(verb)
    def run(context: typer.Context, **given: Any) -> None:
        made = options(**{option: given.pop(option) for option in added})
        check(context, given)
        verb(**given, **{name: made})

    own = inspect.signature(verb).parameters
    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(parameter for other, parameter in own.items() if other != name),
        *added.values(),
    ]
    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword_only}
    return run


def _refuse_environment(context: typer.Context, given: dict[str, Any]) -> None:
    """Raise where the releases' folder would be read as the user's own."""
    configs = given.get("configs") or [given.get("config")]
    source = context.get_parameter_source("data_dir")
    if FOLDER in configs and source is not None and source.name == "ENVIRONMENT":
        raise ValueError(
            f"{FOLDER}: name the folder of your files with --data-dir: RS_GPT4V_DATA is the folder "
            "of the releases"
        )


def keep_inputs(
    written: Sequence[Path | None],
    read: Sequence[Path | None],
    data_dir: Path | str | None = None,
    configs: Sequence[str] = (),
) -> None:
    """Refuse to write over a file that the verb reads, or into the files of a release.

    Args:
        written: Files that the verb writes; None where one was not asked for.
        read: Files and folders that it reads.
        data_dir: The data root, if it reads releases.
        configs: What it reads; where that is "folder", no annotation or image there is replaced.

    Raises:
        OverwriteError: Naming both.
    """
    from rs_gpt4v.files import refuse_overwriting

    refuse_overwriting(written, [*read, *(_releases(data_dir) if data_dir else ())])
    if FOLDER in configs:
        refuse_overwriting(filter(_may_be_read, written), [data_dir])


def _may_be_read(file: Path | None) -> bool:
    """Whether config "folder" reads files of this suffix."""
    from rs_gpt4v import images
    from rs_gpt4v_builders.folder.layout import SUFFIXES

    return file is not None and file.name.lower().endswith((*SUFFIXES, *images.SUFFIXES))


def _releases(data_dir: Path | str) -> set[Path]:
    from rs_gpt4v_builders import all_sources

    return {folder for source in all_sources() if (folder := source.find(data_dir))}


def data_root(data_dir: Path | None, *, sample: bool) -> str | None:
    """The data root to read; none for the sample, which a flag beside it would contradict."""
    if not sample:
        return data_dir and str(data_dir)
    if data_dir not in (None, Path(os.environ.get("RS_GPT4V_DATA", "")).expanduser()):
        raise ValueError("--sample reads the embedded sample: leave --data-dir out")
    return None


def scene_options(
    data_dir: DataDir = None,
    sample: Sample = False,
    oriented: Oriented = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    stretch: Stretch = None,
    bands: Bands = None,
    boxes: Boxes = None,
    layout: Layout = "coco",
    images: ImagesOfBoxes = None,
) -> dict[str, Any]:
    """Which annotated images: those of DIOR, or of one's own ``boxes``. As `scenes` takes them."""
    return {
        "data_dir": data_dir,
        "sample": sample,
        "oriented": oriented,
        "protocol": protocol,
        "on_missing": on_missing,
        "stretch": stretch,
        "bands": bands,
        "boxes": boxes,
        "layout": layout,
        "images": images,
    }


SceneOptions = dict[str, Any]
"""What `scene_options` returns."""


def scenes(
    split: str,
    *,
    boxes: Path | None,
    layout: Any,
    images: Path | None,
    data_dir: Path | None,
    sample: bool,
    oriented: bool,
    protocol: Any,
    stretch: str | None,
    bands: str | None,
    empty_allowed: bool = False,
    **options: Any,
) -> "list[Scene]":
    """The annotated images of one's own ``boxes``, or else of DIOR.

    ``empty_allowed`` says whether one's own may hold no object; each of DIOR's has some.
    """
    from rs_gpt4v.images import Conversion
    from rs_gpt4v_builders import OBJECT_SOURCES
    from rs_gpt4v_builders.builder import data_root as find_root
    from rs_gpt4v_generation.load import dior_scenes, own_scenes

    options["conversion"] = Conversion(**conversion(stretch, bands))
    if boxes is not None:
        folder = images or boxes.parent
        return own_scenes(boxes, layout, folder, split, empty_allowed=empty_allowed, **options)
    given = data_root(data_dir, sample=sample)
    root = find_root(given, sample=sample, sources=OBJECT_SOURCES)
    return dior_scenes(root, split, oriented=oriented, protocol=protocol, **options)


def endpoint(model: str, servers: Sequence[str], concurrency: int) -> "Endpoint":
    """One or several servers of one model."""
    from rs_gpt4v.chat_api import Endpoint

    first, *others = servers
    return Endpoint(base_url=first, mirrors=tuple(others), model=model, concurrency=concurrency)


def conversion(stretch: str | None, bands: str | None) -> dict[str, Any]:
    """``--stretch`` and ``--bands`` as options of ``load_dataset``, where they are given."""
    given: dict[str, Any] = {"stretch": stretch} if stretch is not None else {}
    if bands is not None:
        try:
            given["bands"] = tuple(map(int, bands.split(",")))
        except ValueError as error:
            raise ValueError(f"--bands {bands}: expected numbers such as 3,2,1") from error
    return given


def row_options(
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    stretch: Stretch = None,
    bands: Bands = None,
    probes_per_image: ProbesPerImage = None,
    **more: Any,
) -> dict[str, Any]:
    """The options of a verb that reads rows, as ``load_dataset`` takes them; ``more`` if given."""
    more["probes_per_image"] = probes_per_image
    return {
        "data_dir": data_root(data_dir, sample=sample),
        "sample": sample,
        "protocol": protocol,
        "on_missing": on_missing,
        **conversion(stretch, bands),
        **{name: value for name, value in more.items() if value is not None},
    }


RowOptions = dict[str, Any]
"""What `row_options` returns."""


def exit_on(failed: list[str]) -> None:
    """Say which files could not be used, and end with status 1 if there are any."""
    for message in failed:
        typer.secho(f"Not scored: {message}", err=True, fg=typer.colors.RED)
    if failed:
        raise typer.Exit(1)
