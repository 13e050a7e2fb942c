"""A runner that was stopped begins no other loop."""

import json
import subprocess
import time

import pytest

from codagent.cli.terminal.progress import ProgressLines
from codagent.runner.model import Access, open_model
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec
from codagent.settings.settings import Settings
from codagent.types import Task


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
    return root


@pytest.fixture
def make_runner(repository, tmp_path):
    """Makes a runner whose model is opened by `before` and then by its script of one reply."""
    loops = tmp_path / "loops"
    (loops / "one").mkdir(parents=True)
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"calls": [{"name": "finish", "arguments": {}}]}]))
    made = []

    def make(before=lambda: None):
        settings, access = Settings(model=f"scripted:{script}", sandbox="local"), Access()

        def opening():
            before()
            return open_model(settings, access)

        made.append(Runner(repository, settings, loops=loops, display=ProgressLines(), open_model=opening, access=access))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


SPEC = LoopSpec("one", "one", (Task("task", "do it"),))


def test_a_stopped_runner_begins_no_loop(make_runner, repository, tmp_path):
    runner = make_runner()
    runner.stop()
    with pytest.raises(KeyboardInterrupt):
        runner.run(SPEC)
    assert not (tmp_path / "loops" / "one" / "record.jsonl").exists()


def test_a_loop_that_is_beginning_is_stopped(make_runner, repository, tmp_path):
    runners = []

    def stop_while_the_model_is_opened():
        while not runners or not (repository / ".git" / "refs" / "codagent" / "one").exists():  # `run` has begun
            time.sleep(0.01)
        runners[0].stop()

    runners.append(make_runner(stop_while_the_model_is_opened))
    with pytest.raises(KeyboardInterrupt):
        runners[0].run(SPEC)
    assert list((tmp_path / "loops").iterdir()) == []
