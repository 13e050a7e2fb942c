"""Estimates the tokens of a training step: what is read, written and learned from. The model is not needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from codagent.agent.notes import ATTEMPTS, THINKING_TOKENS
from codagent.text import BYTES_PER_TOKEN
from codagent_train.data.records.row_lengths import RowLengths
from codagent_train.environments import keycode
from codagent_train.environments.make import make_pack, max_turns, vocabulary_of
from codagent_train.recipe.schema import RANDOM, Recipe

_REWRITE = 300  # tokens of the prompt for notes, beside the attempt that it shows


@dataclass(frozen=True, slots=True)
class Work:
    """The tokens of a step."""

    read: int  # in all requests
    written: int  # in all replies
    trained: int  # in all samples, with the prompts in them
    microbatch: int  # in the samples of one microbatch
    longest: int  # in the longest sample
    loops: int  # the loops that are played at once; not tokens


@dataclass(frozen=True, slots=True)
class EpisodeLength:
    """The tokens of an episode."""

    read: int  # in all its requests
    written: int  # in all its replies
    sample: int  # in its training sample


def estimate_work(recipe: Recipe, *, share: float = 1.0, recorded: RowLengths | None = None) -> Work:
    """Estimate the tokens of a step.

    `share`, from 0 to 1, is how much of its turns an episode takes and how much of its `max_tokens` a reply. Tokens of text are estimated
    from its bytes, and rather too high. `recorded` are the rows of the recipe's records; None: it has none, or they count like those of
    play.
    """
    environment, batch, replies = recipe.environment, recipe.batch, recipe.replies
    turns = max_turns(environment)
    prompt, state = _prompt_tokens(recipe)
    known = 0 if recipe.policy.weights == RANDOM else ceil(replies.notes_tokens * share)
    reply = ceil(replies.max_tokens * share)
    solve = estimate_episode(prompt + known, state, reply, max(1, round(turns * share)), replies.context_tokens)
    shown = prompt if recipe.policy.weights == RANDOM else solve.sample + _REWRITE
    notes_reply = ceil(min(replies.max_tokens, replies.notes_tokens + THINKING_TOKENS) * share)
    notes = estimate_episode(shown, 0, notes_reply, max(1, round(ATTEMPTS * share)), replies.context_tokens)
    loops = batch.packs * batch.group_size
    read, written, learned = (
        loops * (environment.tasks * a + (environment.tasks - 1) * b) for a, b in zip(_sums(solve), _sums(notes), strict=True)
    )
    longest = max(solve.sample, notes.sample if environment.tasks > 1 else 0)
    played = Work(read, written, learned, 0, longest, loops)
    work = _mix(played, recipe, recorded)
    return replace(work, microbatch=max(work.longest, ceil(work.trained / batch.microbatches)))


def _mix(played: Work, recipe: Recipe, recorded: RowLengths | None) -> Work:
    """Return the work of a step whose packs are of several sources, by their weights. `played` is that of a step that is all play.

    `recorded` None: recorded loops have the rows of played ones.
    """
    sources, recorded = recipe.sources, recorded or RowLengths(played.trained // played.loops, played.longest)
    own, shown, kept = sources.play + sources.redo, sources.teacher + sources.lessons, sources.replay + sources.imitate
    total = own + shown + kept
    trained = (played.trained * (own + shown) + played.loops * recorded.per_loop * kept) / total
    longest = max(played.longest if own + shown else 0, min(recorded.longest, recipe.replies.context_tokens) if kept else 0)
    return Work(ceil(played.read * own / total), ceil(played.written * own / total), ceil(trained), 0, longest, played.loops)


def estimate_episode(prompt: int, state: int, reply: int, turns: int, room: int) -> EpisodeLength:
    """Estimate the tokens of an episode in which each of `turns` turns adds a reply and a state to the prompt.

    `room` is the most tokens that a request has together with its reply.
    """
    requests = [min(prompt + turn * (reply + state), room - reply) for turn in range(turns)]
    return EpisodeLength(sum(requests), turns * reply, requests[-1] + reply)


def _prompt_tokens(recipe: Recipe) -> tuple[int, int]:
    """Estimate the tokens of the first request of an episode without notes, and of a state."""
    pack, environment = make_pack(recipe, "train", 0)
    messages = environment().reset(pack.tasks[0], "")
    if recipe.policy.weights == RANDOM:
        return len((vocabulary_of(*recipe.environments) or keycode).encode(messages)), 0
    counted = [ceil(len(message.content.encode()) / BYTES_PER_TOKEN) for message in messages]
    return sum(counted), counted[-1]


def _sums(length: EpisodeLength) -> tuple[int, int, int]:
    return length.read, length.written, length.sample
