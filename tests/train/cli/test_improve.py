import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = Path(sys.executable).parent / "codagent-train"


@pytest.mark.parametrize("model", ["openai/gpt-5", "embedded:none", "gguf:x.gguf"])
def test_a_model_that_cannot_be_improved_is_refused(tmp_path, model):
    done = subprocess.run(
        [TRAIN, "improve", str(tmp_path), "--out", str(tmp_path / "out"), "--model", model], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{model} cannot be improved here" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_repository_that_is_no_folder_is_refused_before_anything_is_made(tmp_path):
    done = subprocess.run(
        [TRAIN, "improve", str(tmp_path / "none"), "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{tmp_path}/none is not a folder" in done.stderr
    assert not (tmp_path / "out").exists()
