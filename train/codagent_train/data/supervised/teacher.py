"""Plays packs as well as possible, in text, for a model to imitate before it learns from its own play.

At the start of a task the teacher knows only what the notes say. A model that imitates it thus learns to use notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.errors import UsageError
from codagent.protocols import Environment, OnText, ignore_text
from codagent.types import Loop, Message, Profile, Reply, Sampling, Task, Tokens, Tool
from codagent_train.environments.make import draw_pack, write_best_replies
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, agent_profile


def teacher_loops(recipe: Recipe, packs: Sequence[int], tokenizer: Tokenizer) -> dict[int, list[Loop]]:
    """Let the teacher play for each pack as many loops as the policy would.

    The teacher plays a pack the same way each time. Each of its loops is therefore played over another pack of the training split.
    """
    size = recipe.batch.group_size
    return {number: [_play_lesson(recipe, lesson, tokenizer) for lesson in range(size * number, size * (number + 1))] for number in packs}


def _play_lesson(recipe: Recipe, lesson: int, tokenizer: Tokenizer) -> Loop:
    number = recipe.seed * PACK_STRIDE + lesson
    config, pack, open_environment = draw_pack(recipe, "train", number)
    environment = open_environment()
    loop = Loop(f"lesson-{lesson}", f"lesson-{lesson}", f"{config.name}-{pack.seed}", "teacher", "")
    replies = write_best_replies(config, pack, environment)
    return play_as_teacher(tokenizer, environment, pack.tasks, replies, loop, agent_profile(recipe, config))


def play_as_teacher(
    tokenizer: Tokenizer, environment: Environment, tasks: Sequence[Task], replies: Iterator[str], loop: Loop, profile: Profile
) -> Loop:
    """Play the tasks of a pack with one text of `replies` for each request, and return `loop` with the episodes."""
    return run_loop(Agent(_Teacher(tokenizer, replies), profile), environment, once_each(tasks), loop=loop, notes_io=NotesIO("between"))


class _Teacher:
    """A Model that says the next of its texts, whatever it is asked. The texts follow from what it sees of the environment itself."""

    name = "teacher"

    def __init__(self, tokenizer: Tokenizer, replies: Iterator[str]) -> None:
        self._tokenizer, self._replies = tokenizer, replies

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        """Return the next text. Its tokens are not sampled, and their logprobs are 0. Raises UsageError when notes are asked for anew."""
        del tools, on_text
        text = next(self._replies, None)
        if text is None:
            raise UsageError("[replies] notes_tokens: the notes of the teacher do not fit; take more")
        return make_taught_reply(self._tokenizer, messages, text, sampling)

    def close(self) -> None:
        pass


def make_taught_reply(tokenizer: Tokenizer, messages: Sequence[Message], text: str, sampling: Sampling) -> Reply:
    """Return `text` as the reply of a teacher, with the tokens that a model would have read and sampled. Their logprobs are 0."""
    prompt_ids, ids = tokenizer.encode(messages), tokenizer.encode_reply(text)
    tokens = Tokens(prompt_ids, ids, (0.0,) * len(ids))
    return Reply(Message("assistant", text), "stop", len(prompt_ids), len(ids), 0.0, tokens, sampling, "teacher", text)
