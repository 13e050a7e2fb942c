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
from codagent.runner.spec import spec_of
from codagent.runner.workspace import Reopening, reopen
from codagent.store import layout
from codagent.store.codec import encode
from codagent.types import Loop, Profile, Sampling
from codagent_train.data.records.files import Rejection, iter_readable, join_reasons
from codagent_train.environments.packs import seed_of
from codagent_train.policy.chat_text import CALLING
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import RolloutSpec


@dataclass(frozen=True, slots=True)
class RecordedLoop:
    """A recorded loop, and the repository that it was of."""

    repository: Path
    loop: Loop


class Redo:
    """The tasks that a run may do again, read once: where the first step that asks for any is."""

    def __init__(self, recipe: Recipe, say: Callable[[str], None]) -> None:
        self._recipe, self._say = recipe, say
        self._recorded: Sequence[RecordedLoop] = ()

    @contextmanager
    def groups(self, packs: Sequence[int], *, step: int, policy: str) -> Iterator[list[tuple[list[RolloutSpec], Profile]]]:
        """A group for each pack, and how the policy is worked with in it. Sandboxes and repositories are gone afterwards.

        UsageError when no record tells of a task that can be done again.
        """
        if packs and not self._recorded:
            folders = [Path(folder) for folder in self._recipe.records.folders]
            self._recorded, rejections = find_redoable(folders)
            if not self._recorded:
                where = ", ".join(map(str, folders))
                raise UsageError(f"no record in {where} tells of a task that can be done again: {join_reasons(rejections)}")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codagent-redo-")))
            yield [self._group(number, step, policy, folder, stack) for number in packs]

    def _group(self, number: int, step: int, policy: str, folder: Path, stack: ExitStack) -> tuple[list[RolloutSpec], Profile]:
        recipe = self._recipe
        draw = Random(seed_of("train", "redo", recipe.seed, number))  # noqa: S311
        recorded_loop = draw.choice(self._recorded)
        job, _, profile = spec_of(recorded_loop.loop)
        tasks = tuple(task for task in job.tasks for _ in range(recipe.records.iterations))
        profile, group = text_profile(profile, recipe), []
        for member in range(recipe.batch.group_size):
            name = f"redo-{step}-{number}-{member}"
            git.clone_shared(recorded_loop.repository, folder / name, job.begin)
            loop = replace(recorded_loop.loop, id=name, group=f"{step}-{number}", model=policy, episodes=(), end=None, notes="")
            where = Reopening(folder / name, layout.make_loops_dir(layout.home_dir(folder / name)), self._say)
            environment = reopen(loop, where, profile=profile)
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(RolloutSpec(loop, stack.enter_context(closing(environment)), tasks, seed))
        return group, profile


def find_redoable(folders: Sequence[Path]) -> tuple[list[RecordedLoop], list[Rejection]]:
    """One loop for each task that was done from one start, and what is not used. UsageError for a path without a record."""
    by_task: dict[str, RecordedLoop] = {}
    rejections: list[Rejection] = []
    for file, loop in iter_readable(folders, rejections):  # a copy elsewhere must not hide the one in its repository
        try:
            by_task.setdefault(_task_key(loop), RecordedLoop(_find_repository(file, loop), loop))
        except (RecordError, RepositoryError) as error:
            rejections.append(Rejection("record", file, str(error)))
    return list(by_task.values()), rejections


def text_profile(profile: Profile, recipe: Recipe) -> Profile:
    """As the recorded model was worked with, but in text, and in what room the recipe has. No temperature: that is the sampler's."""
    replies = recipe.replies
    return replace(
        profile,
        calling=CALLING,
        sampling=Sampling(max_tokens=min(profile.sampling.max_tokens, replies.max_tokens)),
        context_tokens=replies.context_tokens,
        notes_tokens=min(profile.notes_tokens, replies.notes_tokens),
    )


def _task_key(loop: Loop) -> str:
    """The same for loops that did the same. RecordError for those that cannot be done again."""
    if loop.environment != "repository":
        raise RecordError(f"loop {loop.id} was played in {loop.environment}, not in a repository")
    job, settings, _ = spec_of(loop)
    if not all(task.checks for task in job.tasks):
        raise RecordError(f"loop {loop.id} had no checks that could judge it again")
    return f"{encode(job.tasks)} {job.begin} {settings.sandbox} {settings.sandbox_setup}"


def _find_repository(file: Path, loop: Loop) -> Path:
    """The repository that a record lies in. RecordError, or RepositoryError, when it is not there or has not the commit any more."""
    folder = file.resolve().parent
    if (folder.parent.name, folder.parent.parent.name) != ("loops", ".codagent"):
        raise RecordError(f"the record of {loop.id} does not lie in .codagent/loops of its repository")
    root = git.find_root(folder.parent.parent.parent)
    git.tree_of(root, spec_of(loop)[0].begin)
    return root
