"""The installed command, a repository to run it in, and scripts for it to play."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codagent.repository.setups import AllowedSetups
from codagent.settings.trust import LocalSandboxUse

CODAGENT = Path(sys.executable).parent / "codagent"


def allow_local(repository, home):
    """Answer once and for all that commands may run on this machine for a repository, as a person with this home folder does."""
    AllowedSetups(Path(home) / ".local/state/codagent/allowed.json").add(LocalSandboxUse(Path(repository)))


def call(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


FIX = [call("bash", command="sed -i s/wrong/right/ answer.txt && cat answer.txt"), call("finish", summary="put it right")]
IDLE = [call("finish", summary="there was nothing to do")]
CHECK = "grep -q right answer.txt"


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
    return root


@pytest.fixture
def script(tmp_path):
    """Writes a script of replies and gives the model that plays it."""

    def write(items):
        path = tmp_path / f"script{len(list(tmp_path.glob('script*')))}.json"
        path.write_text(json.dumps(items))
        return f"scripted:{path}"

    return write


@pytest.fixture
def codagent(codagent_server, repository, tmp_path):
    """Runs the command in the repository, without a terminal and away from the person's own files."""

    def run(*arguments, stdin="", cwd=repository, **environment):
        home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("CODAGENT_", "XDG_"))}
        return codagent_server.run(*arguments, cwd=cwd, env=clean | home | environment, stdin=stdin, timeout=250)

    return run
