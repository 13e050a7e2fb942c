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
