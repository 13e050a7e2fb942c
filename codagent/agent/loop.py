"""A loop: episodes one after the other, each in a fresh context, with nothing carried on but the environment's own state and the notes.

What comes next follows from the loop so far and from nothing else; so a loop that was broken off goes on from its record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from codagent.agent.episode import Agent, run_episode
from codagent.agent.notes import bound_notes, rewrite_notes
from codagent.errors import NotPublished, RepositoryError, SandboxError
from codagent.protocols import Environment, NotesPrompter, Stop
from codagent.types import ENDS_LOOP, Episode, Loop, Outcome, Profile, Rewrite, Task

NextTask = Callable[[Loop], Task | Stop]  # depends on the loop so far and on nothing else
WARMER, WARMEST = 0.1, 1.0  # the temperature rises by so much at each position, up to this
_SEEDS = 1000  # the difference between the seeds of two positions


def _same(text: str) -> str:
    return text


def _ignore(_: Episode) -> None:
    pass


@dataclass(frozen=True, slots=True)
class NotesIO:
    """When the notes are rewritten, and where they are read and written outside of the loop."""

    when: Rewrite = "never"
    load: Callable[[str], str] = _same  # from the notes as the loop left them to the notes as they are now: a person may have edited them
    save: Callable[[Episode], object] = _ignore  # is given each notes episode, once it is on record


def once_each(tasks: Sequence[Task]) -> NextTask:
    """Give each task once. The loop stops for the reason for which its last attempt ended."""

    def next_task(loop: Loop) -> Task | Stop:
        done = loop.attempts
        return tasks[len(done)] if len(done) < len(tasks) else Stop(str(done[-1].end))

    return next_task


def run_loop(agent: Agent, environment: Environment, next_task: NextTask, *, loop: Loop, notes_io: NotesIO = NotesIO()) -> Loop:
    """Run the episodes of a loop until `next_task` stops it, or an episode ends in a way that ends the loop.

    A loop whose last episode is resumable goes on with that episode. Returns the loop with its episodes and its `end`. Observers hear what
    `next_task` answers, once before each attempt and once at the end.
    """
    episode, loop = _take_resumable(loop)
    following: Task | Stop | None = None  # what next_task has answered for the loop as it is now; None: it was not asked
    while True:
        due = episode is None and _is_rewrite_due(loop, notes_io, next_task)
        if episode is None and (not due or notes_io.when == "between"):
            following = following or _ask(agent, next_task, loop)
        if episode is None:
            if isinstance(following, Stop):
                return replace(loop, end=following.reason)
            episode = _rewrite_of(loop.episodes[-1]) if due or following is None else _attempt_at(following, loop, notes_io, agent.profile)
        episode = _run(agent, environment, loop, episode)
        loop = replace(loop, episodes=(*loop.episodes, episode))
        for observer in agent.observers:
            observer.on_episode_end(episode)
        if episode.kind == "notes":
            notes_io.save(episode)
        else:
            following = None
        if episode.end in ENDS_LOOP:
            return replace(loop, end=_end_of(agent, next_task, loop))
        episode = None


def _ask(agent: Agent, next_task: NextTask, loop: Loop) -> Task | Stop:
    following = next_task(loop)
    for observer in agent.observers:
        observer.on_iteration(loop, following)
    return following


def _end_of(agent: Agent, next_task: NextTask, loop: Loop) -> str:
    """The end of a loop whose last episode ended it: "passed" when all its checks had passed before."""
    last = loop.episodes[-1]
    if last.kind == "solve" and last.resumable:
        return str(last.end)
    following = _ask(agent, next_task, loop)
    return "passed" if isinstance(following, Stop) and following.reason == "passed" else str(last.end)


def _take_resumable(loop: Loop) -> tuple[Episode | None, Loop]:
    """The episode to resume (None: there is none), and the loop without it."""
    last = loop.episodes[-1] if loop.episodes else None
    if last is None or not last.resumable:
        return None, loop
    resumed = replace(last, end=None, cause="", outcome=None, commit=None, notes_after=None)
    return resumed, replace(loop, episodes=loop.episodes[:-1], end=None)


def _is_rewrite_due(loop: Loop, notes_io: NotesIO, next_task: NextTask) -> bool:
    last = loop.episodes[-1] if loop.episodes else None
    if notes_io.when == "never" or last is None or last.kind != "solve" or last.end == "passed":
        return False
    if notes_io.when != "until-passed" or not (last.outcome and last.outcome.passed):
        return True
    following = next_task(loop)
    return not (isinstance(following, Stop) and following.reason == "passed")


def _rewrite_of(attempt: Episode) -> Episode:
    return Episode("notes", attempt.position, attempt.task, attempt.notes_before, ())


def _attempt_at(task: Task, loop: Loop, notes_io: NotesIO, profile: Profile) -> Episode:
    notes = bound_notes(notes_io.load(loop.latest_notes), profile.notes_tokens)
    return Episode("solve", len(loop.attempts), task, notes, ())


def _run(agent: Agent, environment: Environment, loop: Loop, episode: Episode) -> Episode:
    agent = replace(agent, profile=_with_sampling_at(agent.profile, episode.position))
    if episode.kind == "notes":
        prompter = environment if isinstance(environment, NotesPrompter) else None
        return rewrite_notes(agent, episode, loop.episodes[-1], environment.describe_state(), prompter)
    return _grade(environment, run_episode(agent, environment, episode))


def _with_sampling_at(profile: Profile, position: int) -> Profile:
    """Sample a later attempt a little warmer, and with other seeds."""
    sampling = profile.sampling
    if sampling.temperature is not None:
        warmth = max(sampling.temperature, min(WARMEST, sampling.temperature + WARMER * position))
        sampling = replace(sampling, temperature=round(warmth, 3))
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + _SEEDS * position)
    return replace(profile, sampling=sampling)


def _grade(environment: Environment, episode: Episode) -> Episode:
    """Add the outcome of the gates and the commit to an attempt that has ended.

    The work is kept however the attempt ended, also when the gates cannot be asked or a person stops them, but not when the sandbox
    broke: then there is none. An interrupted attempt is not graded. Work that cannot be brought out of the sandbox has the reward 0.
    """
    if episode.end == "sandbox":
        return episode
    outcome = None
    try:
        if episode.end != "interrupted":
            outcome = environment.grade()
    except KeyboardInterrupt:
        episode = replace(episode, end="interrupted", cause="")
    except SandboxError as error:
        episode = replace(episode, end="sandbox", cause=episode.cause or str(error))
    except RepositoryError as error:
        episode = replace(episode, end="repository", cause=str(error), outcome=Outcome(0.0, False, str(error)))
    try:
        return _save(environment, episode, outcome)
    except KeyboardInterrupt:  # the work is worth a second try; whoever interrupts that one, too, means it
        return _save(environment, replace(episode, end="interrupted", cause=""), None)


def _save(environment: Environment, episode: Episode, outcome: Outcome | None) -> Episode:
    """Add the outcome and the commit that holds the work. Without a commit the work could not be kept, and the episode's cause says why."""
    try:
        return replace(episode, outcome=outcome or episode.outcome, commit=environment.save_work(outcome))
    except NotPublished as error:
        return replace(episode, end="repository", cause=str(error), outcome=outcome or episode.outcome, commit=error.commit)
    except SandboxError as error:
        if episode.end in ("interrupted", "repository"):  # whoever stopped the loop has closed its sandbox
            return episode
        return replace(episode, end="sandbox", cause=episode.cause or str(error))
    except RepositoryError as error:
        if episode.end in ("sandbox", "repository"):
            return episode
        return replace(episode, end="repository", cause=str(error), outcome=Outcome(0.0, False, str(error)))
