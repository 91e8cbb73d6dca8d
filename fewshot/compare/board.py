"""What a comparison shows while it runs: which stage, time gone and left; on a terminal in one live line."""

from __future__ import annotations

import sys
import time

from fewshot.compare.clock import Clock
from fewshot.errors import Style, python, render
from fewshot.trials.record import Record
from fewshot.trials.trial import Trial


class Progress:
    """What `fewshot.compare.run.compare` tells on its way; this one keeps silent.

    A context: what is drawn in place is gone when it ends.
    """

    def say(self, *lines: str) -> None:
        """Tell what is worth knowing; fields stand in it as in errors."""

    def on_stage(self, title: str, clock: Clock, trials: int, seconds: float, then: str) -> None:
        """Tell which stage begins: how many trials, how long that takes, and what comes then."""

    def on_prepared(self, total: int) -> None:
        """Tell that one of so many parts of the features is there."""

    def on_record(self, trial: Trial, record: Record, computed: bool) -> None:
        """Tell of a trial that has ended, as `fewshot.trials.run.run` does."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Board(Progress):
    """Shows on standard error how a comparison goes; style: how it names fields (`fewshot.errors`)."""

    def __init__(self, style: Style = python):
        self._style = style
        self._live = sys.stderr.isatty()
        self._bar = None
        self._clock: Clock | None = None
        self._stage, self._then, self._done, self._trials, self._prepared = "", "", 0, 0, 0
        self._last = 0.0

    def say(self, *lines: str) -> None:
        """Print lines, above what is live."""
        for line in lines:
            text = render(line, self._style)
            if self._bar is not None:
                self._bar.write(text, file=sys.stderr)
            else:
                print(text, file=sys.stderr)

    def on_stage(self, title: str, clock: Clock, trials: int, seconds: float, then: str) -> None:
        """Show which stage begins, what it costs, and what comes then."""
        self._clock, self._stage, self._then = clock, title, then
        self._done, self._trials, self._prepared = 0, trials, 0
        after = f"; then {then}" if then else ""
        if not self._live:
            when = f"{minutes(clock.gone())} of {minutes(clock.budget)}"
            self.say(f"[{when}] {title}: about {minutes(seconds)}{after}")
        self._draw()

    def on_prepared(self, total: int) -> None:
        """Show how many of the features are there."""
        self._prepared += 1
        self._draw(f"features {self._prepared}/{total}")

    def on_record(self, trial: Trial, record: Record, computed: bool) -> None:
        """Show a trial that has ended; recorded ones are not news."""
        self._done += 1
        self._trials = max(self._trials, self._done)  # a strategy that is not behind gets more draws
        if not record.ok and computed:
            self.say(f"{trial.method}, draw {trial.seed + 1} failed: {record.reason}")
        self._draw(f"draw {self._done}/{self._trials}")

    def _draw(self, detail: str = "") -> None:
        if self._clock is None:
            return
        if not self._live:
            if detail and time.monotonic() - self._last > 15:  # no silent gaps in a log
                self._last = time.monotonic()
                self.say(f"[{minutes(self._clock.gone())}] {self._stage}: {detail}")
            return
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                total=self._clock.budget,
                bar_format="{percentage:3.0f}% of the time |{bar}| {desc}",
                dynamic_ncols=True,
                leave=False,
            )
        left = max(0.0, self._clock.left())
        then = f", then {self._then}" if self._then else ""
        self._bar.n = min(self._clock.budget, self._clock.gone())
        self._bar.set_description_str(
            " ".join(part for part in (f"{self._stage}{then}:", detail, f"{minutes(left)} left") if part)
        )

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def minutes(seconds: float) -> str:
    """Return "45 s" or "2:05 min"."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"
