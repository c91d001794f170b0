"""Verbs on data: sources, download, build, stats, audit, principles, export."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rs_gpt4v import NAME
from rs_gpt4v.cli import common

app = typer.Typer()


@app.command()
def sources(
    names: Annotated[
        list[str] | None, typer.Argument(help="Sources, configs or groups; default: all.")
    ] = None,
    data_dir: common.DataDir = None,
    citations: Annotated[bool, typer.Option("--citations", help="Show their BibTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show which releases are found, what is missing, and where to get it.

    Example: `rs-gpt4v sources --data-dir /data/rs`
    """
    from rs_gpt4v_builders import inventory

    root = data_dir and data_dir.absolute()
    if root and not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: give the releases' parent with --data-dir")
    items = inventory.inventory(root, inventory.choose(names) if names else None)
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
def build(
    configs: Annotated[
        list[str], typer.Argument(help="Configs or groups, such as vqa_hr cap_ucm.")
    ],
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: common.OnMissing = "raise",
    exclude_leaks: common.ExcludeLeaks = False,
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    num_proc: Annotated[int | None, typer.Option(min=1, help="Number of processes.")] = None,
) -> None:
    """Build configs into the `datasets` cache and count their rows.

    Example: `rs-gpt4v build cap_ucm vqa_lr --data-dir /data/rs`
    """
    from datasets import load_dataset

    options = common.row_options(data_dir, sample, on_missing, stretch, bands, protocol=protocol)
    for config in configs:
        rows: Any = load_dataset(
            NAME, config, num_proc=num_proc, exclude_leaks=exclude_leaks, **options
        )
        counts = "  ".join(f"{split} {part.num_rows:,}" for split, part in rows.items())
        typer.echo(f"{config}: {counts}")


@app.command()
def stats(
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    on_missing: common.OnMissing = "raise",
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per step, to count steps.")] = 64,
    details: Annotated[
        bool, typer.Option("--details", help="Add lengths, answers, question types and templates.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Chart to write (.png or .svg).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all details.")] = False,
) -> None:
    """Compare the row counts of your releases with the paper's Table 1.

    Example: `rs-gpt4v stats --data-dir /data/rs --details --plot stats.png`
    """
    from rs_gpt4v_builders.stats import composition, table1

    common.keep_inputs([plot], [], data_dir)
    draw = _drawer(plot) if plot else None
    loaded = table1.load(**common.row_options(data_dir, sample, on_missing, stretch, bands))
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


@app.command()
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
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("audit.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all row ids.")] = False,
) -> None:
    """Find test images and questions in training data, and duplicates; write a page of them.

    Example: `rs-gpt4v audit --data-dir /data/rs --out audit.html`
    """
    from rs_gpt4v_builders.audit.findings import audit as look
    from rs_gpt4v_builders.audit.page import write_page
    from rs_gpt4v_builders.audit.text import to_json, to_text

    common.keep_inputs([out], [], data_dir)
    findings = look(
        configs or (),
        **common.row_options(data_dir, sample, on_missing, stretch, bands, protocol=protocol),
    )
    write_page(findings, out, sample=sample)
    if as_json:
        typer.echo(json.dumps({"sample": sample, **to_json(findings)}, indent=2))
    else:
        typer.echo(f"{to_text(findings)}\n\nPictures: {out}")


@app.command()
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
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("principles.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the paper's six design principles on configs and generated dialogues.

    Example: `rs-gpt4v principles conversation cap_ucm vqa_lr --candidates candidates.jsonl`
    """
    from rs_gpt4v_generation.principles.measure import report
    from rs_gpt4v_generation.principles.page import write_page
    from rs_gpt4v_generation.principles.tables import to_text

    common.keep_inputs([out], [*(candidates or ()), *(reviews or ())], data_dir)
    measured = report(
        configs or (),
        candidates or (),
        reviews or (),
        split=split,
        absent_allowed=on_missing == "skip",
        **common.row_options(data_dir, sample, on_missing, stretch, bands, protocol=protocol),
    )
    write_page(measured, out, sample=sample)
    if as_json:
        typer.echo(json.dumps({"sample": sample, **asdict(measured)}, indent=2))
    else:
        typer.echo(f"{to_text(measured)}\n\nCharts: {out}")


def _harness(kind: str) -> Any:
    """The format of test rows called ``kind``; other formats need no metric."""
    from rs_gpt4v_builders.export import FORMATS
    from rs_gpt4v_evaluation.harnesses import HARNESSES

    if kind not in HARNESSES:
        known = ", ".join([*FORMATS, *HARNESSES])
        raise ValueError(f"format {kind!r}: expected one of {known}")
    return HARNESSES[kind]


@app.command()
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
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: common.OnMissing = "raise",
    box_format: Annotated[
        str | None, typer.Option(help="How boxes are written in the messages; default: llava.")
    ] = None,
    exclude_leaks: common.ExcludeLeaks = False,
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    images: Annotated[
        str, typer.Option(help="How to place images: copy, hardlink or symlink.")
    ] = "copy",
    shard_mb: Annotated[int, typer.Option(min=1, help="Size of a WebDataset shard, in MB.")] = 500,
    push: Annotated[str | None, typer.Option(help="Upload to USER/NAME (hub only).")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make the pushed repository public.")
    ] = False,
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
    written = {} if box_format is None else {"box_format": box_format}
    folder = write(
        FORMATS.get(kind) or _harness(kind),
        out,
        configs,
        images=images,
        shard_bytes=shard_mb * 1_000_000,
        **written,
        exclude_leaks=exclude_leaks,
        **common.row_options(data_dir, sample, on_missing, stretch, bands, protocol=protocol),
    )
    typer.echo(f"Exported: {folder}")
    if push:
        typer.echo(f"Pushed: {upload(folder, push, private=not public)}")


def _drawer(path: Path) -> Callable[..., None]:
    """What draws into ``path``; that it cannot is told now, not after minutes of building."""
    from rs_gpt4v_builders.stats import plot as stats_plot

    stats_plot.check_suffix(path)
    return partial(stats_plot.draw, path=path)
