"""A repository as tasks start from it: a copy of the source, and for each task a commit without history that has one bug."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from codagent.errors import RepositoryError, UsageError
from codagent.files import is_plain_folder
from codagent.repository import git
from codagent.repository.git.command import Git
from codagent.repository.git.snapshot import temporary_index
from codagent_train.files import atomic_output, require_folder

MAX_FILES, MAX_BYTES = 2_000, 64 << 20
SOURCE = "refs/heads/main"  # of a copy: the code without a bug
_LEFT_OUT = (".git", ".codagent", "__pycache__", ".venv", "venv", "node_modules", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache")


def copy_repository(source: Path, target: Path) -> str:
    """Make the repository `target` with the files of the folder `source`, unless it is there, and return its commit.

    Of a git repository, what git tracks is copied, as it is on the disk, also of its submodules. `source` is only read. Raises UsageError
    when it is no folder, or has too many files.
    """
    if not target.is_dir():
        files = _list_sources(source)
        with atomic_output(target) as unfinished:
            for path in files:
                (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / path, unfinished / path, follow_symlinks=False)
            _commit_all(unfinished)
    return Git(target).line("rev-parse", "--verify", SOURCE)


def commit_bug(root: Path, commit: str, path: str, data: bytes, *, task_id: str) -> str:
    """Return the commit that a task starts from: the tree of `commit` with another content of one file, and no parent.

    Nothing in it leads to the code without the bug. A ref keeps it; a commit of the same files that this ref names already is returned.
    """
    repository, ref = Git(root), f"refs/tasks/{task_id}"
    with temporary_index(repository) as index:
        repository("read-tree", commit, env=index)
        mode = repository.line("ls-files", "--stage", "--", f":(literal){path}", env=index).split()[0]
        blob = repository.line("hash-object", "-w", "--stdin", stdin=data)
        repository("update-index", "--cacheinfo", f"{mode},{blob},{path}", env=index)
        tree = repository.line("write-tree", env=index)
    with suppress(RepositoryError):  # there may be no such ref
        if repository.line("rev-parse", "--verify", "--quiet", f"{ref}^{{tree}}") == tree:
            return repository.line("rev-parse", "--verify", ref)
    made = git.commit(root, tree, None, "the repository", trailers={})
    repository("update-ref", ref, made)
    return made


def read_files(root: Path, commit: str) -> Mapping[str, bytes]:
    """Return the Python files of a commit by their paths."""
    return {path: git.read_file(root, commit, path) for path in git.list_files(root, commit) if path.endswith(".py")}


def name_repositories(sources: list[Path]) -> dict[str, Path]:
    """Give each source a name of its own that an id can begin with."""
    named: dict[str, Path] = {}
    for source in sources:
        name = re.sub(r"[^a-z0-9]+", "-", source.resolve().name.lower()).strip("-")[:40] or "repository"
        named[next(free for free in (name, *(f"{name}-{number}" for number in range(2, 99))) if free not in named)] = source
    return named


def _list_sources(source: Path) -> list[Path]:
    require_folder(source)
    if (source / ".git").exists():
        files = list(_list_tracked(source.resolve()))
    else:
        files = [
            (Path(folder) / name).relative_to(source)
            for folder, folders, names in os.walk(source)
            for name in (folders.__setitem__(slice(None), sorted(set(folders) - set(_LEFT_OUT))) or names)
        ]
    size = sum((source / path).lstat().st_size for path in files)
    if len(files) > MAX_FILES or size > MAX_BYTES:
        raise UsageError(
            f"{source} has {len(files):,} files with {size >> 20:,} MB; tasks are made from at most {MAX_FILES:,} files with"
            f" {MAX_BYTES >> 20} MB: give a package in it that has its own tests"
        )
    return sorted(path for path in files if not (source / path).is_dir() or (source / path).is_symlink())


def _list_tracked(root: Path) -> Iterator[Path]:
    """Yield the paths of a repository that are there, and instead of a submodule that is checked out the paths in it."""
    for path in map(Path, git.list_tracked(root)):
        if is_plain_folder(root / path) and (root / path / ".git").exists():
            yield from (path / inner for inner in _list_tracked(root / path))
        elif os.path.lexists(root / path):
            yield path


def _commit_all(folder: Path) -> None:
    Git(folder.parent)("init", "--quiet", "--template=", "--initial-branch=main", str(folder))
    repository = Git(folder, work_tree=True)
    repository("add", "--all", "--force", ".")
    commit = git.commit(folder, repository.line("write-tree"), None, "the repository", trailers={})
    repository("update-ref", SOURCE, commit)
