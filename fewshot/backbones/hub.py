"""KerasHub's pretrained image models as backbones, `hub/PRESET` and `hub/FOLDER`: names, folders, licences.

A preset is a folder: of KerasHub (`config.json`, `image_converter.json`, `model.weights.h5`), of Hugging Face
(`config.json`, `preprocessor_config.json`, `model.safetensors`) or of timm (`config.json`,
`model.safetensors`). It lies anywhere on this machine, or is fetched into the cache from Kaggle, for a
preset's name or `kaggle://OWNER/MODEL/keras/NAME/VERSION`, or from Hugging Face, for `hf://OWNER/NAME`.

Nothing of a folder is trusted: what is read is JSON, HDF5 without links to other files, and safetensors. A
pickle is never opened. Where there is a file `SHA256SUMS` (as `sha256sum` writes it, and as everything that
is fetched gets one) each file has to be as it says before it is read.

Neither Keras nor KerasHub is started here; `fewshot.backbones.hub_graph` builds the network.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fewshot.errors import FewshotError, UsageError, unknown
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.digests import sha256_of
from fewshot.io.files import slug
from fewshot.wording import one_line

PREFIX = "hub/"
POOLS = ("class", "mean", "both")
USUAL = 224  # pixels
INSTALL = "pip install 'fewshot-testbed[hub]'"
SUMS = "SHA256SUMS"
CONFIG = "config.json"
KAGGLE, HUGGING_FACE = "kaggle://", "hf://"
FETCHED = (
    CONFIG,
    "image_converter.json",
    "preprocessor_config.json",
    "model.weights.h5",
    "model.weights.json",
    "model_*.weights.h5",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "README.md",
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Family:
    """A kind of network that KerasHub has.

    presets: the folder of its presets in KerasHub. licence: of the weights that their authors publish.
    pools: how its features can be pooled beside its own way. fixed: whether it takes one size alone, the one
    that it was trained in. opaque: whether it keeps layers of KerasHub's own, so that it is neither trained
    on nor saved.
    """

    presets: str
    licence: str
    gated: bool = False
    pools: tuple[str, ...] = ()
    fixed: bool = False
    opaque: bool = False


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "DINOV2Backbone": Family("dinov2", "Apache-2.0", pools=POOLS),
        "DINOV3Backbone": Family("dinov3", "DINOv3 License, Meta's own", gated=True, pools=POOLS),
        "SigLIPBackbone": Family("siglip", "Apache-2.0"),
        "CLIPBackbone": Family("clip", "MIT"),
        "MetaCLIP2Backbone": Family("metaclip_2", "CC-BY-NC-4.0, not for commercial use"),
        "ViTBackbone": Family("vit", "Apache-2.0", pools=POOLS),
        "DeiTBackbone": Family("deit", "Apache-2.0", pools=POOLS),
        "SwinTransformerBackbone": Family("swin_transformer", "MIT", fixed=True, opaque=True),
        "ResNetBackbone": Family("resnet", "Apache-2.0"),
        "DenseNetBackbone": Family("densenet", "Apache-2.0"),
        "EfficientNetBackbone": Family("efficientnet", "Apache-2.0", opaque=True),
        "MobileNetBackbone": Family("mobilenet", "Apache-2.0", opaque=True),
        "VGGBackbone": Family("vgg", "Apache-2.0"),
    }
)
# What other libraries call them: `model_type` of Hugging Face, the beginning of `architecture` of timm.
HUGGING_FACE_TYPES = {
    "dinov2": "DINOV2Backbone",
    "dinov2_with_registers": "DINOV2Backbone",
    "dinov3_vit": "DINOV3Backbone",
    "vit": "ViTBackbone",
    "deit": "DeiTBackbone",
    "swin": "SwinTransformerBackbone",
    "metaclip_2": "MetaCLIP2Backbone",
}
TIMM_TYPES = {
    "resnet": "ResNetBackbone",
    "densenet": "DenseNetBackbone",
    "efficientnet": "EfficientNetBackbone",
    "mobilenetv3": "MobileNetBackbone",
    "vgg": "VGGBackbone",
}


@dataclass(frozen=True)
class Short:
    """What a short name stands for.

    milliseconds: of one core for an image of 224×224, roughly: processor time on a machine that was busy,
    where EfficientNet-Lite0 took 29.
    """

    preset: str
    family: str
    parameters: int
    milliseconds: float


SHORT: Mapping[str, Short] = MappingProxyType(
    {
        "dinov2-small": Short("dinov2_small", "DINOV2Backbone", 22_582_656, 285),
        "dinov2-base": Short("dinov2_base", "DINOV2Backbone", 87_632_640, 1080),
        "siglip2-base": Short("siglip2_base_patch16_224", "SigLIPBackbone", 375_188_230, 900),
        "clip-vit-b32": Short("clip_vit_base_patch32", "CLIPBackbone", 151_277_363, 275),
        "vit-base-21k": Short("vit_base_patch16_224_imagenet21k", "ViTBackbone", 85_798_656, 740),
    }
)


@dataclass(frozen=True)
class Preset:
    """A preset's folder, read as far as JSON says it.

    form: "keras", "transformers" or "timm". family: a key of `FAMILIES`. size: pixels in which it looks at
    images by default. patch: the least size. mean, std: of pixels from 0 to 255. interpolation: how images
    are resized. licence: as the folder says it; otherwise as its authors publish the family's weights.
    """

    folder: Path
    form: str
    family: str
    size: int
    patch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    licence: str
    gated: bool

    @property
    def kind(self) -> Family:
        return FAMILIES[self.family]

    @property
    def terms(self) -> str:
        """The licence, and whether one has to agree to it first."""
        return f"{self.licence}; gated" if self.gated else self.licence


def is_hub(name: str) -> bool:
    """Return whether a backbone is one of KerasHub's."""
    return name.startswith(PREFIX) or name in SHORT


def installed() -> bool:
    """Return whether KerasHub is installed."""
    return importlib.util.find_spec("keras_hub") is not None


def need() -> None:
    """Raise `UsageError` where KerasHub is not installed."""
    if not installed():
        raise UsageError(f"backbones of KerasHub need a package more: {INSTALL}")


def check(name: str, size: int | None, pool: str) -> int:
    """Return the size at which a backbone of KerasHub looks at images: `size`, or its own.

    Nothing is fetched: of a preset that is not here, only its name is checked, and its size taken from it.
    Raises `UsageError` where there is no such preset, for a size that it does not take, and for a way of
    pooling that it does not have.
    """
    need()
    place, remote = _place(name), _is_remote(name)
    own, least = _size_in(_wanted(name)), 1  # before and after it is fetched
    if place.is_dir():
        preset = read(place)
        family: Family | None = preset.kind
        own, least = own if remote else preset.size, preset.patch
    elif remote:
        known = _known(name)
        family = FAMILIES[known.family] if known else None
    else:
        raise _no_folder(place)
    size = own if size is None else size
    if size < least:
        raise UsageError(f"'{name}' cuts images into patches of {least}×{least}. Received: {size}")
    if family and family.fixed and size != own:
        raise UsageError(f"'{name}' looks at images in {own}×{own} alone. Received: {size}")
    if pool and family and pool not in family.pools:
        ways = f"{', '.join(family.pools)}, or none" if family.pools else "its own alone: leave it out"
        raise UsageError(f"'{name}' has no pool={pool}. It pools by {ways}")
    return size


def check_open(name: str) -> None:
    """Raise `UsageError` for a backbone that keeps layers of KerasHub's own: it can only be used frozen."""
    preset = locate(name)
    if preset.kind.opaque:
        raise UsageError(
            f"'{name}' can be neither trained on nor exported: {preset.family} keeps layers of KerasHub's "
            "own. Use it frozen"
        )


def present(name: str) -> bool:
    """Return whether a backbone's folder is here, fetched or its user's own."""
    return _place(name).is_dir()


def cost(name: str) -> str:
    """Return what it takes to fetch a preset: "90 MB, Apache-2.0"; "" where nobody knows."""
    known = _known(name)
    if known is None:
        return ""
    family = FAMILIES[known.family]
    terms = f"{family.licence}; gated" if family.gated else family.licence
    return f"about {4 * known.parameters / 1e6:,.0f} MB, {terms}"


def locate(name: str) -> Preset:
    """Return a backbone's preset, fetched on first use, its files as its `SHA256SUMS` has them.

    Raises `UsageError` where there is no such folder or preset, or it is none of images; `FewshotError`
    where it cannot be fetched, is damaged or not whole.
    """
    need()
    place = _place(name)
    if not place.is_dir():
        if not _is_remote(name):
            raise _no_folder(place)
        build_once(place, functools.partial(_fetch, name))
    preset = read(place)
    _check_sums(place)
    for file in weight_files(preset):
        _check_content(file)
    return preset


def digest(name: str, random: bool = False) -> str:
    """Return what tells a folder from any other: the SHA-256 of the SHA-256s of all files that are read.

    random: of the files without the weights.
    """
    preset = locate(name)
    files = [file for file in _described(preset.folder) if file.is_file()]
    files += [] if random else weight_files(preset)
    lines = "".join(f"{_sha256(file)}  {file.name}\n" for file in sorted(files))
    return f"{'random ' if random else ''}{hashlib.sha256(lines.encode()).hexdigest()}"


def milliseconds(name: str) -> float | None:
    """Return how long one core takes for an image of 224×224, roughly; None where nobody has measured it."""
    known = _known(name) if _is_remote(name) else None
    return next((s.milliseconds for s in SHORT.values() if known and s.preset == known.name), None)


def _no_folder(place: Path) -> UsageError:
    return UsageError(f"no such folder of a preset: {place}")


# Folders


def read(folder: Path) -> Preset:
    """Return what the JSON files of a folder say; `UsageError` where it holds no backbone for images.

    Raises `FewshotError` where a file is missing or cannot be read.
    """
    config = _json(folder / CONFIG)
    form, family = _kind(folder, config)
    try:
        values = config.get("config", {}) if form == "keras" else config
        vision = values.get("vision_encoder", {}).get("config", values)
        vision = vision.get("vision_config", vision)
        own = vision.get("image_shape") or vision.get("image_size") or USUAL
        own = own[0] if isinstance(own, list | tuple) else own
        # DINO was trained in a size that few can afford; convolutions name none.
        size = USUAL if family.startswith("DINO") or "patch_size" not in vision else int(own)
        patch = vision.get("patch_size", 32)
        patch = int(patch[0] if isinstance(patch, list | tuple) else patch)
        mean, std, interpolation = _preprocessing(folder, form, config)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FewshotError(f"the preset {folder} cannot be read: {one_line(error)}") from error
    licence, gated = _terms(folder)
    kind = FAMILIES[family]
    return Preset(
        folder,
        form,
        family,
        size,
        patch,
        mean,
        std,
        interpolation,
        licence or kind.licence,
        gated or kind.gated,
    )


def weight_files(preset: Preset) -> list[Path]:
    """Return the files of a preset's weights, all of which are there; `FewshotError` otherwise."""
    folder = preset.folder
    whole, index = (
        ("model.weights.h5", "model.weights.json")
        if preset.form == "keras"
        else ("model.safetensors", "model.safetensors.index.json")
    )
    if (folder / whole).is_file():
        return [folder / whole]
    if not (folder / index).is_file():
        raise FewshotError(f"the preset {folder} is not whole: {whole} is missing{_pickled(folder)}")
    shards = _shards(folder / index)
    for name in shards:
        if not (folder / name).is_file():
            raise FewshotError(f"the preset {folder} is not whole: {name} is missing")
    return [folder / index, *(folder / name for name in shards)]


def _shards(index: Path) -> list[str]:
    """Return the names of the files that weights are spread over."""
    values = _json(index).get("weight_map")
    if not isinstance(values, dict):
        raise FewshotError(f"the preset {index.parent} cannot be read: {index.name} names no files")
    names = {str(n) for value in values.values() for n in (value if isinstance(value, list) else [value])}
    for name in names:
        if name != Path(name).name or Path(name).suffix not in (".h5", ".safetensors"):
            raise FewshotError(f"the preset {index.parent} cannot be read: {index.name} names {name!r}")
    return sorted(names)


def _pickled(folder: Path) -> str:
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if not pickles:
        return ""
    return f" ({pickles[0]} may be a pickle, which runs code, and is never opened: get .safetensors)"


def _described(folder: Path) -> list[Path]:
    return [folder / name for name in (CONFIG, "image_converter.json", "preprocessor_config.json")]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FewshotError(f"the preset {path.parent} is not whole: {path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise FewshotError(
            f"the preset {path.parent} cannot be read: {path.name}: {one_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise FewshotError(f"the preset {path.parent} cannot be read: {path.name} holds no fields")
    return content


def _kind(folder: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the form of a folder and its family."""
    if "registered_name" in config:
        _check_classes(folder, config)
        form, said = "keras", str(config["registered_name"]).rpartition(">")[2]
        family = said if said in FAMILIES else None
    elif "model_type" in config:
        form, said = "transformers", str(config["model_type"])
        family = HUGGING_FACE_TYPES.get(said)
    elif "architecture" in config:
        form, said = "timm", str(config["architecture"])
        family = next((family for start, family in TIMM_TYPES.items() if said.startswith(start)), None)
    else:
        raise UsageError(f"the folder {folder} is no preset of KerasHub, Hugging Face or timm")
    if family is None:
        known = {"keras": FAMILIES, "transformers": HUGGING_FACE_TYPES, "timm": TIMM_TYPES}[form]
        raise UsageError(
            f"the preset {folder} is of another kind, '{said}': backbones for images are {', '.join(known)}"
        )
    return form, family


def _check_classes(folder: Path, config: object) -> None:
    """Raise `FewshotError` where a configuration names a class that is neither Keras's nor KerasHub's."""
    if isinstance(config, Mapping):
        module = config.get("module")
        if isinstance(module, str) and module.split(".")[0] not in ("keras", "keras_hub", "builtins"):
            raise FewshotError(f"the preset {folder} asks for code of '{module}', which is not run")
        if config.get("class_name") in ("Lambda", "__lambda__"):
            raise FewshotError(f"the preset {folder} holds code of its own, which is not run")
        for value in config.values():
            _check_classes(folder, value)
    elif isinstance(config, list):
        for value in config:
            _check_classes(folder, value)


def _preprocessing(
    folder: Path, form: str, config: Mapping[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Return mean and deviation, in pixels from 0 to 255, and how images are resized."""
    if form == "keras":
        said = _json(folder / "image_converter.json")["config"]
        if "variance" in said:  # as KerasHub wrote it before
            deviations = [math.sqrt(value) for value in said["variance"]]
            scale = [said.get("scale", 1.0) / value for value in deviations]
            offset = [-m / s for m, s in zip(said["mean"], deviations, strict=True)]
        else:
            scale, offset = (
                _three(said.get(key), default) for key, default in (("scale", 1.0), ("offset", 0.0))
            )
        std = tuple(1 / value for value in scale)
        mean = tuple(-o * s for o, s in zip(offset, std, strict=True))
        return mean, std, str(said.get("interpolation", "bilinear"))
    if form == "timm":
        said = config["pretrained_cfg"]
        factor, ways = 1 / 255, {}
        mean, std, way = said["mean"], said["std"], said.get("interpolation", "bilinear")
    else:
        said = _json(folder / "preprocessor_config.json")
        factor, ways = said.get("rescale_factor", 1 / 255), {0: "nearest", 2: "bilinear", 3: "bicubic"}
        mean, std = said.get("image_mean", IMAGENET_MEAN), said.get("image_std", IMAGENET_STD)
        way = said.get("resample", 2)
    way = str(ways.get(way, way))
    scaled = (tuple(float(value) / factor for value in values) for values in (mean, std))
    return *scaled, way if way in ("nearest", "bilinear", "bicubic") else "bilinear"


def _three(value: float | list[float] | None, default: float) -> list[float]:
    return list(value) if isinstance(value, list | tuple) else [default if value is None else value] * 3


def _terms(folder: Path) -> tuple[str, bool]:
    """Return the licence that a folder's README names, "" for none, and whether it speaks of a gate."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "", False
    header = re.match(r"---\n(.*?)\n---", text, re.S)
    said = dict(re.findall(r"^([\w-]+):\s*[\"']?([^\"'\n]*)", header[1], re.M)) if header else {}
    licence = said.get("license_name") or said.get("license", "")
    return one_line(licence), "extra_gated_prompt" in said


# What must be so before a file is read


def _check_sums(folder: Path) -> None:
    """Raise `FewshotError` where a file is another than the folder's `SHA256SUMS` says."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise FewshotError(f"cannot read {folder / SUMS}: {one_line(error)}") from error
    for line in lines:
        said, _, name = line.partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        if not name or Path(name).name != name:  # of folders inside, which nobody reads
            continue
        if not (folder / name).is_file():
            raise FewshotError(f"the preset {folder} is not whole: {name} is missing")
        if (found := _sha256(folder / name)) != said:
            raise FewshotError(
                f"the preset {folder} is damaged: {name} has the SHA-256 {found:.12}… instead of "
                f"{said:.12}…: get it again"
            )


def _check_content(path: Path) -> None:
    """Raise `FewshotError` for what is no weight file, cut short, or reaches into other files."""
    try:
        status = path.stat()
        _check_format(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FewshotError(f"cannot read the weights {path}: {one_line(error)}") from error


@functools.lru_cache(maxsize=256)
def _check_format(path: Path, changed: int, size: int) -> None:
    """Check a file once, as it is now: that is what the other arguments tell."""
    if path.suffix == ".safetensors":
        _check_safetensors(path)
    elif path.suffix == ".h5":
        _check_hdf5(path)


def _check_safetensors(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(8)
        length = int.from_bytes(beginning, "little")
        if beginning == b"version ":
            raise ValueError("it is a pointer of Git LFS, not the weights: git lfs pull")
        if len(beginning) < 8 or not 2 <= length <= min(size - 8, 100_000_000):
            raise ValueError("it is no safetensors file, or cut short")
        header = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError("it is cut short, or damaged: its size is not what its header says")


def _check_hdf5(path: Path) -> None:
    import h5py

    def check(group: h5py.Group) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} links to elsewhere")
            item = group[name]
            if isinstance(item, h5py.Group):
                check(item)
            elif item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")

    with path.open("rb") as start:
        if start.read(8) == b"version ":
            raise ValueError("it is a pointer of Git LFS, not the weights: git lfs pull")
    with h5py.File(path, "r") as file:
        check(file)


def _sha256(path: Path) -> str:
    """Return a file's SHA-256, computed once as long as the file is the same."""
    try:
        status = path.stat()
        return _sha256_of(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise FewshotError(f"cannot read {path}: {one_line(error.strerror)}") from error


@functools.lru_cache(maxsize=256)
def _sha256_of(path: Path, changed: int, size: int) -> str:
    return sha256_of(path)


# Names


@dataclass(frozen=True)
class _Known:
    """A preset that KerasHub knows by name."""

    name: str
    handle: str
    family: str
    parameters: int


def _wanted(name: str) -> str:
    """Return what stands behind `hub/`, short names replaced."""
    text = name.removeprefix(PREFIX)
    return SHORT[text].preset if text in SHORT else text


def _is_remote(name: str) -> bool:
    """Return whether a name is a preset's, not a folder's."""
    text = _wanted(name)
    return text.startswith((KAGGLE, HUGGING_FACE)) or not ("/" in text or text.startswith((".", "~")))


def _place(name: str) -> Path:
    """Return where the folder of a backbone lies, or will once it is fetched."""
    text = _wanted(name)
    return cache_dir() / "hub" / slug(text) if _is_remote(name) else Path(text).expanduser()


def _known(name: str) -> _Known | None:
    """Return the preset of a name; None for one that only Kaggle or Hugging Face know, and for a folder.

    Raises `UsageError` for a name that KerasHub does not have, or has for something else than images.
    """
    text, presets = _wanted(name), _presets()
    if not _is_remote(name):
        return None
    known = next((preset for preset in presets if text in (preset.name, preset.handle)), None)
    if known is None and not text.startswith((KAGGLE, HUGGING_FACE)):
        if kind := _of_another_kind(text):
            raise UsageError(f"'{text}' is a preset of another kind, '{kind}', not of images")
        raise unknown("backbone", name, [*SHORT, *(PREFIX + preset.name for preset in presets)])
    return known


@functools.cache
def _presets() -> tuple[_Known, ...]:
    """Return the presets of images that the installed KerasHub knows, as its sources list them.

    It is not imported: that starts Keras, before anybody has said with how many threads.
    """
    known = []
    for name, family in FAMILIES.items():
        for preset, entry in _listed(family.presets).items():
            known.append(
                _Known(preset, entry["kaggle_handle"], name, int(entry["metadata"].get("params", 0)))
            )
    return tuple(known)


def _listed(kind: str) -> dict[str, Any]:
    """Return the table of presets of one kind; empty where there is none."""
    path = _models() / kind / f"{kind}_presets.py"
    tables: dict[str, Any] = {}
    try:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and "presets" in ast.unparse(statement.targets[0]):
                tables |= ast.literal_eval(statement.value)
    except (OSError, ValueError, SyntaxError, TypeError):  # another version of KerasHub
        return {}
    return tables


def _of_another_kind(preset: str) -> str | None:
    """Return the kind of a preset that is not of images; None for no preset."""
    for folder in sorted(_models().iterdir()):
        if preset in _listed(folder.name):
            return folder.name
    return None


def _models() -> Path:
    found = importlib.util.find_spec("keras_hub")
    assert found is not None  # `need` has been called
    assert found.submodule_search_locations is not None  # it is a package
    return Path(found.submodule_search_locations[0]) / "src" / "models"


def _size_in(name: str) -> int:
    """Return the size that a preset's name ends with or contains, or the usual one."""
    sizes = [int(part) for part in re.split(r"[^0-9a-zA-Z]+", name) if part.isdecimal()]
    return next((size for size in sizes if 192 <= size <= 1024 and size % 2 == 0), USUAL)


# Fetching


def _fetch(name: str, folder: Path) -> None:
    """Fetch a preset into a folder, check that it is whole, and write down what its files are."""
    text = _wanted(name)
    known = _known(name)
    if told := cost(name):
        print(f"fetching {name}: {told}", file=sys.stderr)
    handle = known.handle if known else text
    try:
        if handle.startswith(HUGGING_FACE):
            _from_hugging_face(handle.removeprefix(HUGGING_FACE), folder)
        else:
            _from_kaggle(handle.removeprefix(KAGGLE), folder)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:  # either library raises whatever comes up
        raise FewshotError(f"cannot fetch {name}. {_why(handle, error)}") from error
    preset = read(folder)
    for file in weight_files(preset):
        _check_content(file)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    sums = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)
    (folder / SUMS).write_text(sums, encoding="utf-8")
    print(f"weights: {name} ({preset.terms})", file=sys.stderr)


def _from_hugging_face(repository: str, folder: Path) -> None:
    import huggingface_hub

    huggingface_hub.snapshot_download(repository, local_dir=folder, allow_patterns=list(FETCHED))


def _from_kaggle(handle: str, folder: Path) -> None:
    """Fetch the files one by one: an archive of all would bring tokenizers along."""
    import kagglehub

    def fetch(name: str) -> None:
        kagglehub.model_download(handle, name, output_dir=str(folder))

    def has(name: str) -> bool:
        try:
            fetch(name)
        except Exception as error:
            if _is_missing(error):
                return False
            raise
        return True

    fetch(CONFIG)
    has("image_converter.json")
    if not has("model.weights.h5") and has("model.weights.json"):
        for shard in _shards(folder / "model.weights.json"):
            fetch(shard)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _is_missing(error: Exception) -> bool:
    return _status(error) == 404 or "not present in the model files" in str(error)


def _why(handle: str, error: Exception) -> str:
    """Return why a preset cannot be fetched, and how to mend it."""
    address = (
        f"https://huggingface.co/{handle.removeprefix(HUGGING_FACE)}"
        if handle.startswith(HUGGING_FACE)
        else f"https://www.kaggle.com/models/{'/'.join(handle.removeprefix(KAGGLE).split('/')[:2])}"
    )
    if type(error).__name__ in ("RepositoryNotFoundError", "NotFoundError") or _is_missing(error):
        return f"There is none at {address}"
    if type(error).__name__ == "GatedRepoError" or _status(error) in (401, 403):
        return f"It is gated: accept its terms at {address}, and log in there from this machine"
    reason = one_line(error)
    return f"Tried: {address} ({reason:.150}). Without a network, bring its folder, and give that: hub/PATH"
