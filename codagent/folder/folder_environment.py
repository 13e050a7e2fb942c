"""An environment over the working directory of a sandbox, without git: no commits, no history, no protected files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from codagent.prompts import prompt
from codagent.protocols import Sandbox, ignore_text
from codagent.repository import tools
from codagent.repository.messages.answers import answer_text, comment_write
from codagent.repository.messages.first_message import MessageFacts, answer_form, write_first_message
from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.rules import RulesReader
from codagent.repository.tools.calls import MAX_COMMAND_SECONDS
from codagent.types import End, Message, Observation, Outcome, Profile, Task, Tool

MAX_LISTED = 5_000  # files of the folder that are looked at
_LIST = f"find . -name .git -prune -o -type f -print 2>/dev/null | head -n {MAX_LISTED} | LC_ALL=C sort"
_BASH = replace(
    tools.BASH, description=tools.BASH.description.replace("the repository's root", "the working directory").removesuffix(" No network.")
)


def _no_gate(_: Task) -> Outcome | None:
    return None


def _endless() -> float:
    return MAX_COMMAND_SECONDS


@dataclass(frozen=True, slots=True)
class FolderContext:
    """What the attempts in a folder work with."""

    sandbox: Sandbox  # whose working directory is the folder
    grade: Callable[[Task], Outcome | None] = _no_gate  # judges the work; None: nobody does
    seconds_left: Callable[[], float] = _endless  # of the limit of time
    say: Callable[[str], None] = ignore_text  # tells the person which instructions were read
    user_rules: str = ""  # the user's own instructions for agents; "": there are none


class FolderEnvironment:
    """An Environment. All attempts work in the same sandbox, each on the files as the attempt before left them."""

    passes = False

    def __init__(self, context: FolderContext, profile: Profile) -> None:
        self._context, self._profile = context, profile
        self._task = Task("", "")
        self._rules: RulesReader | None = None
        self._written: tuple[str, ...] = ()  # paths that the attempt wrote with its tools

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(_BASH if tool is tools.BASH else tool for tool in tools.select_tools(self._profile))

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        context, profile = self._context, self._profile
        self._task, self._written = task, ()
        paths = [path.removeprefix("./") for path in context.sandbox.run(_LIST, timeout=60).output.splitlines()]
        self._rules = RulesReader(context.sandbox, paths, profile, context.say)
        facts = MessageFacts(task, paths, self._rules.read_first(UserInstructions(context.user_rules)), notes=notes)
        system = prompt("folder" if profile.prompt == "system" else profile.prompt)
        return Message("system", system), Message("user", write_first_message(facts, profile, None))

    def step(self, message: Message) -> Observation:
        if not message.tool_calls:
            return answer_text(message.content, self._form, checked=bool(self._task.checks))
        answers: list[Message] = []
        end: End | None = None
        written = self._written
        for call in message.tool_calls:
            if call.name == tools.FINISH.name:
                text, end = "ok", "finished"
            else:
                text = tools.call(self._context.sandbox, call, self._profile, seconds_left=self._context.seconds_left())
                self._written = (*self._written, *tools.written_paths(call, text))
                text = self._rules.extend_answer(text, tools.touched_paths(call, text)) if self._rules else text
            answers.append(Message("tool", text, tool_call_id=call.id))
        if end is None and self._profile.checks_after_write and self._written != written:
            comment, end = comment_write(self._task, self._profile, self._form, self._try_checks())
            answers[-1] = replace(answers[-1], content=f"{answers[-1].content}\n\n{comment}")
        return Observation(tuple(answers), end)

    def grade(self) -> Outcome | None:
        return self._context.grade(self._task)

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: the files are the work."""

    def describe_state(self) -> str:
        """Name the files that the latest attempt wrote with its tools."""
        named = "\n".join(dict.fromkeys(self._written)) or "none"
        return f"Files that were written with the tools:\n{named}\nCommands may have changed others."

    @property
    def _form(self) -> str:
        return answer_form((), self._profile) if self._profile.fill_tokens else ""

    def _try_checks(self) -> tuple[str, bool]:
        from codagent.repository.gate import try_checks

        check = partial(try_checks, self._context.sandbox, self._task.checks, self._profile)
        return check(seconds_left=self._context.seconds_left)
