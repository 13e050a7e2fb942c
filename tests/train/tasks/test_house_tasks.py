import subprocess
import sys

import pytest

from codagent.errors import UsageError
from codagent.repository import git
from codagent.settings.task_file import read_tasks
from codagent_train.environments.conventions.house import BY_NAME, draw_house, write_solution
from codagent_train.environments.packs import seed_of
from codagent_train.tasks.house_tasks import make_house_tasks


def test_a_pack_is_four_tasks_from_one_start_that_its_rules_solve(tmp_path):
    files = make_house_tasks(tmp_path / "out", 2)
    assert [file.name for file in files] == ["house-0001.toml", "house-0002.toml"]
    file = read_tasks(files[1])
    assert [task.start for task in file.tasks] == [file.start] * 4
    root = file.repository.resolve()
    git.clone_shared(root, tmp_path / "clone", file.start)
    house = draw_house(seed_of("test", "conventions-code", 0, 1))
    pytest_all = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    before = subprocess.run(pytest_all, cwd=tmp_path / "clone", capture_output=True, text=True, check=False)
    assert " passed" not in before.stdout
    for task in file.tasks:
        name = task.id.partition("-")[2]
        (tmp_path / "clone" / "house" / f"{name}.py").write_text(write_solution(house, BY_NAME[name]))
    after = subprocess.run(pytest_all, cwd=tmp_path / "clone", capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stdout
    assert len(files[1].with_suffix(".notes.md").read_text().splitlines()) <= 4


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        make_house_tasks(tmp_path, 1)
