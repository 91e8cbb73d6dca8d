"""Photos of more than 8 bits: scaled by what the file declares, else by the dataset's range; it is said."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from fewshot.data import DataSpec, open_splits, prepare
from fewshot.data.depth import value_range
from fewshot.data.photo import load_image

pytestmark = pytest.mark.usefixtures("own_cache")

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def tiff(path, values, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[int(tag.removeprefix("tag"))] = value
    Image.fromarray(values).save(path, "TIFF", tiffinfo=directory)


def png_of_bits(path, values, bits):
    """Write a 16-bit grey PNG that says how many bits are significant."""
    Image.fromarray(values).save(path, "PNG")
    content = path.read_bytes()
    data = b"sBIT" + bytes([bits])
    chunk = struct.pack(">I", 1) + data + struct.pack(">I", zlib.crc32(data))
    path.write_bytes(content[:33] + chunk + content[33:])


def dataset(root, make, dtype, tops=(0.6, 1.0)):
    """Write two classes of four ramps, up to these values, and return what is prepared of them."""
    for name, top in zip(("low", "high"), tops, strict=True):
        for i in range(4):
            values = (RAMP * top * (1 + i / 100)).astype(dtype)
            tiff(root / name / f"{i}.tif", values) if make is None else make(root / name / f"{i}.png", values)
    return prepare(DataSpec(str(root), 8))


@pytest.mark.parametrize(
    ("dtype", "scale", "kind"),
    [(np.uint16, 4000, "16 bits"), (np.float32, 1.0, "floats"), (np.int32, 900_000, "whole numbers")],
)
def test_the_dataset_s_range_is_spread_over_eight_bits(tmp_path, dtype, scale, kind):
    prepared = dataset(tmp_path / "x", None, dtype, (0.6 * scale, scale))
    x = open_splits(prepared.folder).train.x
    assert x.max() == 255
    assert x.min() == 0
    low, high = (open_splits(prepared.folder).train.y == label for label in (1, 0))
    assert len(np.unique(x[low][0])) > 50
    assert 1.5 < x[high].max() / x[low].max() < 1.7  # one scale for all
    assert list(prepared.levels) == [kind]
    (line,) = prepared.notes
    assert line.startswith(f"{kind}: where a file does not say what it uses, 0 to ")
    assert prepare(DataSpec(str(tmp_path / "x"), 8)).notes == prepared.notes
    views = prepare(DataSpec(str(tmp_path / "x"), 16, views=True))
    assert open_splits(views.folder).train.x.max() > 240


def test_what_a_file_declares_counts_first(tmp_path):
    values = (RAMP * 4095).astype(np.uint16)
    png_of_bits(tmp_path / "12.png", values, 12)
    assert load_image(tmp_path / "12.png", 8, {"16 bits": (0, 9)}).max() == 255
    png_of_bits(tmp_path / "16.png", values, 16)
    assert load_image(tmp_path / "16.png", 8).max() == 16
    tiff(tmp_path / "range.tif", values, tag280=0, tag281=8190)
    assert load_image(tmp_path / "range.tif", 8).max() == 128
    tiff(tmp_path / "floats.tif", (RAMP * 4).astype(np.float32))
    assert load_image(tmp_path / "floats.tif", 8, {"floats": (0.0, 8.0)}).max() == 128
    assert load_image(tmp_path / "floats.tif", 8).max() == 255  # its own range, where nothing is known


def test_what_is_no_number_is_dark_or_bright(tmp_path):
    values = (RAMP * 4).astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    tiff(tmp_path / "odd.tif", values)
    assert load_image(tmp_path / "odd.tif", 8)[0, :3, 0].tolist() == [0, 255, 0]
    assert value_range(np.zeros(0)) == (0.0, 1.0)
    assert value_range(np.full(9, 7.0)) == (0.0, 7.0)


def test_photos_that_show_nothing_are_counted_and_named(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "x" / name / f"{i}.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "x" / "a" / "black.png")
    Image.fromarray(rng.integers(0, 20, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "x" / "a" / "night.png")
    for i in range(5):
        Image.new("RGB", (8, 8), (i, 90, 90)).save(tmp_path / "x" / "b" / f"even {i}.png")
    for _ in range(2):
        assert prepare(DataSpec(str(tmp_path / "x"))).notes == (
            "5 files, of one colour all over: b/even 0.png, b/even 1.png, b/even 2.png, …",
            "1 file, black all over: a/black.png",
            "1 file, nearly black: no value above 31 of 255: a/night.png",
        )


def colours_of_16_bits(path, values):
    """Write a 16-bit PNG: of grey and transparency, colours, or both, by the number of channels."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {2: 4, 3: 2, 4: 6}[values.shape[2]]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_keep_their_lower_bytes(tmp_path, channels):
    """Twelve bits in sixteen: Pillow alone would leave sixteen steps of each colour, and hardly any light."""
    values = np.stack([RAMP * 4095] * channels, 2).astype(np.uint16)
    if channels != 3:
        values[..., -1] = 65535
    colours_of_16_bits(tmp_path / "x.png", values)
    shown = load_image(tmp_path / "x.png", 8, {"16 bits a colour": (0.0, 4095.0)})
    np.testing.assert_array_equal(shown[..., 1], np.rint(values[..., 0] * (255 / 4095)))
    assert load_image(tmp_path / "x.png", 8).max() == 16  # all bits are taken as used, where nothing is known


def test_colours_of_16_bits_are_spread_as_grey_is(tmp_path):
    def make(path, ramp):
        colours_of_16_bits(path, np.stack([ramp] * 3, 2))

    prepared = dataset(tmp_path / "x", make, np.uint16, (2400, 4000))
    x = open_splits(prepared.folder).train.x
    assert (x.min(), x.max()) == (0, 255)
    assert list(prepared.levels) == ["16 bits a colour"]
    assert prepared.notes[0].startswith("16 bits a colour: where a file does not say what it uses, 0 to ")


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_16_bits_in_a_tiff(tmp_path, order):
    values = np.stack([RAMP * 65535] * 3, 2).astype(np.uint16)
    path = tmp_path / "x.tif"
    tiff_of_16_bits(path, values, order)
    shown = load_image(path, 8, {"16 bits a colour": (0.0, 32767.5)})
    np.testing.assert_array_equal(shown, np.rint(values * (255 / 32767.5)).clip(0, 255))
    tiff_of_16_bits(path, values, order, planes=2)
    with pytest.raises(OSError, match="in separate planes are not read"):
        load_image(path, 8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["unused", "multiplied", "inks"])
def test_every_kind_of_four_colours_of_16_bits_in_a_tiff(tmp_path, kind, order, packed):
    """Twelve bits in sixteen: of the upper bytes alone sixteen steps are left."""
    grey = np.rint(RAMP * 4095)
    path = tmp_path / "x.tif"
    if kind == "inks":  # of paper white: 65535 less a little, or its black
        planes = np.stack([grey, grey, grey, np.zeros_like(grey)], 2)
        tiff_of_16_bits(path, planes, order, shown=5, packed=packed)
        wanted, levels = 255 - np.rint(grey * (255 / 4095)), (65535.0 - 4095, 65535.0)
        black = np.stack([np.zeros_like(grey)] * 3 + [grey], 2)
        tiff_of_16_bits(tmp_path / "black.tif", black, order, shown=5, packed=packed)
        shown = load_image(tmp_path / "black.tif", 8, {"16 bits a colour": levels})
        np.testing.assert_array_equal(shown, np.stack([wanted] * 3, 2))
    elif kind == "unused":
        tiff_of_16_bits(path, np.stack([grey] * 3 + [grey * 0], 2), order, extra=0, packed=packed)
        wanted, levels = np.rint(grey * (255 / 4095)), (0.0, 4095.0)
    else:
        planes = np.stack([grey / 5] * 3 + [np.full_like(grey, 65535 // 5)], 2)
        tiff_of_16_bits(path, planes, order, extra=1, packed=packed)
        wanted, levels = 204 + np.rint(grey * (255 / 4095)) / 5, (0.0, 4095.0)  # a fifth of it, on white
    shown = load_image(path, 8, {"16 bits a colour": levels})
    np.testing.assert_allclose(shown[..., 1], wanted, atol=1 if kind == "multiplied" else 0)


def test_negatives_are_turned_as_those_of_8_bits_are(tmp_path):
    values = (RAMP * 4095).astype(np.uint16)
    tiff_of_16_bits(tmp_path / "x.tif", values[..., None], "<", shown=0)
    shown = load_image(tmp_path / "x.tif", 8, {"16 bits": (0.0, 4095.0)})[..., 0]
    np.testing.assert_array_equal(shown, 255 - np.rint(values * (255 / 4095)))


def tiff_of_16_bits(path, values, order, planes=1, shown=2, extra=None, packed=False):
    """Write one, three or four planes of 16 bits, (height, width, planes): Pillow cannot.

    shown: as what, 0 for negatives, 2 for colours, 5 for inks. extra: what the fourth is. packed: compressed.
    """
    height, width, count = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    more = [] if extra is None else [(338, extra)]
    first = 8 + 2 + (10 + len(more)) * 12 + 4
    bits = 16 if count == 1 else first
    tags = [(256, width), (257, height), (258, bits), (259, 8 if packed else 1), (262, shown)]
    tags += [(273, first + 2 * count), (277, count), (278, height), (279, len(pixels)), (284, planes), *more]
    path.write_bytes(
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}IH", 8, len(tags))
        + b"".join(_entry(order, tag, value, count if tag == 258 else 1) for tag, value in tags)
        + struct.pack(f"{order}I{count}H", 0, *[16] * count)
        + pixels
    )


def _entry(order, tag, value, count):
    """Return an entry of a TIFF's directory: one number of 32 bits, or where several of 16 bits stand."""
    if tag != 258:
        return struct.pack(f"{order}HHII", tag, 4, 1, value)
    if count == 1:
        return struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return struct.pack(f"{order}HHII", tag, 3, count, value)
