"""The repository of a loop as an environment (for a run, a resumed loop, a replay, or an attempt made anew), and its notes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.mcp.tools import McpTools
from codagent.protocols import GateSandbox, ignore_text
from codagent.repository import git
from codagent.repository.environment import RepositoryContext, RepositoryEnvironment
from codagent.repository.setups import NOTHING_ALLOWED
from codagent.repository.tools.toolbox import Toolbox
from codagent.runner.display import Display
from codagent.runner.spec import LoopSpec, spec_of
from codagent.sandbox.pool import Allow, SandboxFactory
from codagent.settings.settings import LOCAL, Settings
from codagent.store import layout
from codagent.store.ledger import Ledger
from codagent.store.notes_file import NotesFile
from codagent.text import join_names
from codagent.types import Episode, Loop, Profile, Step

if TYPE_CHECKING:
    from codagent.repository.gate import Gates

_NAMED = 10  # files in a sentence
_name_some = partial(join_names, most=_NAMED)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a workspace stands in."""

    root: Path  # the repository
    loops: Path  # the folder of its loops; verdicts are kept beside it
    open_sandbox: Callable[[], GateSandbox]  # gives a fresh, pristine one each time, to work in
    open_for_verdict: Callable[[], GateSandbox]  # the same, for the gates
    image: str  # names what the sandboxes are made of: verdicts hold for it alone; "": there are no checks
    ledger: Ledger
    say: Callable[[str], None] = ignore_text  # tells the person what stays behind
    toolbox: Toolbox = Toolbox()  # a replay has no hooks and no servers
    ask_changes: Callable[[Sequence[str]], bool] | None = None  # asks a person whether suspicious changes may be; None: nobody is there


@dataclass(frozen=True, slots=True)
class Reopening:
    """Where a recorded loop is reopen."""

    root: Path  # the repository
    loops: Path  # the folder of its loops; verdicts are kept beside it
    say: Callable[[str], None]
    allow: Allow = NOTHING_ALLOWED  # what the repository sets up for its sandbox is run only when the user allows it
    sandbox: str = ""  # that the person has chosen, "": none; a record may be somebody else's and never chooses the local one
    steps: Sequence[Step] = ()  # that are repeated: calls to MCP servers get their recorded answers


def take_snapshot(root: Path, display: Display) -> str:
    """Return the commit of the user's files as they are, and tell the person what stays out of it. Raises RepositoryError as `snapshot`."""
    taken = git.snapshot(root)
    if taken.nested:
        display.say(
            f"not in the sandbox: {', '.join(taken.nested)}, an untracked repository inside this one; track its files if they are needed"
        )
    if taken.filtered:
        display.say(
            f"not in the sandbox as on the disk: {_name_some(taken.filtered)}; codagent does not run git's filters and takes what git has"
            " of these files"
        )
    for sentence in _describe_submodules(root, taken.commit):
        display.say(sentence)
    return taken.commit


def _describe_submodules(root: Path, commit: str) -> Iterator[str]:
    """Yield a sentence for each reason why submodules are not in the sandbox as they are on the disk."""
    report = git.check_submodules(root, commit)
    if paths := report.absent:
        named = paths[:_NAMED] if git.list_submodules(root, commit).keys() >= {*paths} else ["--recursive"]
        command = shlex.join(["git", "submodule", "update", "--init", *named])
        yield f"not in the sandbox: the files of {_name_some(paths)}, because these submodules are not checked out; `{command}` gets them"
    if paths := report.foreign:
        yield (
            f"not in the sandbox: the files of {_name_some(paths)}, because the objects of these submodules lie outside of this repository;"
            " run in a clone that is made with --recurse-submodules"
        )
    if paths := report.edited:
        yield f"not in the sandbox: what is not committed in the submodules {_name_some(paths)}; commit it there if it is needed"


def open_sandbox(root: Path, *, name: str | None, say: Callable[[str], None], allow: Allow) -> GateSandbox:
    """Open a sandbox of its own for the repository at `root`, as the repository sets it up. `name` None: the usual sandbox."""
    from codagent.settings.layers import make_layer, merge_layers, read_layer

    chosen = make_layer({"sandbox": name}, name=lambda _: "--sandbox")
    settings = merge_layers(read_layer(root / "codagent.toml", repository=True), chosen)
    return SandboxFactory(root, settings, say, allow)("tasks")


def open_workspace(
    spec: LoopSpec,
    settings: Settings,
    around: Surroundings,
    profile: Profile,
    packed: bytes = b"",
    earlier: Sequence[Episode] = (),
) -> RepositoryEnvironment:
    """Build the environment of a loop. `packed` is the commit that the loop begins with, packed for a sandbox; b"": it is packed here.

    `earlier` are the episodes of a loop that is resumed.
    """
    context = RepositoryContext(
        root=around.root,
        start_commit=spec.start_commit,
        begin=spec.begin,
        packed=packed or git.pack(around.root, spec.begin),
        open_sandbox=around.open_sandbox,
        loop_id=spec.loop_id,
        ledger=around.ledger,
        open_gates=cache(partial(open_gates, around, spec.start_commit, settings)),
        start=spec.start,
        say=around.say,
        limits=around.ledger.limits if spec.iterate else None,
        own=spec.own,
        toolbox=around.toolbox,
    )
    return RepositoryEnvironment(context, profile, earlier)


def open_notes(spec: LoopSpec, loop: Loop, loops: Path) -> NotesIO:
    """Return how the notes of a loop are rewritten, and where they are kept. `loops` is the folder of the repository's loops."""
    if not spec.notes_file:
        return NotesIO(spec.rewrite)
    file = NotesFile(Path(spec.notes_file), layout.versions_dir(loops), who=spec.loop_id)
    file.settle(loop.latest_notes, loop.episodes[-1].notes_before if loop.episodes else "")
    return NotesIO(spec.rewrite, file.read, file.keep)


def open_gates(around: Surroundings, start_commit: str, settings: Settings) -> Gates:
    """Return the gates that compare with the start commit. Their code is loaded here, so a loop without checks never loads it."""
    from codagent.repository.gate import FileRules, Gates

    rules = FileRules(settings.protect, settings.allow, around.ask_changes)
    verdicts = layout.verdicts_path(around.loops)
    missing = [one.path for one in git.find_submodules(around.root, start_commit) if not one.is_here]
    image = "\n".join([around.image, *missing])  # a verdict holds as long as the same submodules are there
    return Gates(around.root, start_commit, around.open_for_verdict, rules=rules, image=image, cache=verdicts)


def reopen(loop: Loop, where: Reopening, *, profile: Profile | None = None, earlier: Sequence[Episode] = ()) -> RepositoryEnvironment:
    """Build the environment of a recorded loop as the attempt after `earlier` found it, in sandboxes of its own.

    `profile` is that of whoever works there; None: the record's. Raises RecordError when the record does not tell what is needed, and
    UsageError when it was made in the local sandbox and the person has not chosen that.
    """
    spec, settings, recorded_profile = spec_of(loop)
    if settings.sandbox == LOCAL and where.sandbox != LOCAL:
        raise UsageError(f"{loop.id} was run in the local sandbox, whose commands run on this machine; --sandbox local says that they may")
    start_sandbox = SandboxFactory(where.root, settings, where.say, where.allow)
    ledger = Ledger(None, settings.limits, None)
    open_sandbox, toolbox = partial(start_sandbox, loop.id), Toolbox(servers=McpTools(earlier=where.steps))
    around = Surroundings(where.root, where.loops, open_sandbox, open_sandbox, start_sandbox.image(), ledger, where.say, toolbox)
    return open_workspace(spec, settings, around, profile or recorded_profile, earlier=earlier)
