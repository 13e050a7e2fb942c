"""The environment of a git repository: its tree goes into a sandbox, work is done there, a commit comes out and is judged in another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.prompts import prompt
from codagent.repository import git, tools
from codagent.repository.attempts import Attempt, Claim, Start, choose, claim, claimed, told, word
from codagent.repository.first_message import Known, filled, fit, plain
from codagent.store.ledger import Ledger
from codagent.text import BYTES_PER_TOKEN, gist, show
from codagent.types import End, Episode, Limits, Message, Observation, Outcome, Profile, Sandbox, Task, Tool

if TYPE_CHECKING:
    from codagent.repository.gate import Gates

NUDGE = "error: no tool was called. Call a tool; when the work is done, call finish."


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a repository's episodes work with. `open_sandbox` gives a fresh, pristine one each time. The first attempt starts from `begin`,
    which is `packed` as it goes in. In a loop (`limits`) an attempt is told what is left, and what the gates say of its start."""

    root: Path
    start_commit: str
    begin: str
    packed: bytes
    open_sandbox: Callable[[], Sandbox]
    loop_id: str
    ledger: Ledger
    gates: Gates
    start: Start = "best"
    limits: Limits | None = None


class Repository:
    """An Environment. One sandbox lives from `reset` to the next, or to `close`."""

    def __init__(self, place: Workplace, profile: Profile, earlier: Sequence[Episode] = ()) -> None:
        """`earlier` are the episodes of a loop that is taken up again."""
        self._place, self._profile = place, profile
        self._sandbox: Sandbox | None = None
        self._task = Task("", "")
        self._begin = self._base = Attempt(place.begin, None)  # where the task began, and where this attempt does
        self._attempts: list[Attempt] = []  # at this task
        self._done = 0  # attempts at all tasks
        self._claim = Claim()
        self._form = ""  # of an answer, where the profile asks for one
        self._collected: list[str | None] = []
        self._first_bytes = _first_bytes(earlier)
        for episode in earlier:
            if episode.kind == "solve":
                self._enter(episode.task)
                self._remember(Attempt(episode.commit or self._base.commit, episode.outcome, claimed(episode)))

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tools.offered(self._profile)

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        self.close()
        self._enter(task)
        self._claim, self._form, self._collected = Claim(), "", []
        known = self._known(notes)
        self._sandbox = self._place.open_sandbox()
        place = self._place
        git.enter(self._sandbox, place.packed if self._base.commit == place.begin else git.pack(place.root, self._base.commit))
        return Message("system", prompt(self._profile.prompt)), Message("user", self._first(self._sandbox, known))

    def step(self, message: Message) -> Observation:
        assert self._sandbox is not None, "reset comes before step"
        if not message.tool_calls:
            return Observation((Message("user", self._form or NUDGE),))
        answers: list[Message] = []
        end: End | None = None
        for call in message.tool_calls:
            if call.name == tools.FINISH.name:
                text, end, self._claim = "ok", "finished", claim([message])
            else:
                text = tools.call(self._sandbox, call, self._profile, seconds_left=self._place.ledger.seconds_left)
            answers.append(Message("tool", text, tool_call_id=call.id))
        if end is None and self._profile.checks_after_write and _wrote(message, answers):
            said, passed = self._checks(self._sandbox)
            more = "" if passed else f"\n\n{prompt('again')} {self._form}"
            answers[-1] = replace(answers[-1], content=f"{answers[-1].content}\n\n{gist(said)}{more}")
            end = "finished" if passed else None
        return Observation(tuple(answers), end)

    def grade(self) -> Outcome | None:
        """What the gates say of the work, in a second, pristine sandbox. None when the task has no checks."""
        return self._judge() if self._task.checks else None

    def keep(self, outcome: Outcome | None) -> str:
        """Bring the work out as a commit, and the loop's branch to the best so far; nothing changed gives the commit it started from."""
        place, spent = self._place, self._place.ledger.spent
        trailers = {
            "Codagent-Loop": place.loop_id,
            "Codagent-Iteration": str(self._done),
            "Codagent-Gates": word(outcome),
            "Codagent-Cost": f"{spent.tokens} tokens, ${spent.usd:.4f}",
        }
        commit = self._commit(trailers)
        position = self._done
        self._remember(Attempt(commit, outcome, self._claim))
        best = choose(self._begin, self._attempts, "best").commit
        if commit != place.start_commit:
            git.publish(place.root, place.loop_id, position, commit, best=best)
        return commit

    def account(self) -> str:
        """What the latest attempt changed, as a patch."""
        commit = self._attempts[-1].commit if self._attempts else self._base.commit
        root = self._place.root
        return git.diff(root, self._base.commit, commit) if commit != self._base.commit else "Nothing was changed."

    def tree(self) -> str | None:
        """The work as a tree in the user's repository; None when nothing differs from where it started. Collected once: then it is over."""
        assert self._sandbox is not None, "reset comes first"
        if not self._collected:
            self._collected.append(git.leave(self._sandbox, self._place.root, self._base.commit))
        return self._collected[0]

    def base_tree(self) -> str:
        """The tree that the attempt started from."""
        return git.tree_of(self._place.root, self._base.commit)

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _enter(self, task: Task) -> None:
        """Come to an attempt at `task`; a task begins with the best of the one before."""
        if task.id != self._task.id:
            self._begin, self._attempts = Attempt(choose(self._begin, self._attempts, "best").commit, None), []
        self._task = task
        if self._attempts and self._begin.outcome is None and task.checks:
            self._begin = replace(self._begin, outcome=self._judge(self._begin.commit))
        self._base = choose(self._begin, self._attempts, self._place.start)

    def _remember(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        self._done += 1

    def _judge(self, commit: str | None = None) -> Outcome:
        """The gates' word, None: on the work. So much time as that took once and a half is kept back for the next time."""
        ledger, began = self._place.ledger, time.monotonic()
        outcome = self._place.gates.grade(self._task.checks, commit or self.tree() or self._base.commit, seconds=ledger.seconds_until_end)
        ledger.keep_for_gates(1.5 * (time.monotonic() - began))
        return outcome

    def _commit(self, trailers: dict[str, str]) -> str:
        tree = self.tree()
        message = self._claim.blocked or self._claim.summary or self._task.instruction
        return git.commit(self._place.root, tree, self._base.commit, message, trailers=trailers) if tree else self._base.commit

    def _known(self, notes: str) -> Known:
        limits, ledger = self._place.limits, self._place.ledger
        if limits is None:
            return Known(notes=notes)
        outcome = self._base.outcome or (self._judge(self._base.commit) if self._task.checks else None)
        self._base = replace(self._base, outcome=outcome)
        if not self._attempts:
            self._begin = self._base
        money = "" if limits.usd is None else f", ${limits.usd - ledger.spent.usd:.2f}"
        tokens, minutes = limits.tokens - ledger.spent.tokens, max(0.0, ledger.seconds_left) / 60
        turn = f"This is attempt {len(self._attempts) + 1} of {limits.iterations}."
        left = f"{turn} Left in all: {tokens:,} tokens, {minutes:.0f} minutes{money}."
        return Known(left, told(self._attempts), outcome.feedback if outcome else "", notes)

    def _first(self, sandbox: Sandbox, known: Known) -> str:
        """Later attempts are told no more than the first was, but for the notes."""
        paths = git.files(self._place.root, self._base.commit)
        if self._profile.fill_tokens:
            said = self._checks(sandbox)[0]
            parts, self._form = filled(self._task, sandbox, paths, known, profile=self._profile, said=said)
        else:
            parts = plain(self._task, sandbox, paths, known)
        text = fit(parts, self._first_bytes and self._first_bytes + self._profile.notes_tokens * BYTES_PER_TOKEN)
        self._first_bytes = self._first_bytes or len(text.encode(errors="surrogateescape"))
        return text

    def _checks(self, sandbox: Sandbox) -> tuple[str, bool]:
        """What the checks say in the agent's own sandbox, up to the first that fails; a hint for the agent, decided elsewhere."""
        from codagent.repository.gate import run_check

        said = []
        for check in self._task.checks:
            result = run_check(sandbox, check, seconds=self._place.ledger.seconds_left)
            said.append(f"$ {check}\n{show(result, self._profile)}")
            if result.exit_code:
                return "\n".join(said), False
        return "\n".join(said), bool(said)


def _first_bytes(earlier: Sequence[Episode]) -> int | None:
    """How long the loop's first first message was."""
    return len(earlier[0].prompt[-1].content.encode(errors="surrogateescape")) if earlier else None


def _wrote(message: Message, answers: Iterable[Message]) -> bool:
    pairs = zip(message.tool_calls, answers, strict=True)
    return any(call.name in tools.WRITING and answer.content.startswith("ok") for call, answer in pairs)
