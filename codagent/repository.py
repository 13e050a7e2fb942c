"""The environment of a git repository: its tree goes into a sandbox, work is done there, a commit comes out and is graded in another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from codagent import gate, git, tools
from codagent.fill import fill, gist, overview
from codagent.ledger import Ledger
from codagent.prompts import prompt
from codagent.truncate import harmless, shorten
from codagent.types import End, Message, Observation, Outcome, Profile, Sandbox, Task, Tool, ToolCall

NUDGE = "error: no tool was called. Call a tool; when the work is done, call finish."
RULES_BYTES = 8_000
RULES_FILES = ("AGENTS.md", "CLAUDE.md")


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a repository's episodes work with: the snapshot, packed for sandboxes; `open_sandbox` gives a fresh, pristine one each time."""

    snapshot: git.Snapshot
    packed: bytes
    open_sandbox: Callable[[], Sandbox]
    loop_id: str
    ledger: Ledger
    protect: tuple[str, ...] = ()


class Repository:
    """An Environment. One sandbox lives from `reset` to the next, or to `close`."""

    def __init__(self, place: Workplace, profile: Profile) -> None:
        self._place, self._profile = place, profile
        self._sandbox: Sandbox | None = None
        self._task = Task("", "")
        self._summary = ""
        self._form = ""  # of an answer, where the profile asks for one
        self._collected: list[str | None] = []

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tools.offered(self._profile)

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        self.close()
        self._task, self._summary, self._form, self._collected = task, "", "", []
        self._sandbox = self._place.open_sandbox()
        git.enter(self._sandbox, self._place.packed)
        return Message("system", prompt(self._profile.prompt)), Message("user", self._first(self._sandbox))

    def step(self, message: Message) -> Observation:
        assert self._sandbox is not None, "reset comes before step"
        if not message.tool_calls:
            return Observation((Message("user", self._form or NUDGE),))
        answers: list[Message] = []
        end: End | None = None
        for call in message.tool_calls:
            if call.name == tools.FINISH.name:
                text, end = self._finish(call), "finished"
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
        if not self._task.checks:
            return None
        root = self._place.snapshot.root
        with closing(self._place.open_sandbox()) as pristine:
            git.enter(pristine, git.pack(root, self._commit({})))
            gate.restore(pristine, self._place.protect, self._place.snapshot.commit)
            return gate.grade(pristine, self._task.checks)

    def keep(self, outcome: Outcome | None) -> str:
        """Bring the work out as a commit on the loop's branch; the snapshot's own commit when nothing was changed."""
        spent = self._place.ledger.spent
        trailers = {
            "Codagent-Loop": self._place.loop_id,
            "Codagent-Iteration": "0",
            "Codagent-Gates": _word(outcome),
            "Codagent-Cost": f"{spent.tokens} tokens, ${spent.usd:.4f}",
        }
        commit = self._commit(trailers)
        if commit != self._place.snapshot.commit:
            git.publish(self._place.snapshot.root, self._place.loop_id, 0, commit)
        return commit

    def account(self) -> str:
        """What differs from the start, as a patch."""
        tree = self.tree()
        return git.diff(self._place.snapshot.root, self._place.snapshot.commit, tree) if tree else "Nothing was changed."

    def tree(self) -> str | None:
        """The work as a tree in the user's repository; None when nothing differs from the start. Collected once: then it is over."""
        assert self._sandbox is not None, "reset comes first"
        if not self._collected:
            self._collected.append(git.leave(self._sandbox, self._place.snapshot.root, self._place.snapshot.commit))
        return self._collected[0]

    def _commit(self, trailers: dict[str, str]) -> str:
        start, tree = self._place.snapshot, self.tree()
        message = self._summary or self._task.instruction
        return git.commit(start.root, tree, start.commit, message, trailers=trailers) if tree else start.commit

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _finish(self, call: ToolCall) -> str:
        try:
            self._summary = str(json.loads(call.arguments, strict=False).get("summary", ""))
        except (json.JSONDecodeError, AttributeError):
            self._summary = call.arguments
        return "ok"

    def _first(self, sandbox: Sandbox) -> str:
        """Rules of the repository, its files, the task; for a model that wants it, the text of the files that the task is about."""
        task = self._task
        paths = git.files(self._place.snapshot.root, self._place.snapshot.commit)
        rules = self._rules(sandbox, paths)
        if self._profile.fill_tokens:
            return "\n\n".join([*rules, *self._filled(sandbox, paths)])
        checks = "These checks decide: " + "; ".join(f"`{check}`" for check in task.checks)
        return "\n\n".join([f"Task: {task.instruction}", *([checks] if task.checks else []), *rules, overview(paths)])

    def _filled(self, sandbox: Sandbox, paths: tuple[str, ...]) -> list[str]:
        """Small models do best with the files first, then what the checks print, then the task and the form of the answer."""
        task = self._task
        said = self._checks(sandbox)[0]
        shown = fill(sandbox, paths, f"{task.instruction}\n{said}", self._profile.fill_tokens)
        self._form = self._ask_for(shown)
        parts = [_fenced(path, sandbox.read(path)) for path in reversed(shown)] or [overview(paths)]
        parts += [f"The checks print:\n```\n{gist(said)}\n```"] if said else []
        return [*parts, f"Task: {task.instruction}", f"{prompt('first')} {self._form}"]

    def _ask_for(self, shown: tuple[str, ...]) -> str:
        """How the answer should look: a function of a Python file where the model may give one, else a whole file."""
        function = tools.DEFINE in self.tools and all(path.endswith(".py") for path in shown)
        tool, what = (tools.DEFINE, "function") if function else (tools.WRITE, "file")
        block = "```python" if function and len(shown) == 1 else f"```{tool.name} {shown[0] if len(shown) == 1 else 'PATH'}"
        return prompt("answer").replace("{what}", what).replace("{block}", block)

    def _rules(self, sandbox: Sandbox, paths: tuple[str, ...]) -> list[str]:
        name = next((name for name in RULES_FILES if name in paths), None)
        if name is None:
            return []
        text = shorten(harmless(sandbox.read(name).decode(errors="replace")), max_lines=200, max_bytes=RULES_BYTES)
        return [f"The repository's own instructions ({name}):\n{text.strip()}"]

    def _checks(self, sandbox: Sandbox) -> tuple[str, bool]:
        """What the checks say in the agent's own sandbox, up to the first that fails; a hint for the agent, decided elsewhere."""
        said = []
        for check in self._task.checks:
            result = gate.run_check(sandbox, check, seconds=self._place.ledger.seconds_left)
            said.append(f"$ {check}\n{tools.show(result, self._profile)}")
            if result.exit_code:
                return "\n".join(said), False
        return "\n".join(said), bool(said)


def _wrote(message: Message, answers: list[Message]) -> bool:
    pairs = zip(message.tool_calls, answers, strict=True)
    return any(call.name in tools.WRITING and answer.content.startswith("ok") for call, answer in pairs)


def _fenced(path: str, data: bytes) -> str:
    text = data.decode(errors="replace")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"^`{3,}", text, re.MULTILINE)), default=0))
    return f"{path}:\n{fence}\n{text.rstrip()}\n{fence}"


def _word(outcome: Outcome | None) -> str:
    if outcome is None:
        return "none"
    return "passed" if outcome.passed else f"failed, reward {outcome.reward:.2f}"
