"""What a comparison found: as JSON, in words, and in pictures."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from fewshot.compare.answer import Answer
from fewshot.compare.hard import hard_images
from fewshot.compare.held_out import Pool
from fewshot.compare.photos import Photo, photos_to_look_at, write_thumbnails
from fewshot.compare.photos import document as photos_document
from fewshot.compare.place import DOCUMENT, Place
from fewshot.compare.verdict import classes_told, photos_ahead, verdict, what_it_is
from fewshot.data import Dataset, Splits, open_splits
from fewshot.data.protocols import Protocol
from fewshot.data.views import VIEWS
from fewshot.errors import Style, python, render
from fewshot.inspection.findings import KINDS, TOLD, Inspection, sheet_name
from fewshot.io.files import replacing, writing_results
from fewshot.report import comparison
from fewshot.report.table import aligned
from fewshot.stats import learning_curve, metrics
from fewshot.stats.calibration import bins, scaled
from fewshot.stats.comparison import ACCURACIES, summary
from fewshot.stats.intervals import Estimate
from fewshot.stats.learning_curve import Curve
from fewshot.trials.plan import Images
from fewshot.wording import readable

SUSPICIOUS = "suspicious.csv"  # a line a photo to look at, beside the document


@dataclass(frozen=True)
class Findings:
    """The end of a comparison.

    Parameters
    ----------
    answer
        Who won, what it promises, and how the others stand.
    left_out
        Strategy → why it was not tried.
    points
        The winner's balanced accuracies, training images a class → one a draw.
    tested
        The winner's accuracy on the test part, where there is one.
    images, protocol, pool
        The images, how the draws were made, and what they held out from.
    inspection
        What is suspicious about the images; None where draws differ in their classes.
    place
        Where document, pictures and model go.
    command
        The command line that asked for it, if one did.
    model
        "method", "path" and "card" of what was saved; None where nothing was.
    looks
        Position of a photo → a picture of where the saved model looks, below the place.
    figures
        The paths of the pictures.
    """

    answer: Answer
    left_out: Mapping[str, str]
    points: Mapping[int, Sequence[float]]
    tested: Estimate | None
    images: Images
    protocol: Protocol
    pool: Pool
    inspection: Inspection | None
    place: Place
    command: str = ""
    model: Mapping[str, str] | None = None
    looks: Mapping[int, str] = field(default_factory=dict)
    figures: Sequence[str] = ()

    @property
    def winner(self) -> str | None:
        """The name of the strategy to use; None where none can be named."""
        return self.answer.winner

    @property
    def splits(self) -> Splits:
        """The images, small."""
        return open_splits(self.images.small.folder)

    @property
    def classes(self) -> dict[str, int]:
        """Class → how many images it has; where all draws have some of the classes alone, of these."""
        counts = np.bincount(self.splits.train.y, minlength=len(self.splits.classes))
        of_class = list(zip(self.splits.classes, counts.tolist(), strict=True))
        return dict(self.pool.of_classes(of_class))

    @property
    def hard(self) -> list[tuple[int, int]]:
        """The images that every strategy gets wrong, each with its answer; none where there is one alone."""
        several = self.pool.same_classes and len(self.answer.said) > 1
        return hard_images(self.answer.said) if several else []

    def hard_photos(self) -> list[dict]:
        """Return what there is to know of the images that every strategy gets wrong: file, label, answer."""
        files = self.images.small.files(self.pool.part)
        part = self.splits.parts[self.pool.part]
        return [
            {
                "image": index,
                "file": readable(files[index]) if files else None,
                "label": part.classes[part.y[index]],
                "answer": self.splits.classes[answer],
            }
            for index, answer in self.hard
        ]

    @property
    def curve(self) -> Curve | None:
        """The winner's learning curve, where one was measured."""
        return learning_curve.fit(self.points, self.pool.count)

    def comparison(self, style: Style = python) -> comparison.Comparison:
        """Return what reports tell of it. style: shows the options that reasons name."""
        told = self.answer.promise
        left_out = {name: render(why, style) for name, why in self.left_out.items()}
        recall = dict(zip(self.classes, told.recall, strict=True)) if told else {}
        first, *more = verdict(self.answer, self.classes, self.curve, left_out, self.tested)
        told_first = (first, *what_it_is(self.answer), classes_told(self.classes))
        return comparison.Comparison(
            verdict=tuple(render(line, style) for line in (*told_first, *more)),
            source=self.place.source,
            classes=self.classes,
            protocol={
                **self.protocol.describe(),
                "prior": self.protocol.prior,
                "data": self.images.small.name,
            },
            table=self.answer.rows,
            left_out=left_out,
            recall={name: estimate for name, estimate in recall.items() if estimate is not None},
            curve=self._measured(),
            ahead=photos_ahead(self.curve, self.classes, self.answer.accuracy),
            model=self.model,
            figures=frozenset(self.figures),
            command=self.command,
            contents=frozenset(
                images.fingerprint for images in (self.images.small, self.images.large, self.images.views)
            ),
            data_notes=tuple(map(readable, self.images.small.notes)),
        )

    def _measured(self) -> dict[int, Estimate]:
        """Return the points of the learning curve; intervals are no narrower than the photos allow."""
        measured = {}
        for shots, accuracies in self.points.items():
            held_out = max(1, self.pool.count - shots * len(self.classes))
            told = summary(accuracies, ACCURACIES, held_out)
            measured[shots] = Estimate(float(np.mean(accuracies)), told.n, told.ci95)
        return measured

    def document(self) -> dict:
        """Return all that was found, ready for JSON."""
        told = self.answer.promise
        return {
            **comparison.document(self.comparison()),
            "promise": asdict(told) if told else None,
            "test": asdict(self.tested) if self.tested else None,
            "confusion": self.confusion().tolist() if told else None,
            "calibration": self._bins() if told else None,
            "photos": photos_document(*self.photos) if told else None,
            "wrong_under_every_method": self.hard_photos(),
            "photos_left_out": [tally.to_json() for tally in self.images.small.left_out],
            "inspection": self.inspection.document() if self.inspection else None,
        }

    def confusion(self) -> np.ndarray:
        """Return how many held-out images of each class (rows) got each of the winner's answers.

        Counts as they are: what to expect of new photos is the promise's confusion.
        """
        said = self.answer.said[self.answer.winner or ""]
        columns = self.pool.of_classes(range(len(self.splits.classes)))
        labels = np.searchsorted(columns, said.labels[said.tested])
        return metrics.confusion(labels, said.mean()[said.tested][:, columns].argmax(1), len(columns))

    def _bins(self) -> dict[str, list[float]]:
        """Return the winner's answers in bins of confidence: its mean, the accuracy, how many."""
        labels = self.splits.parts[self.pool.part].y
        tested = ~np.isnan(self.calibrated[:, 0])
        probabilities = self.calibrated[tested]
        right, parts = probabilities.argmax(1) == labels[tested], bins(probabilities)
        return {
            "confidence": [float(probabilities[part].max(1).mean()) for part in parts],
            "accuracy": [float(right[part].mean()) for part in parts],
            "count": list(map(len, parts)),
        }

    def text(self, style: Style = python) -> str:
        """Return the table, the verdict and what follows from it, for people."""
        compared = self.comparison(style)
        lines = [*compared.verdict, "", *aligned(comparison.columns(compared.table)), ""]
        if any(row.to_winner for row in compared.table):
            lines[-1:] = [comparison.SIDE_BY_SIDE, ""]
        if len(compared.table) > 1:  # what the only one is stands above
            lines += [*comparison.explained(compared.table), ""]
        lines += self.inspection.text() if self.inspection else []
        if self.inspection and self.inspection.findings:
            lines.append(f"all of these: {self.place.folder / SUSPICIOUS}")
        lines += self._hard_text()
        lines += compared.use()
        results = shlex.quote(str(self.place.folder.parents[1]))
        lines += [f"pictures and all numbers: {self.place.folder}", f"on one page: fewshot report {results}"]
        return "\n".join(lines)

    def _hard_text(self) -> list[str]:
        photos = self.hard_photos()
        if not photos:
            return []
        more = f", the first {TOLD}" if len(photos) > TOLD else ""
        told = [
            f"  {photo['file'] or f'image {index}'}: {photo['label']}; most say {photo['answer']}"
            for photo, (index, _) in zip(photos[:TOLD], self.hard, strict=False)
        ]
        every = "photos that every strategy gets wrong, hard or wrongly labelled"
        return [f"{every}: {len(photos)}{more}", *told]

    def written(self) -> Findings:
        """Draw the pictures, write the document, and return the findings with the pictures' paths."""
        place = self.place.folder
        with writing_results(place.parents[1], *place.parts[-2:]) as folder:
            self.place.clear({*comparison.SHEETS, *map(sheet_name, KINDS)})
            findings = replace(self, figures=tuple(self._plot(folder)))
            with replacing(folder / DOCUMENT) as temporary:
                temporary.write_text(json.dumps(findings.document(), indent=1), encoding="utf-8")
        return findings

    def _plot(self, folder: Path) -> list[str]:
        """Draw what there is to see; return the files' paths."""
        from matplotlib import rc_context

        from fewshot.report.plots import figures
        from fewshot.report.plots.gallery import gallery
        from fewshot.report.plots.more_photos import plot_more_photos

        paths: list[Path] = []
        if len(self.points) > 1 and self.winner:
            with rc_context(figures.STYLE):
                paths += figures.write(plot_more_photos(self.comparison()), folder / "shots")
        if self.answer.promise:
            write_thumbnails(self.photos[0], self._shown, folder)
            for kind, pictures in self._pictures().items():
                paths += gallery(pictures, folder / kind, comparison.SHEETS[kind])
        if self.inspection:
            paths += self.inspection.sheets(folder)
            self.inspection.csv(folder / SUSPICIOUS)
        return [str(path) for path in paths]

    def _pictures(self) -> dict[str, list[tuple[np.ndarray, list[str]]]]:
        """Return the galleries of photos: kind → each with its file, its label, and what was said of it."""
        pictures: dict[str, list[tuple[np.ndarray, list[str]]]] = {}
        for index, photo in self.photos[0]:
            if photo.kind != "suspicious":  # these have galleries of their own
                said = f"answer: {photo.answer}, {100 * photo.probability:.0f} %"
                lines = [photo.file, f"label: {photo.label}", said]
                pictures.setdefault(photo.kind, []).append((np.asarray(self._shown.x[index]), lines))
        return pictures

    @functools.cached_property
    def photos(self) -> tuple[list[tuple[int, Photo]], dict[str, int]]:
        """Photos to look at, with their positions, and how many there are of each kind."""
        files = self.images.small.files(self.pool.part)
        shown = self._shown
        photos, counts = photos_to_look_at(
            self.calibrated, shown.y, shown.classes, files, self.inspection, dict(self.hard)
        )
        return [(index, replace(photo, looks=self.looks.get(index, ""))) for index, photo in photos], counts

    @functools.cached_property
    def calibrated(self) -> np.ndarray:
        """What the winner said of each held-out image, calibrated, (N, classes); NaN of the others."""
        assert self.answer.winner
        assert self.answer.promise
        mean = self.answer.said[self.answer.winner].mean()
        return np.where(np.isnan(mean), np.nan, scaled(mean, self.answer.promise.temperature))

    @functools.cached_property
    def _shown(self) -> Dataset:
        """The images in the size to show them in."""
        views = open_splits(self.images.views.folder).parts[self.pool.part]
        if views.x.ndim == 5:
            return replace(views, x=views.x[:, VIEWS.index("padded")])
        return open_splits(self.images.large.folder).parts[self.pool.part]


def error_ratio(points: Mapping[int, Sequence[float]], pool: Pool) -> float:
    """Return the winner's error when trained on all images over that on the folds', by its learning curve.

    1 where draws are no folds, or where there is no curve.
    """
    curve = learning_curve.fit(points, pool.count)
    return curve.error_ratio(pool.training, pool.count) if curve and pool.folds else 1.0
