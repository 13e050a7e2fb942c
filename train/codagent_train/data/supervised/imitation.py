"""Finds in recorded loops what is worth imitating: attempts that passed, and notes after which the reward was higher.

The replies may be of any model. Those of other weights, and those without recorded tokens, are tokenized again from their text. Their
logprobs are unknown, so they can be imitated but not replayed. Does not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.repository.tools import select_tools
from codagent.store.codec import decode
from codagent.store.trainable import has_exact_tokens, parse_policy
from codagent.types import Episode, Loop, Message, Profile, Reply, Step, Tokens, Tool
from codagent_train.data.records.finder import Rejection, iter_unique, join_reasons
from codagent_train.data.replay import policy_aliases
from codagent_train.environments.packs import pick_in_turn
from codagent_train.policy.chat_text import render_messages, render_reply
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.run_dir.weights_ref import resolve


class Imitation:
    """The recorded loops that a run may imitate. They are read in the first step that has a pack of this source."""

    def __init__(self, recipe: Recipe, out: Path, tokenizer: Tokenizer, say: Callable[[str], None]) -> None:
        """`out` is the folder of the run, and `tokenizer` is that of the policy."""
        self._recipe, self._out, self._tokenizer, self._say = recipe, out, tokenizer, say
        self._examples: Sequence[Loop] = ()

    def groups(self, packs: Sequence[int]) -> dict[int, list[Loop]]:
        """Give each pack as many examples as the policy would play loops. None comes again before all others have come.

        Raises UsageError when there are packs and no record has anything to imitate.
        """
        if packs and not self._examples:
            self._examples = self._read_examples()
        size, name = self._recipe.batch.group_size, ("imitate", self._recipe.seed)
        places = {number: range(size * number, size * (number + 1)) for number in packs}
        return {number: [pick_in_turn(self._examples, place, *name) for place in row] for number, row in places.items()}

    def _read_examples(self) -> list[Loop]:
        recipe = self._recipe
        folders = [Path(folder) for folder in recipe.records.folders]
        start = resolve(recipe.policy.weights)
        aliases = (*policy_aliases(start, self._out), parse_policy(start.name).weights)
        examples, rejections = find_examples(folders, self._tokenizer, aliases, context_tokens=recipe.replies.context_tokens)
        if not examples:
            raise UsageError(f"no record in {', '.join(recipe.records.folders)} has anything to imitate: {join_reasons(rejections)}")
        self._say(f"{len(examples)} recorded loops are worth imitating, {len(rejections)} are not")
        return examples


def find_examples(
    folders: Sequence[Path], tokenizer: Tokenizer, aliases: Sequence[str], *, context_tokens: int
) -> tuple[list[Loop], list[Rejection]]:
    """Return the loops in these folders, reduced to the episodes and replies to imitate, and what is not used.

    `aliases` are the names of weights whose recorded token ids are those of `tokenizer`. An episode is not used when one of its requests
    has more than `context_tokens` tokens with its reply. Raises UsageError for a path that does not exist or holds no record.
    """
    examples: list[Loop] = []
    rejections: list[Rejection] = []
    for file, loop in iter_unique(folders, rejections):
        tools = _tools_of(loop)
        imitated = [_make_example(episode, tools, tokenizer, aliases) for episode in iter_imitable(loop)]
        short = tuple(episode for episode in imitated if all(_token_count(step.reply) <= context_tokens for step in episode.steps))
        if short:
            examples.append(replace(loop, episodes=short))
        else:
            rejections.append(Rejection("loop", file, "too long" if imitated else "nothing to imitate"))
    return examples, rejections


def count_examples(folders: Sequence[Path]) -> tuple[int, int]:
    """Count the attempts and the notes that are worth imitating in the records that can be read."""
    kinds = [episode.kind for _, loop in iter_unique(folders, []) for episode in iter_imitable(loop)]
    return kinds.count("solve"), kinds.count("notes")


def iter_imitable(loop: Loop) -> Iterator[Episode]:
    """Yield attempts that passed, and well-formed notes between two attempts of which the second has the higher reward."""
    rewards = {episode.position: episode.outcome.reward for episode in loop.episodes if episode.kind == "solve" and episode.outcome}
    for episode in loop.episodes:
        if episode.kind == "solve" and episode.outcome and episode.outcome.passed and episode.steps:
            yield episode
        elif episode.kind == "notes" and episode.outcome and episode.outcome.passed and episode.steps:
            before, after = rewards.get(episode.position), rewards.get(episode.position + 1)
            if before is not None and after is not None and after > before:
                yield episode


def _make_example(episode: Episode, tools: Sequence[Tool], tokenizer: Tokenizer, weights: Sequence[str]) -> Episode:
    """Reduce an episode to its last reply, which decided the outcome, and the earlier replies that its request contains.

    Replies of an attempt that did nothing for its outcome are left out (see `_find_useful`).
    """
    contexts = list(episode.requests())
    useful = _find_useful(episode) if episode.kind == "solve" and tools else range(len(episode.steps))
    shown = contexts[-1] if episode.kind == "solve" else ()
    steps = [
        replace(step, reply=_retokenize(step, messages, tools, tokenizer, weights))
        for number, (step, messages) in enumerate(zip(episode.steps, contexts, strict=True))
        if number in useful and (step is episode.steps[-1] or step.reply.message in shown)
    ]
    return replace(episode, steps=tuple(steps))


def _find_useful(attempt: Episode) -> set[int]:
    """Return the numbers of the steps that may have done something for the outcome.

    A reply without a call did nothing, unless it ended the attempt. A whole file did nothing when it was written otherwise later.
    """
    replies = [step.reply.message for step in attempt.steps]
    last = {path: text for message in replies for path, text in _iter_writes(message)}
    useful = {number for number, message in enumerate(replies) if message.tool_calls}
    if attempt.end == "finished":
        useful.add(len(replies) - 1)
    return {number for number in useful if all(last[path] == text for path, text in _iter_writes(replies[number]))}


def _iter_writes(message: Message) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each call that writes a whole file. A call that cannot be read wrote nothing."""
    for call in message.tool_calls:
        if call.name == "write":
            with suppress(ValueError, TypeError, KeyError):
                arguments = json.loads(call.arguments)
                yield str(arguments["path"]), str(arguments["content"])


def _retokenize(step: Step, messages: Sequence[Message], tools: Sequence[Tool], tokenizer: Tokenizer, weights: Sequence[str]) -> Reply:
    """Return the reply with token ids of this tokenizer. Its logprobs are 0, so that the loss clips nothing."""
    reply = step.reply
    if reply.tokens and has_exact_tokens(reply) and parse_policy(reply.policy).weights in weights:
        ids, reply_ids = reply.tokens.prompt_ids, reply.tokens.completion_ids
    else:
        ids = tokenizer.encode(render_messages(messages, tools))
        reply_ids = tokenizer.encode_reply(render_reply(messages, reply.message, tools))
    return replace(reply, tokens=Tokens(ids, reply_ids, (0.0,) * len(reply_ids)))


def _tools_of(loop: Loop) -> Sequence[Tool]:
    """Return the tools that the model could call; empty when the record has no readable profile, as in games."""
    profile: Any = loop.settings.get("profile")
    if profile is None:
        return ()
    try:
        return select_tools(decode(Profile, profile))
    except (TypeError, ValueError):
        return ()


def _token_count(reply: Reply) -> int:
    """Return the tokens of a reply and its request."""
    return len(reply.tokens.prompt_ids) + len(reply.tokens.completion_ids) if reply.tokens else 0
