"""What a comparison shows while it runs: which stage, time gone and left; on a terminal in one live line."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

from fewshot.compare.clock import Clock, minutes
from fewshot.errors import Style, python, render
from fewshot.io import progress
from fewshot.trials.record import Record
from fewshot.trials.trial import Trial

SILENCE = 8.0  # seconds after which a log is told that all is well
REDRAWN = 1.0  # seconds between two looks at the clock


class Progress:
    """What `fewshot.compare.run.compare` tells on its way; this one keeps silent.

    A context: what is drawn in place is gone when it ends.
    """

    def say(self, *lines: str) -> None:
        """Tell what is worth knowing; fields stand in it as in errors."""

    def on_stage(
        self, title: str, clock: Clock, trials: int = 0, seconds: float | None = None, then: str = ""
    ) -> None:
        """Tell which stage begins: how many trials, how long that takes, and what comes then.

        seconds: None for what is quick as a rule: it is told of where it is not.
        """

    def on_detail(self, text: str) -> None:
        """Tell how far the stage is."""

    def on_prepared(self, total: int) -> None:
        """Tell that one of so many parts of the features is there."""

    def on_record(self, trial: Trial, record: Record, computed: bool) -> None:
        """Tell of a trial that has ended, as `fewshot.trials.run.run` does."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Board(Progress):
    """Shows on standard error how a comparison goes; style: how it names fields (`fewshot.errors`).

    While it is entered a thread looks at the clock: nothing takes long in silence.
    """

    def __init__(self, style: Style = python):
        self._style = style
        self._live = sys.stderr.isatty()
        self._bar: Any = None
        self._clock: Clock | None = None
        self._stage, self._then, self._detail, self._begin = "", "", "", 0.0
        self._done, self._trials, self._prepared = 0, 0, 0
        self._told, self._last = "", time.monotonic()  # what was said of the stage, and when anything was
        self._lock, self._over = threading.RLock(), threading.Event()
        self._block = contextlib.ExitStack()

    def say(self, *lines: str) -> None:
        """Print lines, above what is live."""
        with self._lock:
            for line in lines:
                text = render(line, self._style)
                if self._bar is not None:
                    self._bar.write(text, file=_ERRORS)
                else:
                    print(text, file=sys.stderr)
                self._last = time.monotonic()

    def on_stage(
        self, title: str, clock: Clock, trials: int = 0, seconds: float | None = None, then: str = ""
    ) -> None:
        """Show which stage begins, what it costs, and what comes then."""
        with self._lock:
            self._clock, self._stage, self._then, self._begin = clock, title, then, time.monotonic()
            self._done, self._trials, self._prepared, self._detail, self._told = 0, trials, 0, "", ""
            if not self._live and seconds is not None:
                after = f"; then {then}" if then else ""
                when = f"{minutes(clock.gone())} of {minutes(clock.budget)}"
                self.say(f"[{when}] {title}: about {minutes(seconds)}{after}")
            self._draw()

    def on_detail(self, text: str) -> None:
        """Show how far the stage is; a log hears of it with the next look at the clock."""
        with self._lock:
            self._detail = text
            self._draw()

    def on_prepared(self, total: int) -> None:
        """Show how many of the features are there."""
        self._prepared += 1
        self.on_detail(f"features of the photos, part {self._prepared}/{total}")

    def on_record(self, trial: Trial, record: Record, computed: bool) -> None:
        """Show a trial that has ended; recorded ones are not news."""
        self._done += 1
        self._trials = max(self._trials, self._done)  # a strategy that is not behind gets more draws
        if not record.ok and computed:
            self.say(f"{trial.method}, draw {trial.seed + 1} failed: {record.reason}")
        self.on_detail(f"draw {self._done}/{self._trials}")

    def _look(self) -> None:
        """Show the time that has gone; in a log, where nothing has been said for long."""
        while not self._over.wait(REDRAWN):
            with self._lock:
                if self._live:
                    self._draw()
                elif self._clock is not None and time.monotonic() - self._last > SILENCE:
                    told = ": ".join(part for part in (self._stage, self._detail) if part)
                    so_far = time.monotonic() - self._begin
                    again = f", {minutes(so_far)} so far" if told == self._told else ""
                    self.say(f"[{minutes(self._clock.gone())}] {told}{again}")
                    self._told = told

    def _draw(self) -> None:
        if self._clock is None or not self._live:
            return
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                total=self._clock.budget,
                bar_format="{percentage:3.0f}% of the time |{bar}| {desc}",
                dynamic_ncols=True,
                leave=False,
                file=_ERRORS,
            )
        left = max(0.0, self._clock.left())
        then = f", then {self._then}" if self._then else ""
        self._bar.n = min(self._clock.budget, self._clock.gone())
        self._bar.set_description_str(
            " ".join(
                part for part in (f"{self._stage}{then}:", self._detail, f"{minutes(left)} left") if part
            )
        )

    def __enter__(self):
        self._over.clear()
        self._block.enter_context(progress.listening(self))
        watch = threading.Thread(target=self._look, daemon=True)
        watch.start()
        self._block.callback(watch.join)
        return self

    def __exit__(self, *error):
        self._over.set()
        self._block.close()
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _StandardError:
    """Standard error, wherever that goes by now: it changes while native code is held back."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


_ERRORS: Any = _StandardError()
