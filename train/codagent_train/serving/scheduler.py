"""One thread owns the model: what is asked of it side by side grows as one batch for each name, and what changes it happens in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import torch

from codagent.errors import CodagentError, ModelError
from codagent.types import Sampling
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS
from codagent_train.rollout.engines.transformers_loop import Completion, CompletionBatch, can_merge
from codagent_train.serving.adapters import AdapterPool, NamedModel

T = TypeVar("T")
DrawnToken = tuple[int, float]
_LOOK_S = 0.2  # between two looks at whether somebody still listens, while nothing comes


class PendingCompletion:
    """A completion that was asked for; it grows until it is whole, or nobody listens any more."""

    def __init__(self, name: str, prompt: Ids, sampling: Sampling) -> None:
        self.name, self.completion, self.cancelled = name, Completion(prompt, sampling), False
        self._delivered = 0
        self._tokens: SimpleQueue[DrawnToken | ModelError | None] = SimpleQueue()

    @property
    def length(self) -> int:
        return len(self.completion.prompt) + self.completion.sampling.max_tokens

    def iter_tokens(self, gone: Callable[[], bool]) -> Iterator[DrawnToken]:
        """Each id and its logprob, as they come, while who asked is not gone. ModelError when there will be no more."""
        try:
            while not gone():
                try:
                    news = self._tokens.get(timeout=_LOOK_S)
                except Empty:
                    continue
                if isinstance(news, ModelError):
                    raise news
                if news is None:
                    return
                yield news
        finally:
            self.cancelled = True

    def deliver(self, *, whole: bool) -> None:
        for token in zip(self.completion.ids[self._delivered :], self.completion.logprobs[self._delivered :], strict=True):
            self._tokens.put(token)
        self._delivered = len(self.completion.ids)
        if whole:
            self._tokens.put(None)

    def fail(self, error: ModelError) -> None:
        self._tokens.put(error)


class Scheduler:
    """Where completions are asked for. `room` is how many tokens, padding and what is to come included, grow at a time; the others wait."""

    def __init__(self, weights: AdapterPool, *, room: int = MAX_BATCH_TOKENS) -> None:
        self._weights, self._room = weights, room
        self._can_merge = can_merge(weights.policy.model)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: deque[PendingCompletion] = deque()
        self._growing: dict[str, tuple[CompletionBatch, list[PendingCompletion]]] = {}
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, name: str, prompt: Ids, sampling: Sampling) -> PendingCompletion:
        pending = PendingCompletion(name, prompt, sampling)
        self._jobs.put(partial(self._waiting.append, pending))
        return pending

    def run_between_steps(self, work: Callable[[], T]) -> T:
        """What `work` gives, or raises, done between two steps."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except CodagentError as error:
                future.set_exception(error)

        self._jobs.put(job)
        return future.result()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with torch.no_grad():
            while self._run_jobs():
                for name, joining in self._admit().items():
                    self._advance(name, joining)
                for name in list(self._growing):
                    self._advance(name, [])

    def _run_jobs(self) -> bool:
        """Do the jobs that have come, or wait for one when there is nothing else to do; whether to go on."""
        while not self._jobs.empty() or not (self._waiting or self._growing):
            job = self._jobs.get()
            if job is None:
                return False
            job()
        return True

    def _admit(self) -> dict[str, list[PendingCompletion]]:
        admitted: dict[str, list[PendingCompletion]] = {}
        lengths = [request.length for _, pending in self._growing.values() for request in pending]
        while self._waiting:
            request = self._waiting[0]
            lengths.append(request.length)
            full = len(lengths) > 1 and len(lengths) * max(lengths) > self._room
            if full or (request.name in self._growing and not self._can_merge):
                break
            self._waiting.popleft()
            if request.cancelled:
                lengths.pop()
            elif request.name in self._weights.names:
                admitted.setdefault(request.name, []).append(request)
            else:
                request.fail(ModelError(f"the model {request.name} is gone"))
        return admitted

    def _advance(self, name: str, joining: list[PendingCompletion]) -> None:
        """Draw the first token of those that join, or the next one of those that have."""
        policy = self._weights.policy
        if name in self._growing:
            batch, pending = self._growing.pop(name)
        else:
            batch, pending = CompletionBatch(NamedModel(self._weights, name), pad=policy.pad, ends=policy.ends), []
        pending = [*pending, *joining]
        try:
            if name not in self._weights.names:
                raise ModelError(f"the model {name} is gone")
            if joining:
                batch.join([request.completion for request in joining])
            else:
                batch.keep([request.completion for request in pending if not request.cancelled])
                if batch.growing:
                    batch.step()
        except (CodagentError, RuntimeError) as error:  # torch's own, out of memory too, are RuntimeErrors
            for request in pending:
                request.fail(ModelError(f"the reply broke off: {error}"))
            return
        for request in pending:
            request.deliver(whole=request.completion not in batch.growing)
        if unfinished := [request for request in pending if request.completion in batch.growing]:
            self._growing[name] = (batch, unfinished)
