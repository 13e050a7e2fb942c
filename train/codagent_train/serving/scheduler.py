"""Generates many completions side by side. One thread runs the model; between two steps it does other jobs, such as adding adapters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import torch

from codagent.errors import ModelError
from codagent.types import Sampling
from codagent_train.files import describe_error
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS
from codagent_train.rollout.engines.transformers_loop import Completion, CompletionBatch, can_merge
from codagent_train.serving.adapters import AdapterPool, PoolModel

T = TypeVar("T")
DrawnToken = tuple[int, float]  # an id, and its natural logprob
_POLL_S = 0.2  # while nothing comes: how often to look whether the client and the scheduler's thread are still there
_STOPPED = "the server ends"
_GPU_SHARE = 8  # one part of so many of the free memory may be keys and values: reading prompts takes several times as much


class PendingCompletion:
    """A completion that a client waits for. It grows in the scheduler's thread, and is read in the client's."""

    def __init__(self, name: str, prompt: Ids, sampling: Sampling, scheduler_is_alive: Callable[[], bool]) -> None:
        self.name, self.completion = name, Completion(prompt, sampling)
        self.cancelled = False  # whether nobody waits any more
        self._delivered = 0  # tokens that are in the queue or were read from it
        self._scheduler_is_alive = scheduler_is_alive
        self._queue: SimpleQueue[DrawnToken | ModelError | None] = SimpleQueue()  # None: the completion is complete

    @property
    def max_length(self) -> int:
        """The tokens of the prompt and of the longest completion."""
        return len(self.completion.prompt) + self.completion.sampling.max_tokens

    def iter_tokens(self, client_is_gone: Callable[[], bool]) -> Iterator[DrawnToken]:
        """Yield tokens as they are drawn, until the completion is complete or the client is gone.

        Raises ModelError when the completion failed, and when the scheduler has stopped. The completion is cancelled when the caller stops
        reading.
        """
        try:
            while not client_is_gone():
                try:
                    item = self._queue.get(timeout=_POLL_S)
                except Empty:
                    if not self._scheduler_is_alive():
                        raise ModelError(_STOPPED) from None
                    continue
                if isinstance(item, ModelError):
                    raise item
                if item is None:
                    return
                yield item
        finally:
            self.cancelled = True

    def deliver(self, *, complete: bool) -> None:
        """Hand over the tokens that were drawn since the last call. `complete`: there will be no more."""
        for token in zip(self.completion.ids[self._delivered :], self.completion.logprobs[self._delivered :], strict=True):
            self._queue.put(token)
        self._delivered = len(self.completion.ids)
        if complete:
            self._queue.put(None)

    def fail(self, error: ModelError) -> None:
        """Raise the error in `iter_tokens`, after the tokens that were delivered."""
        self._queue.put(error)


class _Batch:
    """The completions of one model that grow side by side. A round is `admit`, `advance`, `deliver`."""

    def __init__(self, rows: CompletionBatch) -> None:
        self.rows = rows
        self.pending: list[PendingCompletion] = []
        self._admitted: list[PendingCompletion] = []

    def admit(self, new: Sequence[PendingCompletion]) -> None:
        """Take more completions in. Their prompts are read in the next `advance`."""
        self._admitted += new

    def advance(self) -> None:
        """Drop what was cancelled, read new prompts, and draw the next token of each completion. An error fails all of them."""
        growing, new, self._admitted = self.pending, self._admitted, []
        self.pending = [*growing, *new]
        try:
            self.rows.keep([request.completion for request in growing if not request.cancelled])
            if new:
                self.rows.join([request.completion for request in new])
            if self.rows.growing:
                self.rows.step()
        except Exception as error:  # noqa: BLE001 -- the code of a model raises anything, and those who wait for it are told
            failure = ModelError(f"the reply broke off: {describe_error(error)}")
            for request in self.pending:
                request.fail(failure)
            self.pending = []

    def deliver(self) -> None:
        """Hand over the tokens that were drawn, and forget the completions that are complete or cancelled."""
        for request in self.pending:
            request.deliver(complete=request.completion not in self.rows.growing)
        self.pending = [request for request in self.pending if request.completion in self.rows.growing]


class Scheduler:
    """Runs a pool's model in a thread of its own, with one batch for each name that requests give.

    `max_batch_tokens` bounds the tokens of all batches together: prompts, what may still be drawn, and padding. Requests wait for room.
    None: what the device has room for.
    """

    def __init__(self, pool: AdapterPool, *, max_batch_tokens: int | None = None) -> None:
        self._pool, self._max_batch_tokens = pool, max_batch_tokens or _count_room(pool.policy.model)
        self._can_merge = can_merge(pool.policy.model)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: stop
        self._waiting: deque[PendingCompletion] = deque()
        self._batches: dict[str, _Batch] = {}
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread that runs the model still does. It ends by `close`, or by a bug."""
        return self._thread.is_alive()

    def submit(self, name: str, prompt: Ids, sampling: Sampling) -> PendingCompletion:
        """Queue a request for the model called `name`, and return at once. Unknown names fail in `iter_tokens`."""
        request = PendingCompletion(name, prompt, sampling, self._thread.is_alive)
        self._jobs.put(partial(self._waiting.append, request))
        return request

    def run_between_steps(self, work: Callable[[], T]) -> T:
        """Run `work` in the scheduler's thread while the model rests, and return what it returns.

        Raises whatever `work` raises, and ModelError when the scheduler has stopped.
        """
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 -- it is raised again in the thread of the caller
                future.set_exception(error)

        self._jobs.put(job)
        while not wait([future], _POLL_S).done:
            if not self.is_alive:
                raise ModelError(_STOPPED)
        return future.result()

    def close(self) -> None:
        """Stop after the current step, and wait for it. Completions that are not complete fail."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with torch.no_grad():
            while self._run_jobs():
                self._admit()
                for batch in self._batches.values():
                    batch.advance()
                for batch in self._batches.values():
                    batch.deliver()
                self._batches = {name: batch for name, batch in self._batches.items() if batch.pending}

    def _run_jobs(self) -> bool:
        """Run the jobs that have come. Waits for one when there is nothing to generate. Returns False when the scheduler is to stop."""
        while not self._jobs.empty() or not (self._waiting or self._batches):
            job = self._jobs.get()
            if job is None:
                return False
            job()
        return True

    def _admit(self) -> None:
        """Move requests into batches, in the order in which they came, while there is room. At least one is always admitted.

        A request for a model whose layers cannot merge rows (`can_merge`) waits until the batch of that model is done.
        """
        lengths = [request.max_length for batch in self._batches.values() for request in batch.pending]
        busy = () if self._can_merge else tuple(self._batches)
        while self._waiting:
            request = self._waiting[0]
            lengths.append(request.max_length)
            if (len(lengths) > 1 and len(lengths) * max(lengths) > self._max_batch_tokens) or request.name in busy:
                return
            self._waiting.popleft()
            if request.cancelled:
                lengths.pop()
            elif request.name in self._pool.names:
                self._batch_of(request.name).admit([request])
            else:
                request.fail(ModelError(f"the model {request.name} is gone"))

    def _batch_of(self, name: str) -> _Batch:
        """Return the batch of a model. A batch is made when the model has none."""
        if name not in self._batches:
            policy = self._pool.policy
            self._batches[name] = _Batch(CompletionBatch(PoolModel(self._pool, name), pad=policy.pad, ends=policy.ends))
        return self._batches[name]


def _count_room(model: Any) -> int:
    """Return for how many tokens a batch may hold keys and values: for more than usual where a GPU has much memory free."""
    if model.device.type != "cuda":
        return MAX_BATCH_TOKENS
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    free = int(torch.cuda.mem_get_info(model.device)[0])
    return max(MAX_BATCH_TOKENS, free // int(_GPU_SHARE * token_bytes))
