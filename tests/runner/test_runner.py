"""A runner whose model cannot be opened at first."""

import subprocess

import pytest

from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import ModelError
from codagent.models.scripted import Scripted
from codagent.runner.model import Access
from codagent.runner.result import outcome_label
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec, OpenedModel
from codagent.settings.settings import LOCAL, Settings
from codagent.store import layout
from codagent.types import Profile, Task


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (root / "f").write_text("x\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_a_model_that_could_not_be_opened_is_opened_again_for_the_next_loop(repository, tmp_path):
    failures = [ModelError("the server is down"), ModelError("the server is still down")]

    def open_model():
        if failures:
            raise failures.pop(0)
        finish = {"calls": [{"name": "finish", "arguments": {"summary": "done"}}]}
        return OpenedModel(Scripted.from_items([finish, finish]), Profile(), None)

    settings, said = Settings(model="scripted:x", sandbox=LOCAL), []
    runner = Runner(
        repository,
        settings,
        loops=layout.make_loops_dir(tmp_path / "home"),
        display=ProgressLines(),
        open_model=open_model,
        access=Access(),
    )
    try:
        for _ in range(4):
            spec = LoopSpec(layout.create_loop(runner.loops), "g", (Task("t", "x"),))
            try:
                said.append(outcome_label(runner.run(spec).loop))
            except ModelError as error:
                said.append(str(error))
    finally:
        runner.close()
    assert said == ["the server is down", "the server is still down", "done", "done"]
