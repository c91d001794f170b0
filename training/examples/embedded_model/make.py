"""Make the embedded model: draw scenes, teach it to see them and to answer, save it.

    python training/examples/embedded_model/make.py outputs/embedded_model

About two hours on two cores with the defaults, five minutes on a GPU (``--device cuda``).
Interrupted, the same command continues. The same seed and device give the same weights but for the
order in which a device adds floats.
"""

import argparse
import json
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from network import (
    VISION_WIDTH,
    box_starts,
    make_model,
    make_processor,
    make_tokenizer,
    pixel_values,
)
from questions import KINDS, ask
from scenes import GRID, SEEN, Scenes, all_facts, processes, shards
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

_HELD_OUT = 400  # scenes behind those that are learned from
_VISION_ONLY = 0.12  # of all steps: until the tower sees, words teach it little
_WARM_UP = 0.02
_CLIP = 1.0
_AUXILIARY = 10.0  # weight of the tower's own loss beside that of the words
_UNHEARD = 0.8  # of the third decimals: mostly noise, so rarely learned
_IGNORED = -100


def main() -> None:
    """Read the command line, make the model, measure it on scenes that it has not seen."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--images", type=int, default=16, help="images in a step")
    parser.add_argument("--questions", type=int, default=12, help="questions on each image")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare batches")
    parser.add_argument("--save-every", type=int, default=500, help="steps between two saves")
    given = parser.parse_args()
    started = time.monotonic()
    drawn = shards(given.out / "scenes", 0, given.scenes + _HELD_OUT, processes())
    scenes = Scenes(drawn)
    given.drawing_s = round(time.monotonic() - started)
    tokenizer = make_tokenizer(_texts(scenes))
    trainer = Trainer(given, scenes, tokenizer)
    trainer.run()
    trainer.save()
    scores = {name: trainer.exact(name == "seen") for name in ("seen", "blind")}
    facts = vars(given) | {"out": str(given.out), "log": trainer.log, "scores": scores}
    text = json.dumps(facts, indent=1, default=str)
    (given.out / "training.json").write_text(text, encoding="utf-8")
    print(json.dumps(scores, indent=1))  # noqa: T201


def _texts(scenes: Scenes) -> Iterator[str]:
    rng = random.Random(0)
    for facts in islice(all_facts(scenes), 1_500):
        for question, answer in (ask(facts, rng) for _ in range(12)):
            text = f"USER: \n{question} ASSISTANT: {answer}"
            yield text.split("[")[0]  # boxes have tokens of their own


class Batches(Dataset[dict[str, Tensor]]):
    """Item i is what step i learns from; it depends on the seed and on i alone."""

    def __init__(self, scenes: Scenes, tokenizer: PreTrainedTokenizerFast, given: Any) -> None:
        self.scenes, self.given = scenes, given
        self.packer = Packer(tokenizer)

    def __len__(self) -> int:
        return self.given.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = random.Random(f"{self.given.seed}/{step}")
        chosen = [rng.randrange(self.given.scenes) for _ in range(self.given.images)]
        asked = [
            [ask(facts, rng) for _ in range(self.given.questions)]
            for facts in map(self.scenes.facts, chosen)
        ]
        pixels, grids = _turned(self.scenes, chosen)
        words = self.packer.pack(asked, rng) if step >= _vision_steps(self.given) else {}
        return {"pixels": pixels, **grids, **words}


def _vision_steps(given: Any) -> int:
    return int(_VISION_ONLY * given.steps)


def _turned(scenes: Scenes, chosen: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
    grids = {
        name: torch.from_numpy(values[chosen].astype(np.float32))
        for name, values in scenes.grids.items()
    }
    return torch.from_numpy(scenes.pixels[chosen]), grids


class Packer:
    """Puts all questions on an image behind its one prefix; none of them sees another.

    A row is the prefix, then question, answer, question, answer ...; ``segment`` is 0 in the
    prefix, n in the nth question and its answer, -1 in padding; positions start again behind the
    prefix. All arrays are of shape (images, longest row).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        image = [tokenizer.convert_tokens_to_ids("<image>")] * GRID**2
        self._prefix = [tokenizer.bos_token_id, *self._ids("USER: "), *image, *self._ids("\n")]
        self._ask = self._ids(" ASSISTANT:")
        known = tokenizer.get_vocab()
        self._starts = {known[text] for text in box_starts()}
        self._digits = {known[str(digit)] for digit in range(10)}
        self.image_start = self._prefix.index(image[0])

    def pack(
        self, asked: Sequence[Sequence[tuple[str, str]]], rng: random.Random | None
    ) -> dict[str, Tensor]:
        """Rows for the questions and answers of each image; ``rng`` mutes third decimals."""
        rows = [self._row(questions, rng) for questions in asked]
        length = max(len(row["ids"]) for row in rows)
        padding = {"ids": self._tokenizer.pad_token_id, "labels": _IGNORED}
        padding |= {"positions": 0, "segments": -1}
        return {
            name: torch.tensor([row[name] + [pad] * (length - len(row[name])) for row in rows])
            for name, pad in padding.items()
        }

    def _row(
        self, questions: Sequence[tuple[str, str]], rng: random.Random | None
    ) -> dict[str, list[int]]:
        start = len(self._prefix)
        ids, segments = list(self._prefix), [0] * start
        labels, positions = [_IGNORED] * start, list(range(start))
        for number, (question, answer) in enumerate(questions, 1):
            before = [*self._ids(question), *self._ask]
            after = [*self._ids(f" {answer}"), self._tokenizer.eos_token_id]
            length = len(before) + len(after)
            ids += before + after
            labels += [_IGNORED] * len(before) + self._heard(after, rng)
            positions += range(start, start + length)
            segments += [number] * length
        return {"ids": ids, "labels": labels, "positions": positions, "segments": segments}

    def _heard(self, answer: list[int], rng: random.Random | None) -> list[int]:
        if rng is None:
            return answer
        return [
            _IGNORED
            if before in self._starts and token in self._digits and rng.random() < _UNHEARD
            else token
            for before, token in zip([-1, *answer], answer, strict=False)
        ]

    def _ids(self, text: str) -> list[int]:
        found = self._known.get(text)
        if found is None:
            found = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            if len(self._known) < 300_000:
                self._known[text] = found
        return found


class Trainer:
    """One plain loop: the tower alone first, then everything at once."""

    def __init__(self, given: Any, scenes: Scenes, tokenizer: PreTrainedTokenizerFast) -> None:
        self.given, self.scenes, self.tokenizer = given, scenes, tokenizer
        self.batches = Batches(scenes, tokenizer, given)
        self.packer = self.batches.packer
        self.model = make_model(tokenizer, given.seed).to(given.device)
        # Classes' centres, their cover, and a box for each image token.
        self.head = nn.Linear(VISION_WIDTH, 2 * len(SEEN) + 4).to(given.device)
        parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
        self.parameters = parameters
        self.step = 0
        self.log: list[dict[str, float]] = []
        self._checkpoint = given.out / "checkpoint.pt"
        if self._checkpoint.is_file():
            self._restore()

    def run(self) -> None:
        """Take the steps that are still to take."""
        self.model.train()
        left = range(self.step, self.given.steps)
        workers, pinned = self.given.workers, self.given.device != "cpu"
        loader = DataLoader(
            self.batches, None, sampler=left, num_workers=workers, pin_memory=pinned
        )
        recent: list[Tensor] = []
        started = time.monotonic()
        for batch in tqdm(loader, "Teaching", total=self.given.steps, initial=self.step):
            on_device = {k: v.to(self.given.device, non_blocking=True) for k, v in batch.items()}
            recent.append(self._learn(on_device))
            self.step += 1
            if self.step % 100 == 0:
                means = torch.stack(recent).mean(0).tolist()
                seconds = round(time.monotonic() - started, 1)
                self.log.append(
                    {"step": self.step, "s": seconds, "seeing": means[0], "words": means[1]}
                )
                tqdm.write(str(self.log[-1]))
                recent = []
            if self.step % self.given.save_every == 0:
                self._keep()

    def _learn(self, batch: dict[str, Tensor]) -> Tensor:
        """One step; the losses of the tower and of the words."""
        rate = self.given.learning_rate * self._schedule()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.given.device, torch.bfloat16, enabled=self.given.device == "cuda"):
            features = self._see(batch["pixels"])
            seeing = self._seeing_loss(features, batch)
            words = torch.zeros_like(seeing)
            if "ids" in batch:
                logits, labels, _ = self._answer(features, batch)
                words = functional.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad()
        (_AUXILIARY * seeing + words).backward()
        nn.utils.clip_grad_norm_(self.parameters, _CLIP)
        self.optimizer.step()
        return torch.stack([seeing.detach().float(), words.detach().float()])

    def _schedule(self) -> float:
        """Share of the learning rate: a warm-up for each part, then down along a cosine."""
        steps, begun = self.given.steps, _vision_steps(self.given)
        since = self.step - begun if self.step >= begun else self.step
        warm = min(1.0, (since + 1) / (_WARM_UP * steps))
        share = self.step / steps
        return warm * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)

    def _see(self, pixels: Tensor) -> Tensor:
        """The tower's tokens without its class token, as the model itself takes them."""
        tower = self.model.model.vision_tower
        values = pixel_values(pixels)
        states = tower(values, output_hidden_states=True, return_dict=True).hidden_states
        return states[-1][:, 1:]

    def _seeing_loss(self, features: Tensor, batch: dict[str, Tensor]) -> Tensor:
        made = self.head(functional.layer_norm(features.float(), features.shape[-1:]))
        made = made.view(-1, GRID, GRID, made.shape[-1]).permute(0, 3, 1, 2)
        centres, covered, boxes = made.split([len(SEEN), len(SEEN), 4], 1)
        is_box = ~batch["boxes"].isnan()
        off = (boxes - batch["boxes"].nan_to_num()).abs() * is_box
        return (
            functional.binary_cross_entropy_with_logits(centres.float(), batch["centres"])
            + functional.binary_cross_entropy_with_logits(covered.float(), batch["covered"])
            + 0.03 * off.sum() / is_box.sum().clamp(min=1)
        )

    def _answer(self, features: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and labels of the answers' tokens, and where these stand in the batch."""
        model = self.model.model
        embedded = model.language_model.embed_tokens(batch["ids"])
        start, end = self.packer.image_start, self.packer.image_start + GRID**2
        image = model.multi_modal_projector(features).to(embedded.dtype)
        embedded = torch.cat([embedded[:, :start], image, embedded[:, end:]], 1)
        hidden = model.language_model(
            inputs_embeds=embedded,
            attention_mask=_mask(batch["segments"], embedded.dtype),
            position_ids=batch["positions"],
            use_cache=False,
        ).last_hidden_state
        labels = batch["labels"][:, 1:]
        learned = labels != _IGNORED
        return self.model.lm_head(hidden[:, :-1][learned]), labels[learned], learned

    @torch.no_grad()
    def exact(self, seen: bool) -> dict[str, float]:
        """Share of answers whose every token is the likeliest, by kind and wording.

        On the held-out scenes; of captions and boxes the share of tokens. Blind: a grey image.
        """
        self.model.eval()
        found: defaultdict[str, list[float]] = defaultdict(list)
        rng = random.Random("held out")
        first = self.given.scenes
        for index in range(first, first + _HELD_OUT, 20):
            chosen = list(range(index, min(index + 20, first + _HELD_OUT)))
            asked = [list(_every_kind(self.scenes.facts(i), rng)) for i in chosen]
            self._mark(chosen, asked, found, seen)
        self.model.train()
        return {name: round(100 * sum(v) / len(v), 1) for name, v in sorted(found.items())}

    def _mark(self, chosen: list[int], asked: list[Any], found: Any, seen: bool) -> None:
        device = self.given.device
        packed = self.packer.pack([[qa for _, qa in own] for own in asked], None)
        batch = {name: values.to(device) for name, values in packed.items()}
        pixels, _ = _turned(self.scenes, chosen)
        pixels = pixels if seen else torch.full_like(pixels, 128)
        logits, labels, learned = self._answer(self._see(pixels.to(device)), batch)
        right = (logits.argmax(-1) == labels).float()
        rows = learned.nonzero()[:, 0]
        segments = batch["segments"][:, 1:][learned]
        for row, own in enumerate(asked):
            for number, (name, _) in enumerate(own, 1):
                marks = right[(rows == row) & (segments == number)]
                partly = name.startswith(("caption", "find", "describe"))
                found[name].append(float(marks.mean() if partly else marks.min()))

    def save(self) -> None:
        """Save model, tokenizer and processor as a checkpoint, weights in half precision."""
        folder = self.given.out / "model"
        model = LlavaForConditionalGeneration(self.model.config)
        model.load_state_dict(self.model.state_dict())
        model.generation_config = self.model.generation_config
        model.half().save_pretrained(folder)
        make_processor(self.tokenizer).save_pretrained(folder)
        # Halved for the package's size alone: a CPU computes in single precision.
        path = folder / "config.json"
        text = path.read_text(encoding="utf-8").replace('"float16"', '"float32"')
        path.write_text(text, encoding="utf-8")

    def _keep(self) -> None:
        state = {"model": self.model, "head": self.head, "optimizer": self.optimizer}
        saved = {name: part.state_dict() for name, part in state.items()}
        partial = self._checkpoint.with_suffix(".part")
        torch.save(saved | {"step": self.step, "log": self.log}, partial)
        partial.replace(self._checkpoint)

    def _restore(self) -> None:
        saved = torch.load(self._checkpoint, map_location=self.given.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.head.load_state_dict(saved["head"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.log = saved["step"], saved["log"]


def _mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """What each token may look at: earlier ones of the prefix and of its own question."""
    length = segments.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    same = segments[:, None, :] == segments[:, :, None]
    allowed = earlier & ((segments[:, None, :] == 0) | same)
    least = torch.finfo(dtype).min
    return torch.zeros(allowed.shape, dtype=dtype, device=segments.device).masked_fill_(
        ~allowed, least
    )[:, None]


def _every_kind(facts: Any, rng: random.Random) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, make in KINDS.items():
        for wording, asked in zip(("own", "benchmark"), make(facts, rng) or (), strict=False):
            yield f"{name} ({wording})", asked


if __name__ == "__main__":
    main()
