"""The tree that the gates judge: the agent's work, with the files that decide about it restored to their state at the start.

Only objects are read and written: nothing is checked out, and no attribute or filter is used. An honest change to these files does not
count either. For example, a dependency added to pyproject.toml is not installed when the checks run.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from codagent.files import temporary_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import SUBMODULE, diff_trees, list_files, read_blobs
from codagent.repository.git.refs import tree_of

# Paths of tests and of the files beside them. Tests that the agent added stay, and must pass too.
TESTS = re.compile(r"(^testing/|(^|/)(tests?/|__tests__/|test_[^/]*\.\w+$|[^/]*(_test|\.test|\.spec)\.\w+$|conftest\.py$))", re.IGNORECASE)
# Build files that may also configure how tests run.
_BUILD = re.compile(r"(^|/)(pyproject\.toml|setup\.(cfg|py)|tox\.ini|noxfile\.py)$", re.IGNORECASE)
# Configuration of runners and linters, and files that Python or pytest load without being asked to.
_HOOKS = re.compile(
    r"(^|/)(conftest\.py|\.?pytest\.(ini|toml)|\.gitattributes|\.coveragerc|\.?(ruff|mypy)\.(toml|ini)|\.flake8|\.?pylintrc)$"
    r"|(^|/)(site|user)customize(\.|/|$)|\.(pth|py[co])$|(^|/)(__pycache__|\.pytest_cache|[^/]*\.(egg|dist)-info)(/|$)",
    re.IGNORECASE,
)
_MODULE = re.compile(r"(.*?)(?:/__init__)?(?:\.py|(?:\.[\w-]+)*\.(?:so|pyd))")
_RUNNER = sys.stdlib_module_names | {
    *("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "exceptiongroup", "tomli", "pygments", "typing_extensions"),
    *("xdist", "execnet"),
}
_FILE, _SYMLINK, _NOTHING = "100644", "120000", "000000"


@dataclass(frozen=True, slots=True)
class _Change:
    """A path that differs between the start and the commit. A mode or blob of zeros means that the path does not exist there."""

    path: str
    mode_before: str
    mode: str
    blob_before: str
    blob: str

    @property
    def is_added(self) -> bool:
        return not self.mode_before.strip("0")


def protected_tree(root: Path, start_commit: str, commit: str, protect: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the tree of `commit` with protected files as they are in `start_commit`, and the paths that this changed back.

    `protect` are git's globs. A file that was added under them is removed.
    """
    git = Git(root)
    named: set[str] = set()
    if protect:
        globs = (f":(glob){glob}" for glob in protect)
        named = {path for _, path in diff_trees(git, start_commit, commit, *globs)}
    taken = _taken_modules(list_files(root, start_commit))
    undone = [
        change
        for change in _changes(root, start_commit, commit)
        if change.path in named or (_takes_over(git, change, taken) if change.is_added else _decides(change.path))
    ]
    if not undone:
        return tree_of(root, commit), ()
    lines = [f"{change.mode_before if not change.is_added else 0} {change.blob_before}\t{change.path}" for change in undone]
    return _write_tree(git, commit, lines), tuple(change.path for change in undone)


def list_modules(paths: Iterable[str]) -> frozenset[str]:
    """Return the names by which the code under test may be imported: what is at the top, or in `src`, and is no test."""
    names = set()
    for path in paths:
        parts = PurePosixPath(path.removeprefix("src/").removeprefix("lib/")).parts
        if path.endswith(".py") and not TESTS.search(path):
            names.add(parts[0].removesuffix(".py"))
    return frozenset(names)


def read_changes(root: Path, before: str, after: str) -> list[tuple[str, bytes, bytes]]:
    """Return the paths that differ between two trees, and what they were and are. b"" stands for no file, and for a submodule."""
    changes = _changes(root, before, after)
    sides = [side for change in changes for side in ((change.mode_before, change.blob_before), (change.mode, change.blob))]
    blobs = read_blobs(Git(root), [blob for mode, blob in sides if mode not in (_NOTHING, SUBMODULE)])
    return [(change.path, blobs.get(change.blob_before, b""), blobs.get(change.blob, b"")) for change in changes]


def replace_files(root: Path, tree: str, files: Mapping[str, bytes]) -> str:
    """Return the tree `tree` with other contents of `files`, by path."""
    git = Git(root)
    with temporary_folder() as folder:
        for number, data in enumerate(files.values()):
            (folder / str(number)).write_bytes(data)
        names = "".join(f"{folder}/{number}\n" for number in range(len(files)))
        blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names.encode()).decode().split()
    return _write_tree(git, tree, [f"{_FILE} {blob}\t{path}" for path, blob in zip(files, blobs, strict=True)])


def _write_tree(git: Git, tree: str, lines: Sequence[str]) -> str:
    """Return `tree` with the entries of `lines`, each "MODE BLOB<tab>PATH"; the mode 0 removes a path."""
    with temporary_folder() as folder:
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        git("read-tree", tree, env=index)
        # --replace: where a folder of protected files became a file or a link, it becomes a folder again.
        git("update-index", "-z", "--replace", "--index-info", stdin=os.fsencode("".join(f"{line}\0" for line in lines)), env=index)
        return git.line("write-tree", "--missing-ok", env=index)


@lru_cache(maxsize=4)  # the gates ask again and again; a list may be long
def _changes(root: Path, start_commit: str, commit: str) -> tuple[_Change, ...]:
    return tuple(_Change(path, *facts.split()[:4]) for facts, path in diff_trees(Git(root), start_commit, commit))


def _decides(path: str) -> bool:
    return any(rule.search(path) for rule in (TESTS, _BUILD, _HOOKS))


def _takes_over(git: Git, change: _Change, taken: set[str]) -> bool:
    """Whether an added file is read before the files that decide, or in their place."""
    if _HOOKS.search(change.path):
        return True
    if _BUILD.search(change.path):
        return change.mode == _SYMLINK or _configures_pytest(change.path, git("cat-file", "blob", change.blob))
    module = _module_path(change.path, link=change.mode == _SYMLINK)
    if module is None:
        return False
    folder, _, name = module.rpartition("/")
    return module in taken or (name in _RUNNER and (folder in ("", "src") or bool(TESTS.search(f"{folder}/"))))


def _taken_modules(files: Sequence[str]) -> set[str]:
    """Return the module paths that no added file may have: those of the test files among `files`, and of the folders that contain them.

    pytest puts a folder of tests that is no package before all others, so what the code is imported by is taken there, too.
    """
    paths = [path for path in files if TESTS.search(path)]
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents if TESTS.search(f"{folder}/")}
    first = [folder for folder in folders if f"{folder}/__init__.py" not in files]
    code = {f"{folder}/{name}" for folder in first for name in list_modules(files)}
    return folders | code | {module for path in paths if (module := _module_path(path, link=False))}


def _module_path(path: str, *, link: bool) -> str | None:
    """Return the path that a file is imported by, without its ending. Returns None for a file that is no module.

    With `link`, a path without an ending counts, because a link may stand for a package.
    """
    found = _MODULE.fullmatch(path)
    return found[1] if found else path if link else None


def _configures_pytest(path: str, data: bytes) -> bool:
    if not path.lower().endswith(".toml"):
        return re.search(rb"^\s*\[.*pytest", data, re.MULTILINE | re.IGNORECASE) is not None
    try:
        tool = tomllib.loads(data.decode()).get("tool", {})
    except ValueError:
        return True
    return not isinstance(tool, dict) or "pytest" in tool
