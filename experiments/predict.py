"""What is on these photos? A saved model answers, and says where it is not sure.

python -m experiments.predict results/model.keras photo.jpg more/photos
python -m experiments.predict results/model.keras photos --threshold 0.9 --format csv > answers.csv
"""

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fewshot import backend, cli
from fewshot.data.folder import images_below
from fewshot.errors import FewshotError, UsageError
from fewshot.trials.plan import cores

FORMATS = ("table", "csv", "json")

Answer = tuple[Path, np.ndarray]  # a file and its probabilities


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv, interrupted="interrupted; what is printed stands")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("experiments.predict"),
        description="What is on these photos? For each the class, its calibrated probability, and 'unsure' "
        "below a threshold. Photos are read as for training; one that cannot be read is a line on standard "
        "error, the others go on, and the exit code is 1 at the end.",
    )
    parser.add_argument("model", metavar="MODEL", help="NAME.keras, with its card NAME.json beside it")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE|DIR", help="files, and directories of such, also nested"
    )
    parser.add_argument(
        "--threshold",
        type=cli.share,
        default=0.8,
        metavar="P",
        help="below this probability the answer is 'unsure' (default: %(default)s)",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")
    parser.add_argument(
        "--batch", type=cli.positive, default=32, metavar="N", help="images at a time (default: %(default)s)"
    )
    cli.add_machine(parser)
    cli.add_common(parser, cache=False)
    return parser


def _run(args: argparse.Namespace) -> None:
    files = _files(args.images)
    if not Path(args.model).is_file():  # known before TensorFlow is imported
        raise UsageError(f"no such model: {args.model}")
    backend.start(args.threads or cores(), backend.resolve_device(args.device))
    from fewshot.deploy.saved import load

    saved = load(args.model)
    broken: list[Path] = []
    write = {"table": _table, "csv": _csv, "json": _json}[args.format]
    try:
        for text in write(_answers(saved, files, args.batch, broken), saved.classes, args.threshold):
            print(text.encode("utf-8", "backslashreplace").decode(), flush=True)
    except BrokenPipeError:  # who reads has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if broken:
        raise FewshotError(f"{len(broken)} of {len(files)} images could not be read")


def _files(named: Iterable[str]) -> list[Path]:
    """Return all files that are meant; `UsageError` for a directory without images."""
    files = []
    for path in map(Path, named):
        images = images_below(path) if path.is_dir() else [path]
        if not images:
            raise UsageError(f"no images in {path}")
        files += images
    return files


def _answers(saved, files: list[Path], batch: int, broken: list[Path]) -> Iterator[Answer]:
    """Yield the answers; what cannot be read goes to `broken` and to standard error."""
    for file, result in saved.stream(files, batch):
        if isinstance(result, Exception):
            broken.append(file)
            reason = " ".join(str(result).split()) or type(result).__name__
            print(f"skipped {_shown(file)} ({reason})", file=sys.stderr)
        else:
            yield file, result


def _table(answers: Iterable[Answer], classes: list[str], threshold: float) -> Iterator[str]:
    """Yield a line an image: class, probability, unsure, file."""
    width = max(len("class"), *map(len, classes))
    yield f"{'class':{width}}  probability          file"
    for file, probabilities in answers:
        best = int(probabilities.argmax())
        doubt = "unsure" if probabilities[best] < threshold else ""
        yield f"{classes[best]:{width}}  {100 * probabilities[best]:9.1f} %  {doubt:6}  {_shown(file)}"


def _csv(answers: Iterable[Answer], classes: list[str], threshold: float) -> Iterator[str]:
    """Yield comma-separated lines: file, class, probability, unsure (yes or no), and every class's."""
    yield _row(["file", "class", "probability", "unsure", *(f"p({name})" for name in classes)])
    for file, probabilities in answers:
        best = int(probabilities.argmax())
        doubt = "yes" if probabilities[best] < threshold else "no"
        numbers = [f"{p:.4f}" for p in probabilities]
        yield _row([str(file), classes[best], numbers[best], doubt, *numbers])


def _json(answers: Iterable[Answer], classes: list[str], threshold: float) -> Iterator[str]:
    """Yield one JSON document, a list with an object an image, line by line."""
    yield "["
    before = ""
    for file, probabilities in answers:
        best = int(probabilities.argmax())
        entry = {
            "file": str(file),
            "class": classes[best],
            "probability": round(float(probabilities[best]), 4),
            "unsure": bool(probabilities[best] < threshold),
            "probabilities": {
                name: round(float(p), 4) for name, p in zip(classes, probabilities, strict=True)
            },
        }
        yield f"{before} {json.dumps(entry, ensure_ascii=False)}"
        before = ","
    yield "]"


def _row(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _shown(file: Path) -> str:
    """Return a file's name on one line, whatever characters are in it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(file))


if __name__ == "__main__":
    sys.exit(main())
