"""What a comparison shows while it runs: on a terminal its table, redrawn in place; else a line a trial."""

import sys
from itertools import zip_longest

from fewshot.compare.tournament import Comparison
from fewshot.trials.record import Record
from fewshot.trials.testbed import Trial


class Board:
    """Shows on standard error how a comparison goes; a context that clears what it has drawn in place."""

    def __init__(self, comparison: Comparison):
        self._comparison = comparison
        self._live = sys.stderr.isatty()
        self._table: list[str] = []
        self._told: list[str] = []  # who was stopped, as far as it was said
        self._lines = []  # of the terminal, each a bar of tqdm's, which knows how to move between them

    def drawn(self) -> None:
        """Show how all stand after a draw; without a terminal, who was stopped by it."""
        if self._live:
            self._table = self._comparison.leaderboard()
            self._redraw("")
        elif stopped := [name for name in self._comparison.stopped if name not in self._told]:
            self._told += stopped
            print(f"stopped, clearly behind: {', '.join(stopped)}", file=sys.stderr)

    def trial(self, trial: Trial, record: Record, computed: bool) -> None:
        """Show a trial that has ended, as `testbed.run` tells of it; recorded ones are not news."""
        if not computed:
            return
        outcome = f"{record.accuracy:.2f} %" if record.ok else f"failed: {record.reason}"
        line = f"draw {trial.seed + 1:3}  {trial.method:14} {outcome}  {record.seconds:.1f} s"
        if self._live:
            self._redraw(line)
        else:
            print(line, file=sys.stderr)

    def _redraw(self, last: str) -> None:
        from tqdm import tqdm

        text = [*self._table, last]
        while len(self._lines) < len(text):
            self._lines.append(
                tqdm(bar_format="{desc}", position=len(self._lines), dynamic_ncols=True, leave=False)
            )
        for line, words in zip_longest(self._lines, text, fillvalue=""):
            line.set_description_str(words)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for line in reversed(self._lines):
            line.close()
