"""Records how made tasks are repaired, for `imitate`: an agent that knows the code before the bug works on them, under the usual gates.

Its prompts are those of the model that is to learn from it. What it says does not pass unless the checks do.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path

from codagent.errors import CodagentError
from codagent.fleet.budget import FleetBudget
from codagent.fleet.jobs import LoopJob, RecordedLoops, run_jobs
from codagent.models.weights.catalog import answer_in
from codagent.protocols import OnText, ignore_text
from codagent.repository import git
from codagent.repository.python_source import find_docstring, name_definitions, parse_python, split_python, start_of
from codagent.repository.tools import REPLACE
from codagent.runner.display import SilentDisplay
from codagent.runner.executor import Executor, LocalExecutor
from codagent.runner.launch import LaunchOptions
from codagent.runner.model import Access, find_profile
from codagent.runner.spec import LoopSpec, OpenedModel, Person, Result
from codagent.settings.layers import make_layer, merge_layers, read_layer
from codagent.settings.settings import Settings
from codagent.settings.task_file import read_tasks
from codagent.store import layout
from codagent.store.price import Price
from codagent.text import BYTES_PER_TOKEN
from codagent.types import Message, Profile, Reply, Sampling, Tool
from codagent_train.policy.chat_text import parse_reply
from codagent_train.recipe.values import AnswersName
from codagent_train.tasks.generate import read_tasks_made
from codagent_train.tasks.start import SOURCE
from codagent_train.tasks.task_files import MadeTask, find_task_file

_QUOTES = ('"""', "'''")


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What is to be repaired, and how it is recorded."""

    made: Path  # the folder of the tasks; those for training are repaired
    records: Path  # the folder of the records
    model: str  # whose prompts and whose form of an answer the loops have, embedded:NAME
    sandbox: str | None = None  # its name; None: the usual one
    jobs: int = 2  # loops side by side
    answers: AnswersName = "functions"


def record_repairs(request: RepairRequest, access: Access, say: Callable[[str], None]) -> tuple[int, int]:
    """Record a loop for each task; return how many passed, and how many there are. A loop that is on record is not begun again.

    `say` hears why a task was not repaired. Raises UsageError when there are no tasks, and for a model that does not exist.
    """
    executor, ends = LocalExecutor(), list[str]()

    def hear(job: LoopJob, ended: Result | CodagentError) -> None:
        ends.append(str(ended.loop.end if isinstance(ended, Result) else ended))
        if ends[-1] != "passed":
            say(f"{job.name} is not repaired: {ends[-1]}")
        if len(ends) % 10 == 0:
            say(f"{ends.count('passed')} tasks repaired so far")

    jobs = _make_jobs(request, access, executor, say)
    run_jobs(jobs, executor, FleetBudget(None, None), at_once=request.jobs, on_end=hear)
    return ends.count("passed"), len(ends)


def _make_jobs(request: RepairRequest, access: Access, executor: Executor, say: Callable[[str], None]) -> Iterator[LoopJob]:
    display, read_recorded = SilentDisplay(), cache(RecordedLoops)
    for task in read_tasks_made(request.made):
        if task.part != "train":
            continue
        root = (request.made / "repositories" / task.repository).resolve()
        chosen = make_layer(
            {"sandbox": request.sandbox, "model": request.model, "iterations": 1, "max_steps": 1}, name=lambda key: f"--{key}"
        )
        settings = merge_layers(read_layer(root / "codagent.toml", repository=True), chosen)
        loops = layout.make_loops_dir(layout.home_dir(root, request.records))
        opening = partial(_open_repairer, write_repair(root, task, request.answers), request.answers)
        launch = LaunchOptions(root, loops, settings, access, display, lambda _: display, executor=executor, open_model=opening)
        pattern = LoopSpec("", "", read_tasks(find_task_file(request.made, task)).tasks, iterate=True, start_commit=task.start)
        yield LoopJob(task.id, launch, pattern, Person(settings, b"", say), recorded=read_recorded(loops).find(pattern))


def write_repair(root: Path, task: MadeTask, answers: AnswersName = "functions") -> str:
    """Return an answer that undoes the bug of a task, in a form of `catalog.ANSWERS`. `root` is the repository of the task.

    In functions: the function as it was, in a block; a method stands in its class, without the rest of the class. In lines: those that
    change, after their numbers. No word comes before: a small model finds what is wrong while it writes, and not in advance.
    """
    broken, whole = (split_python(git.read_file(root, commit, task.path).decode()) for commit in (task.start, SOURCE))
    changes = [change for change in SequenceMatcher(None, broken, whole, autojunk=False).get_opcodes() if change[0] != "equal"]
    if answers == "lines":
        lines = [line for _, *place in changes for line in _number(broken, whole, *place)]
        return "\n".join([f"```{REPLACE.name} {task.path}", *lines, "```"])
    place = changes[0][3] if changes else 0
    return f"```python\n{_cut_out(whole, task.function.split('.'), place)}\n```"


def _number(broken: Sequence[str], whole: Sequence[str], first: int, last: int, start: int, end: int) -> list[str]:
    """Return the lines of a change as they must be, after the numbers of those in whose place they stand.

    Where none is replaced, they go below the line above, or before the line below when the one above may not be shown: it is empty, or ends
    a docstring.
    """
    above = broken[first - 1].strip() if first else ""
    if first == last and above and not above.endswith(_QUOTES):
        first, start = first - 1, start - 1
    elif first == last:
        last, end = last + 1, end + 1
    new = [line.rstrip("\r\n") for line in whole[start:end]]
    numbered = [f"{number}|{line}" for number, line in zip_longest(range(first + 1, last + 1), new[: last - first], fillvalue="")]
    return [*numbered, *new[last - first :]]


def _cut_out(lines: Sequence[str], names: Sequence[str], place: int) -> str:
    """Return a definition out of the lines of a file, without its docstring, which the tool `define` keeps.

    Of several with the same name it is the last that begins before line `place`.
    """
    found = [node for name, node in name_definitions(parse_python("".join(lines)).body) if name == ".".join(names)]
    node = next((node for node in reversed(found) if start_of(node) <= place), found[0])
    docstring = find_docstring(node, lines) if len(node.body) > 1 else ()
    kept = [lines[at] for at in range(start_of(node), node.end_lineno or node.lineno) if at not in docstring]
    text = textwrap.dedent("".join(kept)).replace("\r\n", "\n").strip("\n")
    for class_name in reversed(names[:-1]):
        text = f"class {class_name}:\n{textwrap.indent(text, '    ')}"
    return text


def _open_repairer(
    answer: str, answers: AnswersName, settings: Settings, access: Access, profile: Profile | None = None, **_: object
) -> OpenedModel:
    own = profile or answer_in(find_profile(settings, access), answers)
    return OpenedModel(_Repairer(answer), own, Price(0.0, 0.0))


class _Repairer:
    """A Model that always gives the same answer."""

    name = "repairs"

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del sampling, on_text
        message, size = parse_reply(self._answer, messages, tools, cut=False), len(self._answer) // BYTES_PER_TOKEN + 1
        return Reply(message, "tool_calls" if message.tool_calls else "stop", 1, size, 0.0, None, Sampling(), self.name, self._answer)

    def close(self) -> None:
        pass
