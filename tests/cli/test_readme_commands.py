"""Every command line of codagent in the README works as it is printed. A model that is named is replaced by a scripted one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import CHECK, FIX
from tests.cli.session.terminal import Terminal
from tests.train.command import run_train

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PRINTED = [
    line.partition(" # ")[0].strip()
    for line in re.findall(r"^    ((?:codagent|codagent-train|pip|export|make|harbor) .*)", README, re.MULTILINE)
]
NOT_RUN = {  # by program
    "pip": "it would change this environment; `make demo` on a fresh clone installs",
    "export": "it sets the key of a real provider",
    "make": "it takes minutes, and sets up a machine",
    "harbor": "it downloads a data set and asks a real provider; tests/adapters runs the agent with a stand-in of harbor",
}
LINES = [line for line in PRINTED if line.startswith("codagent ") or line == "codagent"]
SESSIONS = [line for line in LINES if shlex.split(line)[1:2] in ([], ["session"])]  # these need a terminal
LEARNING = PRINTED[next(number for number, line in enumerate(PRINTED) if "TASK" in line) :]  # the lines of "Learn from it"
RECIPE = Path(__file__).parents[2] / "train/codagent_train/recipe/shipped/toy.toml"
TASKS = re.search(r"^    checks = .*?test_write\.py\"\]$", README, re.MULTILINE | re.DOTALL)
TEST = 'from pathlib import Path\n\n\ndef test_answer():\n    assert Path("answer.txt").read_text() == "right\\n"\n'


@pytest.fixture
def ready(codagent, repository, script):
    """Runs a command in a repository where a scripted model mends what a test finds."""
    (repository / "tests").mkdir()
    (repository / "tests/test_write.py").write_text(TEST)
    assert TASKS
    (repository / "tasks.toml").write_text("\n".join(line.strip() for line in TASKS[0].splitlines()))
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    model = script([*FIX, "<notes>\n- done\n</notes>"])

    def run(*arguments):
        return codagent(*arguments, CODAGENT_MODEL=model, CODAGENT_SANDBOX="local")

    return run


def without_model(words):
    """The words of a command without --model, because the scripted model takes the place of one that needs a key or weights."""
    if "--model" not in words:
        return words
    at = words.index("--model")
    return [*words[:at], *words[at + 2 :]]


def test_each_command_line_works(ready):
    for line in LINES:
        if " · " in line or line in SESSIONS or line in LEARNING:
            continue
        done = ready(*without_model(shlex.split(line)[1:]))
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_the_lines_of_learning_work_in_their_order_when_they_are_filled_in(ready, repository, tmp_path):
    short = RECIPE.read_text().replace("steps = 150", "steps = 1").replace("packs = 16", "packs = 4")
    (tmp_path / "short.toml").write_text(short)
    filled = {"TASK": "put right into answer.txt", "CMD": CHECK, "RECIPE": str(tmp_path / "short.toml")}
    for line in LEARNING:
        program, *words = without_model([filled.get(word, word) for word in shlex.split(line)])
        done = ready(*words) if program == "codagent" else run_train(*words, cwd=repository)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_a_program_that_no_test_runs_is_one_of_the_list():
    assert {line.split()[0] for line in PRINTED} - {"codagent", "codagent-train"} == {*NOT_RUN}


def test_each_command_of_the_list_exists(ready):
    names = next(line for line in LINES if " · " in line).removeprefix("codagent ").split(" · ")
    for name in names:
        assert ready(name, "--help").returncode == 0, name


def test_each_session_line_works(repository, script, tmp_path):
    assert len(SESSIONS) == 2
    for line in SESSIONS:
        environment = {"CODAGENT_MODEL": script(["Hello."]), "CODAGENT_SANDBOX": "local"}
        with Terminal(repository, tmp_path, *shlex.split(line)[1:], **environment) as terminal:
            terminal.send("hello")
            terminal.wait_for("Hello.")
            terminal.send("/quit")
            terminal.wait_for("is kept")
            assert terminal.read_to_the_end() == 0, line
