"""`codagent loop` on several task files: each is a loop of its own, or a group of loops, with notes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_local
from codagent.cli.commands.loops.many import Crowd, open_crowd, refuse_unknown_price
from codagent.cli.commands.loops.request import find_root, read_request, read_request_file
from codagent.cli.terminal.output import warn
from codagent.cli.terminal.progress import ProgressLines
from codagent.runner.spec import LoopSpec, seed_of_member
from codagent.store import layout

if TYPE_CHECKING:
    from codagent.fleet.jobs import LoopJob


@dataclass(frozen=True, slots=True)
class Places:
    """Where a command works."""

    repo: Path  # the repository, when a task file names none
    record: Path | None  # the folder of the records; None: that of the repository


@dataclass(frozen=True, slots=True)
class CrowdOptions:
    """How the loops of a command run."""

    on: str | None  # None: on this machine
    group: int  # so many loops run at each file
    jobs: int | None
    total_tokens: int | None
    total_usd: float | None
    continue_: bool  # what is on record is not begun again
    json_: bool
    stream: bool


def run_files(files: Sequence[Path], pattern: LoopSpec, flags: dict[str, Any], places: Places, chosen: CrowdOptions) -> NoReturn:
    """Run a loop for each file, print what came of them, and exit. Every file is read before the first loop begins."""
    from codagent.fleet.budget import FleetBudget

    names = [path.stem for path in files]
    if len(set(names)) < len(names):
        names = [str(path) for path in files]
    with open_crowd(chosen.on, chosen.jobs, FleetBudget(chosen.total_tokens, chosen.total_usd)) as crowd:
        maker = JobMaker(crowd, pattern, flags, places, again=chosen.continue_)
        members = [job for name, path in zip(names, files, strict=True) for job in maker.make(name, path, chosen.group)]
        refuse_unknown_price([job.launch.settings for job in members], chosen.total_usd)
        endings = crowd.run(members)
    endings.finish(json_=chosen.json_, stream=chosen.stream)


class JobMaker:
    """Makes the jobs of task files. All loops of a repository begin with its files as they are at the first."""

    def __init__(self, crowd: Crowd, pattern: LoopSpec, flags: dict[str, Any], places: Places, *, again: bool) -> None:
        """`again`: a loop that is on record is taken up or counted, and not begun a second time."""
        self._crowd, self._flags, self._places, self._again = crowd, flags, places, again
        self._pattern = pattern.with_own(user_files.read_own())
        self._starts: dict[Path, str] = {}

    def make(self, name: str, path: Path, size: int) -> list[LoopJob]:
        """Make the jobs of a task file, a group of `size`. Raises UsageError when the file or the command lacks something."""
        from codagent.fleet.jobs import LoopJob

        file = read_request_file(str(path))
        root = find_root(self._places.repo, file)
        tasks, settings = read_request(file, root, self._flags)
        allow_local(root, settings)
        loops = options.loops_dir(root, self._places.record, make=True)
        pattern = replace(self._pattern, tasks=tasks, start_commit=file.start or self._find_start(root), members=size)
        resuming = {key: value for key, value in self._flags.items() if key not in ("checks", "protect", "allow")}
        person = options.person(warn, resuming)
        jobs = []
        for number, (member, recorded) in enumerate(self._find_members(loops, pattern), 1):
            called = name if size == 1 else f"{name} ({number} of {size})"
            jobs.append(LoopJob(called, self._crowd.launch(called, root, loops, settings), member, person, resuming, recorded))
        return jobs

    def _find_members(self, loops: Path, pattern: LoopSpec) -> list[tuple[LoopSpec, str]]:
        """Return what each loop of a group is to do, and the id of its record. "": it begins."""
        if pattern.members == 1:
            return [(pattern, self._crowd.recorded(loops).find(pattern) if self._again else "")]
        seeds = [seed_of_member(pattern.seed, number) for number in range(pattern.members)]
        before = self._crowd.recorded(loops).find_group(pattern) if self._again else []
        left = before if {spec.seed for spec in before} <= set(seeds) else []
        group = left[0].group if left else layout.new_id()
        members = []
        for seed in seeds:
            found = next((spec for spec in left if spec.seed == seed), None)
            left = [spec for spec in left if spec is not found]
            members.append((replace(pattern, group=group, seed=seed), found.loop_id if found else ""))
        return members

    def _find_start(self, root: Path) -> str:
        from codagent.runner.workspace import take_snapshot

        if root not in self._starts:
            self._starts[root] = take_snapshot(root, ProgressLines())
        return self._starts[root]
