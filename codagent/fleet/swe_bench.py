"""Files in the form of SWE-bench: instances in, predictions out, both as JSON Lines (https://www.swebench.com)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from codagent.errors import RepositoryError, UsageError
from codagent.files import open_plain
from codagent.repository import git
from codagent.settings.toml import Table, Text, parse_table
from codagent.store import jsonl

_Name = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z",
        description="a name of letters, digits, '.', '_' and '-' that begins with a letter or a digit",
    ),
]
_Repository = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\Z", description="the name of a repository, OWNER/NAME")
]
_Commit = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}([0-9a-f]{24})?\Z", description="the whole id of a commit")]


class Instance(Table, frozen=True):
    """One task of a benchmark."""

    instance_id: _Name
    repo: _Repository
    base_commit: _Commit
    problem_statement: Text


def read_instances(path: Path) -> list[Instance]:
    """Read the instances of a file. Other keys of a line are ignored: some tell the solution.

    Raises UsageError, which names the file, the line and the key.
    """
    instances: dict[str, Instance] = {}
    for number, row in _read_rows(path):
        instance = parse_table(
            {key: row[key] for key in Instance.__struct_fields__ if key in row}, Instance, where=f"{path}, line {number}"
        )
        if instance.instance_id in instances:
            raise UsageError(f"{path}, line {number}: the instance {instance.instance_id} is in an earlier line, too; keep one")
        instances[instance.instance_id] = instance
    if not instances:
        raise UsageError(f"{path} has no instance; give a file with one JSON object a line")
    return list(instances.values())


def find_clone(folder: Path, instance: Instance) -> Path:
    """Return the clone of the instance's repository: `OWNER__NAME`, `OWNER/NAME` or `NAME` in `folder`.

    Raises UsageError when there is none, or when it lacks the commit.
    """
    owner, _, name = instance.repo.partition("/")
    places = [folder / f"{owner}__{name}", folder / owner / name, folder / name]
    root = next((place for place in places if (place / ".git").exists()), None)
    if root is None:
        raise UsageError(f"{instance.instance_id}: there is no clone of {instance.repo} in {folder}; make one as {places[0]}")
    try:
        git.tree_of(root := git.find_root(root), instance.base_commit)
    except RepositoryError:
        raise UsageError(f"{instance.instance_id}: the clone {root} lacks the commit {instance.base_commit}; fetch it there") from None
    return root


class Predictions:
    """A file of predictions, to which lines are appended. An instance that has a line is done."""

    def __init__(self, path: Path) -> None:
        """Begin the file, or go on with it. A last line that a crash tore is dropped. UsageError when it is no file of predictions."""
        self._path = path
        self.done: set[str] = set()
        try:
            os.close(open_plain(path, os.O_RDWR | os.O_CREAT))
            jsonl.drop_torn_line(path)
        except (OSError, RepositoryError) as error:
            raise UsageError(f"{path} cannot be written ({error}); name another file with --out") from None
        for number, row in _read_rows(path):
            instance_id, patch = row.get("instance_id"), row.get("model_patch")
            if not isinstance(instance_id, str) or not isinstance(patch, str):
                raise UsageError(f"{path}, line {number}, is no prediction; name another file with --out")
            self.done.add(instance_id)

    def add(self, instance_id: str, model: str, patch: str) -> None:
        """Append a prediction; it is on the disk on return. `patch` is "" when nothing was changed."""
        line = json.dumps({"instance_id": instance_id, "model_name_or_path": model, "model_patch": patch})
        with jsonl.open_to_append(self._path) as file:
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        self.done.add(instance_id)


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number and the object of each line that is not blank."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line.decode("utf-8-sig"))
                    if not isinstance(row, dict):
                        raise UsageError(f"{path}, line {number}, is not a JSON object")
                    yield number, row
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({(error.strerror or '').lower()})") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}, is not JSON: {error}") from None
