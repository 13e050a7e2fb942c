"""Copies commits into a sandbox's workspace, or into a folder of this machine or another, and the work back from there."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from codagent.errors import RepositoryError, SandboxError
from codagent.files import read_plain, temporary_folder
from codagent.protocols import Sandbox
from codagent.repository.git.command import Git
from codagent.repository.git.objects import borrow_objects, list_submodules, object_folder
from codagent.repository.git.submodules import pack_submodules
from codagent.types import CommandResult

HISTORY = 50  # commits of the history that the agent can see
_SECONDS = 300.0
_IN = ".codagent-in.tar"
_NO_GIT = 127
_MODULES = "codagent"  # begins the names of folders in `modules` of a git folder

_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = false
\tlogallrefupdates = true
[extensions]
\tobjectformat = {format}
[user]
\tname = codagent
\temail = codagent@localhost
[filter "lfs"]
\tclean =
\tsmudge =
\tprocess =
\trequired = false
"""

_UNPACK_IN = f"""
command -v git >/dev/null && command -v tar >/dev/null || exit {_NO_GIT}
[ ! -d .git ] || [ -L .git ] || chmod -R u+rwX .git 2>/dev/null
[ ! -e .git ] && [ ! -L .git ] || rm -rf .git
mkdir .git && tar --no-same-owner -xf {_IN} -C .git && rm {_IN} || exit 1
"""
# The index of each submodule is kept: it tells later which files were changed.
_CHECK_OUT = f"""
git reset -q --hard || exit 1
[ -e .git/submodules/list ] || exit 0
export GIT_DIR="$PWD/.git" GIT_OBJECT_DIRECTORY="$PWD/.git/modules/{_MODULES}-0/objects" LC_ALL=C number=0
while IFS= read -r -d '' commit && IFS= read -r -d '' path; do
    GIT_WORK_TREE="$PWD/$path" GIT_INDEX_FILE="$PWD/.git/submodules/$number" git read-tree --reset -u "$commit" || exit 1
    number=$((number + 1))
done <.git/submodules/list
rm -rf .git/modules
"""


def copy_in(sandbox: Sandbox, packed: bytes) -> None:
    """Check out a commit, as `pack` returned it, in the sandbox's empty workspace, on the branch `work`, and the submodules as plain files.

    Raises SandboxError when the sandbox has no room or lacks git or tar.
    """
    unpack(sandbox, packed, then=_CHECK_OUT)


def unpack(sandbox: Sandbox, packed: bytes, *, then: str = "") -> None:
    """Put a packed commit in the place of the workspace's .git, and run the shell script `then`. Raises as `copy_in` does."""
    try:
        sandbox.write(_IN, packed)
    except OSError as error:
        raise SandboxError(
            f"{len(packed) >> 20} MB of repository did not fit into the sandbox ({error.strerror}); give it more workspace_mb"
        ) from error
    result = sandbox.run(_UNPACK_IN + then, timeout=_SECONDS)
    if result.exit_code == _NO_GIT:
        raise SandboxError("the sandbox's image lacks git or tar; add them to its Dockerfile and build it again")
    if result.exit_code:
        raise SandboxError(f"the repository could not be checked out in the sandbox: {last_line(result)}")


def pack(root: Path, commit: str, also: Sequence[str] = (), *, submodules: Mapping[str, str] | None = None) -> bytes:
    """Return a tar file that becomes .git in a sandbox: the commit with its latest history, packed, and the commits `also` with theirs.

    The packs come with their indexes, because making an index takes long. A pack of its own has the files of the submodules that are on
    this machine. `submodules` are those of the commit, as `list_submodules` returns them; None: they are listed here.
    """
    git = Git(root)
    commits = tuple(dict.fromkeys((commit, *also)))
    links = list_submodules(root, commit) if submodules is None else submodules
    boundary = _boundary(git, commits)
    texts = {
        "HEAD": "ref: refs/heads/work\n",
        "config": _CONFIG.format(format=object_format(commit)),
        "info/exclude": _excludes(git),
        "refs/heads/work": f"{commit}\n",
        "shallow": "".join(f"{end}\n" for end in boundary),
    }
    wanted = "".join([*(f"--shallow {end}\n" for end in boundary), *(f"{one}\n" for one in commits)])
    archive = io.BytesIO()
    with temporary_folder() as parent, object_folder(git, parent) as folder, tarfile.open(fileobj=archive, mode="w") as tar:
        pack_options = ("--revs", "--window=0", "--compression=0", "--delta-base-offset", "-q")
        env = {"GIT_OBJECT_DIRECTORY": str(folder)}
        git("pack-objects", *pack_options, f"{folder}/pack/pack", stdin=wanted.encode(), env=env)
        for file in sorted((folder / "pack").iterdir()):
            tar.add(file, f"objects/pack/{file.name}")
        texts["submodules/list"] = _pack_submodules(root, [links, *(list_submodules(root, one) for one in also)], parent / "modules")
        if (parent / "modules").exists():
            tar.add(parent / "modules", "modules")
        for name, text in texts.items():
            if text:
                member = tarfile.TarInfo(name)
                member.size = len(data := os.fsencode(text))
                tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def _pack_submodules(root: Path, links: Sequence[Mapping[str, str]], folder: Path) -> str:
    """Pack the submodules of several commits in `folder`. Returns those of the first: commit and path, each before a zero byte."""
    text = ""
    for number, wanted in enumerate(links):
        if wanted and wanted not in links[:number]:
            here = pack_submodules(root, wanted, folder / f"{_MODULES}-{number}")
            text = text if number else "".join(f"{one.commit}\0{one.path}\0" for one in here)
    return text


def clone_shared(root: Path, folder: Path, commit: str) -> None:
    """Make the repository `folder`, which is missing or empty, and check out `commit` of the repository `root` in it.

    The folders of submodules stay empty; the git folder has what `pack` needs of them. Raises RepositoryError when there is no commit.
    """
    lender = Git(root)
    whole_id = lender.line("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    folder.mkdir(parents=True, exist_ok=True)
    Git(root)("init", "--quiet", "--template=", str(folder))
    borrow_objects(folder / ".git/objects", lender.path("objects").resolve())
    _pack_submodules(root, [list_submodules(root, whole_id)], folder / ".git/modules")
    Git(folder, work_tree=True)("checkout", "--quiet", "--detach", commit)


def make_repository(folder: Path, packed: bytes) -> None:
    """Make `folder`, which is missing or empty, a repository with packed commits. Nothing is checked out."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder / ".git", filter="data")


def pack_work(root: Path, commit: str, known: Sequence[str]) -> bytes:
    """Return the objects of a commit, without those of the commits that are known where it is to go."""
    wanted = "".join([f"{commit}\n", *(f"^{one}\n" for one in known)])
    return Git(root)("pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q", stdin=wanted.encode())


def _boundary(git: Git, commits: Sequence[str]) -> list[str]:
    """Return the commits at which the history that is sent begins: those with a parent that is not sent."""
    count = 1 if git.partial else HISTORY
    listings = [git.line("rev-list", f"--max-count={count}", "--format=raw", commit) for commit in commits]
    parents: dict[str, list[str]] = {}
    for line in "\n".join(listings).splitlines():
        word, _, value = line.partition(" ")
        if word == "commit":
            parents[value] = last = []
        elif word == "parent":
            last.append(value)
    return [child for child, its in parents.items() if any(parent not in parents for parent in its)]


def _excludes(git: Git) -> str:
    """Return the ignore rules of the user that are not in the repository's own files.

    A repository of somebody else may not choose what is read: not by its configuration, and not by a link.
    """
    personal = Path(os.path.expanduser(_find_personal_excludes(git) or "~/.config/git/ignore"))  # noqa: PTH111 - it does not raise
    texts = []
    for file in (personal.resolve(), git.path("info/exclude")):
        with suppress(OSError, RepositoryError):
            texts.append(os.fsdecode(read_plain(file)))
    return "\n".join([*texts, "/.codagent/", "__pycache__/", ""])  # the agent's own runs write __pycache__


def _find_personal_excludes(git: Git) -> str:
    """Return the file of ignore rules that the user's own configuration names. "": it names none."""
    if "core.excludesfile" not in git.config:
        return ""
    asked = (git("config", scope, "--includes", "--get", "core.excludesfile", codes=(0, 1)) for scope in ("--global", "--system"))
    return next((os.fsdecode(name.removesuffix(b"\n")) for name in asked if name), "")


def last_line(result: CommandResult) -> str:
    """Return the last line of a hostile program's output, as a person may see it."""
    lines = result.output.strip().splitlines() or [f"exit code {result.exit_code}"]
    return "".join(filter(str.isprintable, lines[-1][:200]))


def object_format(commit: str) -> str:
    return "sha256" if len(commit) == 64 else "sha1"
