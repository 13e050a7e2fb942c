"""One thread owns the model: what is asked of it side by side grows as one batch for each name, and what changes it happens in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import torch

from codagent.errors import ModelError
from codagent.types import Sampling
from codagent_train.engines import TOGETHER, Ids
from codagent_train.engines.local import Row, Rows, mergeable
from codagent_train.folder import reason
from codagent_train.serve_weights import Weights, Worn

T = TypeVar("T")
Drawn = tuple[int, float]
_LOOK_S = 0.2  # between two looks at whether somebody still listens, and somebody still draws, while nothing comes
_ENDED = "the server ends"


class Ticket:
    """A completion that was asked for; it grows until it is whole, or nobody listens any more."""

    def __init__(self, name: str, prompt: Ids, sampling: Sampling, alive: Callable[[], bool]) -> None:
        self.name, self.row, self.given_up = name, Row(prompt, sampling), False
        self._told, self._alive = 0, alive
        self._news: SimpleQueue[Drawn | ModelError | None] = SimpleQueue()

    @property
    def length(self) -> int:
        return len(self.row.prompt) + self.row.sampling.max_tokens

    def drawn(self, gone: Callable[[], bool]) -> Iterator[Drawn]:
        """Each id and its logprob, as they come, while who asked is not gone. ModelError when there will be no more."""
        try:
            while not gone():
                try:
                    news = self._news.get(timeout=_LOOK_S)
                except Empty:
                    if not self._alive():
                        raise ModelError(_ENDED) from None
                    continue
                if isinstance(news, ModelError):
                    raise news
                if news is None:
                    return
                yield news
        finally:
            self.given_up = True

    def tell(self, *, whole: bool) -> None:
        for drawn in zip(self.row.ids[self._told :], self.row.logprobs[self._told :], strict=True):
            self._news.put(drawn)
        self._told = len(self.row.ids)
        if whole:
            self._news.put(None)

    def fail(self, error: ModelError) -> None:
        self._news.put(error)


class Desk:
    """Where completions are asked for. `room` is how many tokens, padding and what is to come included, grow at a time; the others wait."""

    def __init__(self, weights: Weights, *, room: int = TOGETHER) -> None:
        self._weights, self._room = weights, room
        self._joins = mergeable(weights.policy.model)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: deque[Ticket] = deque()
        self._growing: dict[str, tuple[Rows, list[Ticket]]] = {}
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, name: str, prompt: Ids, sampling: Sampling) -> Ticket:
        ticket = Ticket(name, prompt, sampling, self._thread.is_alive)
        self._jobs.put(partial(self._waiting.append, ticket))
        return ticket

    def between(self, work: Callable[[], T]) -> T:
        """What `work` gives, or raises, done between two steps. ModelError when it never will be."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 -- raised again in the thread of whoever asked
                future.set_exception(error)

        self._jobs.put(job)
        while not wait([future], _LOOK_S).done:
            if not self.alive:
                raise ModelError(_ENDED)
        return future.result()

    @property
    def alive(self) -> bool:
        """Whether somebody does what is asked here."""
        return self._thread.is_alive()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with torch.no_grad():
            while self._listen():
                for name, tickets in self._admitted().items():
                    self._grow(name, tickets)
                for name in list(self._growing):
                    self._grow(name, [])

    def _listen(self) -> bool:
        """Do the jobs that have come, or wait for one when there is nothing else to do; whether to go on."""
        while not self._jobs.empty() or not (self._waiting or self._growing):
            job = self._jobs.get()
            if job is None:
                return False
            job()
        return True

    def _admitted(self) -> dict[str, list[Ticket]]:
        found: dict[str, list[Ticket]] = {}
        lengths = [ticket.length for _, tickets in self._growing.values() for ticket in tickets]
        while self._waiting:
            ticket = self._waiting[0]
            lengths.append(ticket.length)
            full = len(lengths) > 1 and len(lengths) * max(lengths) > self._room
            if full or (ticket.name in self._growing and not self._joins):
                break
            self._waiting.popleft()
            if ticket.given_up:
                lengths.pop()
            elif ticket.name in self._weights.names:
                found.setdefault(ticket.name, []).append(ticket)
            else:
                ticket.fail(ModelError(f"the model {ticket.name} is gone"))
        return found

    def _grow(self, name: str, joining: list[Ticket]) -> None:
        """Draw the first token of those that join, or the next one of those that have."""
        policy = self._weights.policy
        if name in self._growing:
            rows, tickets = self._growing.pop(name)
        else:
            rows, tickets = Rows(Worn(self._weights, name), pad=policy.pad, ends=policy.ends), []
        tickets = [*tickets, *joining]
        try:
            if name not in self._weights.names:
                raise ModelError(f"the model {name} is gone")
            if joining:
                rows.join([ticket.row for ticket in joining])
            else:
                rows.keep([ticket.row for ticket in tickets if not ticket.given_up])
                if rows.growing:
                    rows.step()
        except Exception as error:  # noqa: BLE001 -- the code of a model raises anything, and those who asked hear of it
            for ticket in tickets:
                ticket.fail(ModelError(f"the reply broke off: {reason(error)}"))
            return
        for ticket in tickets:
            ticket.tell(whole=ticket.row not in rows.growing)
        if left := [ticket for ticket in tickets if ticket.row in rows.growing]:
            self._growing[name] = (rows, left)
