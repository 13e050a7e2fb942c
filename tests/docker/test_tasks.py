"""Tasks made in containers, and a loop that works on one of them."""

import pytest

from codagent.runner.workspace import open_sandbox
from codagent.settings.task_file import read_tasks
from codagent_train.tasks.generate import TaskRequest, Workshop, make_tasks
from tests.cli.conftest import call, codagent, repository, script
from tests.cli.loops import told
from tests.train.tasks.samples import write_repository

pytestmark = pytest.mark.docker
__all__ = ["codagent", "repository", "script"]


def test_a_task_that_was_made_in_a_container_is_solved_by_a_loop(codagent, script, tmp_path, python_sandbox):
    source, out = write_repository(tmp_path / "shop"), tmp_path / "tasks"

    def open_container(root):
        return open_sandbox(root, name=None, say=lambda _: None, allow=lambda *_: None)

    (task,) = make_tasks(TaskRequest((str(source),), count=1), out, Workshop(open_container, 1, print))
    file = out / task.part / f"{task.id}.toml"
    text = (source / task.path).read_text()
    mend = [call("write", path=task.path, content=text), call("finish", summary="mended")]
    done = codagent("loop", str(file), "--model", script(mend), "--rewrite", "never", "--json")
    assert (done.returncode, told(done)["outcome"]) == (0, "passed"), done.stderr
    assert all(name in read_tasks(file).tasks[0].instruction for name in task.failing)
