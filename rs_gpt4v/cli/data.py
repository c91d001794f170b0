"""Verbs on data: sources, download, check, build, show, stats, audit, principles, export."""

import json
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rs_gpt4v import NAME
from rs_gpt4v.cli import common

if TYPE_CHECKING:
    from rs_gpt4v_builders.folder.check import FolderCheck

app = typer.Typer()


@app.command()
def sources(
    names: Annotated[
        list[str] | None, typer.Argument(help="Sources, configs or groups; default: all.")
    ] = None,
    data_dir: common.DataDir = None,
    citations: Annotated[bool, typer.Option("--citations", help="Show their BibTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    croissant: Annotated[
        Path | None, typer.Option(help="Folder for a Croissant file (metadata) of each source.")
    ] = None,
) -> None:
    """Show which releases are found, what is missing, and where to get it.

    Example: `rs-gpt4v sources --data-dir /data/rs`
    """
    from rs_gpt4v_builders import inventory

    root = data_dir and data_dir.absolute()
    if root and not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: give the releases' parent with --data-dir")
    items = inventory.inventory(root, inventory.choose(names) if names else None)
    if croissant:
        from rs_gpt4v.files import write_text
        from rs_gpt4v_builders.croissant import of_source

        for item in items:
            path = croissant / f"{item.source.name}.json"
            write_text(path, json.dumps(of_source(item.source), indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(inventory.to_json(items), indent=2))
    else:
        typer.echo(inventory.to_text(items, root, citations=citations))


@app.command()
def download(
    names: Annotated[
        list[str], typer.Argument(help="Sources, configs or groups, such as rsvqa_lr.")
    ],
    data_dir: common.ReleasesDir,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files to fetch.")] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep archives after unpacking.")
    ] = False,
) -> None:
    """Fetch the files that have a stable public address; run again to resume.

    The exit status is 1 if files remain that you have to fetch by hand.

    Example: `rs-gpt4v download rsvqa_lr --data-dir /data/rs`
    """
    from rs_gpt4v_builders import inventory
    from rs_gpt4v_builders.download import plan as downloads

    root = data_dir.absolute()
    items = downloads.plan(inventory.choose(names), root)
    if dry_run:
        typer.echo(downloads.describe(items))
        return
    kept = 0
    for done in downloads.carry_out(items, root, keep_archives=keep_archives):
        typer.echo(f"{done.item.path}: {done.remark}")
        kept += done.outcome == "kept"
    typer.echo(downloads.rest(inventory.choose(names), root))
    incomplete = downloads.incomplete(inventory.choose(names), root)
    if incomplete:
        typer.echo(f"Incomplete (see above for what is missing): {', '.join(incomplete)}", err=True)
    raise typer.Exit(1 if kept or incomplete else 0)


@app.command()
@common.with_folder_options
def check(
    data_dir: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of your own files.", show_default=False)
    ],
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    out: Annotated[
        Path | None, typer.Option(help="Picture to write (PNG); default: check-NAME.png here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    folder: common.FolderOptions,
) -> None:
    """Show how your own files are read, what is left out and why, and some rows.

    Example: `rs-gpt4v check /data/tiles`

    The exit status is 1 if nothing can be used, or a file cannot be read.
    """
    from rs_gpt4v_builders.folder.check import check_folder, to_text
    from rs_gpt4v_builders.folder.contact_sheet import write_contact_sheet

    root = data_dir.expanduser().absolute()
    common.keep_inputs([out], [], root, [common.FOLDER])
    checked = check_folder(root, **common.conversion(stretch, bands), **folder)
    picture = out or _beside(root)
    if checked.examples:
        write_contact_sheet(checked.examples, picture)
    if as_json:
        typer.echo(json.dumps({**asdict(checked), "picture": str(picture)}, indent=2, default=str))
    else:
        shown = [f"  drawn in {picture}"] * bool(checked.examples)
        typer.echo("\n".join([to_text(checked), *shown, *_next(checked, folder)]))
    raise typer.Exit(0 if checked.is_usable else 1)


def _beside(root: Path) -> Path:
    """Where the picture goes: into the folder that we are in, unless that is to be read."""
    here = Path.cwd()
    return (Path(tempfile.gettempdir()) if here.is_relative_to(root) else here) / (
        f"check-{root.name}.png"
    )


def _next(checked: "FolderCheck", folder: dict[str, Any]) -> list[str]:
    """What to type next."""
    if not checked.is_usable:
        return ["", "Nothing can be built of it as it is: mend the above, and check again."]
    options = common.as_flags(folder)
    skip = " --on-missing skip" * bool(checked.dropped)
    where = f"--data-dir {shlex.quote(checked.folder)}{options}{skip}"
    given = "".join(f", {name}={value!r}" for name, value in folder.items())
    given += ', on_missing="skip"' * bool(checked.dropped)
    recipe = common.as_recipe_flag(folder) + " --on_missing skip" * bool(checked.dropped)
    name = shlex.quote(Path(checked.folder).name)
    split = next((s.name for s in checked.splits if s.name.startswith("test")), "")
    lines = [
        f'load_dataset("{NAME}", "folder", data_dir="{checked.folder}"{given})',
        f"rs-gpt4v audit folder {where}",
        f"rs-gpt4v train folder_lora --data_dir {shlex.quote(checked.folder)}{recipe} "
        f"--output_dir outputs/{name}",
    ]
    if split:
        lines += [
            f"rs-gpt4v predict embedded folder --adapter outputs/{name} {where} "
            f"--out outputs/{name}/{split}.jsonl" + f" --split {split}" * (split != "test"),
            f"rs-gpt4v score outputs/{name}/{split}.jsonl",
        ]
    return ["", "Next", *(f"  {line}" for line in lines)]


@app.command()
@common.with_row_options
def build(
    configs: Annotated[
        list[str], typer.Argument(help="Configs or groups, such as vqa_hr cap_ucm.")
    ],
    exclude_leaks: common.ExcludeLeaks = False,
    num_proc: Annotated[int | None, typer.Option(min=1, help="Number of processes.")] = None,
    *,
    options: common.RowOptions,
) -> None:
    """Build configs into the `datasets` cache and count their rows.

    Example: `rs-gpt4v build cap_ucm vqa_lr --data-dir /data/rs`

    Your own files: `rs-gpt4v build folder --data-dir /data/tiles`
    """
    from datasets import load_dataset

    from rs_gpt4v_builders.builder import options_of

    for config in configs:
        own = options_of(config, configs, options)
        rows: Any = load_dataset(
            NAME, config, num_proc=num_proc, exclude_leaks=exclude_leaks, **own
        )
        counts = "  ".join(f"{split} {part.num_rows:,}" for split, part in rows.items())
        typer.echo(f"{config}: {counts}")


@app.command()
@common.with_row_options
def show(
    configs: Annotated[
        list[str],
        typer.Argument(help="Configs or groups, such as cap_ucm grounding; or predictions files."),
    ],
    out: Annotated[
        Path, typer.Option(help="Figure to write (.png, .jpg, .webp, .pdf or .svg).")
    ] = Path("figure.png"),
    split: Annotated[
        str | None, typer.Option(help="Split to read; default: test, else train.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=200, help="Rows to draw.")] = 8,
    ids: Annotated[
        list[str] | None, typer.Option(help="Id of a row to draw; repeatable, in this order.")
    ] = None,
    across: Annotated[
        int, typer.Option(min=1, max=12, help="Rows side by side; 4 are as wide as a page's text.")
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Which rows are drawn.")] = 0,
    *,
    options: common.RowOptions,
) -> None:
    """Draw rows as a figure for a paper: images with their boxes, questions and answers.

    Example: `rs-gpt4v show cap_ucm vqa_lr grounding --sample --out figure.png`

    Replies beside the truth: `rs-gpt4v show before/vqa_lr.jsonl after/vqa_lr.jsonl --out a.pdf`
    """
    from rs_gpt4v_builders.figure import check_suffix, panel, write_figure
    from rs_gpt4v_builders.pick import pick, pool, rows_of_ids

    check_suffix(out)
    files = [Path(name) for name in configs if name.endswith(".jsonl")]
    common.keep_inputs([out], files, options["data_dir"], configs)
    if files:
        from rs_gpt4v_evaluation.predict.panels import panels

        if len(files) < len(configs):
            raise ValueError("show configs or predictions files (.jsonl), not both")
        write_figure(panels(files, rows, seed, ids), out, across)
    else:
        splits = _splits(configs, split, options)
        chosen = rows_of_ids(splits, ids) if ids else pick([*map(pool, splits)], rows, seed)
        write_figure([panel(row) for row in chosen], out, across)
    typer.echo(f"Figure: {out}")


def _splits(configs: list[str], split: str | None, options: dict[str, Any]) -> list[Any]:
    """The rows of each config, the configs of groups by themselves."""
    from datasets import load_dataset

    from rs_gpt4v_builders import members
    from rs_gpt4v_builders.builder import options_of

    names = dict.fromkeys(member for config in configs for member in members(config))
    chosen = []
    for name in names:
        loaded: Any = load_dataset(NAME, name, **options_of(name, names, options))
        wanted = split or ("test" if "test" in loaded else "train")
        if wanted not in loaded:
            raise ValueError(f"{name} has no split {wanted!r}; it has {', '.join(loaded)}")
        chosen.append(loaded[wanted])
    return chosen


@app.command()
@common.with_folder_options
def stats(
    configs: Annotated[
        list[str] | None,
        typer.Argument(help="Configs or groups to describe; default: all, beside Table 1."),
    ] = None,
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: common.OnMissing = "raise",
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per step, to count steps.")] = 64,
    details: Annotated[
        bool, typer.Option("--details", help="Add lengths, answers, question types and templates.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Chart to write (.png or .svg).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all details.")] = False,
    *,
    folder: common.FolderOptions,
) -> None:
    """Compare the row counts of your releases with the paper's Table 1.

    Example: `rs-gpt4v stats --data-dir /data/rs --details --plot stats.png`

    For some configs, or for your own files: `rs-gpt4v stats folder --data-dir /data/tiles`
    """
    from rs_gpt4v_builders.stats import composition, table1

    options = common.row_options(data_dir, sample, protocol, on_missing, stretch, bands, **folder)
    if configs or folder:
        if plot:
            raise ValueError("--plot draws Table 1, for which no config is named: leave one out")
        _describe(configs or [], as_json=as_json, options=options)
        return
    if protocol != "paper":
        raise ValueError(f"--protocol {protocol}: Table 1 is of the paper's rows; name configs too")
    common.keep_inputs([plot], [], data_dir)
    draw = _drawer(plot) if plot else None
    loaded = table1.load(**options)
    built = table1.compare(loaded)
    distinct = {split: table1.distinct_images(loaded, split) for split in ("train", "test")}
    made_of = composition.compositions(loaded) if details or plot or as_json else []
    if draw:
        draw(built, made_of, sample=sample)
    if as_json:
        numbers = table1.to_json(built, batch_size, distinct)
        made = [asdict(composed) for composed in made_of]
        typer.echo(json.dumps({"sample": sample, **numbers, "details": made}, indent=2))
        return
    typer.echo(table1.to_text(built, batch_size, sample=sample, distinct=distinct))
    if details:
        typer.echo(f"\n{composition.to_text(made_of)}")


def _describe(configs: list[str], *, as_json: bool, options: dict[str, Any]) -> None:
    """Print what configs are made of, each of which must be there."""
    from datasets import load_dataset

    from rs_gpt4v_builders import members
    from rs_gpt4v_builders.stats import composition

    names = dict.fromkeys(member for config in configs for member in members(config))
    loaded: Any = {name: load_dataset(NAME, name, **options) for name in names}
    made_of = composition.compositions(loaded)
    if as_json:
        typer.echo(json.dumps({"details": [asdict(composed) for composed in made_of]}, indent=2))
    else:
        typer.echo(composition.to_text(made_of))


@app.command()
@common.with_folder_options
def audit(
    configs: Annotated[
        list[str] | None, typer.Argument(help="Configs or groups; default: all that are present.")
    ] = None,
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: common.OnMissing = "raise",
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Folder of releases to compare your own images with; or a published mixture "
            "(json, jsonl), names of images (txt) or hashes, to find in the test splits."
        ),
    ] = None,
    against_images: Annotated[
        Path | None, typer.Option(help="Folder of the mixture's images; default: beside its file.")
    ] = None,
    hashes: Annotated[
        Path | None,
        typer.Option(
            "--write-hashes",
            help="Only write hashes of test images, and of your own, to this file.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("audit.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all row ids.")] = False,
    *,
    folder: common.FolderOptions,
) -> None:
    """Find test images in training data, and duplicates; write a page that shows them.

    Example: `rs-gpt4v audit --data-dir /data/rs --out audit.html`

    Your own files: `rs-gpt4v audit folder --data-dir /data/tiles --against /data/rs`

    A published mixture: `rs-gpt4v audit --data-dir /data/rs --against GeoChat_Instruct.json`
    """
    from rs_gpt4v_builders.audit import contamination
    from rs_gpt4v_builders.audit.findings import audit as look
    from rs_gpt4v_builders.audit.page import write_page
    from rs_gpt4v_builders.audit.text import to_json, to_text

    compared = None if against is None or against.is_dir() else against
    common.keep_inputs([hashes or out], [compared, against_images], data_dir, configs or ())
    common.keep_inputs([out], [], against)
    options = common.row_options(data_dir, sample, protocol, on_missing, stretch, bands)
    if hashes:
        if against:
            raise ValueError("--write-hashes writes and --against compares: give one of them")
        written = contamination.hash_images(configs or (), hashes, folder=folder, **options)
        typer.echo("\n".join(f"{split}: {n:,} images" for split, n in written.items()))
        typer.echo(f"Hashes: {hashes}")
        return
    is_mixture = against is not None and contamination.is_comparable(against)
    if against_images and not is_mixture:
        raise ValueError("--against-images has the images of a mixture: give it with --against")
    if against and is_mixture:
        findings = contamination.contamination(
            configs or (), against, pictures=against_images, folder=folder, **options
        )
    else:
        findings = look(configs or (), releases=against, folder=folder, **options)
    write_page(findings, out, sample=sample)
    if as_json:
        typer.echo(json.dumps({"sample": sample, **to_json(findings)}, indent=2))
    else:
        typer.echo(f"{to_text(findings)}\n\nPictures: {out}")


@app.command()
@common.with_folder_options
def principles(
    configs: Annotated[
        list[str] | None, typer.Argument(help="Configs or groups, such as conversation vqa_lr.")
    ] = None,
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: Annotated[
        str, typer.Option(help="raise, or skip unusable records and absent configs.")
    ] = "raise",
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    split: common.Split = "train",
    candidates: Annotated[
        list[Path] | None, typer.Option(help="Generated dialogues (JSON lines); repeatable.")
    ] = None,
    reviews: Annotated[
        list[Path] | None, typer.Option(help="Reviews files of these candidates; repeatable.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Published dialogues as NAME=PATH, a JSON file or a folder; repeatable. Their "
            "images are not needed. All numbers are then in one table."
        ),
    ] = None,
    intervals: common.Intervals = False,
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("principles.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    folder: common.FolderOptions,
) -> None:
    """Measure the paper's six design principles on configs and generated dialogues.

    Example: `rs-gpt4v principles conversation cap_ucm vqa_lr --candidates candidates.jsonl`

    Beside published data: `rs-gpt4v principles conversation detail --beside GeoChat=geochat.json`
    """
    from rs_gpt4v_generation.principles.measure import report
    from rs_gpt4v_generation.principles.page import write_page
    from rs_gpt4v_generation.principles.tables import to_one_table, to_text

    published = common.paths_by_name("--beside", beside or ())
    inputs = [*(candidates or ()), *(reviews or ()), *published.values()]
    common.keep_inputs([out], inputs, data_dir, configs or ())
    measured = report(
        configs or (),
        candidates or (),
        reviews or (),
        beside=published,
        resamples=1000 if intervals else 0,
        split=split,
        absent_allowed=on_missing == "skip",
        **common.row_options(data_dir, sample, protocol, on_missing, stretch, bands, **folder),
    )
    write_page(measured, out, sample=sample)
    if as_json:
        typer.echo(json.dumps({"sample": sample, **asdict(measured)}, indent=2))
    else:
        text = to_one_table(measured) if published else to_text(measured)
        typer.echo(f"{text}\n\nCharts: {out}")


def _harness(kind: str) -> Any:
    """The format of test rows called ``kind``; other formats need no metric."""
    from rs_gpt4v_builders.export import FORMATS
    from rs_gpt4v_evaluation.harnesses import HARNESSES

    if kind not in HARNESSES:
        known = ", ".join([*FORMATS, *HARNESSES])
        raise ValueError(f"format {kind!r}: expected one of {known}")
    return HARNESSES[kind]


@app.command()
@common.with_row_options
def export(
    kind: Annotated[
        str,
        typer.Argument(
            help="hub, llava, sharegpt, ms_swift, webdataset; for test rows: lmms_eval, vlmevalkit."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="New folder, or one to resume.")],
    configs: Annotated[
        list[str], typer.Argument(help="Configs or groups, such as vqa_hr cap_ucm.")
    ],
    box_format: Annotated[
        str | None, typer.Option(help="How boxes are written in the messages; default: llava.")
    ] = None,
    exclude_leaks: common.ExcludeLeaks = False,
    images: Annotated[
        str, typer.Option(help="How to place images: copy, hardlink or symlink.")
    ] = "copy",
    shard_mb: Annotated[int, typer.Option(min=1, help="Size of a WebDataset shard, in MB.")] = 500,
    push: Annotated[str | None, typer.Option(help="Upload to USER/NAME (hub only).")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make the pushed repository public.")
    ] = False,
    *,
    options: common.RowOptions,
) -> None:
    """Write rows and images in the format of another tool; run again to resume.

    Example: `rs-gpt4v export hub exported/ cap_ucm vqa_lr --data-dir /data/rs`
    """
    from rs_gpt4v_builders.export import FORMATS
    from rs_gpt4v_builders.export import export as write
    from rs_gpt4v_builders.export.hub import push as upload

    if push and kind != "hub":
        raise ValueError(f"--push uploads a hub export, not {kind}: export hub, then push that")
    if public and not push:
        raise ValueError("--public is for what is pushed: give --push USER/NAME as well")
    # A folder's own texts keep their form unless one is asked for.
    codec = {} if box_format is None else {"box_format": box_format}
    written = write(
        FORMATS.get(kind) or _harness(kind),
        out,
        configs,
        images=images,
        shard_bytes=shard_mb * 1_000_000,
        **codec,
        exclude_leaks=exclude_leaks,
        images_from=options.pop("images", None),
        **options,
    )
    typer.echo(f"Exported: {written}")
    if push:
        typer.echo(f"Pushed: {upload(written, push, private=not public)}")


def _drawer(path: Path) -> Callable[..., None]:
    """What draws into ``path``; that it cannot is told now, not after minutes of building."""
    from rs_gpt4v_builders.stats import plot as stats_plot

    stats_plot.check_suffix(path)
    return partial(stats_plot.draw, path=path)
