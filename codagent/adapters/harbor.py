"""codagent as an external agent of the harbor framework: `harbor run -a codagent.adapters.harbor:Codagent -m PROVIDER/MODEL`.

It imports harbor, which codagent does not depend on. The agent runs where harbor runs, and only its commands run in the task's container.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from harbor.agents.base import BaseAgent
from harbor.agents.capabilities import AgentCapabilities
from harbor.agents.installed import base as typed
from harbor.agents.options import AgentOptions

from codagent import __version__
from codagent.adapters.atif import to_run_trajectory
from codagent.adapters.harbor_sandbox import HarborEnvironment, HarborSandbox
from codagent.errors import CodagentError, ContextOverflow, Refusal, SandboxError, UsageError
from codagent.folder.folder_environment import FolderContext
from codagent.folder.folder_run import FolderWork, run_in_sandbox
from codagent.protocols import Model, OnText, ignore_text
from codagent.runner.model import Access, open_model
from codagent.runner.result import outcome_label
from codagent.runner.spec import OpenedModel, Result, effective_limits
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.ledger import Ledger, Spent
from codagent.types import EFFORTS, Episode, Limits, Loop, Message, Reply, Sampling, Step, Task, Tool

_UNTIMED = 7 * 24 * 3600.0  # harbor ends the agent at the task's own limit
_KINDS = (  # a word of the error's sentence, and how harbor calls the error
    (("refused the key", "api key", "(401)", "(403)"), typed.AgentAuthenticationError),
    (("out of quota", "(429)", "rate limit"), typed.ApiRateLimitError),
    (("(503)", "(529)", "overloaded", "busy"), typed.ApiOverloadedError),
    (("(500)",), typed.ApiInternalServerError),
    (("(404)",), typed.ModelNotFoundError),
)


class CodagentOptions(AgentOptions):  # type: ignore[misc]
    """What `--ak NAME=VALUE` can say."""

    attempts: int = 1  # each with a fresh context, on the files as the one before left them, and with its notes
    max_steps: int = 200  # of an attempt
    max_tokens: int = 5_000_000
    max_usd: float | None = None


class Codagent(BaseAgent):  # type: ignore[misc]
    """Works on the task in the working directory of its environment. It fills `context` after each step."""

    capabilities = AgentCapabilities(atif=True, reasoning_effort=True)
    options_model = CodagentOptions

    @staticmethod
    def name() -> str:
        return "codagent"

    def version(self) -> str:
        return __version__

    async def setup(self, environment: HarborEnvironment) -> None:
        """Do nothing: nothing is installed in the container."""

    async def run(self, instruction: str, environment: HarborEnvironment, context: Any) -> None:
        """Work on the task, and write `trajectory.json` and the record. Raises harbor's own errors when the model fails."""
        loop = asyncio.get_running_loop()
        settings = self._settings()
        try:
            opened = await asyncio.to_thread(self._open, settings)
        except UsageError as error:
            raise _name_error(error, str(error)) from error
        watched = WatchedModel(opened.model)
        opened = OpenedModel(watched, opened.profile, opened.price)
        ledger = Ledger(self.logs_dir / layout.LEDGER, effective_limits(settings, opened, None).limits, opened.price)
        sandbox = await asyncio.to_thread(HarborSandbox, environment, loop)
        work = FolderWork(Task("task", instruction), Path(self.logs_dir), settings, attempts=self.options.attempts)
        counts = UsageCounter(context, watched.name)
        running = asyncio.ensure_future(
            asyncio.to_thread(run_in_sandbox, work, opened, ledger, FolderContext(sandbox, say=self.logger.info), (counts,))
        )
        try:
            result = await asyncio.shield(running)
        except asyncio.CancelledError:  # the task's time is over
            ledger.interrupt()
            sandbox.close()
            self._report(await running, context)
            raise
        finally:
            watched.close()
        self._report(result, context)
        _raise_failure(result.loop, watched.failure)

    def _settings(self) -> Settings:
        options = self.options
        effort = next((effort for effort in EFFORTS if effort == options.reasoning_effort), None)
        limits = Limits(options.attempts, options.attempts, options.max_steps, options.max_tokens, _UNTIMED, options.max_usd, wait=600.0)
        asked = {"model", *(["max_usd"] if options.max_usd is not None else [])}
        return Settings(model=self.model_name or "embedded", limits=limits, effort=effort, asked=frozenset(asked))

    def _open(self, settings: Settings) -> OpenedModel:
        """Open the model. Keys that harbor hands over (`--ae NAME=VALUE`) are read as if they were in the environment."""
        for name, value in self.extra_env.items():
            os.environ.setdefault(name, value)
        return open_model(settings, Access(api_key=self._get_env("CODAGENT_API_KEY")), say=self.logger.info)

    def _report(self, result: Result, context: Any) -> None:
        """Write the trajectory, and tell harbor what was used, what was sampled, and how the agent ended."""
        loop = result.loop
        (self.logs_dir / "trajectory.json").write_text(json.dumps(to_run_trajectory(loop)), encoding="utf-8")
        context.cost_usd = result.spent.cost
        context.rollout_details = [details for episode in loop.episodes if (details := _rollout(episode))] or None
        last = loop.attempts[-1]
        context.metadata = {
            "end": last.end,
            "cause": last.cause,
            "claimed": last.end == "finished",  # what the agent says; only harbor's verifier knows
            "outcome": outcome_label(loop),
            "attempts": len(loop.attempts),
            "record": str(result.record),
        }


class UsageCounter:
    """An Observer that keeps harbor's counts up to date, because harbor may end the agent at any moment."""

    def __init__(self, context: Any, model: str) -> None:
        self._context, self._model = context, model
        self._cost = Spent()
        context.n_input_tokens = context.n_cache_tokens = context.n_output_tokens = 0

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        counts = self._context
        counts.n_input_tokens += reply.prompt_tokens
        counts.n_cache_tokens += reply.cached_tokens
        counts.n_output_tokens += reply.completion_tokens
        self._cost += Spent(0, reply.cost_usd or 0.0, int(reply.cost_usd is None))
        counts.cost_usd = self._cost.cost

    def on_episode_start(self, episode: Episode) -> None: ...
    def on_step(self, step: Step) -> None: ...
    def on_episode_end(self, episode: Episode) -> None: ...
    def on_iteration(self, loop: Loop, following: object) -> None: ...


class WatchedModel:
    """A Model that remembers the error that ended its latest request."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.failure: CodagentError | None = None

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        self.failure = None
        try:
            return self._model.reply(messages, tools, sampling, on_text)
        except CodagentError as error:
            self.failure = error
            raise

    def close(self) -> None:
        self._model.close()


def _rollout(episode: Episode) -> dict[str, list[Any]] | None:
    """Return what was sampled in an episode, a list for each reply. None: of some reply the tokens are not known."""
    sampled = [step.reply.tokens for step in episode.steps]
    tokens = [one for one in sampled if one]
    if not tokens or len(tokens) != len(sampled):
        return None
    return {
        "prompt_token_ids": [list(one.prompt_ids) for one in tokens],
        "completion_token_ids": [list(one.completion_ids) for one in tokens],
        "logprobs": [list(one.logprobs) for one in tokens],
    }


def _raise_failure(loop: Loop, failure: CodagentError | None) -> None:
    """Raise harbor's error for an attempt that a failure ended; an agent that ended by itself or at a limit raises nothing."""
    last = loop.attempts[-1]
    if last.end == "sandbox":
        raise SandboxError(last.cause)
    if last.end in ("model", "refused"):
        raise _name_error(failure or (Refusal() if last.end == "refused" else None), last.cause)


def _name_error(error: CodagentError | None, cause: str) -> Exception:
    """Return the error as harbor names it, by which it decides whether to try again."""
    if isinstance(error, Refusal):
        return typed.AgentSafetyRefusalError(cause)  # type: ignore[no-any-return]
    if isinstance(error, ContextOverflow):
        return typed.ContextWindowExceededError(cause)  # type: ignore[no-any-return]
    kind = next((kind for words, kind in _KINDS if any(word in cause.lower() for word in words)), typed.ApiError)
    return kind(cause)  # type: ignore[no-any-return]
