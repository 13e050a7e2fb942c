"""The submodules of a repository: which of their files are on this machine, and a pack that has them.

A file of a submodule is read only from objects that lie in the repository's own folders: in `modules` of the git folder, or in the
submodule's own `.git` folder. A `.git` file, a link or a list of borrowed objects that leads to another place is not followed, because a
repository of somebody else could name there what the user keeps private. The repository's git must not look into the files of a submodule:
it would run the filters that the submodule's configuration names. A Git of the submodule's own does not run them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.files import is_plain, is_plain_folder, temporary_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import borrow_objects, list_submodules, read_entries

MAX_SUBMODULES = 1_000
_Env = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule, or a submodule of one."""

    path: str  # from the top of the repository
    commit: str
    is_here: bool  # whether its files can be read


@dataclass(frozen=True, slots=True)
class SubmoduleReport:
    """The submodules whose files in a sandbox are not those on the disk, by path."""

    absent: tuple[str, ...] = ()  # not checked out
    foreign: tuple[str, ...] = ()  # checked out from objects that lie outside of the repository
    edited: tuple[str, ...] = ()  # with changes that are not committed


def find_submodules(root: Path, commit: str) -> tuple[Submodule, ...]:
    """Return the submodules of a commit and those inside them, each before those inside it."""
    links = list_submodules(root, commit)
    if not links:
        return ()
    with _find_submodules(root, links) as (found, _):
        return tuple(found)


def check_submodules(root: Path, commit: str) -> SubmoduleReport:
    """Compare the submodules of a commit with what is on the disk."""
    found = find_submodules(root, commit)
    missing = [one.path for one in found if not one.is_here]
    foreign = tuple(path for path in missing if os.path.lexists(root / path / ".git"))
    edited = tuple(one.path for one in found if one.is_here and _is_edited(root, one.path))
    return SubmoduleReport(tuple(path for path in missing if path not in foreign), foreign, edited)


def pack_submodules(root: Path, links: Mapping[str, str], folder: Path) -> tuple[Submodule, ...]:
    """Make `folder` a git folder that has the files of the submodules in `links`, which are commits by path, and of those inside them.

    Returns the submodules that it has, each before those inside it. It can lie in `modules` of another repository's git folder.
    """
    with _find_submodules(root, links) as (found, env):
        here = tuple(one for one in found if one.is_here)
        if not here:
            return ()
        (folder / "objects/pack").mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        wanted = "".join(f"--shallow {one.commit}\n{one.commit}\n" for one in here)
        options = ("--revs", "--window=0", "--compression=0", "--delta-base-offset", "-q")
        Git(root)("pack-objects", *options, f"{folder}/objects/pack/pack", stdin=wanted.encode(), env=env)
        return here


def is_folder_inside(root: Path, path: str) -> bool:
    """Whether a folder of the repository at `root` is at `path`, and no link leads to it."""
    top = root.resolve()
    return (top / path).is_dir() and (top / path).resolve() == top / path and (top / path).is_relative_to(top)


@contextmanager
def _find_submodules(root: Path, links: Mapping[str, str]) -> Iterator[tuple[list[Submodule], _Env]]:
    """Find the submodules in `links` and those inside them, each before those inside it.

    Yields them, and the environment variables by which git reads their objects. Raises RepositoryError when there are too many.
    """
    git = Git(root)
    stores, found = _find_stores(git.path("modules")), []
    with temporary_folder() as folder:
        env = {"GIT_OBJECT_DIRECTORY": str(folder)}
        while links:
            stores += _find_stores(*(root / path / ".git" for path in links if is_folder_inside(root, path)))
            borrow_objects(folder, *stores)
            here = _find_commits(git, links.values(), env)
            found += [Submodule(path, commit, commit in here) for path, commit in links.items()]
            if len(found) > MAX_SUBMODULES:
                raise RepositoryError(f"{root} has more than {MAX_SUBMODULES:,} submodules, which is too many to be worked on")
            inner = {commit: read_entries(git, commit, env)[1] for commit in here}
            below = ((f"{path}/{name}", link) for path, commit in links.items() for name, link in inner.get(commit, {}).items())
            links = dict(islice(below, MAX_SUBMODULES))
        yield found, env


def _find_commits(git: Git, ids: Iterable[str], env: _Env) -> set[str]:
    """Return those of the ids that are commits and are there."""
    lines = git("cat-file", "--batch-check", stdin="".join(f"{one}\n" for one in ids).encode(), env=env).decode().splitlines()
    return {line.split()[0] for line in lines if line.split()[1] == "commit"}


def _find_stores(*folders: Path) -> list[Path]:
    """Return the folders of objects of the git folders at or below `folders`, and of the submodules inside them.

    A git folder whose objects lie elsewhere in part is passed over, and no link is followed.
    """
    stores, left = [], [*folders]
    while left:
        folder = left.pop()
        if is_plain_folder(folder) and is_plain(folder / "HEAD"):
            stores += [(folder / "objects").resolve()] if _has_own_objects(folder) else []
            left.append(folder / "modules")
        elif is_plain_folder(folder):
            left += folder.iterdir()
    return stores


def _has_own_objects(git_folder: Path) -> bool:
    objects = git_folder / "objects"
    if not is_plain_folder(objects) or any(path.is_symlink() for path in objects.iterdir()):
        return False
    return not any(os.path.lexists(objects / "info" / name) for name in ("alternates", "http-alternates"))


def _is_edited(root: Path, path: str) -> bool:
    """Whether a submodule that is checked out has changes that are not committed. The submodules inside it are not looked into."""
    if not is_folder_inside(root, path) or not os.path.lexists(root / path / ".git"):
        return False
    with suppress(RepositoryError):
        git = Git(root / path, work_tree=True)
        return bool(git("status", "--porcelain", "-z", "--ignore-submodules=dirty"))
    return False
