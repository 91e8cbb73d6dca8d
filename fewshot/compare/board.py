"""What a comparison shows while it runs: on a terminal its table, redrawn in place; else a line a trial."""

import sys
from itertools import zip_longest

from fewshot.compare.tournament import Tournament
from fewshot.errors import Style, python, render
from fewshot.trials.record import Record
from fewshot.trials.trial import Trial


class Progress:
    """What `fewshot.compare.run.compare` tells on its way; this one keeps silent.

    A context: what is drawn in place is gone when it ends.
    """

    def say(self, *lines: str) -> None:
        """Tell what is worth knowing before and after the trials; fields stand in it as in errors."""

    def on_draw(self, tournament: Tournament) -> None:
        """Tell how all stand after a draw."""

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
        self._table: list[str] = []
        self._announced: list[str] = []  # the stopped methods that were announced
        self._lines = []  # of the terminal, each a bar of tqdm's, which knows how to move between them

    def say(self, *lines: str) -> None:
        """Print lines."""
        print(*(render(line, self._style) for line in lines), sep="\n", file=sys.stderr)

    def on_draw(self, tournament: Tournament) -> None:
        """Show how all stand after a draw; without a terminal, who was stopped by it."""
        if self._live:
            self._table = tournament.leaderboard()
            self._redraw("")
        elif stopped := [name for name in tournament.stopped if name not in self._announced]:
            self._announced += stopped
            self.say(f"stopped, clearly behind: {', '.join(stopped)}")

    def on_record(self, trial: Trial, record: Record, computed: bool) -> None:
        """Show a trial that has ended; recorded ones are not news."""
        if not computed:
            return
        outcome = f"{record.accuracy:.2f} %" if record.ok else f"failed: {record.reason}"
        line = f"draw {trial.seed + 1:3}  {trial.method:14} {outcome}  {record.seconds:.1f} s"
        if self._live:
            self._redraw(line)
        else:
            self.say(line)

    def _redraw(self, last: str) -> None:
        from tqdm import tqdm

        text = [*self._table, last]
        while len(self._lines) < len(text):
            self._lines.append(
                tqdm(bar_format="{desc}", position=len(self._lines), dynamic_ncols=True, leave=False)
            )
        for line, words in zip_longest(self._lines, text, fillvalue=""):
            line.set_description_str(words)

    def __exit__(self, *error):
        for line in reversed(self._lines):
            line.close()
