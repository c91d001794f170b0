"""What differs between families of image-text-to-text models: their boxes and their images.

A family is known by its ``model_type``. An unlisted one works too, once its box format is named.

==========  ============  =======================================================================
family      box format    images
==========  ============  =======================================================================
llava       llava         576 tokens; llava_padded where the processor pads to a square
llava_next  llava         up to 2,880 tokens: the tiles that it was trained on
qwen2_vl    norm1000      up to 1,280 tokens, a bound that its model card suggests
qwen2_5_vl  qwen2_5_vl    as its checkpoint says, for its boxes are pixels of the resized image
qwen3_vl    norm1000      up to 1,280 tokens
internvl    norm1000      up to 4 tiles of 256 tokens, and a thumbnail
idefics3    norm1000      up to 2 x 2 tiles of 169 tokens, and the whole; no boxes in its training
smolvlm     norm1000      as its checkpoint says; no boxes in its training
paligemma   norm1000      as its checkpoint says; its own <loc0000> tokens have no codec here
==========  ============  =======================================================================
"""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any


class UnknownFamilyError(ValueError):
    """No box format is known for this model, so it has to be named."""


@dataclass(frozen=True)
class Family:
    """How a family writes boxes and reads images.

    Attributes:
        box_format: The codec, of `rs_gpt4v.box_codecs.CODECS`, whose numbers the family learned;
            where it learned none that we write, one that suits how it sees an image.
        image_options: Options of its processor that keep an image within 1,300 tokens.
    """

    box_format: str
    image_options: dict[str, Any] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {
    "llava": Family("llava"),
    "llava_next": Family("llava"),
    # For Qwen a size is in pixels of area. A token is 28 x 28 of them, for Qwen3-VL 32 x 32.
    "qwen2_vl": Family(
        "norm1000", {"size": {"shortest_edge": 4 * 28 * 28, "longest_edge": 1280 * 28 * 28}}
    ),
    "qwen2_5_vl": Family("qwen2_5_vl"),
    "qwen3_vl": Family(
        "norm1000", {"size": {"shortest_edge": 64 * 32 * 32, "longest_edge": 1280 * 32 * 32}}
    ),
    # Its <box>[[x1, y1, x2, y2]]</box> is of 0-1000 too, and norm1000 parses it.
    "internvl": Family("norm1000", {"max_patches": 4}),
    "idefics3": Family("norm1000", {"size": {"longest_edge": 2 * 364}}),
    "smolvlm": Family("norm1000"),
    "paligemma": Family("norm1000"),
}


PALIGEMMA_TEMPLATE = files("rs_gpt4v").joinpath("paligemma.jinja").read_text(encoding="utf-8")


def template(model_type: str) -> str | None:
    """The chat template for a family whose checkpoints bring none."""
    return PALIGEMMA_TEMPLATE if model_type == "paligemma" else None


def image_options(model_type: str) -> dict[str, Any]:
    """Options for the processor of a family; none for an unlisted one."""
    return FAMILIES[model_type].image_options if model_type in FAMILIES else {}


def box_format(model_type: str, processor: Any) -> str:
    """The codec that a model was trained with here, else that of its family and processor.

    Raises:
        UnknownFamilyError: The family is not listed, and the model was not trained here.
    """
    if trained_with := processor.tokenizer.init_kwargs.get("box_format"):
        return trained_with
    if model_type not in FAMILIES:
        raise UnknownFamilyError(
            f"No box format is known for a {model_type} model (known: {', '.join(FAMILIES)}). "
            "Name the one its boxes have, e.g. box_format: norm1000"
        )
    # LLaVA-NeXT's processor has a do_pad too, which pads the batch.
    pads = model_type == "llava" and getattr(processor.image_processor, "do_pad", False)
    return "llava_padded" if pads else FAMILIES[model_type].box_format


def pad_to_square(processor: Any, model_type: str) -> None:
    """Let ``processor`` pad images to a square, in its mean colour, before it resizes them.

    So LLaVA-1.5 was trained; `llava-1.5-7b-hf` cuts the longer side instead. It is saved with the
    processor, and boxes are then those of the square (`box_format`).

    Raises:
        ValueError: The model is no LLaVA-1.5, or its images are not resized as CLIP's.
    """
    images = processor.image_processor
    name = type(images).__name__.replace("CLIP", "Llava")
    if model_type != "llava" or name not in {"LlavaImageProcessor", "LlavaImageProcessorPil"}:
        raise ValueError(
            f"image_aspect: pad is LLaVA-1.5's, with images resized as CLIP's; this is a "
            f"{model_type} model with {type(images).__name__}: leave it out"
        )
    settings = {
        key: value
        for key, value in images.to_dict().items()
        if key not in {"image_processor_type", "processor_class"}
    }
    kind: Any = getattr(importlib.import_module("transformers"), name)
    processor.image_processor = kind(**settings | {"do_pad": True})


def record_box_format(processor: Any, name: str) -> None:
    """Let the checkpoint or adapter that ``processor`` is saved with tell its codec."""
    # The tokenizer alone keeps what it does not know; a processor drops it when loaded.
    processor.tokenizer.init_kwargs["box_format"] = name


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Where the Hub cannot be reached, say of which model and what to do: the Hub's error does not.

    Raises:
        OSError: The files of ``model`` are not on this machine, and cannot be fetched.
    """
    try:
        yield
    except OSError as error:
        if not str(error).startswith("We couldn't connect to"):
            raise
        raise OSError(
            f"{model}: its files are not on this machine, and huggingface.co cannot be reached (or "
            f"HF_HUB_OFFLINE is set). With a connection, `hf download {model}` fetches them. "
            "Without one, copy the model's folder from another machine, and give the folder's path "
            "in place of the name (of train: --model_name_or_path FOLDER)"
        ) from error


def ignore_newer_names() -> None:
    """Keep transformers from telling a user how to rename what recipes and PEFT ask for.

    What it calls ``activation_checkpointing`` now, the oldest transformers that is supported
    knows as ``gradient_checkpointing`` alone.
    """
    warnings.filterwarnings("ignore", ".*gradient_checkpointing.*deprecated", FutureWarning)
