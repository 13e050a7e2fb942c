"""Tasks made in the local sandbox; tests/docker makes some in a container."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.workspace import open_sandbox
from codagent.settings.task_file import read_tasks
from codagent_train.tasks import start
from codagent_train.tasks.generate import TaskRequest, Workshop, make_tasks, read_tasks_made
from tests.train.tasks.samples import CHECK, write_repository


def workshop(lines=None):
    def open_local(root: Path):
        return open_sandbox(root, name="local", say=lambda _: None, allow=lambda *_: None)

    return Workshop(open_local, 2, (lines if lines is not None else []).append)


def request(*folders, **options):
    return TaskRequest(tuple(map(str, folders)), check=CHECK, **{"count": 3, **options})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    source = write_repository(tmp_path_factory.mktemp("source") / "shop")
    return out / "tasks", make_tasks(request(source), out / "tasks", workshop()), source


def test_a_task_file_names_its_repository_and_its_start(made):
    out, tasks, _ = made
    for task in tasks:
        file = read_tasks(out / task.part / f"{task.id}.toml")
        assert (file.start, file.tasks[0].id, file.tasks[0].checks) == (task.start, task.id, (CHECK,))
        assert git.tree_of(file.repository.resolve(), file.start)


def test_the_named_tests_fail_at_the_start_and_no_others(made, tmp_path):
    out, tasks, _ = made
    for task in tasks:
        git.clone_shared(out / "repositories" / "shop", tmp_path / task.id, task.start)
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf"]
        done = subprocess.run(command, cwd=tmp_path / task.id, capture_output=True, text=True, check=False)
        failed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")}
        assert failed == set(task.failing)


def test_the_instruction_tells_what_fails_and_not_where_the_bug_is(made):
    out, tasks, _ = made
    for task in tasks:
        text = read_tasks(out / task.part / f"{task.id}.toml").tasks[0].instruction
        assert all(name in text for name in task.failing)
        assert task.path not in text


def test_nothing_in_the_history_of_a_start_shows_the_code_without_the_bug(made):
    out, tasks, _ = made
    for task in tasks:
        log = ["git", "log", "--format=%H", task.start]
        assert subprocess.run(log, cwd=out / "repositories" / "shop", capture_output=True, text=True, check=True).stdout.split() == [
            task.start
        ]


def test_training_and_held_out_tasks_share_no_module(made):
    _, tasks, _ = made
    parts = {part: {task.path for task in tasks if task.part == part} for part in ("train", "held-out")}
    assert not parts["train"] & parts["held-out"]


def test_the_source_is_only_read(made):
    _, _, source = made
    assert sorted(path.name for path in source.rglob("*")) == ["prices.py", "stock.py", "test_shop.py"]


def test_a_command_that_was_stopped_goes_on_and_ends_the_same(made, tmp_path):
    out, tasks, source = made
    again = Path(shutil.copytree(out, tmp_path / "again", symlinks=True))
    trials = again / "trials" / "shop.jsonl"
    lines = trials.read_text().splitlines(keepends=True)
    trials.write_text("".join(lines[:2]) + lines[2][:20])  # as if it was killed while it wrote
    (again / "tasks.jsonl").unlink()
    resumed = make_tasks(request(source), again, workshop(), resume=True)
    assert [(task.id, task.path, task.failing) for task in resumed] == [(task.id, task.path, task.failing) for task in tasks]
    assert read_tasks_made(again) == resumed
    assert trials.read_text().splitlines(keepends=True)[:2] == lines[:2]


def test_what_was_tried_is_not_tried_again(made, tmp_path):
    out, tasks, source = made
    again = Path(shutil.copytree(out, tmp_path / "again", symlinks=True))
    before = (again / "trials" / "shop.jsonl").read_text()

    def open_nothing(_: Path):
        pytest.fail("a sandbox is opened")

    assert make_tasks(request(source), again, Workshop(open_nothing, 2, print), resume=True) == tasks
    assert (again / "trials" / "shop.jsonl").read_text() == before


def test_a_start_stays_as_long_as_its_files_are_the_same(tmp_path):
    root = tmp_path / "shop"
    commit = start.copy_repository(write_repository(tmp_path / "source"), root)
    first, again, other = (
        start.commit_bug(root, commit, "stock.py", data, task_id="shop-0001") for data in (b"a = 1\n", b"a = 1\n", b"a = 2\n")
    )
    assert (first, git.read_file(root, other, "stock.py")) == (again, b"a = 2\n")


def test_a_folder_that_was_begun_otherwise_is_refused(made):
    out, _, source = made
    with pytest.raises(UsageError, match="other repositories or options"):
        make_tasks(request(source, seed=1), out, workshop(), resume=True)
    with pytest.raises(UsageError, match="not empty"):
        make_tasks(request(source), out, workshop())


def test_whole_repositories_are_held_out_when_there_are_several(tmp_path):
    folders = [write_repository(tmp_path / name) for name in ("one", "two")]
    tasks = make_tasks(request(*folders, count=1), tmp_path / "out", workshop())
    assert {task.part for task in tasks} == {"train", "held-out"}
    assert len({task.repository for task in tasks}) == 2


def test_a_repository_that_does_not_fit_does_not_harm_the_others(tmp_path):
    good, bad = write_repository(tmp_path / "good"), write_repository(tmp_path / "bad", test="")
    lines: list[str] = []
    broken = write_repository(tmp_path / "broken", test="import no_such_module\n")
    tasks = make_tasks(request(bad, good, broken, count=1), tmp_path / "out", workshop(lines))
    assert [(task.repository, task.part) for task in tasks] == [("good", "train")]
    assert any("no task is held out" in line for line in lines)
    assert any(line == "no tasks from bad: pytest finds no test in it" for line in lines)
    assert any("no tasks from broken: its tests cannot be collected: ModuleNotFoundError" in line for line in lines)


def test_a_repository_with_too_many_files_is_refused(tmp_path, monkeypatch):
    source = write_repository(tmp_path / "shop")
    for number in range(start.MAX_FILES):
        (source / f"file{number}.txt").touch()
    with pytest.raises(UsageError, match=r"has 2,003 files.*at most 2,000 files"):
        make_tasks(request(source), tmp_path / "out", workshop())


def test_the_files_of_a_submodule_are_copied(tmp_path):
    source = write_repository(tmp_path / "source")
    (source / "vendor").mkdir()
    (source / "vendor/value.py").write_text("VALUE = 42\n")
    (source / "vendor/untracked.log").write_text("x")
    for folder in (source / "vendor", source):
        for command in (["init", "-q"], ["add", "*.py"], ["add", "."] if folder == source else ["commit", "-qm", "x"]):
            git_command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command]
            subprocess.run(git_command, cwd=folder, check=True, capture_output=True)
    commit = start.copy_repository(source, tmp_path / "copy")
    assert (tmp_path / "copy/vendor/value.py").read_text() == "VALUE = 42\n"
    paths = git.list_files(tmp_path / "copy", commit)
    assert "vendor/value.py" in paths
    assert "vendor/untracked.log" not in paths


def test_a_file_is_not_a_repository(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        make_tasks(request(tmp_path / "file"), tmp_path / "out", workshop())


def test_a_request_is_kept_beside_the_tasks(made):
    out, _, source = made
    assert json.loads((out / "request.json").read_text())["repositories"] == [str(source)]
