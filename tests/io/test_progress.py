"""How far something is: lines now and then without a terminal, or somebody listens."""

import pytest

from fewshot.io import progress


class Listener:
    def __init__(self):
        self.heard = []

    def say(self, *lines):
        self.heard += lines

    on_detail = say


@pytest.mark.parametrize(
    ("total", "unit", "shown"),
    [
        (300, "image", "work: 20 of 300 images"),
        (95_000_000, "", "work: 20 bytes of 95.0 MB"),
        (0, "", "work: 20 bytes"),
    ],
)
def test_a_log_gets_a_line_now_and_then(total, unit, shown, monkeypatch, capsys):
    with progress.bar(total, "work", unit) as bar:
        bar.update(10)
        assert capsys.readouterr().err == ""  # of what is quick, nothing
        monkeypatch.setattr(progress, "EVERY", 0.0)
        bar.update(10)
    assert bar.n == 20
    assert capsys.readouterr().err == f"{shown}\n"


def test_who_listens_hears_instead(capsys):
    listener = Listener()
    with progress.listening(listener), progress.bar(3, "work", "image") as bar:
        bar.update()
        progress.say("news")
        progress.detail("nearly done")
    assert listener.heard == ["work: 1 of 3 images", "news", "nearly done"]
    assert capsys.readouterr().err == ""
    progress.say("more")
    progress.detail("nobody hears of it")
    assert capsys.readouterr().err == "more\n"
