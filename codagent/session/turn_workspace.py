"""The environment of a session: one sandbox over all turns, whose work stays there until a person accepts or discards it."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

from codagent.errors import SandboxError
from codagent.protocols import Sandbox
from codagent.repository import git, tools
from codagent.repository.messages.answers import answer_text, comment_write
from codagent.repository.messages.first_message import MessageFacts, answer_form, write_session_message
from codagent.repository.messages.rules import RulesReader
from codagent.repository.messages.shown import add_shown
from codagent.runner.runner import Prepared
from codagent.session.answered import Answered, FileChange
from codagent.text import format_result, parse_json
from codagent.types import CommandResult, End, Limits, Message, Observation, Outcome, Profile, Step, Task, Tool, ToolCall

READING = (tools.READ.name, tools.SEARCH.name)  # the tools of a plan
STOPPED = "error: stopped by the person"
_COMMAND_SECONDS = 1200.0  # of a person's command
_MAX_DIFF_BYTES = 200_000  # of a file that is compared with what it was


class TurnWorkspace:
    """An Environment for the turns of a session. `reset` begins a turn and opens the sandbox if there is none."""

    passes = False

    def __init__(self, ready: Prepared, commit: str, on_answer: Callable[[Answered], None]) -> None:
        """`commit` is the work so far, from which the sandbox is opened. `on_answer` hears each call when it is done."""
        self._ready, self._on_answer = ready, on_answer
        self.profile: Profile = ready.profile
        self.limits: Limits = ready.around.ledger.limits  # of each turn, as the model is told
        self.commit = commit
        self.planning = False  # only tools that read may be called
        self.typed: deque[str] = deque()  # what a person typed meanwhile; it is told between two steps
        self._base = commit  # what the sandbox was opened with
        self._sandbox: Sandbox | None = None
        self._rules: RulesReader | None = None
        self._tree = ""  # of the work as it was collected last; "": it is that of `commit`
        self._calling = False  # whether a call is carried out
        self._touched = False  # whether anything may have changed since then
        self._task, self._form = Task("", ""), ""
        self._found: dict[str, bytes | None] = {}  # files as the turn found them, that it has written; None: there was none
        self._prompt: tuple[Message, ...] = ()

    @property
    def tools(self) -> tuple[Tool, ...]:
        offered = [tool for tool in self._ready.around.toolbox.list_tools(self.profile) if tool is not tools.FINISH]
        return tuple(tool for tool in offered if not self.planning or tool.name in READING)

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox, opened now if there is none. Raises SandboxError when it does not start."""
        if self._sandbox is None:
            root, ready = self._ready.around.root, self._ready
            with ExitStack() as undo:  # files that did not come in whole must never count as work
                sandbox = undo.enter_context(closing(ready.around.open_sandbox()))
                git.copy_in(sandbox, ready.packed if self.commit == ready.spec.begin else git.pack(root, self.commit))
                ready.spec.own.copy_skills(sandbox)
                undo.pop_all()
            self._sandbox, self._base = sandbox, self.commit
        return self._sandbox

    def write_first_message(self, task: Task, earlier: str) -> str:
        """Write the message that introduces the repository as it is now, with its rules read anew."""
        root, sandbox, profile = self._ready.around.root, self.sandbox, self.profile
        paths = git.list_files(root, self.commit)
        self._rules = RulesReader(sandbox, paths, profile, self._ready.around.say)
        submodules = tuple(git.list_submodules(root, self.commit))
        rules = self._rules.read_first(self._ready.spec.own)
        facts = MessageFacts(task, paths, rules, earlier=earlier, submodules=submodules, limits=self.limits)
        if profile.fill_tokens:
            ledger = self._ready.around.ledger
            facts = add_shown(facts, sandbox, profile, seconds_left=lambda: ledger.seconds_left)
            self._form = answer_form(facts.files, profile)
        return write_session_message(facts, profile)

    def prepare(self, prompt: tuple[Message, ...]) -> None:
        """Set what the next turn is asked with."""
        self._prompt = prompt

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:  # noqa: ARG002 - the prompt has them
        self._task, self._found = task, {}
        _ = self.sandbox
        return self._prompt

    def step(self, message: Message) -> Observation:
        """Answer the calls of a reply. One without a call ends the turn, and so does a person who interrupts; every call has its answer."""
        if not message.tool_calls:
            return answer_text(message.content, checked=False)
        if self.profile.memory == 0 and any(call.name in tools.WRITING for call in message.tool_calls):
            self._undo_earlier_tries()
        answers: list[Message] = []
        written: list[str] = []
        end: End | None = None
        for call in message.tool_calls:
            answered = Answered(call, STOPPED)
            if end != "interrupted":
                try:
                    answered = self._call(call)
                except KeyboardInterrupt:
                    end = "interrupted"
            if call.name == tools.FINISH.name and end is None:
                end = "finished"
            written += tools.written_paths(call, answered.answer)
            answers.append(Message("tool", answered.answer, tool_call_id=call.id))
            self._on_answer(answered)
        if end is None and written and self.profile.checks_after_write:
            comment, end = comment_write(self._task, self.profile, self._form, self._run_checks(self._task))
            answers[-1] = replace(answers[-1], content=f"{answers[-1].content}\n\n{comment}")
        if end is None and self.typed and self.profile.memory is None:
            said = "\n\n".join(self.typed.popleft() for _ in range(len(self.typed)))
            answers.append(Message("user", said))
        return Observation(tuple(answers), end)

    def replay(self, steps: Sequence[Step]) -> None:
        """Repeat in the sandbox what recorded steps did, without telling anybody. What was interrupted is not repeated.

        What a person types meanwhile waits. When this ends early, the sandbox is closed: half of the steps are no work.
        """
        done = [step for step in steps if step.observation.end != "interrupted"]
        self._ready.around.toolbox.servers.expect(done)
        listener, typed = self._on_answer, self.typed.copy()
        self._on_answer, self._found = lambda _: None, {}
        self.typed.clear()
        try:
            for step in done:
                if self.step(step.reply.message).end == "interrupted":
                    raise KeyboardInterrupt
        except BaseException:
            self.close()
            raise
        finally:
            self._on_answer = listener
            self.typed.extendleft(reversed(typed))

    def run(self, command: str) -> CommandResult:
        """Run a command that the person typed."""
        self._touched = True
        return self.sandbox.run(command, timeout=_COMMAND_SECONDS)

    def read_output(self, log: str) -> str:
        """Read a file in which the sandbox keeps the output of a command. "": it has it no more."""
        with suppress(OSError, SandboxError):
            return self.sandbox.read(log).decode(errors="replace")
        return ""

    def format_run(self, command: str, result: CommandResult) -> str:
        """Tell the model what a person's command did."""
        return f"(The person ran `{command}` in the sandbox: {format_result(result, self.profile)})"

    def stop_command(self) -> Sandbox | None:
        """Stop the command that a call runs, from another thread. Returns the sandbox, which stays open. None: there is none."""
        sandbox = self._sandbox
        if sandbox and self._calling:
            sandbox.stop_command()
        return sandbox

    def collect(self) -> str:
        """Bring the work out of the sandbox, and return its tree. What runs there goes on."""
        around = self._ready.around
        if self._sandbox is not None and self._touched:
            tree = git.collect_tree(self._sandbox, around.root, self._base, around.say, kill=False)
            self._tree, self._touched = tree or git.tree_of(around.root, self._base), False
        return self._tree or git.tree_of(around.root, self.commit)

    def replace_work(self, commit: str) -> None:
        """Go on with the files of this commit, in a fresh sandbox."""
        self.close()
        self.commit = commit

    def close(self) -> None:
        """Close the sandbox. The next use opens another one with the work as it was collected last."""
        sandbox, self._sandbox, self._tree, self._touched = self._sandbox, None, "", False
        if sandbox:
            sandbox.close()

    def grade(self) -> Outcome | None:
        return None

    def save_work(self, outcome: Outcome | None) -> str | None:  # noqa: ARG002 - the session does it
        return None

    def describe_state(self) -> str:
        return ""

    def _call(self, call: ToolCall) -> Answered:
        ledger = self._ready.around.ledger
        ledger.check_interrupted()
        if call.name == tools.FINISH.name:
            return Answered(call, "ok")
        if self.planning and call.name not in READING:
            return Answered(call, "error: this is a plan, and only tools that read may be called until the person says go")
        self._touched = self._touched or call.name not in READING
        began, before = time.monotonic(), self._read_target(call)
        self._calling = True
        try:
            answer = self._ready.around.toolbox.answer(self.sandbox, call, self.profile, ledger)
        except SandboxError:
            ledger.check_interrupted()
            raise
        finally:
            self._calling = False
        ledger.check_interrupted()
        written = (path.lstrip("/") for path in tools.written_paths(call, answer))
        change = next((FileChange(path, before[path], _decode(self._read(path))) for path in written if path in before), None)
        if self._rules:
            answer = self._rules.extend_answer(answer, tools.touched_paths(call, answer))
        return Answered(call, answer, change.describe() if change else "", time.monotonic() - began, change)

    def _read_target(self, call: ToolCall) -> dict[str, str]:
        """Read the file that a call is about to write, by its path; nothing for any other call."""
        try:
            path = parse_json(call.arguments)["path"].lstrip("/") if call.name in tools.WRITING else ""
        except (ValueError, LookupError, TypeError, AttributeError):
            path = ""
        if not path or "\0" in path:
            return {}
        data = self._read(path)
        self._found.setdefault(path, data)
        return {path: _decode(data)}

    def _undo_earlier_tries(self) -> None:
        """Put the files back that the turn has written, for a model that remembers no step: its prompt shows them as they were."""
        for path, data in self._found.items():
            if data is None:
                self.sandbox.run(f"rm -f -- {shlex.quote(path)}", timeout=60)
            else:
                self.sandbox.write(path, data)

    def _read(self, path: str) -> bytes | None:
        with suppress(OSError):
            return self.sandbox.read(path)
        return None

    def _run_checks(self, task: Task) -> tuple[str, bool]:
        from codagent.repository.gate import try_checks

        return try_checks(self.sandbox, task.checks, self.profile, seconds_left=lambda: self._ready.around.ledger.seconds_left)


def _decode(data: bytes | None) -> str:
    return data.decode(errors="replace") if data and len(data) <= _MAX_DIFF_BYTES else ""
