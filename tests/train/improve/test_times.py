"""The seconds of a phase count whatever ends the command."""

import signal
import subprocess
import sys

import pytest

from codagent_train.improve.times import count_seconds, read_times

BLOCK = """
import sys, time
from pathlib import Path
from codagent_train.improve import times
times._KEEP_S = 0.1
with times.count_seconds(Path(sys.argv[1]), "train"):
    while not times.read_times(Path(sys.argv[1])).get("train", 0.0) > 3.0:
        time.sleep(0.02)
    print("counted", flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_seconds_of_a_killed_command_count(end, tmp_path):
    (tmp_path / "times.json").write_text('{"tasks": 5.0, "train": 2.5}')
    child = subprocess.Popen([sys.executable, "-c", BLOCK, tmp_path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "counted\n"
    child.send_signal(end)
    assert child.wait(timeout=60) == -end
    times = read_times(tmp_path)
    assert times["train"] > 3.0
    with count_seconds(tmp_path, "train"):
        pass
    assert read_times(tmp_path) == {"tasks": 5.0, "train": pytest.approx(times["train"], abs=1.0)}
