"""What is in a dataset? Counts, a random grid, mean images, pixels, PCA and t-SNE views, near-duplicates.

python -m experiments.explore --data cifar10 --features efficientnet-lite0@96
python -m experiments.explore --data path/to/photos --image-size 64 --show counts grid duplicates
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fewshot import backend, baselines, cli
from fewshot.backbones.features import extract, parse
from fewshot.data import Dataset, Splits, open_splits, prepare, verify
from fewshot.data import exploration as numbers
from fewshot.data.duplicates import pairs
from fewshot.errors import unknown
from fewshot.machine import cores
from fewshot.seeding import rng
from fewshot.wording import plural, readable

SHOWN = 20  # classes in the grid and the mean images, and pairs of near-duplicates
COLUMNS = 10  # images of a class in the grid
LISTED = 1000  # pairs of near-duplicates in the document
NAMES = {"pca": "PCA", "t-sne": "t-SNE"}
EXTRACTED = 50  # images whose features are computed between two steps of the bar


class Explorer:
    """The images, the options, and what is drawn of them: a method for each thing to show."""

    def __init__(self, splits: Splits, args: argparse.Namespace, files: Sequence[str] = ()):
        self.splits, self.args, self.files = splits, args, files  # of all parts, none of a named dataset
        self.part: Dataset = splits.parts[args.part]
        self.folder = Path(args.out) / "explore" / splits.name
        self.figures: list[str] = []

    def counts(self) -> dict:
        """Return images of each class and part."""
        from fewshot.report.plots import exploration

        by_part = numbers.counts(self.splits.parts)
        self._written(
            exploration.counts(by_part, self.folder / "counts", f"{self.splits.name}: images a class")
        )
        return by_part

    def grid(self) -> dict:
        """Plot random images of every class; return their positions."""
        positions = {}
        for label, name in enumerate(self.part.classes[:SHOWN]):
            where = np.flatnonzero(self.part.y == label)
            shown = rng(self.args.seed, f"grid {label}").permutation(where)[:COLUMNS]
            if len(shown):
                positions[name] = np.sort(shown)
        width = max(map(len, positions.values()))
        blank = np.full(self.part.image_shape, 255, np.uint8)
        rows = []
        for name, index in positions.items():
            images = [*self.part.x[index], *[blank] * (width - len(index))]
            rows.append((name, [("", image) for image in images]))
        self._sheet(rows, "grid", "random images")
        return {name: index.tolist() for name, index in positions.items()}

    def means(self) -> dict:
        """Plot the mean image of every class and its deviation; return how far apart the means are."""
        mean, std = numbers.mean_images(self.part)
        rows = [
            (name, [("mean", _image(mean[label])), ("deviation, doubled", _image(2 * std[label]))])
            for label, name in enumerate(self.part.classes[:SHOWN])
        ]
        self._sheet(rows, "means", "mean images")
        flat = mean.reshape(len(mean), -1) / 255
        apart = np.sqrt(((flat[:, None] - flat[None]) ** 2).mean(2))  # root mean square a pixel
        return {"distances": apart.round(6).tolist()}

    def pixels(self) -> dict:
        """Return mean and standard deviation a channel, of all images and of every class, in units of 255."""
        from fewshot.report.plots import exploration

        histogram = numbers.histograms(self.part)
        mean, std = numbers.moments(histogram)
        whole = numbers.moments(histogram.sum(0))
        title = f"{self._name()}: pixels"
        self._written(
            exploration.pixels(histogram.sum(0), mean, std, self.part.classes, self.folder / "pixels", title)
        )
        classes = {
            name: {"mean": _listed(mean[label]), "std": _listed(std[label])}
            for label, name in enumerate(self.part.classes)
        }
        return {"mean": _listed(whole[0]), "std": _listed(whole[1]), "classes": classes}

    def views(self) -> dict:
        """Plot PCA and t-SNE of the pixels and of the features; return the points."""
        from fewshot.report.plots import exploration

        index = numbers.sample(self.part.y, self.args.limit, self.args.seed, "views")
        sample = self.part.take(index)
        spaces = {"pixels": baselines.rows(sample.x)}
        if self.args.features:
            spaces[self.args.features] = self._features(sample.x)
        points, plotted = {}, {}
        for space, rows in spaces.items():
            print(f"views of {len(rows):,} images: {space}, {rows.shape[1]:,} numbers each", file=sys.stderr)
            views = numbers.views(rows, sample.y, self.args.seed)
            plotted[space] = {NAMES[name]: (view.points, _caption(view)) for name, view in views.items()}
            points[space] = {
                name: {
                    "points": view.points.round(4).tolist(),
                    "agree": view.agree,
                    "explained": list(view.explained),
                }
                for name, view in views.items()
            }
        title = f"{self._name()}: {len(index):,} images"
        self._written(exploration.views(plotted, sample.y, self.part.classes, self.folder / "views", title))
        return {"index": index.tolist(), "labels": sample.y.tolist(), "spaces": points}

    def duplicates(self) -> dict:
        """Plot pairs of near-duplicates; return them all, of the same part or of two."""
        parts = self.splits.parts
        whole = Dataset(
            np.concatenate([part.x for part in parts.values()]),
            np.concatenate([part.y for part in parts.values()]),
            self.part.classes,
        )
        names = np.repeat(list(parts), [len(part) for part in parts.values()])
        where = np.concatenate([np.arange(len(part)) for part in parts.values()])
        print(f"near-duplicates among {len(whole):,} images", file=sys.stderr)
        first, second = pairs(whole)
        shown = sorted(rng(self.args.seed, "duplicates").permutation(len(first))[:SHOWN])
        rows = []

        def named(k: int) -> str:
            place = readable(self.files[k]) if self.files else f"{names[k]} {where[k]}"
            return f"{place} ({whole.classes[whole.y[k]]})"

        for i, j in zip(first[shown], second[shown], strict=True):
            label = " / ".join(dict.fromkeys(map(named, (i, j))))
            rows.append((label, [("", whole.x[i]), ("", whole.x[j])]))
        if rows:
            self._sheet(
                rows, "duplicates", f"{plural(len(first), 'pair')} of near-duplicates", self.splits.name
            )
        listed = [
            [[str(names[k]), int(where[k])] for k in pair]
            for pair in list(zip(first, second, strict=True))[:LISTED]
        ]
        return {
            "pairs": len(first),
            "images": len(np.union1d(first, second)),
            "of_two_classes": int(np.sum(whole.y[first] != whole.y[second])),
            "of_two_parts": int(np.sum(names[first] != names[second])),
            "listed": listed,
            "named": [list(map(named, pair)) for pair in list(zip(first, second, strict=True))[:LISTED]],
        }

    def _features(self, x: np.ndarray) -> np.ndarray:
        from tqdm import tqdm

        backend.start(self.args.threads or cores(), backend.resolve_device(self.args.device))
        starts = range(0, len(x), EXTRACTED)
        bar = tqdm(starts, desc=self.args.features, unit_scale=EXTRACTED, unit="image", disable=None)
        return np.concatenate([extract(self.args.features, x[i : i + EXTRACTED]) for i in bar])

    def _name(self) -> str:
        return f"{self.splits.name}, {self.args.part}" if len(self.splits.parts) > 1 else self.splits.name

    def _sheet(self, rows: list, name: str, what: str, whose: str = "") -> None:
        from fewshot.report.plots.sheet import sheet

        self._written(sheet(rows, self.folder / name, f"{whose or self._name()}: {what}"))

    def _written(self, paths: list[Path]) -> None:
        self.figures += map(str, paths)
        print(paths[0], file=sys.stderr)


THINGS: dict[str, Callable[[Explorer], dict]] = {
    "counts": Explorer.counts,
    "grid": Explorer.grid,
    "means": Explorer.means,
    "pixels": Explorer.pixels,
    "views": Explorer.views,
    "duplicates": Explorer.duplicates,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    known = "\n".join(f"  {name:10}  {show.__doc__ or ''}" for name, show in THINGS.items())
    parser = cli.Parser(
        prog=cli.prog("experiments.explore"),
        description="What is in a dataset or a folder of photos? Pictures, and all numbers as JSON.",
        epilog=f"what it shows:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", nargs="+", default=["all"], metavar="NAME", help="what (default: all)")
    cli.add_data(parser)
    parser.add_argument(
        "--part", default="train", metavar="NAME", help="train, val or test (default: %(default)s)"
    )
    parser.add_argument(
        "--features",
        metavar="BACKBONE",
        help="views of its features, too: efficientnet-lite0@96, resnet50, …",
    )
    parser.add_argument(
        "--limit",
        type=cli.positive,
        default=1000,
        metavar="N",
        help="images in a view (default: %(default)s)",
    )
    cli.add_seed(parser, "decides all that is drawn at random")
    cli.add_machine(parser)
    cli.add_output(parser, "pictures and numbers")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    for name in args.show:
        if name != "all" and name not in THINGS:
            raise unknown("thing to show", name, ["all", *THINGS])
    if args.features:
        parse(args.features)
    data = prepare(cli.dataset(args), args.data_dir)
    if data.notes:
        print(*data.notes, sep="\n", file=sys.stderr)
    verify(data)
    splits = open_splits(data.folder)
    if args.part not in splits.parts:
        raise unknown("part", args.part, splits.parts)
    files = [file for part in splits.parts for file in data.files(part)]
    explorer = Explorer(splits, args, files)
    document = {
        "study": "explore",
        "data": data.name,
        "content": data.fingerprint,
        "part": args.part,
        "image_shape": list(splits.train.image_shape),
        "classes": list(splits.classes),
        "seed": args.seed,
    }
    with cli.writing_results(Path(args.out), "explore", splits.name):
        for name, show in THINGS.items():
            if {"all", name} & set(args.show):
                document[name] = show(explorer)
        document["figures"] = explorer.figures
        path = explorer.folder / "explore.json"
        path.write_text(_json(document), encoding="utf-8")
    print(cli.as_json(document, indent=None) if args.json else f"{_text(document)}\nnumbers: {path}")


def _json(document: dict) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _text(document: dict) -> str:
    """Return the numbers that fit on a screen."""
    lines = [f"{document['data']}: images of {'×'.join(map(str, document['image_shape']))}"]
    for part, by_class in document.get("counts", {}).items():
        least, most = min(by_class.values()), max(by_class.values())
        a_class = f"{most:,}" if least == most else f"{least:,} to {most:,}"
        lines.append(
            f"  {part}: {sum(by_class.values()):,} images of {len(by_class)} classes, {a_class} a class"
        )
    if pixels := document.get("pixels"):
        mean, std = (", ".join(f"{value:.4f}" for value in pixels[key]) for key in ("mean", "std"))
        lines.append(f"  pixels ({document['part']}): mean {mean}; std {std}")
    for space, views in document.get("views", {}).get("spaces", {}).items():
        for name, view in views.items():
            lines.append(f"  {NAMES[name]} of {space}: nearest point of the same class {view['agree']:.1f} %")
    if (duplicates := document.get("duplicates")) is not None:
        lines.append(
            f"  near-duplicates: {plural(duplicates['pairs'], 'pair')} of {duplicates['images']:,} images; "
            f"{plural(duplicates['of_two_parts'], 'pair')} across parts, "
            f"{duplicates['of_two_classes']:,} of two classes"
        )
    return "\n".join(lines)


def _image(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _caption(view: numbers.View) -> str:
    shares = ", ".join(f"{100 * share:.0f} %" for share in view.explained)
    explained = f"variance along the axes: {shares}; " if shares else ""
    return f"{explained}nearest of the same class: {view.agree:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
