"""A folder that is no repository, in Docker."""

import json
import subprocess

import pytest

from tests.cli.conftest import CHECK, CODAGENT, call


@pytest.mark.docker
def test_a_folder_is_worked_on_in_a_container_and_judged_in_another(python_sandbox, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "answer.txt").write_text("wrong\n")
    script = tmp_path / "script.json"
    script.write_text(json.dumps([call("bash", command="pwd; echo right > answer.txt"), call("finish", summary="done")]))
    words = ("run", "mend it", "--no-git", "--check", CHECK, "--model", f"scripted:{script}", "--json")
    done = subprocess.run([CODAGENT, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["files"]["written"]) == (0, ["answer.txt"]), done.stderr
    assert (folder / "answer.txt").read_text() == "right\n"
