"""The GitHub Action on a stand-in of a runner: files for event and outputs, a bare repository as GitHub, and a `gh` that notes words."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import CHECK, CODAGENT, FIX, IDLE, call

ACTION = Path(__file__).parents[2] / ".github/actions/codagent"
ISSUE = {"number": 7, "title": "The answer is wrong; `touch hacked`", "body": "Mend it. $(touch hacked)", "author_association": "OWNER"}
LABELED = {"action": "labeled", "label": {"name": "codagent"}, "issue": ISSUE}


def commented(body="/codagent do it well", by="MEMBER", issue_by="OWNER", action="created"):
    issue = {**ISSUE, "author_association": issue_by}
    return {"action": action, "issue": issue, "comment": {"body": body, "author_association": by}}


class Runner:
    """Runs the steps as action.yml has them."""

    def __init__(self, repository, folder, model):
        self.repository, self.folder = repository, folder
        self.steps = yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
        self.inputs = {
            "check": CHECK,
            "model": model,
            "allowed": "OWNER MEMBER",
            "arguments": "--sandbox local --iterations 1",
            "token": "s3cret",
        }
        subprocess.run(["git", "init", "-q", "--bare", folder / "github/me/it.git"], check=True)
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {folder}/gh\n[ "$GH_TOKEN" = s3cret ]\n')
        (folder / "bin/gh").chmod(0o755)

    def run(self, event):
        (self.folder / "event.json").write_text(json.dumps(event))
        (self.folder / "output").write_text("")
        done = self._step(0)
        outputs = dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())
        if outputs.get("branch"):
            assert self._step(1, outputs).returncode == 0
        return done, outputs

    def told(self):
        return (self.folder / "gh").read_text().splitlines()

    def _step(self, number, outputs=None):
        step = self.steps[number]
        known = {f"inputs.{name}": value for name, value in self.inputs.items()}
        known |= {f"steps.work.outputs.{name}": value for name, value in (outputs or {}).items()}
        own = {name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], value) for name, value in step["env"].items()}
        runner = {
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_SERVER_URL": f"file://{self.folder}/github",
            "GITHUB_REPOSITORY": "me/it",
            "CODAGENT": str(CODAGENT),
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        return subprocess.run(
            ["bash", "-c", step["run"]], cwd=self.repository, env=runner | own, capture_output=True, text=True, check=False
        )


@pytest.fixture
def runner(repository, tmp_path, script):
    return lambda items: Runner(repository, tmp_path, script(items))


def test_a_labelled_issue_becomes_a_pull_request(runner, repository, tmp_path):
    made = runner(FIX)
    done, outputs = made.run(LABELED)
    assert (done.returncode, outputs["outcome"]) == (0, "passed"), done.stderr
    pushed = subprocess.run(
        ["git", "show", f"{outputs['branch']}:answer.txt"], cwd=tmp_path / "github/me/it.git", capture_output=True, text=True, check=True
    )
    assert pushed.stdout == "right\n"
    told = made.told()
    assert told[:4] == ["pr", "create", "--head", outputs["branch"]]
    assert "codagent: The answer is wrong; `touch hacked`" in told
    assert any(line.startswith("For #7. ") for line in told)
    assert "--draft" not in told
    assert not list(tmp_path.rglob("hacked"))
    assert (repository / "answer.txt").read_text() == "wrong\n"


def test_work_that_does_not_pass_is_a_draft(runner):
    made = runner([call("bash", command="echo other > answer.txt"), IDLE[0], "<notes>\nnot yet\n</notes>"])
    done, outputs = made.run(commented())
    assert (done.returncode, outputs["outcome"], "--draft" in made.told()) == (0, "failed", True), done.stderr


def test_the_token_is_in_no_command_of_the_loop(runner, tmp_path):
    made = runner([call("bash", command="env > answer.txt; echo right >> answer.txt"), IDLE[0]])
    _, outputs = made.run(LABELED)
    found = subprocess.run(
        ["git", "show", f"{outputs['branch']}:answer.txt"], cwd=tmp_path / "github/me/it.git", capture_output=True, text=True, check=True
    )
    assert "s3cret" not in found.stdout
    assert "TOKEN" not in found.stdout
    assert not any("s3cret" in file.read_text(errors="replace") for file in tmp_path.rglob("record.jsonl"))


NOTHING = {
    "a stranger's comment": commented(by="NONE"),
    "a stranger's issue": commented(issue_by="CONTRIBUTOR"),
    "another word": commented("please /codagent"),
    "a longer word": commented("/codagents go"),
    "an edited comment": commented(action="edited"),
    "another label": {**LABELED, "label": {"name": "bug"}},
    "an opened issue": {**LABELED, "action": "opened"},
    "a push": {"ref": "refs/heads/main"},
}


@pytest.mark.parametrize("kind", NOTHING)
def test_who_may_not_ask_gets_nothing(runner, repository, kind):
    done, outputs = runner([]).run(NOTHING[kind])
    assert (done.returncode, outputs) == (0, {"outcome": "skipped", "branch": ""}), done.stderr
    assert not (repository / ".codagent").exists()


def test_an_error_of_codagent_is_the_steps_error(runner):
    made = runner(FIX)
    made.inputs["model"] = "scripted:nowhere.json"
    done, outputs = made.run(LABELED)
    assert (done.returncode, outputs) == (2, {"outcome": "usage", "branch": ""}), done.stderr


def test_nothing_of_the_event_is_put_into_a_shell_line():
    """An expression in `run` would be code of whoever wrote the issue; no other action is used, so none has to be pinned."""
    for step in yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert "uses" not in step
