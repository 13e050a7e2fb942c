"""What a person sees of a run."""

import re
from io import StringIO

import pytest

from codagent_train.cli.progress import describe_step, show_steps

VALUES = {"reward/position_1": 0.5, "reward/position_0": 0.25, "tokens/completion": 3000.0, "seconds/step": 2.0}


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_line_has_the_reward_by_position_and_the_speed():
    assert describe_step(3, 9, VALUES) == "step 3 of 9 · reward by position 0.25 0.50 · 1,500 tokens/s"


def test_positions_come_in_the_order_of_their_numbers():
    values = VALUES | {f"reward/position_{position}": position / 100 for position in range(12)}
    assert "0.08 0.09 0.10 0.11 ·" in describe_step(3, 9, values)


def test_where_lines_stay_there_are_few_and_they_tell_the_time_left():
    stream = StringIO()
    with show_steps(stream, 25) as show:
        for step in range(1, 26):
            show(step, VALUES)
    lines = stream.getvalue().splitlines()
    assert [line.split(" of ")[0] for line in lines] == ["step 10", "step 20", "step 25"]
    assert re.fullmatch(r"step 10 of 25 · .* · 1,500 tokens/s · 0:\d\d left", lines[0])
    assert lines[-1].endswith(" · 0:00 left")


def test_after_one_step_no_time_is_guessed():
    stream = StringIO()
    with show_steps(stream, 25, done=9) as show:
        show(10, VALUES)
    assert stream.getvalue() == describe_step(10, 25, VALUES) + "\n"


@pytest.mark.parametrize("no_color", [False, True])
def test_a_bar_on_a_terminal_tells_share_and_time_left(no_color, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with show_steps(stream, 12, done=4) as show:
        for step in (5, 6):
            show(step, VALUES)
    told = stream.getvalue()
    assert bool(re.search(r"\x1b\[[\d;]*[34]\d[;m]", told)) == (not no_color)
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told).splitlines()[-1]
    assert re.search(r"50% .* \d:\d\d:\d\d left · step 6 of 12 · reward by position 0\.25 0\.50 · 1,500 tokens/s", line)


def test_before_the_first_step_a_clock_runs_on_a_terminal_and_lines_stay_away_elsewhere(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for stream, drawn in ((Terminal(), True), (StringIO(), False)):
        with show_steps(stream, 12, done=2):
            pass
        assert bool(re.search(r"loading the model, then step 3 of 12 .*0:00:00", stream.getvalue())) == drawn
        assert drawn or stream.getvalue() == ""
