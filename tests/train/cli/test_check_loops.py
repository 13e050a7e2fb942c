"""`codagent-train check` of folders with recorded loops."""

from dataclasses import replace

from tests.train.command import run_train
from tests.train.data.records.recordings import PLAIN, write


def check(*arguments, cwd):
    return run_train("check", *arguments, cwd=cwd)


def test_the_command_tells_what_folders_hold_whatever_is_in_them(tmp_path):
    write(tmp_path / "one", "a", 1.0)
    write(tmp_path / "two", "b", 0.0)
    damaged = write(tmp_path / "two", "c", 0.0, loop=replace(PLAIN, group="h"))
    damaged.write_text("[" * 5000 + "\n")
    done = check("one", "two", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:3] == [
        "records  3 read, with 2 replies, 0 of them text only",
        "groups   1 of 2 loops: 1 with a signal, 0 without",
        "rows     2, out of 2 replies",
    ]
    assert done.stdout.splitlines()[-3].startswith("         two/c/record.jsonl: line 1, is damaged")
    assert done.stdout.splitlines()[-2:] == [
        "redo     0 tasks that can be done again",
        "imitate  1 attempt and 0 rewrites of notes that are worth imitating",
    ]


def test_the_command_takes_a_folder_that_is_named_as_a_recipe_for_the_recipe(tmp_path):
    write(tmp_path / "toy", "a", 1.0)
    assert check("toy", cwd=tmp_path).stdout.startswith("model ")
    assert check("./toy", cwd=tmp_path).stdout.startswith("records ")


def test_the_command_refuses_what_is_not_there(tmp_path):
    write(tmp_path, "a", 1.0)
    assert [check(*given, cwd=tmp_path).returncode for given in (["gone"], ["a", "gone"])] == [2, 2]
