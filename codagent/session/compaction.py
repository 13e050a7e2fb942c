"""The summary that a conversation goes on with when it becomes too long: the model writes it, as an episode on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codagent.agent.episode import Agent, run_episode
from codagent.prompts import prompt
from codagent.session.conversation import append_text, recall
from codagent.session.history import History
from codagent.session.prompting import summarize
from codagent.types import Episode, Message, Observation, Outcome, Task, Tool

ATTEMPTS = 2
SUMMARY_TOKENS = 1_500  # of the reply
NO_TOOL = "error: no tool may be called now. Write the summary, and nothing else."


def sum_up(agent: Agent, tools: Sequence[Tool], history: History, wish: str = "") -> Episode | None:
    """Let the model sum up the conversation so far. Returns the episode, whose notes are the summary. None: there is nothing to sum up.

    `wish` is what the person wants to have in the summary; "": nothing special. If the model fails, the turns are listed.
    """
    profile = agent.profile
    talk = recall(history.episodes, profile.context_tokens)
    if not talk.begun:
        return None
    writing = Compaction(talk.messages, tools, wish)
    sampling = replace(profile.sampling, max_tokens=min(profile.sampling.max_tokens, SUMMARY_TOKENS))
    agent = replace(agent, profile=replace(profile, steps=ATTEMPTS, sampling=sampling, memory=None))
    episode = run_episode(agent, writing, history.begin("notes", Task("compact", wish)))
    return replace(episode, notes_after=writing.summary or summarize(history.episodes, profile))


class Compaction:
    """An Environment in which the only thing to do is to write the summary. It asks with the same messages and tools as the turns do, so
    that a provider has them cached. `summary` is "" until it has come."""

    passes = False

    def __init__(self, messages: tuple[Message, ...], tools: Sequence[Tool], wish: str = "") -> None:
        self._messages, self._wish = messages, wish
        self.tools = tuple(tools)
        self.summary = ""

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:  # noqa: ARG002 - the messages say it all
        return append_text(self._messages, "\n\n".join(filter(None, [prompt("compact"), self._wish])))

    def step(self, message: Message) -> Observation:
        if message.tool_calls:
            return Observation(tuple(Message("tool", NO_TOOL, tool_call_id=call.id) for call in message.tool_calls))
        self.summary = message.content.strip()
        return Observation((), "finished")

    def grade(self) -> Outcome | None:
        return None

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: the caller reads `summary`."""

    def describe_state(self) -> str:
        return self.summary
