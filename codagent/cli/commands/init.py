"""`codagent init`: writes a `codagent.toml` that fits the repository, with a comment for each key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codagent.cli import options
from codagent.cli.terminal.output import say
from codagent.errors import RepositoryError, UsageError
from codagent.files import read_plain
from codagent.repository import git
from codagent.settings.images import GO, NODE, RUST

_FILE = "codagent.toml"
_PYTEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


@dataclass(frozen=True, slots=True)
class Fit:
    """What one language of a repository needs."""

    found: str  # by what it was seen
    checks: tuple[str, ...] = ()  # (): no tests were found
    image: str = ""  # "": the shipped sandbox `python` has what it takes
    setup: str = ""
    files: tuple[str, ...] = ()  # that the set-up needs


def init(*, repo: options.Repo = Path()) -> None:
    """Write a codagent.toml that fits the repository.

    It names the checks that were found, and an image for Node, Go and Rust. Each key has a comment.
    """
    root = git.find_root(repo)
    file = root / _FILE
    fits = find_fits(root)
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write("\n".join(write_settings(fits)) + "\n")
    except FileExistsError:
        raise UsageError(f"{file} exists already and is left as it is; edit it, or move it away first") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    for fit in fits:
        say(f"{fit.found}: {', '.join(fit.checks) or 'no tests found'}{f', in the image {fit.image}' if fit.image else ''}")
    say(f'wrote {file}; read it, then: codagent "what is to be done"')


def find_fits(root: Path) -> list[Fit]:
    """Return what the languages of a repository need, those with tests first."""
    tracked = git.list_tracked(root)
    found = [fit for look in (_python, _node, _go, _rust) if (fit := look(root, tracked))]
    return sorted(found, key=lambda fit: not fit.checks)


def write_settings(fits: list[Fit]) -> Iterator[str]:
    """Yield the lines of a codagent.toml. One sandbox has one image, so the checks are those of the first language."""
    fit = fits[0] if fits else Fit("nothing")
    yield "# Settings of codagent for this repository. Flags and your own ~/.config/codagent/config.toml are stronger."
    yield ""
    yield "# Commands that must exit with 0 for work to be accepted. They run where the agent cannot change them."
    yield f"checks = {json.dumps(fit.checks)}" if fit.checks else '# checks = ["make test"]'
    yield from (
        f"# checks of {other.found}, in the image {other.image or 'of the sandbox python'}: {json.dumps(other.checks)}"
        for other in fits[1:]
    )
    yield ""
    yield "# Files that the checks see as they were at the start, whatever the agent does to them. Tests are protected in any case."
    yield '# protect = ["data/**"]'
    yield ""
    yield "# Limits of one run. A repository can lower your limits, not raise them."
    yield from ("# max_steps = 50", "# max_tokens = 1000000", "# max_seconds = 1800")
    yield ""
    yield "[sandbox]"
    yield "# The image that commands run in. It needs git, tar and bash. The agent works in it without network."
    yield f"image = {json.dumps(fit.image)}" if fit.image else f'# image = "{NODE}"'
    yield "# What has to be installed, and the files that this needs. It runs once, as root, with network, after you have allowed it."
    yield f"setup = {json.dumps(fit.setup)}" if fit.setup else '# setup = "pip install -r requirements.txt"'
    yield f"files = {json.dumps(fit.files)}" if fit.setup else '# files = ["requirements.txt"]'


def _python(root: Path, tracked: Sequence[str]) -> Fit | None:
    marks = [name for name in ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt") if (root / name).is_file()]
    checks = ("python3 -m pytest -q",) if any(map(_PYTEST.search, tracked)) else ()
    if not marks and not checks:
        return None
    needs = tuple(name for name in ("requirements.txt", "requirements-dev.txt") if name in tracked)
    setup = "pip install " + " ".join(f"-r {name}" for name in needs) if needs else ""
    return Fit(f"Python ({marks[0] if marks else 'tests'})", checks, setup=setup, files=needs)


def _node(root: Path, _: Sequence[str]) -> Fit | None:
    file, script = root / "package.json", ""
    if not file.is_file():
        return None
    with suppress(OSError, ValueError, RepositoryError, AttributeError):
        script = str(json.loads(read_plain(file)).get("scripts", {}).get("test", ""))
    return Fit("Node (package.json)", ("npm test",) if script and "no test specified" not in script else (), NODE)


def _go(root: Path, tracked: Sequence[str]) -> Fit | None:
    checks = ("go test ./...",) if any(path.endswith("_test.go") for path in tracked) else ()
    return Fit("Go (go.mod)", checks, GO) if (root / "go.mod").is_file() else None


def _rust(root: Path, _: Sequence[str]) -> Fit | None:
    return Fit("Rust (Cargo.toml)", ("cargo test",), RUST) if (root / "Cargo.toml").is_file() else None
