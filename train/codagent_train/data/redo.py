"""Redoes recorded tasks of repositories: the policy works on them from the recorded start, in sandboxes, under the same gates.

Each loop works in a temporary repository that uses the objects of the recorded one and changes nothing there. The recorded model is not
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock

from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.files import temporary_folder
from codagent.protocols import Environment, ignore_text
from codagent.repository import git
from codagent.repository.setups import NOTHING_ALLOWED, AllowedSetups
from codagent.runner.spec import spec_of
from codagent.runner.workspace import Reopening, reopen
from codagent.store import layout
from codagent.store.codec import encode
from codagent.types import Loop, Profile, Sampling
from codagent_train.data.records.finder import Rejection, iter_readable, join_reasons
from codagent_train.environments.packs import pick_in_turn, seed_of
from codagent_train.policy.chat_text import CALLING
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.rollout import Rollout, rollout
from codagent_train.rollout.specs import RolloutSpec

_ONE_AT_A_TIME = Lock()  # an image that is missing is built by the first loop that needs it, while the others wait


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs a training, and where."""

    say: Callable[[str], None] = ignore_text  # shows them a sentence
    allow: AllowedSetups = NOTHING_ALLOWED  # what repositories of records set up for their sandboxes runs only when they have allowed it
    play: Rollout = rollout  # plays the loops, in this process or elsewhere


NOBODY = Operator()


@dataclass(frozen=True, slots=True)
class RecordedLoop:
    """A recorded loop and the repository that it was run in."""

    repository: Path
    loop: Loop


class Redo:
    """The tasks that a run may do again. The records are read in the first step that has a pack of this source."""

    def __init__(self, recipe: Recipe, operator: Operator) -> None:
        self._recipe, self._operator = recipe, operator
        self._recorded: Sequence[RecordedLoop] = ()

    def group_specs(self, packs: Sequence[int], *, step: int, policy: str) -> dict[int, list[RolloutSpec]]:
        """Return the specs of one group of loops for each pack, by the pack's number. All loops of a group do the same recorded task.

        `policy` is the policy's name in the loops. Raises UsageError when there are packs and no record has a task that can be done again.
        """
        if packs and not self._recorded:
            folders = [Path(folder) for folder in self._recipe.records.folders]
            self._recorded, rejections = find_redoable(folders)
            if not self._recorded:
                where = ", ".join(map(str, folders))
                raise UsageError(f"no record in {where} has a task that can be done again: {join_reasons(rejections)}")
        return {number: self._group(number, step, policy) for number in packs}

    def _group(self, number: int, step: int, policy: str) -> list[RolloutSpec]:
        recipe = self._recipe
        recorded = pick_in_turn(self._recorded, number, "redo", recipe.seed)
        job, _, recorded_profile = spec_of(recorded.loop)
        profile = text_profile(recorded_profile, recipe)
        tasks = tuple(task for task in job.tasks for _ in range(recipe.records.iterations))
        group = []
        for member in range(recipe.batch.group_size):
            name = f"redo-{step}-{number}-{member}"
            loop = replace(recorded.loop, id=name, group=f"{step}-{number}", model=policy, episodes=(), end=None, notes="")
            environment = partial(open_recorded, recorded.repository, loop, profile, self._operator.say, self._operator.allow)
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(RolloutSpec(loop, profile, environment, tasks, seed))
        return group


@contextmanager
def open_recorded(
    repository: Path, loop: Loop, profile: Profile, say: Callable[[str], None], allow: AllowedSetups
) -> Iterator[Environment]:
    """Open the environment of a recorded loop in a temporary repository; close the sandbox and remove the repository afterwards.

    `say` and `allow` are those of the operator.

    Raises RepositoryError when the commit that the loop began with is gone, SandboxError when the sandbox's image cannot be prepared, and
    UsageError when the loop was recorded in the local sandbox.
    """
    with temporary_folder() as folder:
        root = folder / loop.id
        git.clone_shared(repository, root, spec_of(loop)[0].begin)
        with _ONE_AT_A_TIME:
            where = Reopening(root, layout.make_loops_dir(layout.home_dir(root)), say, allow)
            environment = reopen(loop, where, profile=profile)
        with closing(environment):
            yield environment


def find_redoable(folders: Sequence[Path]) -> tuple[list[RecordedLoop], list[Rejection]]:
    """Find one recorded loop for each combination of tasks, start and sandbox; return these and what cannot be done again.

    Raises UsageError for a path that does not exist or holds no record.
    """
    by_task: dict[str, RecordedLoop] = {}
    rejections: list[Rejection] = []
    for file, loop in iter_readable(folders, rejections):  # with copies: one outside of the repository must not hide the one in it
        try:
            by_task.setdefault(_task_key(loop), RecordedLoop(_find_repository(file, loop), loop))
        except (RecordError, RepositoryError) as error:
            rejections.append(Rejection("record", file, str(error)))
    return list(by_task.values()), rejections


def text_profile(profile: Profile, recipe: Recipe) -> Profile:
    """Return the recorded profile with calls written as text and with the token limits of the recipe.

    The profile has no temperature: the sampler sets it.
    """
    replies = recipe.replies
    return replace(
        profile,
        calling=CALLING,
        sampling=Sampling(max_tokens=min(profile.sampling.max_tokens, replies.max_tokens)),
        context_tokens=replies.context_tokens,
        notes_tokens=min(profile.notes_tokens, replies.notes_tokens),
    )


def _task_key(loop: Loop) -> str:
    """Return a key that is equal for loops with the same tasks, start and sandbox. Raises RecordError for a loop that cannot be redone."""
    if loop.environment != "repository":
        raise RecordError(f"loop {loop.id} was played in {loop.environment}, not in a repository")
    if loop.attempts and all(attempt.end == "passed" for attempt in loop.attempts):
        raise RecordError(f"loop {loop.id} began with checks that passed, so there is nothing to do again")
    job, settings, _ = spec_of(loop)
    if not all(task.checks for task in job.tasks):
        raise RecordError(f"loop {loop.id} has a task without checks, so its work could not be graded")
    return f"{encode(job.tasks)} {job.begin} {settings.sandbox} {settings.sandbox_setup}"


def _find_repository(file: Path, loop: Loop) -> Path:
    """Return the repository that the record lies in.

    Raises RecordError when the record lies elsewhere, RepositoryError when the commit that the loop began with is gone.
    """
    folder = file.resolve().parent
    if (folder.parent.name, folder.parent.parent.name) != ("loops", ".codagent"):
        raise RecordError(f"the record of {loop.id} does not lie in .codagent/loops of its repository")
    root = git.find_root(folder.parent.parent.parent)
    git.tree_of(root, spec_of(loop)[0].begin)
    return root
