"""What is killed: a run, a loop, a group of loops, a session, and a training."""

from __future__ import annotations

import json
import os
import select
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from codagent.runner.result import is_resumable
from codagent.types import Episode, Loop, Step
from codagent_train.run_dir import metrics
from codagent_train.run_dir.checkpoints import is_run
from tests.benchmarks.chaos.trial import BIN, MAX_TOKENS, PATIENCE_S, Command, Running, Trial, compare, git, start
from tests.fork_server import ForkServer
from tests.train.command import TRAIN, TRAIN_MODULES

CHECKS = ["--check", "grep -q 3 answer.txt", "--check", "test -e part2.txt"]
TASK = "mend it"
RECIPE = """
[policy]
weights = "random"
[environment]
name = "keycode"
[batch]
packs = 2
group_size = 2
[replies]
max_tokens = 1
[learning]
steps = 6
learning_rate = 1e-3
save_every = 2
"""


class Kind(Protocol):
    """A command that can be gone on with after it was killed."""

    def begin(self, folder: Path) -> Trial:
        """Make the repository, or whatever the command works on."""
        ...

    def command(self, trial: Trial) -> Command | None:
        """Return the command that begins, or goes on. None: all is done."""
        ...

    def start(self, trial: Trial, command: Command) -> Running:
        """Start such a command."""
        ...

    def result(self, trial: Trial) -> Any:
        """Return what must be the same however often the command was killed."""
        ...


class LoopKind:
    """A run or a loop, or a group of loops."""

    def __init__(self, *arguments: str, attempts: int, loops: int = 1) -> None:
        self._arguments, self._attempts, self._loops = arguments, attempts, loops

    def begin(self, folder: Path) -> Trial:
        return _begin(folder, [item for number in range(4 - self._attempts, 4) for item in _attempt(number)])

    def command(self, trial: Trial) -> Command | None:
        """Begin, or go on with the first loop that is not at its end."""
        loops = trial.loops()
        open_ones = [loop for loop in loops if is_resumable(loop) or (self._arguments[0] == "loop" and loop.end != "passed")]
        if loops and not open_ones:
            return None
        if open_ones:
            return [BIN / "codagent", "loop", "--resume", open_ones[0].id, "--json"]
        return [BIN / "codagent", self._arguments[0], TASK, *self._arguments[1:], *_model(trial), *CHECKS, "--json"]

    def start(self, trial: Trial, command: Command) -> Running:
        return start(trial, command)

    def result(self, trial: Trial) -> Any:
        """Return the story of a loop; of a group that of each that began, all of which are the same."""
        results = [_tell(trial, loop) for loop in trial.loops()]
        assert 0 < len(results) <= self._loops
        for result in results:
            assert result == results[0], compare(result, results[0])
        return results[0]


class SessionKind:
    """A session of three turns on a terminal that only prints lines. A turn that was killed goes on at the word of the person."""

    _SAID = ("begin", "go on", "end it")

    def begin(self, folder: Path) -> Trial:
        turns = [[_call(f"echo {n} > answer.txt"), _call(f"seq {n}000 > part{n}.txt; sleep 0.1"), f"Turn {n} is done."] for n in (1, 2, 3)]
        return _begin(folder, [item for turn in turns for item in turn])

    def command(self, trial: Trial) -> Command | None:
        if self._replies(trial) >= 9 and all(loop.end for loop in trial.loops()):
            return None
        return [BIN / "codagent", "session", *(["--continue"] if trial.records() else _model(trial))]

    def start(self, trial: Trial, command: Command) -> Running:
        return start(trial, command, self._talk)

    def _talk(self, trial: Trial, terminal: int) -> None:
        """Say the next thing whenever the agent rests, until it has said all that it has to say; then leave."""
        shown, deadline = b"", time.monotonic() + PATIENCE_S
        with suppress(OSError):
            while time.monotonic() < deadline:
                if select.select([terminal], [], [], 0.2)[0]:
                    shown += os.read(terminal, 1 << 16)
                elif shown.endswith((b"> ", b">")):
                    done = self._replies(trial)
                    said = "/quit" if done >= 9 else self._SAID[done // 3]
                    shown = b""
                    os.write(terminal, f"{said}\n".encode())
        with suppress(OSError):
            os.close(terminal)

    def result(self, trial: Trial) -> Any:
        """Return what the model said, and the files whose commands were answered but are not there.

        A call that was broken off is not made again: the model is told so. Its files may be there or not.
        """
        [loop] = trial.loops()
        steps = [step for episode in loop.attempts for step in episode.steps]
        [commit] = [episode.commit for episode in loop.attempts if episode.commit][-1:]
        there = git(trial.root, "ls-tree", "--name-only", commit).split()
        said = [_said(step) for step in steps]
        missing = [n for n in (1, 2, 3) if (said[3 * n - 2][3] is None) and f"part{n}.txt" not in there]
        return [(raw, calls) for raw, calls, _, _ in said], missing

    def _replies(self, trial: Trial) -> int:
        return sum(len(episode.steps) for loop in trial.loops() for episode in loop.attempts)


class TrainingKind:
    """A training of a model with random weights.

    Each command is a fork of a process that has imported torch: so it is its work that is struck.
    """

    def __init__(self) -> None:
        self._server: ForkServer | None = None

    def begin(self, folder: Path) -> Trial:
        trial = _begin(folder, [])
        (folder / "recipe.toml").write_text(RECIPE)
        return trial

    def command(self, trial: Trial) -> Command | None:
        out = trial.folder / "training"
        if (out / "checkpoint-6").is_dir():
            return None
        more = ["--resume"] if is_run(out) else []
        return ["run", trial.folder / "recipe.toml", "--out", out, *more]

    def start(self, trial: Trial, command: Command) -> Running:
        self._server = self._server or ForkServer(TRAIN, TRAIN_MODULES)
        with trial.log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            return self._server.start(*command, cwd=trial.root, env=trial.environment(), streams=streams)

    def result(self, trial: Trial) -> Any:
        lines = metrics.read(trial.folder / "training" / metrics.FILE)
        timed = ("seconds", "memory", "rate", "per_second")
        return [{key: value for key, value in line.items() if not any(word in key for word in timed)} for line in lines]


KINDS: dict[str, Kind] = {
    "run": LoopKind("run", attempts=1),
    "loop": LoopKind("loop", "--iterations", "4", "--rewrite", "always", attempts=3),
    "group": LoopKind("loop", "--iterations", "4", "--rewrite", "always", "--group", "2", "--all", attempts=3, loops=2),
    "session": SessionKind(),
    "training": TrainingKind(),
}


def _model(trial: Trial) -> list[str]:
    return ["--model", f"scripted:{trial.script}", "--max-tokens", str(MAX_TOKENS)]


def _call(command: str) -> dict[str, Any]:
    return {"calls": [{"name": "bash", "arguments": {"command": command}}]}


def _attempt(number: int) -> list[Any]:
    """An attempt with three commands, and the notes after it. The third brings what the checks want."""
    commands = [f"echo {number} > answer.txt", f"seq {number}000 > part{number}.txt; touch part2.txt; sleep 0.1", "cat answer.txt; ls"]
    done = {"calls": [{"name": "finish", "arguments": {"summary": f"attempt {number}"}}]}
    return [*map(_call, commands), done, f"So it is.\n<notes>\n## Facts\nattempt {number} was made\n</notes>"]


def _begin(folder: Path, script: list[Any]) -> Trial:
    """A repository, with notes that somebody left there."""
    trial = Trial(folder)
    trial.root.mkdir(parents=True)
    trial.temporary.mkdir()
    trial.script.write_text(json.dumps(script))
    (trial.root / "answer.txt").write_text("0\n")
    git(trial.root, "init", "-q", "-b", "main")
    git(trial.root, "add", "-A")
    git(trial.root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    (trial.root / ".codagent").mkdir()
    (trial.root / ".codagent/notes.md").write_text("from before\n")
    return trial


def _tell(trial: Trial, loop: Loop) -> Any:
    refs = (f"refs/codagent/{loop.id}/", f"refs/heads/codagent/{loop.id}")
    trees = git(trial.root, "for-each-ref", "--format=%(tree)", *refs).split()
    notes = trial.root / ".codagent/loops" / loop.id / "notes.md"
    return [_shape(episode) for episode in loop.episodes], loop.end, trees, notes.read_text() if notes.exists() else ""


def _shape(episode: Episode) -> Any:
    """Return an episode as it must be. Whether its verdict was a kept one may differ: a killed command may have kept it."""
    steps = [_said(step) for step in episode.steps]
    outcome = episode.outcome and replace(episode.outcome, kept=False)
    return episode.kind, episode.position, episode.end, outcome, episode.notes_before, episode.notes_after, steps


def _said(step: Step) -> Any:
    calls = [(call.name, call.arguments) for call in step.reply.message.tool_calls]
    return step.reply.raw, calls, [message.content for message in step.observation.messages], step.observation.end
