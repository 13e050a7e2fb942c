"""llama.cpp inside this process, through xllamacpp: a server on a loopback port, spoken to like any other llama.cpp server."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codagent.errors import ModelError, UsageError
from codagent.models.http.background import Background
from codagent.models.http.client import HttpClient
from codagent.models.llama_cpp import Llama
from codagent.types import Message, Profile, Reply, Sampling, Tool

_HEAD_BYTES = 16 << 20  # metadata and tokenizer of a GGUF, and more
_PIECES, _PIECE_BYTES = 64, 64 << 10


class Embedded:
    """A Model over the GGUF `file`, loaded in the background from the start. It answers `at_once` callers side by side, each of which then
    waits less than for the others."""

    def __init__(self, name: str, file: Path, *, profile: Profile, on_text: Callable[[str], None] | None = None, at_once: int = 1) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError("embedded models need xllamacpp; install it with: pip install 'codagent[embedded]'")
        if not file.is_file():
            raise UsageError(f"there is no model file {file}")
        self._name = name
        self._server: Any = None

        def start() -> Llama:
            self._server = _serve(file, profile.context_tokens, at_once)
            wire = HttpClient(self._server.listening_address, local=True)
            return Llama(wire, name, weights=name_weights(file), calling=profile.calling, on_text=on_text)

        self._llama = Background(start)

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling) -> Reply:
        return self._llama.get().reply(messages, tools, sampling)

    def close(self) -> None:
        """Stop the server and give its memory back."""
        self._llama.get().close()
        self._server = None


def name_weights(file: Path) -> str:
    """How the policy of a reply names the weights in a GGUF file."""
    return f"{file.stem}#{fingerprint(file)}"


def fingerprint(file: Path) -> str:
    """16 digits that tell a GGUF from others, tokenizer included: SHA-256 of its size, its first 16 MiB, and 64 pieces from all over it.

    Read in milliseconds, where the whole file takes seconds. It shows that two files were mixed up, not that one was forged.
    """
    size = file.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        found.update(opened.read(_HEAD_BYTES))
        for number in range(_PIECES):
            opened.seek(size * number // _PIECES)
            found.update(opened.read(_PIECE_BYTES))
    return found.hexdigest()[:16]


def _serve(file: Path, context_tokens: int, at_once: int) -> Any:
    # Threads that spin while they wait fall to one token in two seconds as soon as something else wants the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel = context_tokens * at_once, at_once
    params.verbosity = 0  # its log would run over the terminal
    params.warmup = params.ui = False
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = _physical_cores()
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelError(f"llama.cpp cannot load {file.name} ({error}); is it a whole GGUF file, and is there memory for it?") from error


def _physical_cores() -> int:
    """Two threads on one core slow llama.cpp down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = {path.read_text() for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")}
    return max(1, min(allowed, len(siblings) or allowed))
