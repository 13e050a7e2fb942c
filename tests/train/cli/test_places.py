"""Where results go: a place that cannot be used is told in one sentence, before work is done."""

import pytest

from tests.train.command import run_train

pytestmark = pytest.mark.usefixtures("hushed")

COMMANDS = {
    "run": ("run", "toy"),
    "tasks": ("tasks", "repository"),
    "conventions": ("tasks", "conventions", "--count", "1"),
    "improve": ("improve", "repository", "--hours", "0.01"),
    "import": ("import", "smollm2-135m"),
}
PLACES = {"in a file": "file/inside", "where nothing can be": "/proc/nothing", "a name that is too long": "n" * 300, "a file": "file"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "code.py").write_text("def double(number):\n    return 2 * number\n")
    return tmp_path


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_place_that_cannot_be_used_is_told_in_one_sentence(command, place, folder):
    done = run_train(*command, "--out", place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("codagent-train: ")
    assert "Traceback" not in done.stderr
    assert place in done.stderr.splitlines()[-1]
    assert sorted(path.name for path in folder.iterdir()) == ["file", "repository"]
    assert (folder / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["tasks", "improve"])
@pytest.mark.parametrize("place", ["repository", "repository/made", "repository/../repository/a/b"])
def test_nothing_is_written_into_a_repository_that_is_only_read(command, place, folder):
    done = run_train(*COMMANDS[command], "--out", place)
    assert done.returncode == 2
    assert "which is only read; give an --out elsewhere" in done.stderr
    assert [path.name for path in (folder / "repository").iterdir()] == ["code.py"]
