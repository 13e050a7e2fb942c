"""Recorded tasks of repositories, done again by the policy: from where they began, in sandboxes, under the same gates.

Each is worked on in a repository that borrows the objects of its own, in which nothing changes. Nothing is asked of the recorded model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.spec import recorded
from codagent.runner.workspace import Reopening, reopened
from codagent.store import layout
from codagent.store.codec import encode
from codagent.types import Loop, Profile, Sampling
from codagent_train.data.records.files import Refused, readable, reasons
from codagent_train.environments.packs import seed_of
from codagent_train.policy.chat_text import CALLING
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import Start


@dataclass(frozen=True, slots=True)
class Origin:
    """A recorded loop, and the repository that it was of."""

    root: Path
    loop: Loop


class Again:
    """The tasks that a run may do again, read once: where the first step that asks for any is."""

    def __init__(self, recipe: Recipe, say: Callable[[str], None]) -> None:
        self._recipe, self._say = recipe, say
        self._origins: Sequence[Origin] = ()

    @contextmanager
    def groups(self, packs: Sequence[int], *, step: int, policy: str) -> Iterator[list[tuple[list[Start], Profile]]]:
        """A group for each pack, and how the policy is worked with in it. Sandboxes and repositories are gone afterwards.

        UsageError when no record tells of a task that can be done again.
        """
        if packs and not self._origins:
            folders = [Path(folder) for folder in self._recipe.records.folders]
            self._origins, refused = origins(folders)
            if not self._origins:
                where = ", ".join(map(str, folders))
                raise UsageError(f"no record in {where} tells of a task that can be done again: {reasons(refused)}")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codagent-again-")))
            yield [self._group(number, step, policy, folder, stack) for number in packs]

    def _group(self, number: int, step: int, policy: str, folder: Path, stack: ExitStack) -> tuple[list[Start], Profile]:
        recipe = self._recipe
        draw = Random(seed_of("train", "again", recipe.seed, number))  # noqa: S311
        origin = draw.choice(self._origins)
        job, _, profile = recorded(origin.loop)
        tasks = tuple(task for task in job.tasks for _ in range(recipe.records.iterations))
        profile, group = spoken(profile, recipe), []
        for member in range(recipe.batch.loops):
            name = f"again-{step}-{number}-{member}"
            git.borrow(origin.root, folder / name, job.begin)
            loop = replace(origin.loop, id=name, group=f"{step}-{number}", model=policy, episodes=(), end=None, notes="")
            where = Reopening(folder / name, layout.make_loops_dir(layout.home_dir(folder / name)), self._say)
            work = reopened(loop, where, profile=profile)
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(Start(loop, stack.enter_context(closing(work)), tasks, seed))
        return group, profile


def origins(folders: Sequence[Path]) -> tuple[list[Origin], list[Refused]]:
    """One loop for each task that was done from one start, and what is not used. UsageError for a path without a record."""
    found: dict[str, Origin] = {}
    refused: list[Refused] = []
    for file, loop in readable(folders, refused):  # a copy elsewhere must not hide the one in its repository
        try:
            found.setdefault(_name(loop), Origin(_root(file, loop), loop))
        except (RecordError, RepositoryError) as error:
            refused.append(Refused("record", file, str(error)))
    return list(found.values()), refused


def spoken(profile: Profile, recipe: Recipe) -> Profile:
    """As the recorded model was worked with, but in text, and in what room the recipe has. No temperature: that is the sampler's."""
    replies = recipe.replies
    return replace(
        profile,
        calling=CALLING,
        sampling=Sampling(max_tokens=min(profile.sampling.max_tokens, replies.max_tokens)),
        context_tokens=replies.context_tokens,
        notes_tokens=min(profile.notes_tokens, replies.notes_tokens),
    )


def _name(loop: Loop) -> str:
    """The same for loops that did the same. RecordError for those that cannot be done again."""
    if loop.environment != "repository":
        raise RecordError(f"loop {loop.id} was played in {loop.environment}, not in a repository")
    job, settings, _ = recorded(loop)
    if not all(task.checks for task in job.tasks):
        raise RecordError(f"loop {loop.id} had no checks that could judge it again")
    return f"{encode(job.tasks)} {job.begin} {settings.sandbox} {settings.sandbox_setup}"


def _root(file: Path, loop: Loop) -> Path:
    """The repository that a record lies in. RecordError, or RepositoryError, when it is not there or has not the commit any more."""
    folder = file.resolve().parent
    if (folder.parent.name, folder.parent.parent.name) != ("loops", ".codagent"):
        raise RecordError(f"the record of {loop.id} does not lie in .codagent/loops of its repository")
    root = git.find_root(folder.parent.parent.parent)
    git.tree_of(root, recorded(loop)[0].begin)
    return root
