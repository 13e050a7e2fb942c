"""Keeps the work of a session's episodes as commits, and lets the gates judge it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from codagent.errors import NotPublished, RepositoryError, SandboxError, UsageError
from codagent.repository import git
from codagent.runner.runner import Prepared
from codagent.runner.workspace import open_gates
from codagent.session.history import History
from codagent.session.turn_workspace import TurnWorkspace
from codagent.settings.settings import Settings
from codagent.text import first_line
from codagent.types import Episode, Outcome

_ENGINE_S = 10.0  # that an engine may take to come back


class Keeper:
    """Brings the work out of the sandbox after each episode."""

    def __init__(self, ready: Prepared, settings: Settings, workspace: TurnWorkspace, history: History) -> None:
        self._ready, self._workspace, self._history, self._checks = ready, workspace, history, settings.checks
        self._open_gates = cache(partial(open_gates, ready.around, ready.spec.start_commit, settings))

    @property
    def _root(self) -> Path:
        return self._ready.around.root

    def grade(self) -> Outcome | None:
        """Let the gates judge the work as it is. None: there are no checks."""
        return self._grade(self._workspace.collect()) if self._checks else None

    def judge(self, episode: Episode) -> Episode:
        """Let the gates judge a turn that changed files, and keep its work. What goes wrong is in the episode's end."""
        try:
            episode, tree = self._bring_out(episode)
            if tree and self._checks and episode.end not in ("sandbox", "interrupted") and tree != self._tree_of(self._history.commit):
                episode = self._judge(episode, tree)
        except KeyboardInterrupt:
            return self.keep(replace(episode, end="interrupted", cause=""))
        return self._commit(episode, tree)

    def keep(self, episode: Episode) -> Episode:
        """Add the commit that holds the work. Refs of codagent keep it, and no branch points to it.

        An episode that has a commit begins from that. When the work cannot be brought out, it is what was kept last.
        """
        return self._commit(*self._bring_out(episode))

    def take_up(self, episode: Episode) -> Episode:
        """End an episode that was broken off, with its work: the work that is kept, or its steps repeated.

        A call that has no answer is not repeated: it may have taken long, and the model sees that it was interrupted.
        Raises SandboxError when its work cannot be brought out, and KeyboardInterrupt; it stays unfinished then.
        """
        if episode.commit is None:
            self._workspace.replay(episode.steps)
            episode = self.keep(episode)
            if episode.end == "sandbox":
                raise SandboxError(episode.cause)
        else:
            self._workspace.commit = episode.commit
        return replace(episode, end=episode.end or "interrupted")

    def join(self, work: str, accepted: str) -> str:
        """Return a commit that keeps both of these, for one ref."""
        return work if work == accepted else git.commit(self._root, git.tree_of(self._root, work), work, "kept", trailers={}, also=accepted)

    def _tree_of(self, commit: str) -> str:
        return git.tree_of(self._root, commit)

    def _judge(self, episode: Episode, tree: str) -> Episode:
        try:
            return replace(episode, outcome=self._grade(tree))
        except (SandboxError, UsageError) as error:
            if self._ready.around.ledger.interrupted:  # who interrupts closes the sandbox of the gates
                return replace(episode, end="interrupted", cause="")
            return replace(episode, end="sandbox", cause=episode.cause or str(error))
        except RepositoryError as error:
            return replace(episode, end="repository", cause=str(error))

    def _bring_out(self, episode: Episode) -> tuple[Episode, str | None]:
        """Return the episode and the tree of its work. None: it could not be brought out, and the episode's end says so."""
        try:
            return episode, self._collect(episode)
        except SandboxError as error:
            return replace(episode, end="sandbox", cause=str(error)), None
        except RepositoryError as error:
            return replace(episode, end="repository", cause=str(error)), None

    def _commit(self, episode: Episode, tree: str | None) -> Episode:
        """Make the commit of the work, which is the one before when nothing was changed, or when `tree` is None."""
        before, session_id = episode.commit or self._history.commit, self._ready.spec.loop_id
        episode = replace(episode, commit=before)
        try:
            if tree is not None and episode.end != "repository":
                commit = before
                if tree != self._tree_of(before):
                    message = first_line(episode.task.instruction, 72)
                    commit = git.commit(self._root, tree, before, message, trailers={"Codagent-Session": session_id})
                if commit != self._ready.spec.start_commit:
                    git.keep_work(self._root, session_id, episode.position, commit)
                episode = replace(episode, commit=commit)
        except NotPublished as error:
            episode = replace(episode, end="repository", cause=str(error), commit=error.commit)
        except RepositoryError as error:
            episode = replace(episode, end="repository", cause=str(error))
        if episode.end == "sandbox":
            self._workspace.close()
        self._workspace.commit = str(episode.commit)
        return episode

    def _collect(self, episode: Episode) -> str:
        """Bring the work out of the sandbox, and return its tree. When the sandbox is gone, the steps are repeated in another one first.

        Raises SandboxError when there is no other one, or when there are no steps to repeat.
        """
        try:
            return self._workspace.collect()
        except SandboxError:
            if self._ready.around.ledger.interrupted or not episode.steps:
                raise
        self._ready.around.say("the sandbox is gone; the steps of this turn are repeated in another one")
        deadline = time.monotonic() + _ENGINE_S
        while True:
            self._workspace.close()
            try:
                self._workspace.replay(episode.steps)
                return self._workspace.collect()
            except SandboxError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            except KeyboardInterrupt:
                raise SandboxError("the sandbox is gone, and the steps of this turn were not repeated to their end") from None

    def _grade(self, tree: str) -> Outcome:
        return self._open_gates().grade(self._checks, tree, seconds=self._ready.around.ledger.seconds_until_end)
