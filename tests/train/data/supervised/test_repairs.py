"""Repairs of made tasks, recorded in the local sandbox."""

import json
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.models.tool_calls.fenced import find_calls
from codagent.repository import git
from codagent.repository.tools import REPLACE
from codagent.repository.tools.numbered import replace_numbered
from codagent.repository.tools.python_edit import redefine
from codagent.runner.model import Access
from codagent.store.record import load
from codagent_train.data.supervised.imitation import iter_imitable
from codagent_train.data.supervised.repairs import RepairRequest, record_repairs, write_repair
from codagent_train.tasks.start import SOURCE, commit_bug, copy_repository
from codagent_train.tasks.task_files import MadeTask
from tests.train.tasks.test_generate import made  # noqa: F401 - a fixture

WHOLE = '''\
import os


class Box:
    """Holds."""

    size = 3

    @property
    def full(self):
        """Whether no more fits."""
        if self.size > 9:
            return True
        return False

    @full.setter
    def full(self, value):
        """Fill it."""
        self.size = 9 if value else 0


async def wait(
    seconds,
):
    """Wait."""

    # no longer than it must
    return seconds + 1


def short(): return 1
'''


def make_task(tmp_path, broken, function, whole=WHOLE):
    source = tmp_path / "shop"
    source.mkdir()
    (source / "box.py").write_text(whole, newline="")
    root = tmp_path / "made"
    commit = copy_repository(source, root)
    start = commit_bug(root, commit, "box.py", broken.encode(), task_id="shop-0001")
    return root, MadeTask("shop-0001", "train", "shop", start, "", "box.py", function, "", {})


@pytest.mark.parametrize(
    ("right", "wrong", "function"),
    [
        ("> 9", ">= 9", "Box.full"),
        ("9 if value", "0 if value", "Box.full"),
        ("        if self.size > 9:\n            return True\n", "", "Box.full"),
        ("seconds + 1", "seconds - 1", "wait"),
        ("return 1", "return 2", "short"),
        ("    return seconds", "    seconds = 0\n    return seconds", "wait"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_repair_is_the_function_alone_and_gives_back_the_file(right, wrong, function, ends, tmp_path):
    whole = WHOLE.replace("\n", ends)
    root, task = make_task(tmp_path, WHOLE.replace(right, wrong).replace("\n", ends), function, whole)
    answer = write_repair(root, task)
    before, code = answer.removesuffix("```").split("```python\n")
    assert (before, '"""' in code) == ("", False)
    assert redefine(git.read_file(root, task.start, "box.py").decode(), code)[0] == git.read_file(root, SOURCE, "box.py").decode()


@pytest.mark.parametrize(
    ("right", "wrong", "lines"),
    [
        ("> 9", ">= 9", ["12|        if self.size > 9:"]),
        ("            return True", "            return False", ["13|            return True"]),
        (
            "        if self.size > 9:\n            return True\n",
            "",
            ["12|        if self.size > 9:", "            return True", "        return False"],
        ),
        ("            return True\n", "", ["12|        if self.size > 9:", "            return True"]),
        ("    return seconds", "    seconds = 0\n    return seconds", None),
        ("import os\n", "", ["1|import os", ""]),
        ("    size = 3\n", "", None),
        ("    size = 3\n", "    size = 4\n    more = 5\n", ["7|    size = 3", "8|"]),
        (
            "> 9:\n            return True\n        return False\n\n    @full.setter",
            "> 8:\n            return True\n\n    @full.setter",
            None,
        ),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_that_change_stand_after_their_numbers(right, wrong, lines, ends, tmp_path):
    whole = WHOLE.replace("\n", ends)
    assert right in WHOLE
    root, task = make_task(tmp_path, WHOLE.replace(right, wrong).replace("\n", ends), "Box.full", whole)
    answer = write_repair(root, task, "lines")
    ((_, arguments),) = find_calls(answer, [REPLACE])
    call = json.loads(arguments)
    assert (call["path"], answer.split("\n")[0]) == ("box.py", "```replace box.py")
    assert lines is None or call["content"] == "\n".join([*lines, ""])
    assert replace_numbered(git.read_file(root, task.start, "box.py").decode(), call["content"])[0] == whole


def test_each_task_for_training_has_a_record_that_is_worth_imitating(made, tmp_path, monkeypatch):  # noqa: F811
    out, tasks, _ = made
    monkeypatch.chdir(out.parent)
    out = Path(out.name)  # as a person names it
    wanted, lines = RepairRequest(out, tmp_path, "embedded:qwen2.5-coder-0.5b", "local"), []
    train = [task for task in tasks if task.part == "train"]
    assert record_repairs(wanted, Access(), lines.append) == (len(train), len(train))
    loops = [load(file) for file in tmp_path.glob("**/record.jsonl")]
    assert sorted(loop.attempts[0].task.id for loop in loops) == [task.id for task in train]
    for loop in loops:
        (attempt,) = iter_imitable(loop)
        (step,) = attempt.steps
        assert (loop.end, loop.model, step.reply.tokens) == ("passed", "repairs", None)
        assert "An answer without the block changes nothing." in attempt.prompt[-1].content  # as the embedded model is asked
        assert step.reply.message.content.startswith("```python\n")
    assert record_repairs(wanted, Access(), lines.append) == (len(train), len(train))
    assert len(list(tmp_path.glob("**/record.jsonl"))) == len(train)
    assert not lines


def test_the_prompts_ask_for_lines_where_the_answers_are_lines(made, tmp_path):  # noqa: F811
    out, tasks, _ = made
    wanted = RepairRequest(out, tmp_path, "embedded:qwen2.5-coder-0.5b", "local", answers="lines")
    passed, count = record_repairs(wanted, Access(), print)
    assert passed == count == len([task for task in tasks if task.part == "train"])
    for file in tmp_path.glob("**/record.jsonl"):
        loop = load(file)
        (attempt,) = iter_imitable(loop)
        assert "new ones below them without, in one ```replace " in attempt.prompt[-1].content
        assert [call.name for call in attempt.steps[0].reply.message.tool_calls] == ["replace"]
        assert loop.settings["profile"]["tools"] == ["replace", "finish"]


def test_what_does_not_pass_is_told(made, tmp_path, monkeypatch):  # noqa: F811
    out, _, _ = made
    monkeypatch.setattr("codagent_train.data.supervised.repairs.write_repair", lambda *_: "It is fine.")
    lines = []
    passed, tasks = record_repairs(RepairRequest(out, tmp_path, "embedded:qwen2.5-coder-0.5b", "local"), Access(), lines.append)
    assert (passed, len(lines)) == (0, tasks)
    assert all("is not repaired: " in line for line in lines)


def test_what_cannot_be_repaired_is_refused(made, tmp_path):  # noqa: F811
    with pytest.raises(UsageError, match="there are no tasks in"):
        record_repairs(RepairRequest(tmp_path, tmp_path, "embedded", "local"), Access(), print)
