"""The user's own folders: every kind of image file, every way in which a folder can be unfit."""

import io
import os
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewshot import machine
from fewshot.data import DataSpec, decoding, folder, kinds, open_splits, photo, prepare, verify
from fewshot.data.walk import images_below
from fewshot.errors import FewshotError, NoRoom, UsageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    """Two classes with two images each."""
    root = tmp_path / "photos"
    for name, colour in (("leaves", GREEN), ("sky", BLUE)):
        for i in range(2):
            write(root / name / f"{i}.png", colour)
    return root


def write(path, colour=RED, size=(40, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


def splits_of(root, image_size=None):
    return open_splits(prepare(DataSpec(str(root), image_size)).folder)


def grey16(path, value):
    Image.fromarray(np.full((20, 20), value, np.uint16)).save(path)


def rgb16(path, value):
    """A 16-bit RGB PNG, which Pillow reads but does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + struct.pack(">3H", value, 0, 65535) * 20) * 20
    header = struct.pack(">2I5B", 20, 20, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def halves(mode, left, right):
    image = Image.new(mode, (20, 20), left)
    image.paste(right, (10, 0, 20, 20))
    return image


MODES = {
    "1": (halves("1", 0, 1), (0, 0, 0), WHITE),
    "L": (halves("L", 10, 200), (10,) * 3, (200,) * 3),
    "LA": (halves("LA", (10, 255), (10, 0)), (10,) * 3, WHITE),
    "P": (halves("RGB", RED, BLUE).quantize(4), RED, BLUE),
    "RGB": (halves("RGB", RED, BLUE), RED, BLUE),
    "RGBA": (halves("RGBA", (*RED, 255), (*BLUE, 0)), RED, WHITE),
    "RGBA half": (halves("RGBA", (0, 0, 0, 128), (0, 0, 0, 255)), (127,) * 3, (0, 0, 0)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(name, tmp_path):
    image, left, right = MODES[name]
    image.save(tmp_path / "image.png")
    found = photo.load_image(tmp_path / "image.png", 20)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found[10, 2], left, atol=1)
    np.testing.assert_allclose(found[10, 17], right, atol=1)


def test_a_transparent_palette_lies_on_white(tmp_path):
    image = halves("RGB", RED, BLUE).quantize(4)
    image.save(tmp_path / "image.png", transparency=image.getpixel((0, 0)))
    found = photo.load_image(tmp_path / "image.png", 20)
    assert tuple(found[10, 2]) == WHITE
    assert tuple(found[10, 17]) == BLUE


@pytest.mark.parametrize("value", [0, 257 * 100, 65535])
def test_sixteen_bits_are_scaled_not_clipped(value, tmp_path):
    grey16(tmp_path / "grey.png", value)
    assert (photo.load_image(tmp_path / "grey.png", 8) == value // 257).all()
    rgb16(tmp_path / "rgb.png", value)
    assert tuple(photo.load_image(tmp_path / "rgb.png", 8)[4, 4]) == (value // 257, 0, 255)


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "image.jpg")
    np.testing.assert_allclose(photo.load_image(tmp_path / "image.jpg", 8)[4, 4], RED, atol=6)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "bmp", "gif", "webp"])
def test_every_format(suffix, tmp_path):
    write(tmp_path / f"image.{suffix}", RED)
    np.testing.assert_allclose(photo.load_image(tmp_path / f"image.{suffix}", 8)[4, 4], RED, atol=6)


def test_the_first_frame_of_a_gif(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in (GREEN, RED)]
    frames[0].save(tmp_path / "image.gif", save_all=True, append_images=frames[1:])
    assert tuple(photo.load_image(tmp_path / "image.gif", 8)[4, 4]) == GREEN


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, tmp_path):
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:32, :32] = RED
    upright[:32, 32:] = GREEN
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that the camera applied
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "image.jpg", exif=exif, quality=95)
    found = photo.load_image(tmp_path / "image.jpg", 8)
    for at, colour in (((1, 1), RED), ((1, 6), GREEN), ((6, 1), (0, 0, 0)), ((6, 6), (0, 0, 0))):
        np.testing.assert_allclose(found[at], colour, atol=12)


def test_the_short_side_is_fitted_and_the_centre_cut(tmp_path):
    image = Image.new("RGB", (90, 30), RED)
    image.paste(GREEN, (30, 0, 60, 30))
    image.save(tmp_path / "wide.png")
    assert (photo.load_image(tmp_path / "wide.png", 10).argmax(axis=-1) == 1).all()


def test_a_large_jpeg_is_not_aliased(tmp_path):
    stripes = np.zeros((1024, 1024), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.jpg", quality=95)
    np.testing.assert_allclose(photo.load_image(tmp_path / "stripes.jpg", 32), 127, atol=4)


def test_a_folder_becomes_splits(photos):
    prepared = prepare(DataSpec(str(photos), 16))
    verify(prepared)
    splits = open_splits(prepared.folder)
    assert prepared.name == "photos"
    assert (prepared.default_protocol, prepared.default_ways) == ("distinct", None)
    assert splits.classes == ("leaves", "sky")
    assert splits.train.x.shape == (4, 16, 16, 3)
    assert splits.train.y.tolist() == [0, 0, 1, 1]
    assert (splits.train.x[0] == GREEN).all()
    assert (splits.train.x[3] == BLUE).all()
    assert splits.test is None


def test_nested_unicode_and_hidden_names(photos):
    write(photos / "sky" / "März 2024" / "blaue Stunde é.png")
    write(photos / "sky" / ".thumbnails" / "small.png")
    write(photos / "sky" / ".hidden.png")
    write(photos / ".cache" / "0.png")
    (photos / "sky" / "notes.txt").write_text("no image, no complaint")
    splits = splits_of(photos)
    assert splits.classes == ("leaves", "sky")
    assert np.bincount(splits.train.y).tolist() == [2, 3]


def bomb(path):
    """A PNG that says it has 400 million pixels."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">2I", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def cut_off(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])


UNREADABLE = {
    "text": lambda path: path.write_text("this is no image"),
    "empty": lambda path: path.touch(),
    "cut off": cut_off,
    "bomb": bomb,
}


REASONS = {
    "text": "no images (.jpg)",
    "empty": "empty",
    "cut off": "cut off",
    "bomb": "too large to be decoded safely",
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_file_is_named_and_skipped(kind, photos, capsys):
    UNREADABLE[kind](photos / "leaves" / "00 bad.jpg")
    prepared = prepare(DataSpec(str(photos)))
    assert "".join(capsys.readouterr()) == ""  # who asked says it, once
    assert [(one.count, one.files) for one in prepared.left_out] == [(1, ("leaves/00 bad.jpg",))]
    assert prepared.notes[1:] == (f"left out: 1 file, {REASONS[kind]}: leaves/00 bad.jpg",)
    splits = open_splits(prepared.folder)
    assert splits.train.y.tolist() == [0, 0, 1, 1]
    assert (splits.train.x[0] == GREEN).all()


HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def readers(monkeypatch, *without):
    """Read these kinds no more."""
    left = tuple(kind for kind in kinds.WANTED if kind not in without)
    for module in (kinds, photo, folder, decoding):
        monkeypatch.setattr(module, "formats", lambda: left)


def test_a_file_is_what_its_content_says(photos, monkeypatch):
    """Whatever its name is; what cannot be read is counted by its kind, on the second run as on the first."""
    readers(monkeypatch, "HEIF")
    for i, name in enumerate(("a.jfif", "b.jpe", "c", "d.dat")):
        write(photos / "sky" / name, RED, format="JPEG" if i < 3 else "PNG")
    write(photos / "sky" / "e.ppm", RED)
    write(photos / "sky" / "f.avif", RED)
    for name in ("x.HEIC", "y.heic", "renamed.jpg"):
        (photos / "sky" / name).write_bytes(HEIC_HEAD)
    (photos / "sky" / "z.jxl").write_bytes(b"\xff\x0a" + bytes(99))
    (photos / "sky" / "raw.nef").write_bytes(b"II*\0" + bytes(99))
    (photos / "sky" / "notes.txt").write_text("no image")
    for _ in range(2):
        prepared = prepare(DataSpec(str(photos)))
        assert np.bincount(open_splits(prepared.folder).train.y).tolist() == [2, 8]
        assert [(one.what, one.count) for one in prepared.left_out] == [
            ("HEIC, which the package pi-heif reads", 3),
            ("kinds of images that are not read (.nef)", 1),
            ("kinds of images that are not read (JPEG XL)", 1),
            ("no images (.txt)", 1),
        ]
    blank, first, *_ = prepared.notes
    assert blank.startswith("10 files, of one colour all over: leaves/0.png, ")
    names = "sky/renamed.jpg, sky/x.HEIC, sky/y.heic"
    assert first == f"left out: 3 files, HEIC, which the package pi-heif reads: {names}"


def test_a_class_all_of_what_cannot_be_read_says_so(photos, monkeypatch):
    readers(monkeypatch, "HEIF")
    for i in range(2):
        (photos / "sky" / f"{i}.png").unlink()
        (photos / "sky" / f"{i}.heic").write_bytes(HEIC_HEAD)
    with pytest.raises(UsageError, match=r"'sky' in .* \(2 HEIC, which the package pi-heif reads\)"):
        prepare(DataSpec(str(photos)))


def test_files_are_decoded_once_what_reads_them_is_there(photos, monkeypatch):
    write(photos / "sky" / "late.avif", RED)
    with monkeypatch.context() as patch:
        readers(patch, "AVIF", "HEIF")
        first = prepare(DataSpec(str(photos)))
    assert [one.what for one in first.left_out] == ["AVIF, which Pillow reads from version 11.3 on"]
    again = prepare(DataSpec(str(photos)))
    assert again.left_out == ()
    assert len(again.files()) == len(first.files()) + 1


def test_a_second_run_decodes_nothing_and_a_change_is_seen(photos, monkeypatch):
    first = prepare(DataSpec(str(photos)))
    with monkeypatch.context() as patch:
        patch.setattr(folder, "decoded", None)
        assert prepare(DataSpec(str(photos))) == first
    write(photos / "sky" / "0.png", RED)
    changed = prepare(DataSpec(str(photos)))
    assert changed.fingerprint != first.fingerprint
    assert prepare(DataSpec(str(photos), 16)).folder != changed.folder


def test_images_are_decoded_into_files_not_into_memory(photos, tmp_path):
    """What cannot be read leaves no gap there."""
    (photos / "leaves" / "00 bad.jpg").write_text("no image")
    (tmp_path / "scratch").mkdir()
    splits, files, left_out, _ = folder.decode(folder.layout_of(photos), 16, tmp_path / "scratch", {})
    assert isinstance(splits.train.x, np.memmap)
    assert [one.count for one in left_out] == [1]
    assert files == {"train": ["leaves/0.png", "leaves/1.png", "sky/0.png", "sky/1.png"]}
    assert [tuple(image[4, 4]) for image in splits.train.x] == [GREEN, GREEN, BLUE, BLUE]


def test_the_files_of_the_images_are_known_in_every_rendition(divided):
    (divided / "train" / "leaves" / "00 bad.png").write_text("no image")
    small = prepare(DataSpec(str(divided)))
    assert small.files("test") == [f"test/{name}/{i}.png" for name in ("leaves", "sky") for i in range(2)]
    assert small.files("train")[0] == "train/leaves/0.png"
    for spec in (DataSpec(str(divided), 48), DataSpec(str(divided), 24, views=True)):
        other = prepare(spec)
        verify(other)
        assert other.directory == divided.resolve()
        assert [other.files(part) for part in ("train", "val", "test")] == [
            small.files(part) for part in ("train", "val", "test")
        ]
        assert other.notes == small.notes
        for part in ("train", "test"):
            one, another = open_splits(small.folder).parts[part], open_splits(other.folder).parts[part]
            assert (one.y == another.y).all()
            assert (one.groups == another.groups).all()
    assert open_splits(other.folder).train.x.shape == (6, 5, 24, 24, 3)
    assert prepare(DataSpec("digits")).files() == []


def test_a_rendition_of_files_that_are_gone_says_so(photos, monkeypatch):
    prepare(DataSpec(str(photos)))
    monkeypatch.setattr(folder, "load_image", lambda path, size: 1 / 0)
    with pytest.raises(FewshotError, match=r"0\.png cannot be read any more .*: run again"):
        prepare(DataSpec(str(photos), 48))


def test_large_photos_are_shrunk_as_they_are_decoded(tmp_path):
    for suffix in ("png", "jpg"):
        write(tmp_path / f"large.{suffix}", size=(900, 400))
        image = photo.read_photo(tmp_path / f"large.{suffix}", 50)
        assert 100 <= min(image.size) < 200
        assert photo.read_photo(tmp_path / f"large.{suffix}", 300).size == (900, 400)


def test_how_large_the_images_are(photos, tmp_path):
    write(photos / "sky" / "large.png", size=(90, 60))
    (photos / "sky" / "broken.png").touch()
    assert decoding.short_side(images_below(photos)) == 60
    assert decoding.short_side([]) == 0


def test_the_fingerprint_is_the_content_s(photos, tmp_path):
    first = prepare(DataSpec(str(photos)))
    (photos / "sky" / "0.png").rename(photos / "sky" / "00.png")
    again = prepare(DataSpec(str(photos)))
    assert again.folder != first.folder
    assert again.fingerprint == first.fingerprint


@pytest.fixture
def divided(tmp_path):
    """A folder that is split already."""
    root = tmp_path / "divided"
    for part, images in (("train", 3), ("val", 1), ("test", 2)):
        for name, colour in (("leaves", GREEN), ("sky", BLUE)):
            for i in range(images):
                write(root / part / name / f"{i}.png", colour)
    return root


def test_folders_that_are_split_already(divided):
    splits = splits_of(divided)
    assert splits.classes == ("leaves", "sky")
    assert {name: len(part) for name, part in splits.parts.items()} == {"train": 6, "val": 2, "test": 4}
    assert (splits.test.x[splits.test.y == 1] == BLUE).all()


def test_split_folders_must_agree_in_their_classes(divided):
    write(divided / "test" / "clouds" / "0.png")
    with pytest.raises(UsageError, match=r"classes of train/ and test/ differ in 'clouds'"):
        splits_of(divided)


def test_a_folder_beside_the_parts_is_no_class(divided):
    write(divided / "clouds" / "0.png")
    with pytest.raises(UsageError, match=r"look like parts, but clouds/ beside them does not"):
        splits_of(divided)


def test_a_part_in_which_a_class_is_empty(divided):
    (divided / "val" / "sky" / "0.png").unlink()
    with pytest.raises(UsageError, match=r"'sky' in the part val of .* has no readable image"):
        splits_of(divided)


def test_unfit_folders(tmp_path, photos, cache):
    with pytest.raises(UsageError, match="no such directory"):
        splits_of(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no such directory"):
        splits_of(photos / "sky" / "0.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="one sub-folder of images per class"):
        splits_of(tmp_path / "empty")
    write(tmp_path / "single" / "cats" / "0.png")
    with pytest.raises(UsageError, match=r"only one class \('cats'\)"):
        splits_of(tmp_path / "single")
    (photos / "clouds").mkdir()
    with pytest.raises(UsageError, match=r"'clouds' in .*photos has no readable image"):
        splits_of(photos)
    with pytest.raises(UsageError, match="image_size= must be 1 or more"):
        splits_of(photos, 0)
    assert not list(cache.glob("data/*[!k]"))


def test_photos_of_the_same_name_size_and_time_elsewhere_are_others(tmp_path):
    """The first folder's once were served for the second's."""
    prng, fingerprints = np.random.default_rng(0), set()
    for place in ("one", "two"):
        for file in ("cat/0.bmp", "dog/0.bmp"):
            path = tmp_path / place / "photos" / file
            path.parent.mkdir(parents=True)
            Image.fromarray(prng.integers(0, 255, (40, 40, 3)).astype(np.uint8)).save(path)
            os.utime(path, (315532800, 315532800))  # 1980: as archives say that were made alike
        fingerprints.add(prepare(DataSpec(str(tmp_path / place / "photos"))).fingerprint)
    assert len(fingerprints) == 2


@pytest.mark.parametrize("size", [32, 40])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train_x.npy", None),
        ("train_groups.npy", "cut"),
        ("meta.json", "[]"),
        ("files.json", "[7]"),
        ("files.json", '{"train": ["a.jpg"]}'),
    ],
)
def test_damaged_renditions_are_decoded_anew(file, content, size, photos, capsys):
    before = open_splits(prepare(DataSpec(str(photos), size)).folder).fingerprint()
    folder = prepare(DataSpec(str(photos), size)).folder
    path = folder / file
    path.unlink() if content is None else path.write_text(content)
    capsys.readouterr()
    prepared = prepare(DataSpec(str(photos), size))
    assert f"the cache folder {folder} is damaged (" in capsys.readouterr().err
    assert open_splits(prepared.folder).fingerprint() == before
    assert len(prepared.files()) == len(open_splits(prepared.folder).train)


def test_images_larger_than_memory_are_refused_with_the_size_that_fits(photos, monkeypatch):
    with pytest.raises(NoRoom, match=r"at 1,000,000×1,000,000 pixels .* use image_size=\d+ or less"):
        prepare(DataSpec(str(photos), 1_000_000))
    monkeypatch.setattr(decoding, "memory", lambda: 6 * 8 * 50**2)  # for eight photos
    monkeypatch.setattr(machine, "memory", lambda: 6 * 8 * 50**2)
    decoding.check_memory(8, 50)
    with pytest.raises(NoRoom, match=r"8 photos at 51×51 pixels .* use image_size=50 or less"):
        decoding.check_memory(8, 51)


def test_images_larger_than_the_disk_are_refused(photos, monkeypatch):
    prepare(DataSpec(str(photos)))
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom, match=r"at 64×64 pixels .* 1\.0 kB are free: a smaller image_size="):
        prepare(DataSpec(str(photos), 64))
