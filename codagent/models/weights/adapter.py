"""Weights that the trainer made or trains from, served by a child process that runs `codagent-train serve`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from codagent.errors import ModelError, UsageError
from codagent.models.http.background import Background
from codagent.models.http.retry import retry
from codagent.models.servers.openai_api import OpenAIModel
from codagent.protocols import OnText, ignore_text
from codagent.types import Message, Profile, Reply, Sampling, Tool

_STOP_S = 5.0
# The child ends when its stdin is closed, so it ends with this process, even if that is killed. -P: the child must not import modules of
# the folder that it starts in, which is the user's repository.
_SERVE = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from codagent_train.cli import main
sys.argv[0] = "codagent-train"
main()
"""


class Adapter:
    """A Model over a run, a checkpoint or a folder of weights. Loading begins in the background as soon as it is made."""

    def __init__(self, name: str, folder: Path, *, profile: Profile) -> None:
        """Start the server for the weights in `folder`.

        Raises UsageError when there is no such folder.
        """
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}; give the --out of a codagent-train run, or a checkpoint in it")
        self._name = name
        self._stderr = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed in `close`
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", _SERVE, "serve", str(folder.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            start_new_session=True,  # Ctrl-C must reach this process only
        )
        self._endpoint = Background(lambda: self._connect(profile))

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        return self._endpoint.get().reply(messages, tools, sampling, on_text)

    def close(self) -> None:
        """Stop the child process, which frees its memory."""
        if self._child.stdin:
            self._child.stdin.close()
        try:
            self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        with suppress(ModelError):
            self._endpoint.get().close()
        if self._child.stdout:
            self._child.stdout.close()
        self._stderr.close()

    def _connect(self, profile: Profile) -> OpenAIModel:
        """Wait until the child has printed its address and key, and return a client for its default model.

        Raises ModelError when the child ends before that.
        """
        from codagent.models.http.client import HttpClient
        from codagent.models.servers.server_facts import default_model

        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line:
            raise ModelError(f"{self._name} cannot be served: {self._last_error_line()}")
        url, key = line.split()
        client = HttpClient(url, api_key=key, local=True)
        model = default_model(retry(lambda: client.get_json("/models"), _STOP_S))
        client.close()
        return OpenAIModel(url, model, calling=profile.calling, api_key=key)

    def _last_error_line(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines() or ["it ended without a message"]
        return lines[-1].removeprefix("codagent-train: ")
