"""What is on these photos? A saved model answers, and says where it is not sure.

python -m experiments.predict results/model.keras photo.jpg more/photos
python -m experiments.predict results/model.keras photos --threshold 0.9 --format csv > answers.csv
python -m experiments.predict results/model.keras unlabelled --sort-into sorted
python -m experiments.predict results/model.keras photos --explain where    # what the answers rest on
python -m experiments.predict results/model.keras test    # a sub-folder a class: what the model is worth
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from experiments.saved_model import UNKNOWN, add_model, add_threshold, add_unknown, open_model, rules
from fewshot import cli
from fewshot.data.kinds import why_unreadable
from fewshot.data.tally import tallied
from fewshot.data.walk import images_below, walk
from fewshot.deploy.sorting import Sorter
from fewshot.errors import FewshotError, UsageError
from fewshot.stats import metrics
from fewshot.stats.calibration import calibration_error
from fewshot.wording import plural, readable

if TYPE_CHECKING:
    from fewshot.deploy.saved import Look, Saved

FORMATS = ("table", "csv", "json")

ADDRESS = re.compile(r"(https?|ftp|s3|gs|data|file):", re.IGNORECASE)

Answer = tuple[Path, "Look"]  # a file and what the model says of it
Shown = tuple[Path, "Look", Path | None]  # and the picture of where it looks


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv, interrupted="interrupted; what is printed stands")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("experiments.predict"),
        description="What is on these photos? For each the class and its calibrated probability: 'unsure' "
        "where that is below 0.8 (--threshold), 'none of these' where the photo resembles the training "
        "photos too little (--unknown). Photos are read as for training; one that cannot be read is a line "
        "on standard error, the others go on, and the exit code is 1 at the end. Of a folder with a "
        "sub-folder a class it says how many answers are right, too.",
    )
    add_model(parser)
    parser.add_argument(
        "images",
        type=cli.path,
        nargs="+",
        metavar="IMAGE|DIR",
        help="files, and directories of such, also nested",
    )
    add_threshold(parser)
    add_unknown(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")
    parser.add_argument(
        "--batch", type=cli.positive, default=32, metavar="N", help="images at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--sort-into",
        type=cli.path,
        metavar="DIR",
        help="copy each photo into DIR/CLASS, or DIR/unsure; nothing is overwritten",
    )
    parser.add_argument(
        "--explain",
        type=cli.path,
        metavar="DIR",
        help="write for each photo a picture DIR/NAME.png of where the model looks; nothing is overwritten",
    )
    parser.add_argument(
        "--labelled",
        action="store_true",
        help="the sub-folders of DIR are classes (default: where all of them are classes of the model)",
    )
    cli.add_machine(parser)
    cli.add_common(parser, cache=False)
    return parser


def _run(args: argparse.Namespace) -> None:
    broken: list[Path] = []
    left_out: dict[str, list[str]] = defaultdict(list)  # why → files
    files = _files(args.images, broken, left_out)
    total = len(files) + len(broken)
    saved = open_model(args)
    labels = _labels(args.images, saved.classes, args.labelled)
    sorter = Sorter(Path(args.sort_into), saved.classes) if args.sort_into else None
    explained = _explained(Path(args.explain), saved, args.threshold) if args.explain else None
    write = {"table": _table, "csv": _csv, "json": partial(_json, left_out=left_out, saved=saved)}[
        args.format
    ]
    seen: list[Answer] = []
    try:
        with tqdm(total=len(files), unit="photo", disable=None) as bar:
            answers = _answers(saved, files, args.batch, broken, left_out, bar)
            answers = _noted(answers, seen, sorter, args.threshold)
            pictured = ((file, look, explained and explained(file, look)) for file, look in answers)
            for text in write(pictured, saved.classes, args.threshold):
                with bar.external_write_mode(sys.stdout):
                    print(text, flush=True)
        if explained:
            print(f"{plural(len(seen), 'picture')} in {args.explain}", file=sys.stderr)
        lines = ["", *rules(saved, args.threshold)] if args.format == "table" else []
        for line in (*lines, *_measured(seen, labels, saved.classes)):
            print(line, file=sys.stdout if args.format == "table" else sys.stderr)
    except BrokenPipeError:  # who reads has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if broken:
        raise FewshotError(f"{len(broken)} of {total} images could not be read")


def _files(named: Iterable[str], missing: list[Path], left_out: dict[str, list[str]]) -> list[Path]:
    """Return all files that are meant; those that are not there go to `missing` and to standard error.

    left_out: is told of these, and of what is no image, why → files. Raises `UsageError` for a directory
    without images, and where no file is left.
    """
    files = []
    for path in map(Path, named):
        if path.is_dir():
            contents = walk(path)
            lines = [tally.line("left out: ") for tally in tallied(contents.left_out)]
            if not contents.files:
                raise UsageError("; ".join([f"no images in {readable(path)}", *lines]))
            for line in lines:
                print(line, file=sys.stderr)
            for why, names in contents.left_out.items():
                left_out[why] += [str(path / name) for name in names]
            files += [path / file for file in contents.files]
        elif path.exists():
            files.append(path)
        else:
            missing.append(path)
    if not files:
        raise UsageError(f"{readable(missing[0])}: {_why_missing(missing[0])}")
    for path in missing:
        why = _why_missing(path)
        left_out[why].append(str(path))
        print(f"skipped {readable(path)} ({why})", file=sys.stderr)
    return files


def _why_missing(path: Path) -> str:
    """Say why there is no such file, where its name tells."""
    if ADDRESS.match(str(path)):
        return "an address of the web: download the photo first, and name the file"
    if set("*?[") & set(str(path)):
        return "no file of this name; a pattern is written without quotes, for the shell to find the files"
    return "no such file"


def _labels(named: Iterable[str], classes: list[str], asked: bool) -> dict[Path, int]:
    """Return the labels of files in sub-folders of the directories that are named as classes are.

    asked: all sub-folders are classes; `UsageError` for one that the model does not know.
    """
    labels = {}
    for directory in (path for path in map(Path, named) if path.is_dir()):
        by_folder: dict[str, list[Path]] = {}
        for file in images_below(directory):
            folder, *rest = file.relative_to(directory).parts
            by_folder.setdefault(folder if rest else "", []).append(file)
        unknown = sorted(by_folder.keys() - set(classes))
        if unknown and asked:
            what = f"the sub-folder '{unknown[0]}' is" if unknown[0] else "photos outside of sub-folders are"
            raise UsageError(f"{directory}: {what} of no class of the model ({', '.join(classes)})")
        if not unknown:
            labels |= {file: classes.index(name) for name, files in by_folder.items() for file in files}
    return labels


def _answers(
    saved, files: list[Path], batch: int, broken: list[Path], left_out: dict[str, list[str]], bar
) -> Iterator[Answer]:
    """Yield the answers; what cannot be read goes to `broken`, `left_out` and standard error."""
    for file, result in saved.stream(files, batch):
        bar.update()
        if isinstance(result, Exception):
            broken.append(file)
            why = why_unreadable(file, result)
            left_out[why].append(str(file))
            with bar.external_write_mode(sys.stderr):
                print(f"skipped {readable(file)} ({why})", file=sys.stderr)
        else:
            yield file, result


def _noted(
    answers: Iterable[Answer], seen: list[Answer], sorter: Sorter | None, threshold: float
) -> Iterator[Answer]:
    """Yield the answers, having noted each and copied its photo."""
    for file, look in answers:
        seen.append((file, look))
        if sorter:
            sorter.copy(file, None if _doubt(look, threshold) else int(look.probabilities.argmax()))
        yield file, look


def _explained(folder: Path, saved: Saved, threshold: float) -> Callable[[Path, Look], Path]:
    """Return what writes the picture of where the model looks on a photo, and returns its file."""
    from fewshot.deploy.overlays import Overlays

    overlays = Overlays(folder, saved)

    def write(file: Path, look: Look) -> Path:
        best = int(look.probabilities.argmax())
        answer = f"{saved.classes[best]} {_percent(look.probabilities[best])} %"
        doubt = _doubt(look, threshold)
        return overlays.write(file, best, f"{answer}, {doubt}" if doubt else answer)

    return write


def _measured(answers: list[Answer], labels: dict[Path, int], classes: list[str]) -> Iterator[str]:
    """Yield in lines how right the answers are to photos whose class is known; nothing where none is."""
    known = [(labels[file], look.probabilities) for file, look in answers if file in labels]
    if not known:
        return
    truth, probabilities = np.array([label for label, _ in known]), np.stack([row for _, row in known])
    matrix = metrics.confusion(truth, probabilities.argmax(1), len(classes))
    recalls = metrics.per_class(matrix)
    width = max(len("class"), *map(len, classes))
    right = int(np.diag(matrix).sum())
    yield ""
    yield (
        f"{right} of {plural(len(known), 'photo')} right: {100 * right / len(known):.1f} %, balanced "
        f"{np.nanmean(recalls):.1f} %; calibration error {calibration_error(probabilities, truth):.1f} points"
    )
    yield f"{'class':{width}}  photos   recall  taken for"
    for label, name in enumerate(classes):
        wrong = [
            f"{classes[other]} {count}"
            for other, count in enumerate(matrix[label])
            if count and other != label
        ]
        recall = f"{recalls[label]:6.1f} %" if matrix[label].sum() else "      --"
        yield f"{name:{width}}  {matrix[label].sum():6}  {recall}  {', '.join(wrong)}".rstrip()


def _percent(probability: float) -> str:
    """Return a probability in percent; nothing that was learnt from photos is certain."""
    text = f"{100 * probability:.1f}"
    return ">99.9" if text == "100.0" else text


def _decimals(probability: float) -> float:
    return min(round(float(probability), 4), 0.9999)


def _doubt(look: Look, threshold: float) -> str:
    """Say why an answer is not to be relied on; nothing where it is."""
    if look.novel:
        return UNKNOWN
    return "unsure" if look.probabilities.max() < threshold else ""


def _set(look: Look, classes: list[str]) -> list[str]:
    """Return the classes that hold the right one with the card's coverage, the most probable first."""
    if look.named is None:
        return []
    order = np.argsort(-look.probabilities, kind="stable")
    return [classes[label] for label in order if look.named[label]]


def _table(answers: Iterable[Shown], classes: list[str], threshold: float) -> Iterator[str]:
    """Yield a line an image: class, probability, unsure, file, and which classes it may be else."""
    width = max(len("class"), *map(len, classes))
    yield f"{'class':{width}}  probability  {'':{len(UNKNOWN)}}  file"
    for file, look, _ in answers:
        best = int(look.probabilities.argmax())
        others = [name for name in _set(look, classes) if name != classes[best]]
        more = f"  (or {', '.join(others)})" if others and not look.novel else ""
        yield (
            f"{classes[best]:{width}}  {_percent(look.probabilities[best]):>9} %  "
            f"{_doubt(look, threshold):{len(UNKNOWN)}}  {readable(file)}{more}"
        )


def _csv(answers: Iterable[Shown], classes: list[str], threshold: float) -> Iterator[str]:
    """Yield comma-separated lines: file, class, probability, yes or no, the set, all probabilities."""
    numbers = [f"p({name})" for name in classes]
    yield _row(["file", "class", "probability", "unsure", "none_of_these", "set", *numbers])
    for file, look, _ in answers:
        best = int(look.probabilities.argmax())
        numbers = [f"{_decimals(p):.4f}" for p in look.probabilities]
        unsure = "yes" if look.probabilities[best] < threshold else "no"
        novel = "" if look.novel is None else "yes" if look.novel else "no"
        named = " | ".join(_set(look, classes))
        yield _row([str(file), classes[best], numbers[best], unsure, novel, named, *numbers])


def _json(
    answers: Iterable[Shown],
    classes: list[str],
    threshold: float,
    left_out: Mapping[str, list[str]],
    saved: Saved,
) -> Iterator[str]:
    """Yield one JSON document line by line: an object an image, at the end the rules and what was left out.

    "unsure_below": a probability. "none_of_these": the share of photos of the known classes that are called
    so, None where the model cannot tell.
    """
    yield '{"answers": ['
    before = ""
    for file, look, picture in answers:
        best = int(look.probabilities.argmax())
        entry = {
            "file": str(file),
            "class": classes[best],
            "probability": _decimals(look.probabilities[best]),
            "unsure": bool(look.probabilities[best] < threshold),
            "none_of_these": look.novel,
            "set": _set(look, classes) or None,
            "probabilities": {
                name: _decimals(p) for name, p in zip(classes, look.probabilities, strict=True)
            },
        }
        if picture:
            entry["picture"] = str(picture)
        yield f"{before} {cli.as_json(entry, indent=None)}"
        before = ","
    rule = {"unsure_below": threshold, "none_of_these": saved.refused}
    yield f'], "rules": {cli.as_json(rule, indent=None)},'
    yield f'"left_out": {cli.as_json([tally.to_json() for tally in tallied(left_out)], indent=None)}}}'


def _row(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


if __name__ == "__main__":
    sys.exit(main())
