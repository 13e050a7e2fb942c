"""The environment of a git repository: its tree goes into a sandbox, work is done there, a commit comes out and is judged in another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.errors import SandboxError
from codagent.prompts import prompt
from codagent.protocols import GateSandbox, Sandbox, ignore_text
from codagent.repository import git, tools
from codagent.repository.attempts import Attempt, AttemptHistory, Claim, claim_of, parse_claim, verdict_label
from codagent.repository.messages.answers import answer_text, comment_write
from codagent.repository.messages.first_message import MessageFacts, answer_form, subtract_spent, write_first_message
from codagent.repository.messages.own import NOTHING_OWN, UserInstructions
from codagent.repository.messages.rules import RulesReader
from codagent.repository.messages.shown import add_shown
from codagent.repository.tools.toolbox import Toolbox
from codagent.store.ledger import Ledger
from codagent.text import BYTES_PER_TOKEN, format_usd, utf8_size
from codagent.types import End, Episode, Limits, Message, Observation, Outcome, Profile, StartFrom, Task, Tool

if TYPE_CHECKING:
    from codagent.repository.gate import Gates


@dataclass(frozen=True, slots=True)
class RepositoryContext:
    """What the attempts of one loop work with."""

    root: Path
    start_commit: str  # what the user's files were when the loop began
    begin: str  # the commit that the first attempt starts from
    packed: bytes  # `begin`, packed for a sandbox
    open_sandbox: Callable[[], GateSandbox]  # gives a fresh, pristine one each time
    loop_id: str
    ledger: Ledger
    open_gates: Callable[[], Gates]  # gives the same ones each time
    start: StartFrom = "best"
    limits: Limits | None = None  # of a Ralph loop, whose attempts are told what is left and what the gates say of their start
    say: Callable[[str], None] = ignore_text  # tells the person what stays behind, what was read and what cannot be read
    own: UserInstructions = NOTHING_OWN  # what the user has for agents in all repositories
    toolbox: Toolbox = Toolbox()


@dataclass(frozen=True, slots=True)
class _Current:
    """The attempt that is being worked on."""

    position: int  # in the loop
    start: Attempt
    sandbox: Sandbox
    rules: RulesReader
    answer_form: str  # how an answer should look; "": the profile asks for no form
    claim: Claim = Claim()
    written: tuple[str, ...] = ()  # paths that the agent wrote with its tools
    tree: str = ""  # of the work, once it is collected; "": not yet
    left_behind: str = ""  # sentences about files that are not in the tree; "": there are none, or not collected yet


class RepositoryEnvironment:
    """An Environment. One sandbox lives from `reset` to the next, or to `close`."""

    def __init__(self, context: RepositoryContext, profile: Profile, earlier: Sequence[Episode] = ()) -> None:
        """`earlier` are the episodes of a loop that is resumed."""
        self._context, self._profile = context, profile
        self._history = AttemptHistory(context.begin, context.start)
        self._earlier = [episode for episode in earlier if episode.kind == "solve"]
        self._first_bytes = utf8_size(earlier[0].prompt[-1].content) if earlier else None  # of the loop's first first message
        self._task = Task("", "")
        self._current: _Current | None = None
        self._say = cache(context.say)  # each sentence once

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._context.toolbox.list_tools(self._profile)

    @property
    def passes(self) -> bool:
        """Whether every check passes on what the attempt starts from, as far as that was judged."""
        return bool((outcome := self._now.start.outcome) and outcome.passed)

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        """Begin an attempt in a fresh sandbox and write its prompt.

        In a Ralph loop the gates judge its start first. Raises SandboxError when no sandbox starts, UsageError when a check cannot be run.
        """
        self.close()
        self._recall_earlier()
        start = self._grade_start(self._choose_start(task))
        sandbox = self._open(start)
        rules = RulesReader(sandbox, git.list_files(self._context.root, start.commit), self._profile, self._say)
        facts = self._gather_facts(start, sandbox, rules, notes)
        form = answer_form(facts.files, self._profile) if self._profile.fill_tokens else ""
        self._current = _Current(self._history.count, start, sandbox, rules, form)
        return Message("system", prompt(self._profile.prompt)), Message("user", self._write(facts))

    def step(self, message: Message) -> Observation:
        """Answer every call of a reply. Raises KeyboardInterrupt when the sandbox was closed because the loop is being stopped."""
        try:
            return self._step(self._now, message)
        except SandboxError:
            self._context.ledger.check_interrupted()
            raise

    def grade(self) -> Outcome | None:
        """Ask the gates about the work, in a second, pristine sandbox. None when the task has no checks."""
        if not self._task.checks:
            return None
        try:
            outcome = self._judge(self.tree())
        except SandboxError:
            self._context.ledger.check_interrupted()
            raise
        left_behind = self._now.left_behind
        return outcome if outcome.passed or not left_behind else replace(outcome, feedback=f"{outcome.feedback}\n\n{left_behind}")

    def save_work(self, outcome: Outcome | None) -> str:
        """Bring the work out as a commit and point the loop's branch to the best so far.

        Returns the commit; when nothing was changed, the one that the attempt started from. It may be called again after an interrupt.
        """
        context, current, spent = self._context, self._now, self._context.ledger.spent
        trailers = {
            "Codagent-Loop": context.loop_id,
            "Codagent-Iteration": str(current.position + 1),
            "Codagent-Gates": verdict_label(outcome),
            "Codagent-Cost": f"{spent.tokens} tokens, {format_usd(spent.cost, decimals=4)}",
        }
        commit = current.start.commit
        if (tree := self.tree()) != git.tree_of(context.root, commit):
            message = current.claim.blocked or current.claim.summary or self._task.instruction
            commit = git.commit(context.root, tree, commit, message, trailers=trailers)
        self._history.add(current.position, Attempt(commit, outcome, current.claim))
        if commit != context.start_commit:
            git.publish(context.root, context.loop_id, current.position, commit, best=self._history.best.commit)
        return commit

    def describe_state(self) -> str:
        """Describe what the latest attempt changed, as a patch."""
        self._recall_earlier()
        before, after = self._history.start.commit, self._history.latest.commit
        return git.diff(self._context.root, before, after) if after != before else "Nothing was changed."

    def tree(self) -> str:
        """The tree of the work, collected into the user's repository at the first call; the work is over then."""
        current = self._now
        if not current.tree:
            root, commit = self._context.root, current.start.commit
            left = [tools.describe_left_behind(current.sandbox, commit, current.written, git.list_submodules(root, commit))]
            tree = git.collect_tree(current.sandbox, root, commit, left.append) or git.tree_of(root, commit)
            self._current = current = replace(current, tree=tree, left_behind="\n".join(filter(None, left)))
            for sentence in filter(None, left):
                self._say(sentence)
        return current.tree

    def close(self) -> None:
        """Close the sandbox of the current attempt, if there is one."""
        if self._current is not None:
            self._current.sandbox.close()

    @property
    def _now(self) -> _Current:
        assert self._current is not None, "reset comes first"
        return self._current

    def _recall_earlier(self) -> None:
        """Bring the history to where the earlier attempts of a resumed loop have left it. Their starts are graded if no verdict is kept."""
        earlier, self._earlier = self._earlier, []
        for episode in earlier:
            start = self._grade_start(self._choose_start(episode.task))
            self._history.add(self._history.count, Attempt(episode.commit or start.commit, episode.outcome, claim_of(episode)))

    def _choose_start(self, task: Task) -> Attempt:
        """Choose what the next attempt at the task starts from. Another task than before has a start, or begins with the best."""
        if task.id != self._task.id:
            self._history.begin_task(task.start)
        self._task = task
        return self._history.choose_start()

    def _grade_start(self, start: Attempt) -> Attempt:
        """Add the gates' verdict to an attempt's start, where a Ralph loop needs it and it is not known."""
        if self._context.limits is None or start.outcome is not None or not self._task.checks:
            return start
        graded = replace(start, outcome=self._judge(start.commit, at_start=True))
        self._history.know(graded)
        return graded

    def _open(self, start: Attempt) -> Sandbox:
        context, sandbox = self._context, self._context.open_sandbox()
        git.copy_in(sandbox, context.packed if start.commit == context.begin else git.pack(context.root, start.commit))
        context.own.copy_skills(sandbox)
        return sandbox

    def _gather_facts(self, start: Attempt, sandbox: Sandbox, rules: RulesReader, notes: str) -> MessageFacts:
        paths = git.list_files(self._context.root, start.commit)
        submodules = tuple(git.list_submodules(self._context.root, start.commit))
        facts = MessageFacts(self._task, paths, rules.read_first(self._context.own), notes=notes, submodules=submodules)
        if self._profile.fill_tokens:
            facts = add_shown(facts, sandbox, self._profile, seconds_left=lambda: self._context.ledger.seconds_left)
        if self._context.limits is None:
            return facts
        feedback = start.outcome.feedback if start.outcome else ""
        ledger, attempt = self._context.ledger, len(self._history.attempts) + 1
        remaining = subtract_spent(self._context.limits, ledger.spent, seconds_left=ledger.seconds_left, attempt=attempt)
        return replace(facts, remaining=remaining, attempts=self._history.attempts, feedback=feedback)

    def _write(self, facts: MessageFacts) -> str:
        """Later attempts are told no more than the first was, but for the notes."""
        most = self._first_bytes and self._first_bytes + self._profile.notes_tokens * BYTES_PER_TOKEN
        text = write_first_message(facts, self._profile, most)
        self._first_bytes = self._first_bytes or utf8_size(text)
        return text

    def _step(self, current: _Current, message: Message) -> Observation:
        if not message.tool_calls:
            return answer_text(message.content, current.answer_form, checked=bool(self._task.checks))
        tools.undo_earlier_tries(current.sandbox, current.written, message, self._profile)
        answers: list[Message] = []
        end: End | None = None
        for call in message.tool_calls:
            if call.name == tools.FINISH.name:
                text, end = "ok", "finished"
                self._current = replace(self._now, claim=parse_claim([message]))
            else:
                text = self._context.toolbox.answer(current.sandbox, call, self._profile, self._context.ledger)
                self._current = replace(self._now, written=(*self._now.written, *tools.written_paths(call, text)))
                text = current.rules.extend_answer(text, tools.touched_paths(call, text))
            answers.append(Message("tool", text, tool_call_id=call.id))
        if end is None and self._profile.checks_after_write and self._now.written != current.written:
            comment, end = comment_write(self._task, self._profile, current.answer_form, self._run_checks(current.sandbox))
            answers[-1] = replace(answers[-1], content=f"{answers[-1].content}\n\n{comment}")
        return Observation(tuple(answers), end)

    def _judge(self, commit: str, *, at_start: bool = False) -> Outcome:
        """Ask the gates about a commit or a tree. One and a half times what that takes is kept back for the next time."""
        ledger, began = self._context.ledger, time.monotonic()
        outcome = self._context.open_gates().grade(self._task.checks, commit, seconds=ledger.seconds_until_end, at_start=at_start)
        ledger.keep_for_gates(1.5 * (time.monotonic() - began))
        return outcome

    def _run_checks(self, sandbox: Sandbox) -> tuple[str, bool]:
        """Run the checks in the agent's own sandbox, up to the first that fails: what they print, and whether all pass. Only a hint."""
        from codagent.repository.gate import try_checks

        return try_checks(sandbox, self._task.checks, self._profile, seconds_left=lambda: self._context.ledger.seconds_left)
