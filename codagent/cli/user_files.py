"""What codagent keeps for a person outside of all repositories: settings, models, choices, and a secret."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from codagent.cli.terminal.output import warn
from codagent.errors import RepositoryError, UsageError
from codagent.files import expand_user, read_plain, read_table, write_table
from codagent.types import Calling

if TYPE_CHECKING:
    from codagent.repository.messages.own import UserInstructions


def user_dir(variable: str, default: str) -> Path:
    """Return codagent's folder in an XDG directory.

    `variable` names the directory. If it is not set, the directory is `default` in the home folder.
    """
    return Path(os.environ.get(variable) or expand_user(f"~/{default}")) / "codagent"


def weights_dir() -> Path:
    """Return the folder of the model weights."""
    return user_dir("XDG_CACHE_HOME", ".cache") / "models"


def read_own() -> UserInstructions:
    """Return what the person has for agents in all repositories: `AGENTS.md` and `skills` beside the user file."""
    from codagent.cli.user_skills import read_user_skills
    from codagent.repository.messages.own import UserInstructions

    return UserInstructions(read_user_rules(), read_user_skills(user_dir("XDG_CONFIG_HOME", ".config") / "skills"))


def read_user_rules() -> str:
    """Return the beginning of the person's own instructions for agents, `AGENTS.md` beside the user file. "": there are none.

    A link is followed. A file that cannot be read is left out, with a warning.
    """
    from codagent.repository.messages.rules import MAX_RULES_BYTES

    file = user_dir("XDG_CONFIG_HOME", ".config") / "AGENTS.md"
    try:
        data = read_plain(Path(os.path.realpath(file)))
    except FileNotFoundError:
        return ""
    except (OSError, RepositoryError) as error:
        warn(f"{file} was not read: {error}")
        return ""
    return data[: MAX_RULES_BYTES + 1].decode("utf-8-sig", errors="replace")


def secret() -> bytes:
    """Return a secret of this user on this machine. It marks records as made here. The secret is made if it is missing.

    Raises UsageError when its file cannot be used.
    """
    file = user_dir("XDG_STATE_HOME", ".local/state") / "secret"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            descriptor, beside = tempfile.mkstemp(dir=file.parent)
            with os.fdopen(descriptor, "wb") as made:
                made.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                file.hardlink_to(beside)
            Path(beside).unlink()
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be used ({(error.strerror or '').lower()}); set XDG_STATE_HOME to a folder of yours") from None


def load_calling(spec: str) -> Calling | None:
    """Return the way of calling tools that `doctor` found to work with the model. Returns None when it was never asked."""
    calling = read_table(_callings_file()).get(spec)
    return calling if calling in get_args(Calling) else None


def save_calling(spec: str, calling: Calling) -> None:
    """Remember a way of calling tools that works with the model."""
    file = _callings_file()
    write_table(file, read_table(file) | {spec: calling})


def load_choices() -> dict[str, str]:
    """Return the models that the person has chosen for repositories, by the path of the repository."""
    return {path: model for path, model in read_table(_choices_file()).items() if isinstance(model, str) and model}


def save_choice(root: Path, model: str | None) -> None:
    """Remember a model as the default of a repository. None forgets it."""
    choices = {path: chosen for path, chosen in load_choices().items() if path != str(root)} | ({str(root): model} if model else {})
    write_table(_choices_file(), choices)


def _choices_file() -> Path:
    return user_dir("XDG_STATE_HOME", ".local/state") / "models.json"


def _callings_file() -> Path:
    return user_dir("XDG_CACHE_HOME", ".cache") / "calling.json"
