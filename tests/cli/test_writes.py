"""What codagent writes on this machine: the repository, its own folders and the temporary folder, and nothing else."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import CHECK, FIX

# Python loads a module of this name at its start. The hook sees each file that this process opens, moves or removes.
HOOK = """
import os, sys
log = os.open(os.environ["WRITES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
CHANGES = {"os.mkdir": [0], "os.rename": [0, 1], "os.remove": [0], "os.rmdir": [0], "os.link": [1], "os.symlink": [1], "os.truncate": [0],
           "os.chmod": [0], "os.chown": [0], "os.utime": [0]}
def hear(event, arguments):
    if event == "open":
        path, _, flags = arguments
        changed = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) else []
    else:
        changed = [arguments[at] for at in CHANGES.get(event, [])]
    for path in changed:
        if isinstance(path, (str, bytes)):
            os.write(log, os.fsencode(os.path.realpath(os.fsdecode(path))) + b"\\0")
sys.addaudithook(hear)
"""
OWN = (".cache/codagent", ".local/state/codagent", "config/codagent")


@pytest.fixture
def writes(codagent, tmp_path, repository):
    """Runs a command and gives the paths that it changed outside of the repository and the temporary folder."""
    hooks, temporary, log = tmp_path / "hooks", tmp_path / "temporary", tmp_path / "writes"
    hooks.mkdir()
    temporary.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    environment = {"PYTHONPATH": str(hooks), "PYTHONDONTWRITEBYTECODE": "1", "WRITES": str(log), "TMPDIR": str(temporary)}

    def run(*arguments):
        done = codagent(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in temporary.iterdir()] == []
        paths = {Path(os.fsdecode(path)) for path in log.read_bytes().split(b"\0") if path}
        assert any(path.is_relative_to(repository) for path in paths)
        log.unlink()
        return {path for path in paths if not any(map(path.is_relative_to, (repository, temporary, "/dev", "/proc")))}

    return run


@pytest.mark.parametrize("sandbox", ["local", pytest.param("python", marks=pytest.mark.docker)])
def test_nothing_else_is_written(writes, script, tmp_path, request, sandbox):
    if sandbox == "python":
        request.getfixturevalue("python_sandbox")
    own = [tmp_path / name for name in OWN]
    loop = ["loop", "mend it", "--iterations", "2", "--rewrite", "always", "--model", script([*FIX, "<notes>\n- done\n</notes>"])]
    for command in (["run", "mend it", "--model", script(FIX)], loop, ["report"], ["apply"], ["clean", "--all"]):
        flags = ["--check", CHECK, "--sandbox", sandbox] if command[0] in ("run", "loop") else []
        elsewhere = writes(*command, *flags)
        assert {path for path in elsewhere if not any(path.is_relative_to(mine) or mine.is_relative_to(path) for mine in own)} == set()
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path in kept if not path.startswith((*OWN, "repository/", "hooks/", "script"))]
