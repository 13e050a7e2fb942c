"""The metrics of a run in the programs that draw them."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from codagent.errors import UsageError
from codagent_train.run_dir import loggers, metrics
from tests.train.command import run_train

pytestmark = pytest.mark.usefixtures("hushed")

TOY = (Path(__file__).parents[3] / "train/codagent_train/recipe/shipped/toy.toml").read_text()


def drawn(out):
    """Name, then step and value, as tensorboard reads them."""
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def lines(out):
    found = {}
    for line in metrics.read(out / metrics.FILE):
        for name, value in line.items():
            if name != "step":
                found.setdefault(name, []).append((line["step"], pytest.approx(value, rel=1e-5)))
    return found


def test_a_run_is_drawn_by_both_under_the_names_of_its_metrics(tmp_path):
    recipe, out = tmp_path / "short.toml", tmp_path / "out"
    recipe.write_text(TOY.replace("steps = 150", "steps = 2").replace("packs = 16", "packs = 4"))
    store = tmp_path / "trackio"
    done = run_train("run", recipe, "--out", out, "--log", "tensorboard", "--log", "trackio", TRACKIO_DIR=str(store))
    assert (done.returncode, done.stdout) == (0, f"{out}/checkpoint-2\n"), done.stderr
    assert drawn(out) == lines(out)
    with sqlite3.connect(store / f"{loggers.PROJECT}.db") as opened:
        rows = opened.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step").fetchall()
    assert [(name, step) for name, step, _ in rows] == [(str(out), 1), (str(out), 2)]
    assert [{"step": step, **json.loads(values)} for _, step, values in rows] == metrics.read(out / metrics.FILE)


def test_steps_that_are_done_again_are_drawn_once(tmp_path):
    metrics.append(tmp_path / metrics.FILE, 1, {"loss/total": 0.5})
    with loggers.open_loggers(["tensorboard"], tmp_path) as tell:
        tell(2, {"loss/total": 0.25})
    with loggers.open_loggers(["tensorboard", "tensorboard"], tmp_path) as tell:
        tell(2, {"loss/total": 0.125})
    assert drawn(tmp_path) == {"loss/total": [(1, 0.5), (2, 0.125)]}


def test_what_is_unknown_or_not_installed_is_told(monkeypatch):
    with pytest.raises(UsageError, match="--log wandb is unknown; give one of tensorboard, trackio"):
        loggers.check_loggers(["wandb"])
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(UsageError, match=r"install it with: pip install 'codagent\[logs\]'"):
        loggers.check_loggers(["tensorboard", "trackio"])
