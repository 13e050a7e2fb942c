"""A repository to work in that uses the objects of another repository and changes nothing there."""

from __future__ import annotations

from pathlib import Path

from codagent.repository.git.command import Git


def clone_shared(root: Path, folder: Path, commit: str) -> None:
    """Make the repository `folder`, which is missing or empty, and check out `commit` of the repository `root` in it.

    Raises RepositoryError when the commit does not exist (any more).
    """
    lender = Git(root)
    lender.line("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    folder.mkdir(parents=True, exist_ok=True)
    Git(root)("init", "--quiet", "--template=", str(folder))
    (folder / ".git" / "objects" / "info").mkdir(exist_ok=True)
    objects = lender.path("objects").resolve()
    (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    Git(folder, work_tree=True)("checkout", "--quiet", "--detach", commit)
