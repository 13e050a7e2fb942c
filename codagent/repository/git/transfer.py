"""Copies a commit into a sandbox's workspace, and the resulting files back out as a tree."""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from pathlib import Path

from codagent.errors import RepositoryError, SandboxError
from codagent.protocols import Sandbox
from codagent.repository.git.command import Git
from codagent.repository.git.objects import object_folder
from codagent.repository.git.receive import MAX_PACK_BYTES, receive
from codagent.types import CommandResult

HISTORY = 50  # commits of the history that the agent can see
_SECONDS = 300.0
_IN, _OUT = ".codagent-in.tar", ".git/codagent"
_BASE_LOST = 91
_TOO_LARGE = 92
_NO_GIT = 127

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
[ -L .git ] || chmod -R u+rwX .git 2>/dev/null
rm -rf .git && mkdir .git && tar --no-same-owner -xf {_IN} -C .git && rm {_IN} || exit 1
"""
_CHECK_OUT = "git reset -q --hard"

# The agent may have changed anything in .git, so the tree is made in another git folder, from the commit that was copied in. Only the
# objects and the index of the agent's .git are used: with the objects, less is sent back; with the index, fewer files are read.
_COLLECT = f"""
[ -d .git ] && [ ! -L .git ] && chmod u+rwx .git || rm -rf .git
rm -rf {_OUT} && mkdir -p {_OUT} || exit 1
export GIT_DIR="$PWD/{_OUT}/git" GIT_WORK_TREE="$PWD" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY
git init -q --template= --object-format=FORMAT && mkdir -p "$GIT_DIR/info" || exit 1
echo "$PWD/.git/objects" >"$GIT_DIR/objects/info/alternates"
{{ cp -p .git/index "$GIT_DIR/index"; cp .git/info/exclude "$GIT_DIR/info/exclude"; }} 2>/dev/null
git read-tree --reset BASE 2>/dev/null || {{ rm -f "$GIT_DIR/index" && git read-tree BASE; }} || exit {_BASE_LOST}
git add -A && git rm -rq --cached --ignore-unmatch -- ':(icase).codagent' || exit 1
git ls-tree -r -z BASE .codagent | git update-index -z --index-info && tree=$(git write-tree) || exit 1
printf '%s\\n^%s^{{tree}}\\n' "$tree" BASE | git pack-objects --revs --thin --window=0 --compression=1 -q --stdout >{_OUT}/pack || exit 1
[ "$(wc -c <{_OUT}/pack)" -le {MAX_PACK_BYTES} ] || exit {_TOO_LARGE}
echo "$tree"
"""


def copy_in(sandbox: Sandbox, packed: bytes) -> None:
    """Check out a commit, as `pack` returned it, in the sandbox's empty workspace, on the branch `work`.

    Raises SandboxError when the sandbox has no room or lacks git or tar.
    """
    _unpack(sandbox, packed, then=_CHECK_OUT)


def collect_tree(sandbox: Sandbox, root: Path, snapshot_commit: str) -> str | None:
    """Bring the workspace's files into the user's object store, and return the id of their tree. Returns None when nothing changed.

    The tree has every file that is not ignored, and every file of the snapshot that still exists, whatever the agent did with git. Raises
    RepositoryError when there is no valid result, SandboxError when collecting it takes too long.
    """
    script = _COLLECT.replace("BASE", snapshot_commit).replace("FORMAT", _object_format(snapshot_commit))
    result = sandbox.run(script, timeout=_SECONDS)
    if result.exit_code == _BASE_LOST:
        _unpack(sandbox, pack(root, snapshot_commit))
        result = sandbox.run(script, timeout=_SECONDS)
    tree = _read_tree(result)
    if tree == Git(root).line("rev-parse", f"{snapshot_commit}^{{tree}}"):
        return None
    try:
        objects = sandbox.read(f"{_OUT}/pack")
    except OSError as error:
        raise RepositoryError(f"the sandbox gave no result: its pack could not be read ({error.strerror})") from error
    sandbox.run(f"rm -rf {_OUT}", timeout=_SECONDS)
    receive(root, snapshot_commit, tree, objects)
    return tree


def _unpack(sandbox: Sandbox, packed: bytes, *, then: str = "") -> None:
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
        raise SandboxError(f"the repository could not be checked out in the sandbox: {_last_line(result)}")


def pack(root: Path, commit: str) -> bytes:
    """Return a tar file that becomes .git in a sandbox: the commit with its latest history, packed.

    The pack comes with its index, because making an index takes long.
    """
    git = Git(root)
    boundary = _boundary(git, commit)
    texts = {
        "HEAD": "ref: refs/heads/work\n",
        "config": _CONFIG.format(format=_object_format(commit)),
        "info/exclude": _excludes(git),
        "refs/heads/work": f"{commit}\n",
        "shallow": "".join(f"{end}\n" for end in boundary),
    }
    wanted = "".join([*(f"--shallow {end}\n" for end in boundary), f"{commit}\n"])
    archive = io.BytesIO()
    with object_folder(git, Path(tempfile.gettempdir())) as folder, tarfile.open(fileobj=archive, mode="w") as tar:
        pack_options = ("--revs", "--window=0", "--compression=0", "--delta-base-offset", "-q")
        env = {"GIT_OBJECT_DIRECTORY": str(folder)}
        git("pack-objects", *pack_options, f"{folder}/pack/pack", stdin=wanted.encode(), env=env)
        for file in sorted((folder / "pack").iterdir()):
            tar.add(file, f"objects/pack/{file.name}")
        for name, text in texts.items():
            if text:
                member = tarfile.TarInfo(name)
                member.size = len(data := os.fsencode(text))
                tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def _boundary(git: Git, commit: str) -> list[str]:
    """Return the commits at which the history that is sent begins: those with a parent that is not sent."""
    count = 1 if git.partial else HISTORY
    listing = git.line("rev-list", f"--max-count={count}", "--format=raw", commit)
    parents: dict[str, list[str]] = {}
    for line in listing.splitlines():
        word, _, value = line.partition(" ")
        if word == "commit":
            parents[value] = last = []
        elif word == "parent":
            last.append(value)
    return [child for child, its in parents.items() if any(parent not in parents for parent in its)]


def _excludes(git: Git) -> str:
    """Return the ignore rules of the user that are not in the repository's own files."""
    personal = Path(git.config.get("core.excludesfile") or "~/.config/git/ignore").expanduser()
    texts = [os.fsdecode(file.read_bytes()) for file in (personal, git.path("info/exclude")) if file.is_file()]
    return "\n".join([*texts, "/.codagent/", "__pycache__/", ""])  # the agent's own runs write __pycache__


def _read_tree(result: CommandResult) -> str:
    """Return the id that the collecting script printed. Raises SandboxError or RepositoryError when the script failed."""
    if result.timed_out:
        raise SandboxError("collecting the result took too long; the sandbox may be overloaded by what the agent left running")
    if result.exit_code == _TOO_LARGE:
        raise RepositoryError(
            f"the result is larger than {MAX_PACK_BYTES >> 20} MB; have build products ignored by a .gitignore and try again"
        )
    if result.exit_code or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tree := _last_line(result)):
        raise RepositoryError(f"the sandbox gave no result: {_last_line(result)}")
    return tree


def _last_line(result: CommandResult) -> str:
    """Return the last line of a hostile program's output, as a person may see it."""
    lines = result.output.strip().splitlines() or [f"exit code {result.exit_code}"]
    return "".join(filter(str.isprintable, lines[-1][:200]))


def _object_format(commit: str) -> str:
    return "sha256" if len(commit) == 64 else "sha1"
