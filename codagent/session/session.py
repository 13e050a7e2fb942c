"""A session: turns of a conversation, and what a person does beside it, each an episode of one record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from codagent.agent.episode import Agent, run_episode
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.display import Display, LoopView
from codagent.runner.runner import Prepared, Runner
from codagent.runner.spec import LoopSpec, OpenedModel, effective_limits
from codagent.session.answered import Answered
from codagent.session.compaction import sum_up
from codagent.session.history import History
from codagent.session.keeping import Keeper
from codagent.session.prompting import GO_ON, attach_files, is_too_long, measure, write_prompt
from codagent.session.turn_workspace import TurnWorkspace
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.metered_model import MeteredModel
from codagent.text import join_names
from codagent.types import CommandResult, Episode, Limits, Loop, Outcome, Profile, Task

_SEEDS = 1000  # the difference between the seeds of two turns


@dataclass(slots=True)
class _Opened:
    """What a session works with, once it is open."""

    ready: Prepared
    workspace: TurnWorkspace
    history: History
    model: MeteredModel
    keeper: Keeper


class Session:
    """A conversation about one repository. One thread uses it; `type_ahead` may be called from any."""

    def __init__(self, runner: Runner, spec: LoopSpec, display: Display, on_answer: Callable[[Answered], None]) -> None:
        """Prepare a session. Nothing is opened before it is needed. `on_answer` hears each call of a tool when it is done."""
        self.runner, self._spec, self._display, self._on_answer = runner, spec, display, on_answer
        self.read_limits: Callable[[], Limits] = lambda: self.runner.settings.limits  # of a turn, as the person's files name them then
        self._stack = ExitStack()
        self._opened: _Opened | None = None
        self._so_far: Loop | None = None
        self._chosen: Settings | None = None  # with another model than the record tells of; None: it is the same

    @property
    def id(self) -> str:
        return self._spec.loop_id

    def resume(self, so_far: Loop) -> None:
        """Go on with a recorded session. A turn that was broken off keeps its steps, which are repeated in the sandbox."""
        self._so_far = so_far

    def open(self) -> None:
        """Open the sandbox, the model and the record, if they are not open. Raises what kept them from being opened."""
        if self._opened is not None:
            return
        runner, folder = self.runner, self.runner.loops / self.id
        folder.mkdir(exist_ok=True)  # it was removed when an earlier try failed
        with ExitStack() as stack:
            ready = stack.enter_context(runner.prepare(self._spec, self._so_far, self._display))
            self._spec, hooks, ledger, resumed = ready.spec, ready.around.toolbox.hooks, ready.around.ledger, self._so_far is not None
            stack.enter_context(hooks.around(lambda: ledger.spent, self._display.say, resumed=resumed))
            history = History(runner.root, folder / layout.RECORD, ready.loop, resumed=resumed)
            stack.callback(history.close)
            ready.around.toolbox.servers.recall(history.episodes)
            unfinished = history.take_unfinished()
            workspace = stack.enter_context(closing(TurnWorkspace(ready, history.commit, self._on_answer)))
            model = MeteredModel(ready.opened.model, ledger, self._display.on_text)
            keeper = Keeper(ready, runner.settings, workspace, history)
            stack.callback(setattr, self, "_opened", None)
            self._opened = _Opened(ready, workspace, history, model, keeper)
            self._display.watch(LoopView.of(ledger))
            if unfinished:
                history.add(keeper.take_up(unfinished))
            self._stack = stack.pop_all()

    @property
    def history(self) -> History:
        return self._now.history

    @property
    def profile(self) -> Profile:
        return self._now.workspace.profile

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def measure_context(self) -> tuple[int, int]:
        """Return the tokens that the conversation takes, as far as they are known, and those that the model can take."""
        return measure(self.history.episodes, self.profile), self.profile.context_tokens

    def type_ahead(self, text: str) -> None:
        """Tell the model something between two steps of the turn that goes on. From any thread."""
        self._now.workspace.typed.append(text)

    def take_untold(self) -> str:
        """Take back what was typed ahead and came too late to be told. "": there is nothing."""
        typed = self._now.workspace.typed
        return "\n\n".join(typed.popleft() for _ in range(len(typed)))

    def ask(self, text: str) -> Episode:
        """Run one turn: the model works until it answers without a call, or something ends it. "" lets it go on where it was stopped.

        A file that the text names as `@path` is told with it. Raises what kept the session from being opened. Whatever happens later is in
        the `end` of the episode.
        """
        now = self._renew_limits()
        if is_too_long(now.history.episodes, self.profile, text):
            self._display.say("the conversation is long; it goes on with a summary of what was said so far")
            self.compact()
            self._renew_limits()
        if self._chosen:
            now.history.choose(self._chosen)
            self._chosen = None
        task = Task(f"turn-{len(now.history.turns) + 1}", text or GO_ON, self.runner.settings.checks)
        told, missing = attach_files(text, now.workspace.sandbox)
        if missing:
            self._display.say(f"{join_names(missing)}: no such file in the sandbox, so nothing is told of it")
        now.workspace.prepare(write_prompt(now.history.episodes, now.workspace, task, told))
        episode = run_episode(self._make_agent(), now.workspace, now.history.begin("solve", task))
        try:
            episode = now.keeper.judge(episode)
        except KeyboardInterrupt:  # the work is worth a second try; whoever interrupts that one, too, means it
            episode = now.keeper.keep(replace(episode, end="interrupted", cause=""))
        return self._add(episode)

    def act(self, instruction: str, *, commit: str | None = None, accepted: str = "") -> None:
        """Put on record what the person did. The model is told `instruction` with the next turn; "": nothing is told.

        `commit` is the work afterwards; None: as it is in the sandbox. `accepted` is the commit of the person's files; "": as before.
        """
        self.open()
        if commit:
            self._now.workspace.replace_work(commit)
        episode = self.history.begin("solve", Task("act", instruction))
        self.history.record.on_episode_start(episode)
        episode = self._now.keeper.keep(replace(episode, end="finished", commit=commit))
        if accepted and not episode.cause:
            episode = replace(episode, cause=accepted)
            git.keep_work(self.runner.root, self.id, episode.position, self._now.keeper.join(str(episode.commit), accepted))
        self.history.add(episode)

    def run_command(self, command: str) -> CommandResult:
        """Run a person's command in the sandbox; the model is told of it with the next turn."""
        self.open()
        workspace = self._now.workspace
        result = workspace.run(command)
        self.act(workspace.format_run(command, result))
        return result

    def read_output(self, log: str) -> str:
        """Read a file in which the sandbox keeps the output of a command. "": it has it no more."""
        return self._now.workspace.read_output(log)

    def check(self) -> Outcome | None:
        """Let the gates judge the work as it is. None: there are no checks."""
        return self._renew_limits().keeper.grade()

    def discard(self) -> None:
        """Go back to the files that were accepted last."""
        self.open()
        self.act("(The person has discarded your changes, those since the last that were accepted.)", commit=self.history.accepted)

    def clear(self) -> None:
        """Forget the conversation. The work stays."""
        self.open()
        self.history.clear()
        self._take_limits()

    def compact(self, wish: str = "") -> str:
        """Put a summary in the place of all messages but the latest steps, and return it. "": there was nothing to compact.

        `wish` is what the summary should hold besides; "": nothing special. The model writes it; if it fails, the turns are listed.
        """
        now = self._renew_limits()
        episode = sum_up(self._make_agent(), now.workspace.tools, now.history, wish)
        self._take_limits()
        return str(self._add(episode).notes_after) if episode else ""

    def set_model(self, settings: Settings, open_model: Callable[[], OpenedModel]) -> None:
        """Ask the model of other settings from the next turn on, which puts that on record. Raises as `open_model` does; then the model
        stays as it was.
        """
        opened = self.runner.change_model(settings, open_model)
        if self._opened is not None:
            now = self._opened
            now.ready = replace(now.ready, opened=opened)
            now.model = MeteredModel(opened.model, now.ready.around.ledger, self._display.on_text)
            now.workspace.profile = effective_limits(settings, opened, self._spec.seed).profile
            self._chosen = settings

    def interrupt(self) -> None:
        """Stop the turn that goes on, from another thread. What was done is kept, and the session goes on with the next turn."""
        if self._opened is not None:
            self._opened.ready.around.ledger.interrupt()
            self._opened.ready.sandboxes.interrupt(spare=self._opened.workspace.stop_command())

    def plan(self, *, on: bool) -> None:
        """Let the model call only tools that read, or all of them again."""
        self.open()
        self._now.workspace.planning = on

    def close(self) -> None:
        """Close the sandbox and the record. A session without a turn leaves nothing behind."""
        self._stack.close()

    @property
    def _now(self) -> _Opened:
        assert self._opened is not None, "open comes first"
        return self._opened

    def _renew_limits(self) -> _Opened:
        """Open the session, and allow what the limits of one turn allow, from now on."""
        self.open()
        self._now.ready.around.ledger.extend(self._now.workspace.limits)
        return self._now

    def _take_limits(self) -> None:
        """Let the next turns have the limits that the person's files name now, because the first messages are about to be written anew."""
        now = self._now
        try:
            settings = replace(self.runner.settings, limits=self.read_limits())
            held = effective_limits(settings, now.ready.opened, self._spec.seed)
        except UsageError as error:
            self._display.say(f"the limits stay as they are: {error}")
            return
        now.workspace.limits, now.workspace.profile = held.limits, held.profile

    def _make_agent(self) -> Agent:
        now, profile = self._now, self.profile
        if profile.sampling.seed is not None:
            seed = profile.sampling.seed + _SEEDS * len(now.history.episodes)
            profile = replace(profile, sampling=replace(profile.sampling, seed=seed))
        return Agent(now.model, profile, (now.history.record, self._display))

    def _add(self, episode: Episode) -> Episode:
        self.history.add(episode)
        self._display.on_episode_end(episode)
        return episode
