"""The one door for images: what comes in, in which frame, and what is said of the rest."""

import ast
import io
import os
import sys
import zlib
from pathlib import Path

import datasets
import numpy as np
import pytest
from image_files import POSTSCRIPT, encoded, ghostscript_trap, needs_tifffile, tiff, turned
from PIL import Image

from rs_gpt4v import images
from rs_gpt4v.images import Conversion, ImageError

STRETCHED = Conversion(stretch="percentile")
RAMP = np.arange(64 * 96).reshape(64, 96)
DEEP = {
    "16-bit grey": encoded(Image.fromarray((RAMP % 4000).astype(np.uint16)), "TIFF"),
    "16-bit grey PNG": encoded(Image.fromarray((RAMP % 4000).astype(np.uint16)), "PNG"),
    "signed": tiff((RAMP[None] % 4000 - 2000).astype(np.int16)),
    "32-bit": tiff(RAMP[None].astype(np.uint32)),
    "float": encoded(Image.fromarray((RAMP / 6144).astype(np.float32)), "TIFF"),
    "double": tiff(RAMP[None] / 6144),
    "11 bits in 16": tiff(np.stack([RAMP % 2048] * 3).astype(np.uint16), photometric=2),
    "4 bands": tiff(np.stack([RAMP % 2048] * 4).astype(np.uint16), photometric=2, t338=0),
    "8 bands": tiff(np.stack([RAMP % 2048] * 8).astype(np.uint16), t338=(0,) * 7),
    "8 planes": tiff(np.stack([RAMP % 2048] * 8).astype(np.uint16), planes=True, t338=(0,) * 7),
}
BYTES = np.stack([RAMP % (50 * n) for n in range(1, 6)]).astype(np.uint8)
MANY = {
    "2 bands": tiff(BYTES[:2], t338=0),
    "3 without colours": tiff(BYTES[:3], t338=(0, 0)),
    "4 without colours": tiff(BYTES[:4], t338=(0, 0, 0)),
    "5 bands": tiff(BYTES, photometric=2, t338=(0, 0)),
    "5 planes": tiff(BYTES, planes=True, t338=(0,) * 4),
}


def as_datasets(content: bytes) -> Image.Image:
    return datasets.Image().decode_example({"path": None, "bytes": content})


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *((kind, "RGB") for kind in images.FORMATS),
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA")),
        *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK")),
        *(("JPEG", mode) for mode in ("L", "CMYK")),
    ],
)
def test_what_comes_in_is_what_datasets_decodes(kind: str, mode: str) -> None:
    content = encoded(Image.linear_gradient("L").convert(mode).resize((90, 60)), kind)
    image = images.open_image(content)
    assert np.array_equal(image.convert("RGB"), as_datasets(content).convert("RGB"))
    assert images.checked(content).size == (90, 60)
    assert images.thumbnail(content, 30).size == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_one_frame(kind: str, orientation: int) -> None:
    content = turned(Image.linear_gradient("L").resize((90, 60)), kind, orientation)
    decoded = as_datasets(content)
    assert decoded.size == ((60, 90) if orientation > 4 else (90, 60))
    assert images.checked(content).size == decoded.size
    assert np.array_equal(images.open_image(content), decoded)
    small = images.thumbnail(content, 30)
    assert small.size == tuple(side // 3 for side in decoded.size)
    near = np.asarray(decoded.convert("RGB").resize(small.size), int)
    assert np.abs(near - np.asarray(small, int)).mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_turned_file_needs_no_exif(kind: str, tmp_path: Path) -> None:
    picture, path = Image.linear_gradient("L").resize((90, 60)).convert("RGB"), tmp_path / "a"
    path.write_bytes(turned(picture, kind))
    upright = images.upright_file(path)
    assert upright
    with Image.open(io.BytesIO(upright)) as image:
        assert (image.format, image.size) == (kind, (60, 90))
        assert 274 not in image.getexif()
        close = np.asarray(image, int) - np.asarray(as_datasets(path.read_bytes()), int)
    assert np.abs(close).max() < 8
    path.write_bytes(encoded(picture, kind))
    assert images.upright_file(path) is None


@pytest.mark.parametrize("kind", sorted(DEEP))
def test_deep_pixels_are_refused_with_the_remedy(kind: str) -> None:
    with pytest.raises(ImageError, match=r"has pixels of .*--stretch percentile.*gdal_translate"):
        images.open_image(DEEP[kind])
    with pytest.raises(ImageError, match="has pixels of"):
        images.checked(DEEP[kind])


@needs_tifffile
@pytest.mark.parametrize("kind", sorted(DEEP))
def test_deep_pixels_are_stretched_when_asked(kind: str) -> None:
    bands = (3, 2, 1) if kind.startswith("8") else None
    conversion = Conversion(stretch="percentile", bands=bands)
    image = images.open_image(DEEP[kind], conversion)
    pixels = np.asarray(image.convert("RGB"))
    assert image.size == images.checked(DEEP[kind], conversion).size == (96, 64)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert 100 < pixels.mean() < 135


@needs_tifffile
def test_stretched_values() -> None:
    band = np.full((10, 10), 1000, np.uint16)
    band[:, 0], band[:, 9], band[0, 5] = 0, 2000, 500
    image = images.open_image(tiff(band[None]), STRETCHED)
    # The 2nd percentile is 0, the 98th 2000: a half, a quarter.
    assert np.asarray(image)[:2, [0, 4, 5, 9]].tolist() == [[0, 128, 64, 255], [0, 128, 128, 255]]


@needs_tifffile
def test_what_has_no_value_does_not_stretch_the_rest() -> None:
    band = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    band[0] = np.nan, np.inf, -np.inf, -9999, -9999, *band[0, 5:]
    pixels = np.asarray(images.open_image(tiff(band[None], t42113="-9999"), STRETCHED))
    assert pixels[0, :5].tolist() == [0] * 5
    assert 120 < pixels[5].mean() < 150


@needs_tifffile
def test_one_value_all_over_is_refused() -> None:
    flat = tiff(np.full((1, 8, 8), 700, np.uint16))
    with pytest.raises(ImageError, match="one value all over"):
        images.open_image(flat, STRETCHED)


@needs_tifffile
def test_white_is_zero_is_turned_round() -> None:
    band = np.arange(100, dtype=np.uint16).reshape(1, 10, 10)
    one, other = (
        np.asarray(images.open_image(tiff(band, photometric=kind), STRETCHED)) for kind in (0, 1)
    )
    assert np.array_equal(255 - one, other)


@needs_tifffile
@pytest.mark.parametrize("kind", sorted(MANY))
def test_many_bands_are_refused_and_chosen_when_asked(kind: str) -> None:
    with pytest.raises(ImageError, match=r"--bands 3,2,1.*gdal_translate"):
        images.open_image(MANY[kind])
    image = images.open_image(MANY[kind], Conversion(bands=(2,)))
    assert np.array_equal(image, BYTES[1])
    if not kind.startswith("2"):
        image = images.open_image(MANY[kind], Conversion(bands=(3, 2, 1)))
        assert np.array_equal(image, np.moveaxis(BYTES[[2, 1, 0]], 0, 2))
    with pytest.raises(ImageError, match=r"no band 9, which bands=\(9,\) names"):
        images.open_image(MANY[kind], Conversion(bands=(9,)))


@needs_tifffile
def test_a_fourth_byte_is_alpha_unless_bands_are_named() -> None:
    content = tiff(BYTES[:4], photometric=2, t338=2)
    plain = images.open_image(content).convert("RGB")
    assert np.array_equal(plain, np.moveaxis(BYTES[:3], 0, 2))
    infrared = images.open_image(content, Conversion(bands=(4, 1, 2)))
    assert np.array_equal(infrared, np.moveaxis(BYTES[[3, 0, 1]], 0, 2))


def test_ordinary_images_stay_as_they_are_under_a_conversion() -> None:
    picture = Image.merge("RGB", [Image.linear_gradient("L").rotate(90 * n) for n in range(3)])
    for kind in ("PNG", "TIFF", "JPEG"):
        content = encoded(picture, kind)
        conversion = Conversion(stretch="percentile", bands=(3, 2, 1))
        assert np.array_equal(images.open_image(content, conversion), as_datasets(content))


@needs_tifffile
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_compressed_deep_pixels(compression: str, dtype: type) -> None:
    band = (RAMP * 7 % 3001).astype(dtype)
    plain = images.open_image(tiff(band[None]), STRETCHED)
    predictors = [1] if compression in ("raw", "packbits") else [1, 2 if dtype is np.uint16 else 3]
    for predictor in predictors:
        options = {"compression": compression, "tiffinfo": {317: predictor, 278: 10}}
        content = encoded(Image.fromarray(band), "TIFF", **options)
        assert np.array_equal(images.open_image(content, STRETCHED), plain), predictor


@needs_tifffile
def test_deep_tiff_is_turned_too() -> None:
    band = np.arange(24, dtype=np.uint16).reshape(1, 4, 6)
    plain = images.open_image(tiff(band), STRETCHED)
    image = images.open_image(tiff(band, t274=6), STRETCHED)
    assert images.checked(tiff(band, t274=6), STRETCHED).size == (4, 6)
    assert np.array_equal(image, plain.transpose(Image.Transpose.ROTATE_270))


def test_colours_in_a_deep_png_are_refused() -> None:
    header = b"\0\0\0\x0dIHDR\0\0\0\x08\0\0\0\x08\x10\x02\0\0\0"

    def chunk(body: bytes) -> bytes:
        return body + zlib.crc32(body[4:]).to_bytes(4, "big")

    data = zlib.compress((b"\0" + bytes(48)) * 8)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(header)
        + chunk(len(data).to_bytes(4, "big") + b"IDAT" + data)
        + chunk(b"\0\0\0\0IEND")
    )
    for conversion in (images.AS_IS, STRETCHED):
        with pytest.raises(ImageError, match=r"16-bit colours in a PNG.*gdal_translate"):
            images.open_image(content, conversion)


def test_lab_is_refused() -> None:
    content = encoded(Image.new("LAB", (9, 9)), "TIFF")
    with pytest.raises(ImageError, match=r"grey or RGB|--bands"):
        images.open_image(content)
    with pytest.raises(ImageError, match="grey or RGB"):
        images.open_image(content, Conversion(stretch="percentile", bands=(1, 2, 3)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (POSTSCRIPT, "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + POSTSCRIPT, "PostScript"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
        (encoded(Image.new("RGB", (9, 9)), "PPM"), "no image that can be read"),
        (encoded(Image.new("RGB", (9, 9)), "ICO"), "no image that can be read"),
        (b"<html>404</html>", "no image that can be read"),
    ],
)
def test_other_formats_are_refused_unseen(
    content: bytes, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = ghostscript_trap(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for look in (images.open_image, images.checked, lambda file: images.thumbnail(file, 9)):
        with pytest.raises(ImageError, match=rf"is .*{kind}.*JPEG, PNG, TIFF, WebP, BMP or GIF"):
            look(path)
    assert images.thumbnail_uri(str(path), 9) == ""
    assert not trace.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "circle.png").symlink_to("circle.png")
    for name in ("pipe.png", "folder.png", "/dev/zero", "/dev/null"):
        for look in (images.open_image, images.checked, images.read_file):
            with pytest.raises(ImageError, match="is no regular file"):
                look(tmp_path / name)
    with pytest.raises(ImageError, match=r"absent\.png is missing"):
        images.open_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match=r"circle\.png cannot be read"):
        images.open_image(tmp_path / "circle.png")
    with pytest.raises(ImageError, match="cannot be read"):
        images.open_image("a\0.png")


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    content, deep = encoded(Image.new("1", (100, 100)), "PNG"), tiff(np.ones((1, 100, 100), "u2"))
    monkeypatch.setattr(images, "MOST_PIXELS", 9_999)
    for file in (content, deep):
        with pytest.raises(ImageError, match="100 x 100 pixels, more than 9,999: cut it into tile"):
            images.checked(file, STRETCHED)


def test_a_bomb_is_refused_by_its_head() -> None:
    head = encoded(Image.new("1", (8, 8)), "PNG")
    chunk = b"IHDR" + (65_000).to_bytes(4, "big") * 2 + head[24:29]
    bomb = head[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + head[33:]
    with pytest.raises(ImageError, match="pixels"):
        images.checked(bomb)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_what_training_could_not_decode_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    for content in (whole[: len(whole) // 2], whole[: len(whole) * 9 // 10]):
        with pytest.raises(OSError):  # noqa: PT011 - whatever Pillow says
            as_datasets(content)
        with pytest.raises(ImageError, match="cannot be decoded"):
            images.checked(content)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_damaged_head() -> None:
    with pytest.raises(ImageError, match="cannot be decoded: the file is empty"):
        images.open_image(b"")
    for kind in images.FORMATS:
        content = encoded(Image.new("RGB", (9, 9)), kind)[:12] + bytes(40)
        with pytest.raises(ImageError, match="cannot be decoded"):
            images.checked(content)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_damage_amid_a_file_whose_end_is_whole(options: dict[str, str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "TIFF" if options else "PNG", **options)
    middle = len(whole) // 2
    content = whole[:middle] + bytes(2000) + whole[middle + 2000 :]
    with pytest.raises((OSError, SyntaxError)):
        as_datasets(content)
    with pytest.raises(ImageError, match="cannot be decoded"):
        images.checked(content)


@pytest.mark.parametrize(
    "options",
    [
        {"stretch": "minmax"},
        {"stretch": True},
        {"bands": (1, 2)},
        {"bands": (0, 1, 2)},
        {"bands": [3, 2, 1]},
        {"bands": (1.0,)},
        {"bands": (True,)},
    ],
)
def test_a_conversion_that_is_none(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Conversion(**options)  # pyright: ignore[reportArgumentType]


def test_inside_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root", tmp_path / "home"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(b"")
    (inside / "link.png").symlink_to(outside / "a.png")
    (inside / "fine.png").symlink_to("a.png")
    for path in (inside / "a.png", inside / "fine.png", inside / "../root/a.png"):
        images.refuse_outside(path, [inside])
    for path in (outside / "a.png", inside / "../home/a.png", inside / "link.png"):
        with pytest.raises(ImageError, match="is not in"):
            images.refuse_outside(path, [inside])
        images.refuse_outside(path, [inside, outside])


_PACKAGES = (
    "rs_gpt4v",
    "builders/rs_gpt4v_builders",
    "training/rs_gpt4v_training",
    "evaluation/rs_gpt4v_evaluation",
)


def test_nothing_else_opens_images() -> None:
    opening = {
        path.name
        for package in _PACKAGES
        for path in (Path(__file__).parents[1] / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and (node.attr == "decode_example" or ast.unparse(node).endswith("Image.open"))
    }
    assert opening == {"images.py"}


def test_without_tifffile_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImportError, match=r'16-bit whole numbers.*pip install "rs-gpt4v\[tiff\]"'):
        images.open_image(tiff(RAMP[None].astype(np.uint16)), STRETCHED)


@needs_tifffile
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tiled_and_compressed_bands(planes: str, big_endian: bool) -> None:
    from tifffile import imwrite

    bands = np.stack([RAMP % 2048 + 100 * n for n in range(4)]).astype(np.uint16)
    file = io.BytesIO()
    imwrite(
        file,
        bands if planes == "separate" else np.moveaxis(bands, 0, 2),
        photometric="minisblack",
        planarconfig=planes,
        tile=(32, 48),
        compression="zstd",
        predictor=True,
        byteorder=">" if big_endian else "<",
    )
    conversion = Conversion(stretch="percentile", bands=(3, 2, 1))
    image = images.open_image(file.getvalue(), conversion)
    assert np.array_equal(image, images.open_image(tiff(bands), conversion))
