from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.settings import settings as config
from codagent.settings.task_file import TaskFile, is_task_file, read_tasks
from codagent.types import Limits, Task

ONE = 'instruction = "repair it"\nchecks = ["make"]\n'
TASK = '[[task]]\ninstruction = "repair it"\nchecks = ["make"]\n'


@pytest.fixture
def given(tmp_path):
    """What is read from a file with this text."""

    def read(text, name="tasks.toml"):
        (tmp_path / name).write_text(text)
        return read_tasks(tmp_path / name)

    return read


def test_one_instruction_is_one_task(given):
    assert given(ONE) == TaskFile((Task("task-1", "repair it", ("make",)),), {"checks": ["make"]})


def test_tasks_have_the_checks_of_all_unless_they_name_their_own(given):
    file = given(
        'checks = ["make"]\n'
        '[[task]]\ninstruction = """\nfirst\n"""\n'
        '[[task]]\nid = "parser"\ninstruction = "second"\nchecks = ["make parser", "make lint"]\nseed = 7\n'
        '[[task]]\ninstruction = "third"\n'
    )
    assert file.tasks == (
        Task("task-1", "first", ("make",)),
        Task("parser", "second", ("make parser", "make lint"), 7),
        Task("task-3", "third", ("make",)),
    )


def test_the_rest_is_a_layer_of_settings(given):
    file = given(
        ONE + 'model = "m"\nprotect = ["tests/**"]\nsetup = "make deps"\niterations = 3\npatience = 2\n'
        "max_steps = 4\nmax_tokens = 5\nmax_seconds = 6\nmax_usd = 0.5\n[sandbox]\nname = 'base'\n"
    )
    repository = {"sandbox": {"name": "python", "image": "ours"}, "max_steps": 90, "checks": ["true"]}
    merged = config.settings(repository, file.settings, {"iterations": 8})
    assert merged == config.Settings(
        model="m",
        checks=("make",),
        protect=("tests/**",),
        sandbox="base",
        sandbox_setup={"image": "ours", "setup": "make deps"},
        limits=Limits(iterations=8, patience=2, steps=4, tokens=5, seconds=6.0, usd=0.5),
        asked=merged.asked,
    )


def test_a_markdown_file_is_an_instruction_alone(given):
    assert given("# Repair it\n\nAll of it.\n", "task.md") == TaskFile((Task("task-1", "# Repair it\n\nAll of it."),), {})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("iteration = 3\n" + ONE, r"line 1: unknown key 'iteration'; did you mean 'iterations'\?"),
        (TASK + TASK + 'chekcs = ["make"]\n' + TASK, r"line 7: unknown key 'chekcs' in \[task\]; did you mean 'checks'\?"),
        ('instruction = """\n[[task]]\nsed = 1\n"""\n[[task]]\nsed = 1\n', r"line 6: unknown key 'sed' in \[task\]; did you mean 'seed'\?"),
        (TASK + "iterations = 3\n", r"line 4: unknown key 'iterations' in \[task\]"),
        (ONE + "[sandbox]\nimge = 'x'\n", r"line 4: unknown key 'imge' in \[sandbox\]; did you mean 'image'\?"),
        (TASK + "seed = 'x'\n", "line 4: 'seed' must be a whole number, not 'x'"),
        (TASK + '[[task]]\ninstruction = " "\n', "line 5: 'instruction' must be a text that is not blank"),
        (TASK + '[[task]]\nchecks = ["make"]\n', "line 4: this .* has no instruction"),
        ('checks = ["make"]\n', "names nothing to do"),
        (ONE + TASK, "line 1: an instruction and .* exclude each other"),
        (ONE + '[task]\nid = "a"\n', r"line 3: 'task' must be tables, \[\[task\]\]"),
        (TASK + "checks = []\n", "is not TOML"),
        (ONE + 'setup = "a"\n[sandbox]\nsetup = "b"\n', r"line 3: 'setup' is short for"),
        (TASK + "id = 'a/b'\n", "line 4: 'id' must be a name"),
        (TASK + "id = '..'\n", "line 4: 'id' must be a name"),
        (TASK + "id = 'a'\n" + TASK + "id = 'A'\n", "line 5: the id 'A' is also that of .* number 1"),
        (TASK + "id = 'task-2'\n" + TASK, "line 5: the id 'task-2' is also that of .* number 1"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(given, text, match):
    with pytest.raises(UsageError, match=match):
        given(text)


def test_a_blank_markdown_file_is_refused(given):
    with pytest.raises(UsageError, match=r"task\.md is empty"):
        given(" \n", "task.md")


@pytest.mark.parametrize("name", ["none.toml", "none.md"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=f"there is no task file .*{name}"):
        read_tasks(tmp_path / name)


@pytest.mark.parametrize("name", ["folder.toml", "folder.md"])
def test_a_folder_is_no_task_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_tasks(Path(tmp_path / name))


def test_a_name_is_told_from_an_instruction():
    words = ["tasks.toml", "notes/task.md", "rewrite README.md", "fix the parser", "tasks.json", "a\nb.md", ""]
    assert [is_task_file(word) for word in words] == [True, True, False, False, False, False, False]
