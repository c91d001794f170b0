"""Verbs on generated dialogues: generate, review, reconcile, release."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rs_gpt4v.cli import common
from rs_gpt4v.cli.common import finite

if TYPE_CHECKING:
    from rs_gpt4v_generation.asking import Generator
    from rs_gpt4v_generation.probes import ProbeOptions
    from rs_gpt4v_generation.scene import Scene

app = typer.Typer()

Queue = Annotated[Path, typer.Argument(help="Candidates file of generate (JSON lines).")]
_SHOWN = 10  # problems that are named, of however many


@app.command()
@common.with_scene_options
def generate(
    model: Annotated[str, typer.Argument(help="Name of the model on the server.")],
    out: Annotated[Path, typer.Option(help="Output folder; run again to resume.")],
    product: Annotated[
        list[str] | None,
        typer.Option(
            help="conversation, reasoning, detail or planning; repeatable; default: the paper's "
            "three, without planning."
        ),
    ] = None,
    split: common.Split = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first N images.")] = None,
    base_url: common.BaseUrl = common.OPENAI,
    api_key_env: common.ApiKeyEnv = "OPENAI_API_KEY",
    image: Annotated[
        bool, typer.Option(help="Show the image to the model, or only the facts.")
    ] = True,
    tries: Annotated[
        int, typer.Option(min=1, help="Attempts per dialogue until a reply is usable.")
    ] = 2,
    seed: Annotated[
        int, typer.Option(help="Seed of the first attempt; each further one adds 1.")
    ] = 0,
    temperature: common.Temperature = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply in tokens.")] = 2000,
    body: common.Body = "{}",
    probes: Annotated[
        int,
        typer.Option(min=0, help="Templated yes-or-no questions per image, made from the boxes."),
    ] = 0,
    negatives: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Share of --probes answered no.")
    ] = 0.5,
    concurrency: common.Concurrency = 16,
    requests_per_minute: Annotated[
        float | None, typer.Option(min=0.001, callback=finite, help="Limit on requests per minute.")
    ] = None,
    tokens_per_minute: Annotated[
        float | None, typer.Option(min=1, callback=finite, help="Limit on tokens per minute.")
    ] = None,
    max_cost: common.MaxCost = None,
    prices: common.Prices = None,
    num_proc: Annotated[int, typer.Option(min=1, help="Processes that check replies.")] = 1,
    dry_run: common.DryRun = False,
    write_batch: Annotated[
        Path | None, typer.Option(help="Only write the requests here, for OpenAI's batch API.")
    ] = None,
    read_batch: Annotated[
        list[Path] | None,
        typer.Option(help="Read a batch's output and error files first; repeatable."),
    ] = None,
    *,
    scenes: common.SceneOptions,
) -> None:
    """Let a model write dialogues about annotated images, and check them against the boxes.

    Run again to resume; nothing is paid for twice. Example: `rs-gpt4v generate gpt-4o-2024-11-20
    --data-dir /data/rs --oriented --max-cost 50 --out outputs/generated`

    For a server of your own: `--base-url http://localhost:8000/v1`. Then run `rs-gpt4v review`.
    """
    from rs_gpt4v import chat_api as chat
    from rs_gpt4v_generation.asking import Generator
    from rs_gpt4v_generation.generate import CANDIDATES, FAILED, JOURNAL
    from rs_gpt4v_generation.probes import ProbeOptions
    from rs_gpt4v_generation.products import PAPERS, PRODUCTS

    if unknown := set(product or ()) - set(PRODUCTS):
        raise ValueError(f"--product {unknown.pop()}: expected one of {', '.join(PRODUCTS)}")
    common.keep_inputs(
        [out / name for name in (CANDIDATES, FAILED, JOURNAL)],
        [scenes["boxes"], scenes["images"], prices, *(read_batch or ())],
        scenes["data_dir"],
    )
    out.mkdir(parents=True, exist_ok=True)
    annotated = common.scenes(split, **scenes, log_dir=out)[:limit]
    generator = Generator(
        endpoint=chat.Endpoint(
            model=model,
            base_url=base_url,
            api_key_env=api_key_env,
            concurrency=concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        ),
        journal=out / JOURNAL,
        products=tuple(name for name in PRODUCTS if name in (product or PAPERS)),
        tries=tries,
        seed=seed,
        temperature=temperature,
        max_tokens=max_tokens,
        with_image=image,
        body=chat.read_body(body),
        cap_usd=max_cost,
        prices=chat.read_prices(prices) if prices else chat.PRICES,
    )
    if read_batch:
        typer.echo(chat.read_batch(read_batch, generator.endpoint, generator.journal))
    requests = map(generator.request_for, generator.tasks(annotated))
    if dry_run:
        typer.echo(generator.estimate(requests))
    elif write_batch:
        files = chat.write_batch(requests, generator.endpoint, write_batch, generator.journal)
        typer.echo("\n".join(map(str, files)) or "Nothing to ask: the journal has every reply.")
    else:
        _generate(annotated, generator, out, ProbeOptions(probes, negatives, seed), num_proc)


def _generate(
    scenes: "list[Scene]", generator: "Generator", out: Path, probing: "ProbeOptions", num_proc: int
) -> None:
    from rs_gpt4v_generation.generate import CANDIDATES, FAILED, generate

    report = generate(scenes, generator, out, probing, num_proc)
    typer.echo(report)
    typer.echo(f"Candidates: {out / CANDIDATES}\nFailed: {out / FAILED}")
    if report.pending:
        typer.echo("Run the same command to continue.", err=True)
        raise typer.Exit(1)


@app.command()
def review(
    queue: Queue,
    images: Annotated[
        Path | None, typer.Option(help="Folder that relative image paths start from.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option(help="Your name; default: your login.")] = None,
    out: Annotated[Path | None, typer.Option(help="Reviews file; continued if it exists.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser.")] = False,
) -> None:
    """Review generated dialogues on a local page: accept, edit or reject each.

    Example: `rs-gpt4v review outputs/generated/candidates.jsonl --reviewer ann`
    """
    from rs_gpt4v_generation.review.server import reviewing

    with reviewing(queue, reviewer or _login(), images=images, out=out, port=port) as server:
        _show_problems(server.session.queue.problems)
        for line in (server.session.summary(), "", f"  {server.url}", "", "Ctrl+C stops."):
            typer.echo(line)
        if browser:
            typer.launch(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo(f"\n{server.session.summary()}")


@app.command()
def reconcile(
    queue: Queue,
    reviews: Annotated[list[Path], typer.Argument(help="Reviews files, one per reviewer.")],
    out: Annotated[Path, typer.Option(help="Final dialogues (JSON lines) to write.")],
    final_say: Annotated[
        Path | None, typer.Option(help="Reviews file that settles the conflicts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Merge reviewers' decisions into final dialogues; report agreement and conflicts.

    Example: `rs-gpt4v reconcile queue.jsonl queue.jsonl.reviews.{ann,ben}.jsonl --out final.jsonl`
    """
    from rs_gpt4v_generation.review import reconcile as settling

    report = settling.reconcile(queue, reviews, out, final_say)
    typer.echo(
        json.dumps(settling.to_json(report), indent=2) if as_json else settling.to_text(report)
    )


@app.command()
def release(
    files: Annotated[list[Path], typer.Argument(help="Output of reconcile, or candidates.")],
    data_dir: common.ReleasesDir,
    images: Annotated[
        str, typer.Option(help="How to place your own images: copy, hardlink or symlink.")
    ] = "copy",
    images_from: Annotated[
        list[Path] | None,
        typer.Option(help="Further folder in which images may lie; repeatable."),
    ] = None,
) -> None:
    """Write dialogues as a release that the configs conversation and detail read.

    Example: `rs-gpt4v release outputs/generated/final.jsonl --data-dir /data/rs`
    """
    from rs_gpt4v_generation.release import release as write

    written = write(files, data_dir, images, images_from or ())
    _show_problems(written.problems)
    for name, items in written.written.items():
        typer.echo(f"{written.folder / name}: {items:,} dialogues")
    if written.left_out:
        why = "not reviewed, and failing a check or saying nothing that the boxes confirm"
        typer.echo(f"left out: {written.left_out:,} {why}")


def _login() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError) as error:  # on Windows, ImportError
        raise ValueError("the login name is not known: give --reviewer NAME") from error


def _show_problems(problems: list[str]) -> None:
    for problem in problems[:_SHOWN]:
        typer.echo(f"left out: {problem}", err=True)
    if len(problems) > _SHOWN:
        typer.echo(f"left out: {len(problems) - _SHOWN:,} more", err=True)
