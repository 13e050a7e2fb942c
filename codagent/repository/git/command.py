"""The only way in which git is run on the host. Nothing in a repository can start a program, reach a network or ask a question."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.files import read_plain

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.splitIndex": "false",  # a split index would be written beside the user's
    "core.logAllRefUpdates": "false",
    "core.safecrlf": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.sshCommand": "false",
    "core.pager": "cat",
    "core.quotePath": "false",  # a person reads the names in a diff
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "diff.external": "",
    "diff.submodule": "short",  # the other forms run git in the submodule
    "submodule.recurse": "false",
    "i18n.commitEncoding": "utf-8",
    "merge.directoryRenames": "false",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_MAX_INDEX_BYTES = 1 << 30
_USUAL_PATHS = ("index", "objects", "info/exclude", "codagent")
# A hook or an alias that runs codagent may have set these. They would direct every command to another repository.
_STRAY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_NO_GIT = "git cannot be started; install git 2.38 or later"
# A custom merge program is replaced by `false`, which reports a conflict; the others are replaced by nothing.
_DRIVERS = {
    "filter": {"clean": "", "smudge": "", "process": "", "required": "false"},
    "diff": {"command": "", "textconv": ""},
    "merge": {"driver": "false"},
}


class Git:
    """Runs git at the top of a work tree."""

    def __init__(self, root: Path, *, work_tree: bool = False) -> None:
        """Read the configuration that applies to the repository at `root`. Raises RepositoryError when git refuses the repository.

        `work_tree` is for commands that read or write files of the work tree. These run the filters that the configuration names, so the
        configuration is read anew and not taken from an earlier Git.
        """
        self.root = root
        if work_tree:
            _read_config.cache_clear()
        self.config = _read_config(root)
        self._settings: Mapping[str, str] = _build_environment(_disarm_drivers(self.config))

    def __call__(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, codes: tuple[int, ...] = (0,)) -> bytes:
        """Run git with `args` and return its output. Raises RepositoryError when the exit code is not one of `codes`."""
        code, output, errors = _execute(self.root, args, {**self._settings, **(env or {})}, stdin)
        if -code in _ENDING:  # it was for all processes of the command, which can go on later
            raise KeyboardInterrupt
        if code not in codes:
            raise RepositoryError(_explain_failure(self.root, args[0], errors, code))
        return output

    def line(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git and return its output as text, without the last newline. Bytes that are not UTF-8 become surrogates."""
        return os.fsdecode(self(*args, stdin=stdin, env=env).removesuffix(b"\n"))

    def path(self, name: str) -> Path:
        """Return the path of the file `name` of the git folder, also in a linked work tree."""
        return _find_usual_paths(self.root).get(name) or _find_path(self.root, name)

    @property
    def partial(self) -> bool:
        """Whether the repository is a partial clone. The objects that it lacks are never fetched."""
        return "extensions.partialclone" in self.config or any(key.endswith(".promisor") for key in self.config)


def find_root(path: Path) -> Path:
    """Return the top of the work tree that contains `path`. Raises RepositoryError when there is none.

    It looks for the folder itself, because importing git is slow. The first use of `Git` checks the repository thoroughly.
    """
    path = path.resolve()
    if not path.is_dir():
        raise RepositoryError(f"{path} is not a folder; name the folder of a git repository")
    if ".git" in path.parts:
        raise RepositoryError(f"{path} is inside the .git folder; run in the repository itself")
    for folder in (path, *path.parents):
        if (folder / ".git").exists():
            return folder
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            raise RepositoryError(f"{path} is a bare repository, which has no files to work on; clone it and run there")
    raise RepositoryError(f"{path} is not in a git repository; run `git init` there, name one with --repo, or take `codagent run --no-git`")


def is_tracked(root: Path, name: str) -> bool:
    """Whether git tracks `name`, a file or a folder at the top of the work tree.

    The index usually answers that without git, whose import is slow.
    """
    if not os.path.lexists(root / name):
        return False
    pointer = root / ".git"
    try:
        folder = pointer if pointer.is_dir() else root / os.fsdecode(read_plain(pointer.resolve())).partition("gitdir:")[2].strip()
        index = read_plain((folder / "index").resolve(), max_bytes=_MAX_INDEX_BYTES)
        # a name may lack the beginning that it shares with the name before it; a split index has a `link` to another file
        if os.fsencode(name).removeprefix(b".") not in index and b"link" not in index:
            return False
    except (OSError, RepositoryError):
        pass
    return bool(Git(root)("ls-files", "-z", "--", f":(top,literal){name}"))


def private_dir(root: Path) -> Path:
    """Return codagent's folder in git's own folder. No commit can put a file there."""
    return Git(root).path("codagent").resolve()


@cache
def _read_config(root: Path) -> Mapping[str, str]:
    code, listing, errors = _execute(root, ("config", "--list", "--null"), _build_environment({}))
    if code:
        raise RepositoryError(_explain_failure(root, "config", errors, code))
    config = dict(_parse_config(listing))
    if "core.worktree" in config:
        _refuse_other_work_tree(root)
    return config


def _refuse_other_work_tree(root: Path) -> None:
    """Raise RepositoryError when git would take the files of another folder for those of the repository at `root`."""
    _, output, _ = _execute(root, ("rev-parse", "--show-toplevel"), _build_environment({}))
    top = Path(os.fsdecode(output.removesuffix(b"\n")))
    if top.resolve() != root.resolve():
        raise RepositoryError(f"git takes the files of {root} from {top}; `git config --unset core.worktree` there, or run in that folder")


@cache
def _find_usual_paths(root: Path) -> Mapping[str, Path]:
    """Ask at once for the paths that every loop needs, because each start of git takes time."""
    asked = (part for name in _USUAL_PATHS for part in ("--git-path", name))
    lines = Git(root).line("rev-parse", *asked).split("\n")
    if len(lines) > len(_USUAL_PATHS):  # the name of a folder has a line end
        return {}
    return {name: root / line for name, line in zip(_USUAL_PATHS, lines, strict=True)}


@cache
def _find_path(root: Path, name: str) -> Path:
    return root / Git(root).line("rev-parse", "--git-path", name)


def _explain_failure(root: Path, command: str, errors: str, code: int) -> str:
    if "dubious ownership" in errors:
        return f"{root} belongs to another user and git refuses it; run as that user, or add it to git's safe.directory"
    return f"git {command} failed in {root}: {_error_line(errors) or f'exit code {code}'}"


def _execute(root: Path, args: tuple[str, ...], env: Mapping[str, str], stdin: bytes = b"") -> tuple[int, bytes, str]:
    try:
        from git import Git as Program
        from git.exc import GitCommandNotFound
    except ImportError as error:  # GitPython runs git when it is imported
        raise RepositoryError(_NO_GIT) from error
    stray = [part for name in _STRAY if name in os.environ and name not in env for part in ("-u", name)]
    command = [*(["env", *stray] if stray else ()), "git", *args]
    with tempfile.TemporaryFile() as stdin_file:
        stdin_file.write(stdin)
        stdin_file.seek(0)
        try:
            return Program(str(root)).execute(
                command,
                istream=stdin_file,
                env=env,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                start_new_session=True,  # a signal to all processes of a terminal ends codagent by its own way, and no git before that
            )
        except GitCommandNotFound as error:
            if not root.is_dir():
                raise FileNotFoundError(errno.ENOENT, "the repository is gone", str(root)) from error
            raise RepositoryError(_NO_GIT) from error


def _error_line(errors: str) -> str:
    """Return the line that names the error. Warnings come before that line, and consequences after it."""
    lines = errors.strip().splitlines()
    return next((line for line in lines if line.startswith(("error: ", "fatal: "))), lines[-1] if lines else "")


def _parse_config(listing: bytes) -> Iterator[tuple[str, str]]:
    for entry in os.fsdecode(listing).split("\0"):
        key, _, value = entry.partition("\n")
        if key:
            yield key, value


def _disarm_drivers(config: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield settings that remove the program from each filter, diff and merge driver in the configuration."""
    for section, driver in {(key.partition(".")[0], key.partition(".")[2].rpartition(".")[0]) for key in config}:
        if driver:
            yield from ((f"{section}.{driver}.{name}", value) for name, value in _DRIVERS.get(section, {}).items())


def _build_environment(drivers: Iterator[tuple[str, str]] | Mapping[str, str]) -> dict[str, str]:
    """Return environment variables that pass our settings, and those of the drivers, to git."""
    settings = _SETTINGS | dict(drivers)
    env = _ENVIRONMENT | {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env
