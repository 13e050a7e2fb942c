"""A change, made beside the user's checkout."""

from __future__ import annotations

import subprocess

import pytest

from codagent.repository import git


@pytest.fixture
def change(repository, tmp_path):
    """Makes the commit that a change of files leads to, beside the user's checkout. None deletes, `-> x` is a link, `#!` is executable."""

    base = git.snapshot(repository.root).commit

    def commit(files: dict[str, str | None], start: str | None = None) -> tuple[str, str]:
        start = start or base
        other = tmp_path / f"other{len(list(tmp_path.iterdir()))}"
        repository.git("worktree", "add", "-q", "--detach", str(other), start)
        for name, text in files.items():
            file = other / name
            if file.exists() or file.is_symlink():
                subprocess.run(["rm", "-rf", file], check=True)
            if text is None:
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                file.symlink_to(text[3:])
            else:
                file.write_text(text)
                file.chmod(0o755 if text.startswith("#!") else 0o644)
        subprocess.run(["git", "add", "-fA"], cwd=other, check=True)
        subprocess.run(["git", "commit", "-qm", "result"], cwd=other, check=True)
        result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=other, check=True, capture_output=True, text=True).stdout.strip()
        return start, result

    return commit
