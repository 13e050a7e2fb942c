"""What a person sees of a run."""

from io import StringIO

from codagent_train.cli.progress import RunProgress, progress_line

VALUES = {"reward/position_1": 0.5, "reward/position_0": 0.25, "tokens/completion": 3000.0, "seconds/step": 2.0}


def test_a_line_has_the_reward_by_position_the_speed_and_the_time_left():
    assert progress_line(3, 9, VALUES, 83.2) == "step 3 of 9 · reward by position 0.25 0.50 · 1,500 tokens/s · 1:23 left"


def test_where_lines_stay_there_are_few():
    stream = StringIO()
    progress = RunProgress(stream, 25)
    for step in range(1, 26):
        progress(step, VALUES)
    assert [line.split(" of ")[0] for line in stream.getvalue().splitlines()] == ["step 10", "step 20", "step 25"]
