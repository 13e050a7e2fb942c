import re
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.settings.layers import Layer, SandboxTable, merge_layers
from codagent.settings.settings import Settings
from codagent.settings.task_file import TaskFile, is_task_file, read_tasks
from codagent.types import Limits, Task

ONE = 'instruction = "repair it"\nchecks = ["make"]\n'
ID = "a name of up to 64 letters, digits, '.', '_' and '-' that begins with a letter or a digit"
TASK = '[[task]]\ninstruction = "repair it"\nchecks = ["make"]\n'


@pytest.fixture
def given(tmp_path):
    """What is read from a file with this text."""

    def read(text, name="tasks.toml"):
        (tmp_path / name).write_text(text)
        return read_tasks(tmp_path / name)

    return read


def test_one_instruction_is_one_task(given):
    assert given(ONE) == TaskFile((Task("task-1", "repair it", ("make",)),), Layer(checks=("make",)))


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
    repository = Layer(sandbox=SandboxTable(name="python", image="ours"), max_steps=90, checks=("true",))
    merged = merge_layers(repository, file.settings, Layer(iterations=8))
    assert merged == Settings(
        model="m",
        checks=("make",),
        protect=("tests/**",),
        sandbox="base",
        sandbox_setup={"image": "ours", "setup": "make deps"},
        limits=Limits(iterations=8, patience=2, steps=4, tokens=5, seconds=6.0, usd=0.5),
        asked=merged.asked,
    )


def test_a_markdown_file_is_an_instruction_alone(given):
    assert given("# Repair it\n\nAll of it.\n", "task.md") == TaskFile((Task("task-1", "# Repair it\n\nAll of it."),), Layer())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iteration = 3\n" + ONE, "unknown key 'iteration'; did you mean 'iterations'?"),
        (TASK + TASK + 'chekcs = ["make"]\n' + TASK, "[[task]] number 2: unknown key 'chekcs'; did you mean 'checks'?"),
        (
            'instruction = """\n[[task]]\nsed = 1\n"""\n[[task]]\ninstruction = "a"\nsed = 1\n',
            "[[task]] number 1: unknown key 'sed'; did you mean 'seed'?",
        ),
        (TASK + "iterations = 3\n", "[[task]] number 1: unknown key 'iterations'; did you mean 'instruction'?"),
        (ONE + "[sandbox]\nimge = 'x'\n", "[sandbox] unknown key 'imge'; did you mean 'image'?"),
        (TASK + "seed = 'x'\n", "[[task]] number 1: seed must be a whole number, not 'x'"),
        (TASK + f"seed = 0x{'f' * 5001}\n", "[[task]] number 1: seed must be a whole number, not one of more than 18 digits"),
        (TASK + '[[task]]\ninstruction = " "\n', "[[task]] number 2: instruction must be a text that is not blank, not ' '"),
        (TASK + '[[task]]\nchecks = ["make"]\n', "[[task]] number 2: 'instruction' is missing; it must be a text that is not blank"),
        ('checks = ["make"]\n', "names nothing to do; give it an instruction, or [[task]] tables"),
        (ONE + TASK, "an instruction and [[task]] tables exclude each other; keep one"),
        (ONE + '[task]\nid = "a"\n', "task must be tables, [[task]], not a table"),
        (ONE + "task = [1]\n", "task must be tables, [[task]], not [1]"),
        (ONE + 'setup = "a"\n[sandbox]\nsetup = "b"\n', "'setup' is short for the one of [sandbox], which is given too; keep one"),
        (TASK + "id = 'a/b'\n", f"[[task]] number 1: id must be {ID}, not 'a/b'"),
        (TASK + "id = '..'\n", f"[[task]] number 1: id must be {ID}, not '..'"),
        (TASK + 'id = "a\\n"\n', f"[[task]] number 1: id must be {ID}, not 'a\\n'"),
        (TASK + f"id = '{'a' * 65}'\n", f"[[task]] number 1: id must be {ID}, not '{'a' * 65}'"),
        (TASK + "id = 'a'\n" + TASK + "id = 'A'\n", "[[task]] number 2: the id 'A' is also that of number 1; give it another"),
        (TASK + "id = 'task-2'\n" + TASK, "[[task]] number 2: the id 'task-2' is also that of number 1; give it another"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(given, text, said):
    with pytest.raises(UsageError, match=re.escape(f"tasks.toml{' ' if said.startswith('names') else ': '}{said}") + "$"):
        given(text)


def test_a_file_that_is_not_toml_is_refused(given):
    with pytest.raises(UsageError, match="is not TOML: Cannot overwrite a value"):
        given(TASK + "checks = []\n")


def test_a_task_file_may_not_choose_the_local_sandbox(given):
    with pytest.raises(UsageError, match="a repository may not choose the local sandbox"):
        given(ONE + "[sandbox]\nname = 'local'\n")


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


def test_a_fresh_task_starts_from_the_commit_of_the_file(given):
    start = "a" * 40
    tasks = given(f"start = '{start}'\n[[task]]\ninstruction = 'a'\nfresh = true\n[[task]]\ninstruction = 'b'\n").tasks
    assert [task.start for task in tasks] == [start, ""]
    with pytest.raises(UsageError, match="a fresh task starts from the commit `start` of the file, which is missing"):
        given("[[task]]\ninstruction = 'a'\nfresh = true\n")
