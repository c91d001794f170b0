"""What the verbs share: their options, and what becomes of them."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rs_gpt4v_generation.scene import Scene


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
    str | None, typer.Option(help="percentile: convert deeper images to 8 bits, not refuse them.")
]
Bands = Annotated[
    str | None,
    typer.Option(help="Bands to use of many-band images: 3,2,1 (red, green, blue) or 1."),
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

BaseUrl = Annotated[str, typer.Option(help="Address of the OpenAI-compatible server.")]
OPENAI = "https://api.openai.com/v1"
ApiKeyEnv = Annotated[str, typer.Option(help="Environment variable that holds the API key.")]
Temperature = Annotated[float, typer.Option(min=0, callback=finite, help="Sampling temperature.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at once.")]
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
    typer.Option(help="Your own boxes: a COCO file, a folder of DOTA or VOC files, ..."),
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


def keep_inputs(
    written: list[Path | None], read: list[Path | None], data_dir: Path | None = None
) -> None:
    """Refuse to write over a file that the verb reads, or into the files of a release.

    Args:
        written: Files that the verb writes; None where one was not asked for.
        read: Files and folders that it reads.
        data_dir: The data root, if it reads releases.

    Raises:
        OverwriteError: Naming both.
    """
    from rs_gpt4v.files import refuse_overwriting

    refuse_overwriting(written, [*read, *(_releases(data_dir) if data_dir else ())])


def _releases(data_dir: Path) -> set[Path]:
    from rs_gpt4v_builders import all_sources

    return {folder for source in all_sources() if (folder := source.find(data_dir))}


def data_root(data_dir: Path | None, *, sample: bool) -> str | None:
    """The data root to read; none for the sample, which a flag beside it would contradict."""
    if not sample:
        return data_dir and str(data_dir)
    if data_dir not in (None, Path(os.environ.get("RS_GPT4V_DATA", "")).expanduser()):
        raise ValueError("--sample reads the embedded sample: leave --data-dir out")
    return None


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
    **options: Any,
) -> "list[Scene]":
    """The annotated images of one's own ``boxes``, or else of DIOR."""
    from rs_gpt4v_builders import OBJECT_SOURCES
    from rs_gpt4v_builders.builder import data_root as find_root
    from rs_gpt4v_generation.load import dior_scenes, own_scenes

    if boxes is not None:
        return own_scenes(boxes, layout, images or boxes.parent, split, **options)
    given = data_root(data_dir, sample=sample)
    root = find_root(given, sample=sample, sources=OBJECT_SOURCES)
    return dior_scenes(root, split, oriented=oriented, protocol=protocol, **options)


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
    data_dir: Path | None,
    sample: bool,
    on_missing: str,
    stretch: str | None,
    bands: str | None,
    **more: Any,
) -> dict[str, Any]:
    """The options of a verb that reads rows, as ``load_dataset`` takes them."""
    return {
        "data_dir": data_root(data_dir, sample=sample),
        "sample": sample,
        "on_missing": on_missing,
        **conversion(stretch, bands),
        **more,
    }
