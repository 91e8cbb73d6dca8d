"""Trials that break: by a user's code, or for want of memory. The others go on."""

import sys
from dataclasses import dataclass

import pytest
from helpers import Brightness, records, trials_of

from fewshot import cli, machine
from fewshot.errors import DEBUG, FewshotError, NoRoom, UsageError
from fewshot.trials.run import RETRIED

pytestmark = pytest.mark.usefixtures("started")


class Stop(BaseException):
    """What no `except Exception` catches."""


def endless(x):
    return endless(x)


BREAKS = {
    "KeyError": lambda: {}["width"],
    "RecursionError": lambda: endless(0),
    "SystemExit": lambda: sys.exit("enough"),
    "Stop": lambda: (_ for _ in ()).throw(Stop("now")),
}


@dataclass
class Breaks(Brightness):
    """Breaks in some way, for some seeds."""

    how: str = "KeyError"
    seeds: tuple[int, ...] = (0, 1, 2)

    def fit(self, train, seed, watch=None, checkpoint=None):
        if seed in self.seeds:
            BREAKS[self.how]()
        return super().fit(train, seed, watch, checkpoint)


@dataclass
class Large(Brightness):
    """Takes more memory than there is, until there is more."""

    allocated = True

    def fit(self, train, seed, watch=None, checkpoint=None):
        if Large.allocated:
            raise MemoryError("Unable to allocate 7.28 TiB for an array")
        return super().fit(train, seed, watch, checkpoint)


@pytest.mark.parametrize("how", list(BREAKS))
def test_a_trial_that_a_users_code_breaks_is_recorded_as_failed_and_the_others_go_on(data, results, how):
    run = results(trials_of(data, Brightness(), Breaks(how=how, seeds=(1,))))
    assert [record.ok for record in run] == [True, True, True, False, True, True]
    reason = run[3].reason
    assert reason.startswith(f"{RETRIED}the method 'b' fails (test_failures.py, line ")
    assert f"{how}: " in reason
    assert "\n" not in reason


def test_where_nothing_comes_to_its_end_the_reason_is_the_answer(data, results, tmp_path):
    with pytest.raises(
        UsageError, match=r"^the method 'a' fails \(test_failures.py, line \d+\): KeyError: 'width'$"
    ):
        results(trials_of(data, Breaks()))
    assert not any(record.ok for record in records(tmp_path / "results").values())


def test_a_training_that_diverged_is_a_result_beside_one_that_broke(data, results):
    diverged, broken = results(trials_of(data, Brightness(diverges=(0,)), Breaks(), seeds=1))
    assert "no longer finite" in diverged.reason
    assert broken.reason.startswith(RETRIED)


def test_a_full_memory_is_a_failed_trial_which_is_tried_again(data, results, monkeypatch):
    trials = trials_of(data, Brightness(), Large(), seeds=1)
    failed = results(trials)[1]
    assert failed.reason == (
        f"{RETRIED}the memory is full (Unable to allocate 7.28 TiB for an array): "
        "a smaller network, batch or image fits"
    )
    monkeypatch.setattr(Large, "allocated", False)
    assert results(trials)[1].ok


def test_a_network_that_no_machine_holds_is_refused_before_it_is_built(monkeypatch):
    from fewshot.models.cost import check_room

    monkeypatch.setattr(machine, "memory", lambda: 10**9)
    check_room("baseline:width=32", (32, 32, 3), 2, 128)
    told = r"'baseline:width=8192' on images of 32×32 pixels, .* parameters, would take .* GB of memory"
    with pytest.raises(NoRoom, match=told):
        check_room("baseline:width=8192", (32, 32, 3), 2, 128)


def test_a_traceback_is_shown_where_it_is_asked_for(data, results, monkeypatch, capsys):
    results(trials_of(data, Brightness(), Breaks(), seeds=1))
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv(DEBUG, "yes")
    results(trials_of(data, Brightness(), Breaks(), seeds=1))
    assert "BREAKS[self.how]()" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("no"), 2), (FewshotError("no"), 1), (MemoryError(), 1)]
)
def test_a_commands_error_is_one_line_and_with_debug_a_traceback(error, code, monkeypatch, capsys):
    def parser():
        made = cli.Parser(prog="mine")
        cli.add_common(made)
        return made

    def program(args):
        raise error

    monkeypatch.delenv(DEBUG, raising=False)
    assert cli.run(program, parser, []) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setenv(DEBUG, "")  # so that what the option sets is taken back
    assert cli.run(program, parser, ["--debug"]) == code
    assert "Traceback" in capsys.readouterr().err


def test_memory_is_told_in_words(monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: 5 * 10**8)
    machine.room(10**6, "a picture", "less fits")
    with pytest.raises(
        NoRoom, match=r"^40 pictures would take 3\.1 GB of memory, and 500 MB are free: 6 fit$"
    ):
        machine.room(3_100_000_000, "40 pictures", "6 fit")
