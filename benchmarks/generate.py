"""Images a second of `rs_gpt4v_generation`, against what the server allows.

The server, in a process of its own on loopback, answers each request after 0.2 s; 64 may be in
flight: 320 a second are the most there can be. Asking takes facts, the request, perhaps with an
image of 800 x 800 px, and its answer read; checking comes after it.

    python benchmarks/generate.py [--images 3000] [--objects 8]
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chat_client import DELAY_S, serve
from PIL import Image

from rs_gpt4v import chat_api as chat
from rs_gpt4v.object_classes import DIOR
from rs_gpt4v_generation.asking import Attempt, Generator, ask
from rs_gpt4v_generation.generate import checked
from rs_gpt4v_generation.probes import ProbeOptions
from rs_gpt4v_generation.scene import Scene

CONCURRENCY = 64
SIDE = 800
TURNS = (
    ("How many ships are in the image?", "There are four ships, most of them in the top left."),
    ("Where is the harbor?", "It lies in the lower right, to the right of the storage tanks."),
    ("Is there an airplane?", "Yes, there are two airplanes near the harbor."),
    ("What else is there?", "Vehicles stand between the storage tanks and the harbor, by trees."),
)


def scene(number: int, objects: int, image: Path) -> Scene:
    """Objects of chance."""
    rng = random.Random(number)
    labels = ("ship", "harbor", "storagetank", "airplane", "vehicle")
    boxes = []
    for _ in range(objects):
        x, y, side = rng.randint(0, 700), rng.randint(0, 700), rng.randint(10, 90)
        points = [float(value) for value in (x, y, x + side, y + side)]
        boxes.append({"label": rng.choice(labels), "points": points, "kind": "hbb"})
    return Scene("dior", f"{number:05}", "train", image, SIDE, SIDE, boxes, DIOR)


@contextmanager
def server() -> Iterator[str]:
    """The address of one that always says the same."""
    here, there = multiprocessing.Pipe()
    turns = [{"question": question, "answer": answer} for question, answer in TURNS]
    text = json.dumps({"turns": turns})
    spawned = multiprocessing.get_context("spawn")
    process = spawned.Process(target=serve, args=(there, text), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{here.recv()}/v1"
    process.terminate()


def asking(scenes: list[Scene], url: str, folder: Path, *, with_image: bool) -> list[Attempt]:
    """Ask, and print how fast."""
    folder.mkdir()
    endpoint = chat.Endpoint(model="m", base_url=url, api_key_env=None, concurrency=CONCURRENCY)
    generator = Generator(
        endpoint=endpoint,
        journal=folder / "journal.jsonl",
        products=("conversation",),
        with_image=with_image,
    )
    start = time.perf_counter()
    attempts, _ = ask(generator.tasks(scenes), generator)
    a_second = len(scenes) / (time.perf_counter() - start)
    what = "images" if with_image else "facts alone"
    print(f"asking, {what:11} {a_second:7.1f} a second  {a_second * DELAY_S / CONCURRENCY:6.1%}")
    return attempts


def checking(scenes: list[Scene], attempts: list[Attempt], folder: Path, num_proc: int) -> None:
    """Check, and print how fast."""
    by_scene = [[attempt] for attempt in attempts]
    start = time.perf_counter()
    count = sum(map(len, checked(scenes, by_scene, ProbeOptions(), folder, num_proc)))
    print(f"checking, {num_proc} process(es) {count / (time.perf_counter() - start):7.1f} a second")


def main() -> None:
    """Measure asking three times, and checking in one and in two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--objects", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, server() as url:
        image = Path(name, "image.jpg")
        Image.effect_noise((SIDE, SIDE), 60).convert("RGB").save(image, quality=80)
        print(f"image of {image.stat().st_size / 1000:.0f} kB")
        scenes = [scene(number, options.objects, image) for number in range(options.images)]
        attempts: list[Attempt] = []
        for time_ in range(3):
            attempts = asking(scenes, url, Path(name, f"facts{time_}"), with_image=False)
            asking(scenes, url, Path(name, f"images{time_}"), with_image=True)
        for num_proc in (1, 2):
            checking(scenes, attempts, Path(name), num_proc)


if __name__ == "__main__":
    main()
