"""Makes tasks out of repositories: copies them, tries bugs in sandboxes, and writes a file for each bug that makes a task."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from codagent.errors import CodagentError, RecordError, UsageError
from codagent.protocols import GateSandbox
from codagent.repository import git
from codagent.text import count
from codagent_train.files import begin_folder
from codagent_train.tasks.bugs.candidates import Bug, find_bugs, is_code
from codagent_train.tasks.checking import BugChecker, Trial, parse_check
from codagent_train.tasks.split import SplitBy, split_tasks
from codagent_train.tasks.start import commit_bug, copy_repository, name_repositories, read_files
from codagent_train.tasks.task_files import MadeTask, write_task_file
from codagent_train.tasks.trials import Trials

TASKS_FILE = "tasks.jsonl"
_REQUEST = "request.json"
_PER_FUNCTION = 2  # tasks, or more where there are few functions
_TRIES = 40  # bugs for each task, before a repository is given up
_TELL_S = 30.0

OpenSandbox = Callable[[Path], GateSandbox]  # for the repository in a folder


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """Which tasks are made."""

    repositories: tuple[str, ...]  # folders
    count: int = 20  # tasks of each repository, at most
    seed: int = 0
    split: SplitBy = "auto"
    check: str = ""  # a pytest command; "": `python -m pytest -q`


@dataclass(frozen=True, slots=True)
class Workshop:
    """With what tasks are made, and who is told."""

    open_sandbox: OpenSandbox
    jobs: int  # sandboxes side by side
    say: Callable[[str], None]


def make_tasks(request: TaskRequest, out: Path, workshop: Workshop, *, resume: bool = False) -> list[MadeTask]:
    """Make tasks in the folder `out` and return them. With `resume`, what an earlier command has done there is not done again.

    A repository that no task can be made from is told and left out. Raises UsageError when none is left, or `out` does not fit.
    """
    begin_folder(out / _REQUEST, asdict(request), request.repositories, resume=resume)
    sources = name_repositories([Path(path) for path in request.repositories])
    tasks: list[MadeTask] = []
    refusals: list[CodagentError] = []
    for name in _shuffled(sources, request.seed):
        try:
            tasks += _make_from(name, sources[name], request, out, workshop)
        except (UsageError, RecordError) as error:
            refusals.append(error)
            if len(sources) > 1:
                workshop.say(f"no tasks from {name}: {error}")
    if not tasks:
        reason = refusals[-1] if refusals else "give a repository with more code, or with tests that notice a bug in it"
        raise UsageError(f"no task was made: {reason}")
    tasks = split_tasks(tasks, request.split, request.seed)
    if all(task.part == "train" for task in tasks):
        workshop.say("no task is held out: they are all of one place; give more repositories, or a larger --count")
    for task in tasks:
        write_task_file(out, task)
    with (out / TASKS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(task)) + "\n" for task in tasks)
    return tasks


def read_tasks_made(out: Path) -> list[MadeTask]:
    """Read the tasks in a folder. Raises UsageError when it holds none."""
    try:
        return [MadeTask(**json.loads(line)) for line in (out / TASKS_FILE).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError):
        raise UsageError(f"there are no tasks in {out}; make some: codagent-train tasks REPO --out {out}") from None


def _make_from(name: str, source: Path, request: TaskRequest, out: Path, workshop: Workshop) -> list[MadeTask]:
    """Make the tasks of one repository, all for training so far."""
    root = (out / "repositories" / name).absolute()
    commit = copy_repository(source, root)
    files = {path: data for path, data in read_files(root, commit).items() if is_code(path)}
    check = request.check or _default_check(root)
    parse_check(check)
    if not files:
        raise UsageError("it has no Python code that a bug could be put into")
    tasks: list[MadeTask] = []
    packed = git.pack(root, commit)
    trials = Trials(out / "trials" / f"{name}.jsonl", lambda: BugChecker(workshop.open_sandbox(root), packed, check), workshop.jobs)
    with closing(trials):
        for bug, trial in _accept(list(find_bugs(files, request.seed)), trials, request.count, _Teller(workshop.say, name)):
            task_id = f"{name}-{len(tasks) + 1:04}"
            start = commit_bug(root, commit, bug.path, bug.data() or b"", task_id=task_id)
            tasks.append(MadeTask(task_id, "train", name, start, check, bug.path, bug.function, bug.operator, trial.failing))
    return tasks


def _accept(bugs: Sequence[Bug], trials: Trials, wanted: int, teller: _Teller) -> Iterator[tuple[Bug, Trial]]:
    """Yield up to `wanted` bugs that make a task, few of each function, and no two of a function that fail the same tests."""
    functions: Counter[tuple[str, str]] = Counter()
    most = max(_PER_FUNCTION, 2 * wanted // len({(bug.path, bug.function) for bug in bugs} or [0]))
    seen: set[tuple[str, str, tuple[str, ...]]] = set()
    verdicts: Counter[str] = Counter()

    def is_full(bug: Bug) -> bool:
        return functions[bug.path, bug.function] >= most

    for bug, trial in trials.run(bugs, skip=is_full):
        verdicts[trial.verdict] += 1
        same = (bug.path, bug.function, tuple(trial.failing))
        if trial.verdict == "task" and not is_full(bug) and same not in seen:
            seen.add(same)
            functions[bug.path, bug.function] += 1
            yield bug, trial
        teller.tell(len(seen), verdicts)
        if len(seen) >= wanted or verdicts.total() >= _TRIES * wanted:
            break
    teller.tell_end(len(seen), verdicts)


class _Teller:
    """Tells how many tasks of a repository there are: twice a minute, and at the end with what came of all bugs."""

    def __init__(self, say: Callable[[str], None], name: str) -> None:
        self._say, self._name, self._told = say, name, time.monotonic()

    def tell(self, made: int, verdicts: Counter[str]) -> None:
        if time.monotonic() - self._told >= _TELL_S:
            self._told = time.monotonic()
            self._say(f"{self._name}: {count(made, 'task')} so far; {count(verdicts.total(), 'bug')} tried")

    def tell_end(self, made: int, verdicts: Counter[str]) -> None:
        others = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common() if verdict != "task")
        tried = f"{count(verdicts.total(), 'bug')} tried{f', of which {others}' if others else ''}"
        self._say(f"{self._name}: {count(made, 'task')}; {tried}")


def _default_check(root: Path) -> str:
    """Return the command that runs all tests.

    Code in `src` is found there, unless the repository's own settings see to that. Options that need coverage are left out.
    """
    settings = "".join(_read(root / name) for name in ("pyproject.toml", "pytest.ini", ".pytest.ini", "setup.cfg", "tox.ini"))
    source = "PYTHONPATH=src " if (root / "src").is_dir() and "pythonpath" not in settings else ""
    return f"{source}python -m pytest -q" + (" -o addopts=" if "addopts" in settings and "--cov" in settings else "")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _shuffled(names: Iterable[str], seed: int) -> list[str]:
    order = sorted(names)
    Random(seed).shuffle(order)  # noqa: S311 - no secret
    return order
