"""Brings the files of a sandbox's workspace out as a tree, as far as they can be brought out."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from codagent.errors import RepositoryError, SandboxError
from codagent.protocols import Sandbox, ignore_text
from codagent.repository.git.objects import list_submodules
from codagent.repository.git.refs import tree_of
from codagent.repository.git.transfer.packing import last_line, object_format, pack, unpack
from codagent.repository.git.transfer.receive import MAX_PACK_BYTES, receive
from codagent.types import CommandResult

_SECONDS = 300.0
_OUT, _OUT_ELSEWHERE = ".git/codagent", f"/tmp/codagent-{secrets.token_hex(16)}"  # noqa: S108 - another file system, in a container
_BASE_LOST = 91
_TOO_LARGE = 92
_LARGE, _LESS = MAX_PACK_BYTES, 8 << 20  # larger files stay behind
_MAX_NAMED, _MAX_NAME = 10, 200

# The agent may have changed anything in .git, so the tree is made in another git folder, from the commit that was copied in. Only the
# objects and the index of the agent's .git are used: with the objects, less is sent back; with the index, fewer files are read. The script
# prints the names of what stays behind, with a zero byte around each, those in submodules after a slash, and the tree in the last line. A
# process costs more than anything else here, so each is started only where it has something to do.
_COLLECT = f"""
export LC_ALL=C
if [ ! -d .git ] || [ -L .git ]; then rm -rf .git; elif [ ! -r .git ] || [ ! -w .git ] || [ ! -x .git ]; then chmod u+rwx .git; fi
large=() excluded=(':(top,exclude,icase).codagent') unsure=
while IFS= read -r -d '' file; do
    for path in "${{submodules[@]}}"; do case $file in "./$path/"*) continue 2 ;; esac; done
    case $file in
    */.git) unsure=1 ;;
    *) large+=("${{file#./}}") excluded+=(":(top,exclude,literal)${{file#./}}") ;;
    esac
done < <(find . -path ./.git -prune -o '(' -name .git -o -type f -size +LARGEc ')' -print0)
[ ! -e OUT ] && [ ! -L OUT ] || rm -rf OUT
MAKE_ROOM
case OUT in /*) out=OUT ;; *) out=$PWD/OUT ;; esac
export GIT_DIR="$out/git" GIT_WORK_TREE="$PWD" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY
mkdir -p "$GIT_DIR/objects/info" "$GIT_DIR/refs" "$GIT_DIR/info" || exit 1
printf '%s\\n' '[core]' 'repositoryFormatVersion = 1' protectHFS protectNTFS '[extensions]' 'objectFormat = FORMAT' >"$GIT_DIR/config" &&
    echo 'ref: refs/heads/work' >"$GIT_DIR/HEAD" && echo "$PWD/.git/objects" >"$GIT_DIR/objects/info/alternates" || exit 1
[ ! -e .git/index ] || cp -p .git/index "$GIT_DIR/index" 2>/dev/null
[ ! -s .git/info/exclude ] || cp .git/info/exclude "$GIT_DIR/info/exclude" 2>/dev/null
git read-tree --reset BASE 2>/dev/null || {{ rm -f "$GIT_DIR/index" && git read-tree BASE; }} || exit {_BASE_LOST}
HIDE_SUBMODULES
git add -A --ignore-errors -- . "${{excluded[@]}}" || {{ [ $? = 1 ] && unsure=1; }} || exit 1
if [ $unsure ]; then
    git ls-files -s -z | while IFS= read -r -d '' entry; do
        case $entry in 160000*) printf '%s\\0' "${{entry#*$'\\t'}}" ;; esac
    done | git update-index --force-remove -z --stdin || exit 1
fi
RESTORE
KEEP_SUBMODULES
tree=$(git write-tree) || exit 1
printf '%s\\n^%s^{{tree}}\\n' "$tree" BASE | git pack-objects --revs --thin --window=0 --compression=1 -q --stdout >OUT/pack || exit 1
[ "$(wc -c <OUT/pack)" -le {MAX_PACK_BYTES} ] || exit {_TOO_LARGE}
printf '\\0'
[ ${{#large[@]}} = 0 ] || printf '%s\\0' "${{large[@]}}" | head -c 4000
[ ! $unsure ] || git ls-files -z --others --modified --exclude-standard -- . "${{excluded[0]}}" 2>/dev/null | head -c 8000
NAME_CHANGED
printf '\\n%s\\n' "$tree"
"""
# Files that git ignores do not come out, and those that are too large stay behind: in a full workspace they make room for the rest.
_MAKE_ROOM = """
git -c core.fsmonitor=false -c core.hooksPath=/dev/null clean -ffdXq >/dev/null 2>&1
[ ${#large[@]} = 0 ] || rm -f -- "${large[@]}"
"""
# git refuses these files for what is in them: a line that is too long, an address that it would take for an option.
_RESTORE = "git reset -q BASE -- ':(top,icase,glob)**/.gitattributes' ':(top,icase,glob)**/.gitmodules' && unsure=1 || exit 1"
# The submodules stay as they are in the commit that was copied in, whatever the agent did to their folders.
_HIDE_SUBMODULES = """
printf '%s\\0' "${submodules[@]}" | git update-index -z --skip-worktree --stdin || exit 1
"""
_KEEP_SUBMODULES = r"""
for number in "${!submodules[@]}"; do printf '160000 %s\t%s\0' "${commits[number]}" "${submodules[number]}"; done |
    git update-index -z --replace --index-info || exit 1
"""
_NAME_CHANGED = r"""
printf '/\0'
number=0
[ ! -e .git/submodules/list ] || while IFS= read -r -d '' _ && IFS= read -r -d '' path; do
    export GIT_WORK_TREE="$PWD/$path" GIT_INDEX_FILE="$PWD/.git/submodules/$number"
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        mapfile -t -d '' -n 100 names < <(git ls-files -z --others --modified --exclude-standard 2>/dev/null)
        [ ${#names[@]} = 0 ] || printf '%s\0' "${names[@]/#/"$path/"}"
    else
        printf '%s\0' "$path"
    fi
    number=$((number + 1))
done <.git/submodules/list | head -c 8000
"""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How much is given up to bring out the rest."""

    largest: int = _LARGE  # of the files that come out, in bytes
    make_room: str = ""
    restore: str = ""
    folder: str = _OUT  # for the other git folder and the result; another file system where the workspace may be full


class _TooLarge(RepositoryError):
    """All files together are too large. Only leaving some of them behind helps."""


_ATTEMPTS = (_Attempt(), _Attempt(_LARGE, _MAKE_ROOM, _RESTORE, _OUT_ELSEWHERE), _Attempt(_LESS, _MAKE_ROOM, _RESTORE, _OUT_ELSEWHERE))


def collect_tree(
    sandbox: Sandbox, root: Path, snapshot_commit: str, say: Callable[[str], None] = ignore_text, *, kill: bool = True
) -> str | None:
    """Bring the workspace's files into the user's object store, and return the id of their tree. Returns None when nothing changed.

    Everything that the agent left running is killed first, if `kill`. The tree has every file that is not ignored, and every file of
    the snapshot that still exists, whatever the agent did with git. What git cannot take stays behind as it was at the snapshot, and
    `say` is called with its names: repositories inside, files that cannot be read or are too large, names that git refuses. So does what
    was changed in a submodule. Raises RepositoryError when there is no valid result, SandboxError when collecting it takes too long.
    """
    if kill:
        sandbox.kill_all()
    *before, last = _ATTEMPTS
    for attempt in before:
        try:
            return _collect(sandbox, root, snapshot_commit, attempt, say)
        except _TooLarge:
            break
        except RepositoryError:
            continue
    return _collect(sandbox, root, snapshot_commit, last, say)


def _collect(sandbox: Sandbox, root: Path, base: str, attempt: _Attempt, say: Callable[[str], None]) -> str | None:
    submodules = list_submodules(root, base)
    script = _COLLECT.replace("MAKE_ROOM", attempt.make_room).replace("RESTORE", attempt.restore)
    steps = {"HIDE_SUBMODULES": _HIDE_SUBMODULES, "KEEP_SUBMODULES": _KEEP_SUBMODULES, "NAME_CHANGED": _NAME_CHANGED}
    for name, step in steps.items():
        script = script.replace(name, step if submodules else "")
    values = {"OUT": attempt.folder, "BASE": base, "FORMAT": object_format(base), "LARGE": str(attempt.largest)}
    for name, value in values.items():
        script = script.replace(name, value)
    script = f"submodules=({shlex.join(submodules)}) commits=({shlex.join(submodules.values())})\n{script}"
    result = sandbox.run(script, timeout=_SECONDS)
    if result.exit_code == _BASE_LOST:
        unpack(sandbox, pack(root, base, submodules={}))
        result = sandbox.run(script, timeout=_SECONDS)
    tree = _read_tree(result)
    changed = tree != tree_of(root, base)
    if changed:
        try:
            objects = sandbox.read(f"{attempt.folder}/pack")
        except OSError as error:
            raise RepositoryError(f"the sandbox gave no result: its pack could not be read ({error.strerror})") from error
        if attempt.folder != _OUT:  # in .git it disturbs nobody, and the next time removes it
            sandbox.run(f"rm -rf {attempt.folder}", timeout=_SECONDS)
        receive(root, base, tree, objects)
    left, changed_submodules = _read_left(result)
    if names := left.difference(submodules):
        say(f"left behind in the sandbox: {_name_some(names)}")
    if changed_submodules:
        say(f"left behind in the sandbox: {_name_some(changed_submodules)}; what is in a submodule does not come out")
    return tree if changed else None


def _read_tree(result: CommandResult) -> str:
    """Return the id that the collecting script printed. Raises SandboxError or RepositoryError when the script failed."""
    if result.timed_out:
        raise SandboxError(f"collecting the result took more than {_SECONDS:.0f} s; the workspace may have too many files")
    if result.exit_code == _TOO_LARGE:
        raise _TooLarge(f"the result is larger than {MAX_PACK_BYTES >> 20} MB; have build products ignored by a .gitignore and try again")
    if result.exit_code or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tree := last_line(result)):
        raise RepositoryError(f"the sandbox gave no result: {last_line(result)}")
    return tree


def _read_left(result: CommandResult) -> tuple[set[str], set[str]]:
    """Return the names of what stays behind: outside of submodules, and in them."""
    names = result.output.split("\0")[1:-1]
    end = names.index("/") if "/" in names else len(names)
    return {*names[:end]} - {""}, {*names[end + 1 :]}


def _name_some(unsorted: Collection[str]) -> str:
    """Return the first names, as a person may see them, and how many more there are."""
    names = sorted(unsorted)
    shown = ["".join(filter(str.isprintable, name))[:_MAX_NAME] for name in names[:_MAX_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
