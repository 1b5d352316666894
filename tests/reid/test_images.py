"""Every kind of picture comes in alike, and every kind of bad file is refused with one clear sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid.errors import ImageError
from reid.images import image_size, is_image_name, load_image, load_labels, looks_like_image, save_image

HEIGHT, WIDTH = 48, 32


@pytest.fixture
def scene() -> np.ndarray:
    """A smooth picture, red to the right and green downwards, that lossy formats keep nearly as it is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 7, y * 5, np.full_like(x, 90)], axis=2).astype(np.uint8)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("PPM", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 4),
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("JPEG2000", {}, 1),
        ("GIF", {}, 8),
    ],
)
def test_formats_give_the_same_picture(scene, kind, options, tolerance):
    data = encode(Image.fromarray(scene), kind, **options)
    picture = load_image(data)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable
    assert picture.flags.c_contiguous
    assert mean_difference(picture, scene) <= tolerance
    assert image_size(data) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_phone_formats(scene, kind):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    try:
        data = encode(Image.fromarray(scene), kind, quality=95)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    assert mean_difference(load_image(data), scene) < 6
    assert image_size(data) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turn_is_applied(scene, kind, orientation):
    upright = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.transpose(1, 0, 2),
        6: np.rot90(scene, -1),
        7: np.rot90(scene, 2).transpose(1, 0, 2),
        8: np.rot90(scene),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(scene), kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    picture = load_image(data)
    assert picture.shape == upright.shape
    assert mean_difference(picture, upright) <= 4
    assert image_size(data) == upright.shape[1::-1]
    assert picture.flags.c_contiguous


def test_broken_metadata_does_not_cost_the_picture(scene):
    data = encode(Image.fromarray(scene), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert load_image(data).shape == scene.shape


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_lie_on_white(scene, mode):
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:10] = 0
    image = Image.fromarray(scene).convert("L" if mode == "LA" else "RGB")
    image.putalpha(Image.fromarray(alpha))
    if mode == "PA":
        image = image.quantize(64)
    picture = load_image(encode(image, "PNG"))
    assert (picture[:10] == 255).all()
    assert mean_difference(picture[20:], np.asarray(image.convert("RGB"))[20:]) <= 1


def test_half_transparent_is_mixed_with_white():
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 128))
    assert np.unique(load_image(encode(image, "PNG"))).tolist() == [127]


def test_a_transparent_colour_of_a_palette_is_white(scene):
    image = Image.fromarray(np.zeros((20, 20), np.uint8)).convert("P")
    assert (load_image(encode(image, "GIF", transparency=0)) == 255).all()


def test_sixteen_bits_become_eight():
    ramp = np.linspace(0, 65535, 20 * 20).reshape(20, 20).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        picture = load_image(encode(Image.fromarray(ramp), kind))
        assert picture.min() == 0
        assert picture.max() == 255
        assert np.abs(picture[..., 0] - ramp / 257).max() <= 0.5


@pytest.mark.parametrize("top", [1.0, 1000.0])
def test_floats_are_stretched(top):
    ramp = np.linspace(0, top, 400, dtype=np.float32).reshape(20, 20)
    picture = load_image(encode(Image.fromarray(ramp), "TIFF"))
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("1", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("YCbCr", "JPEG")]
)
def test_modes_become_rgb(scene, mode, kind):
    image = Image.fromarray(scene).convert(mode)
    picture = load_image(encode(image, kind))
    assert picture.shape == scene.shape
    assert mean_difference(picture, np.asarray(image.convert("RGB"))) < 6


def test_the_first_frame_of_an_animation_counts(scene):
    later = Image.fromarray(np.zeros_like(scene))
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encode(Image.fromarray(scene), kind, save_all=True, append_images=[later])
        assert mean_difference(load_image(data), scene) < 8, kind


def test_content_counts_and_not_the_suffix(scene, tmp_path: Path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encode(Image.fromarray(scene), "PNG"))
    assert (load_image(path) == scene).all()
    assert looks_like_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_cut_off_file_is_named(scene, tmp_path: Path, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, scene.shape, dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "damaged or cut off" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04....", "zip"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"just a note", "text"),
        (b"\0" * 400, "no picture format"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"BMW is no bitmap", "damaged"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data, cause):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=cause) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ImageError):
        image_size(path)


def test_limits_are_checked_from_the_header():
    with pytest.raises(ImageError, match=r"9000 x 9000 are 81.0 million pixels, and at most 40"):
        load_image(png_header(9000, 9000))
    with pytest.raises(ImageError, match="million pixels"):
        load_image(png_header(60000, 60000))
    with pytest.raises(ImageError, match="12000 x 10000"):
        load_image(png_header(12000, 10000))


def test_a_refused_picture_is_one_error_and_no_warning(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png_header(12000, 10000))
    code = (
        "import sys; from reid.images import load_image; from reid.errors import ImageError\n"
        "try: load_image(sys.argv[1])\n"
        "except ImageError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


def test_limits_on_bytes_and_sides(scene, tmp_path: Path):
    data = encode(Image.fromarray(scene), "BMP")
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ImageError, match="too big"):
            load_image(source, max_bytes=1000)
    with pytest.raises(ImageError, match="too small: 15 x 40"):
        load_image(encode(Image.new("RGB", (15, 40)), "PNG"))
    assert load_image(encode(Image.new("RGB", (16, 16)), "PNG")).shape == (16, 16, 3)
    with pytest.raises(ImageError, match=r"at most 0\.001 million"):
        load_image(data, max_pixels=1000)


def test_files_that_are_not_there_or_not_files(tmp_path: Path):
    with pytest.raises(ImageError, match="does not exist"):
        load_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="a link to a file that does not exist"):
        load_image(tmp_path / "link.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        load_image("/dev/null")
    with pytest.raises(ImageError, match="cannot be read"):
        load_image("a\0b.jpg")


def test_errors_use_the_name_that_is_given(tmp_path: Path):
    path = tmp_path / "upload-8f3a.tmp"
    path.write_bytes(b"no picture at all")
    with pytest.raises(ImageError, match=r"^holiday\.jpg is no picture"):
        load_image(path, name="holiday.jpg")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]))
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    damaged = bytearray(encode(image, kind))
    for _ in range(data.draw(st.integers(1, 12))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        picture = load_image(bytes(damaged), max_pixels=100_000)
        assert picture.ndim == 3
        assert picture.dtype == np.uint8


def test_label_maps_keep_their_indices(tmp_path: Path):
    labels = (np.arange(12 * 10).reshape(10, 12) % 12).astype(np.uint8)
    grey = Image.fromarray(labels)
    palette = Image.fromarray(labels).convert("P")
    palette.putpalette([255 - i for i in range(256) for _ in range(3)])
    assert (load_labels(encode(grey, "PNG")) == labels).all()
    assert (load_labels(encode(palette, "PNG")) == labels).all()
    with pytest.raises(ImageError, match="no label map"):
        load_labels(encode(Image.new("RGB", (20, 20)), "PNG"))


@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".webp"])
def test_what_is_saved_is_read_again(scene, tmp_path: Path, suffix):
    path = tmp_path / "new" / f"picture{suffix}"
    save_image(path, scene, quality=95)
    assert is_image_name(path)
    assert mean_difference(load_image(path), scene) < 4


def test_what_cannot_be_saved_is_refused(scene, tmp_path: Path):
    with pytest.raises(ImageError, match="uint8"):
        save_image(tmp_path / "a.png", scene.astype(np.float32))
    with pytest.raises(ImageError, match="names no picture format"):
        save_image(tmp_path / "a.txt", scene)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match="cannot be written"):
        save_image(tmp_path / "file" / "a.png", scene)


def test_names_and_first_bytes(tmp_path: Path):
    assert is_image_name("a/b.JPG")
    assert not is_image_name("Thumbs.db")
    assert not is_image_name("jpg")
    assert not looks_like_image(tmp_path / "nowhere")
