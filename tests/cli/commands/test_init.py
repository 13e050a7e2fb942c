"""`codagent init`: a settings file that fits the repository."""

import tomllib

import pytest

from codagent.cli.commands.init import find_fits, write_settings
from codagent.settings.layers import read_layer
from tests.repository.git.conftest import Repository

FILES = {
    "python": {"pyproject.toml": "", "tests/test_x.py": "", "requirements.txt": "rich\n"},
    "node": {"package.json": '{"scripts": {"test": "vitest run"}}'},
    "untested node": {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
    "odd node": {"package.json": "[]"},
    "go": {"go.mod": "module x\n", "x_test.go": ""},
    "rust": {"Cargo.toml": "", "src/lib.rs": ""},
    "both": {"package.json": "{}", "pkg/thing_test.py": ""},
    "nothing": {"README": ""},
}


@pytest.fixture
def settings(tmp_path):
    """Writes the settings for a repository with these files, and reads them as codagent does."""

    def make(files):
        repository = Repository(tmp_path)
        repository.git("init", "-q")
        for name, text in files.items():
            repository.write(name, text)
        repository.git("add", "-A")
        path = repository.write("codagent.toml", "\n".join(write_settings(find_fits(tmp_path))))
        return read_layer(path, repository=True), path.read_text()

    return make


@pytest.mark.parametrize(
    ("kind", "checks", "image", "setup"),
    [
        ("python", ("python3 -m pytest -q",), None, "pip install -r requirements.txt"),
        ("node", ("npm test",), "node:22", None),
        ("untested node", None, "node:22", None),
        ("odd node", None, "node:22", None),
        ("go", ("go test ./...",), "golang:1", None),
        ("rust", ("cargo test",), "rust:1", None),
        ("both", ("python3 -m pytest -q",), None, None),
        ("nothing", None, None, None),
    ],
)
def test_the_settings_fit(settings, kind, checks, image, setup):
    layer, _ = settings(FILES[kind])
    assert layer.checks == checks
    assert (layer.sandbox.image, layer.sandbox.setup) == (image, setup)
    assert layer.sandbox.files == (("requirements.txt",) if setup else None)


def test_the_checks_of_a_second_language_stand_as_they_would_be_written(settings):
    _, text = settings({"package.json": '{"scripts": {"test": "node --test"}}', "pkg/thing_test.py": ""})
    assert '# checks of Node (package.json), in the image node:22: ["npm test"]' in text


def test_what_is_commented_out_is_valid_too(settings):
    _, text = settings(FILES["nothing"])
    tomllib.loads("\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()))


def test_the_command_writes_the_file_once(codagent, repository):
    (repository / "test_x.py").write_text("def test_x():\n    assert True\n")
    Repository(repository).git("add", "-A")
    done = codagent("init")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Python (tests): python3 -m pytest -q")
    text = (repository / "codagent.toml").read_text()
    again = codagent("init")
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    assert (repository / "codagent.toml").read_text() == text
    assert codagent("loop", "x", "--dry-run", "--sandbox", "local").returncode == 0
