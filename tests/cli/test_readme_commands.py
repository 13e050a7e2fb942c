"""Every command line of codagent in the README works as it is printed."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import FIX

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
LINES = [line.partition(" # ")[0].split(" && ")[-1].strip() for line in re.findall(r"^    (codagent .*)", README, re.MULTILINE)]
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


def test_each_command_line_works(ready):
    whole = [line for line in LINES if " · " not in line and not re.search(r"\b(TASK|RECIPE)\b", line)]
    for line in whole:
        words = shlex.split(line)[1:]
        if "--model" in words:  # a model that needs a key; the scripted one takes its place
            at = words.index("--model")
            del words[at : at + 2]
        talks = words[:1] in ([], ["session"])  # a session is for a terminal, where it has tests of its own
        done = ready(*words, *(["--help"] if talks else []))
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_each_command_of_the_list_exists(ready):
    names = next(line for line in LINES if " · " in line).removeprefix("codagent ").split(" · ")
    for name in names:
        assert ready(name, "--help").returncode == 0, name
