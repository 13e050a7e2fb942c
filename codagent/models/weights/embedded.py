"""llama.cpp inside this process, through xllamacpp. It listens on a loopback port and is used like any other llama.cpp server."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from codagent.errors import ModelError, UsageError
from codagent.models.http.background import Background
from codagent.models.http.client import HttpClient
from codagent.models.servers.llama_cpp import Llama
from codagent.protocols import OnText, ignore_text
from codagent.types import Message, Profile, Reply, Sampling, Tool

_HEAD_BYTES = 16 << 20  # metadata and tokenizer of a GGUF, and more
KEPT_MB = 512  # for what was read of other prompts than those in use; llama.cpp would keep 8 GB, and a night of attempts fills them
_BATCH_TOKENS = 512  # of a prompt that are read at once; after each batch, the server tells how much it has read
_PIECES, _PIECE_BYTES = 64, 64 << 10
_SPINS = "1000"  # of a thread that waits for the other ones, before it sleeps: some microseconds


class Embedded:
    """A Model over a GGUF file. Loading begins in the background as soon as it is made."""

    def __init__(self, name: str, file: Path, *, profile: Profile, at_once: int = 1, adapter: tuple[Path, str] | None = None) -> None:
        """Load the weights in `file`. `at_once` is how many callers it serves in parallel; each of them gets a context of its own.

        `adapter` is the file of an adapter for these weights, and what records call the weights with it; None: there is none.
        Raises UsageError when xllamacpp is not installed or the file is missing.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError("embedded models need xllamacpp; install it with: pip install 'codagent[embedded]'")
        if not file.is_file():
            raise UsageError(f"there is no model file {file}")
        self._name = name
        self._server: Any = None

        def start() -> Llama:
            self._server = _serve(file, profile.context_tokens, at_once, adapter and adapter[0])
            client = HttpClient(self._server.listening_address, local=True)
            weights = adapter[1] if adapter else name_weights(file)
            return Llama(client, name, weights=weights, calling=profile.calling, ends_rounds=True)

        self._llama = Background(start)

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        return self._llama.get().reply(messages, tools, sampling, on_text)

    def close(self) -> None:
        """Stop the server, which frees its memory."""
        self._llama.get().close()
        self._server = None


def name_weights(file: Path) -> str:
    """Return the name that the policy of a reply gives to the weights in a GGUF file: its stem and its fingerprint."""
    return f"{file.stem}#{fingerprint(file)}"


def fingerprint(file: Path) -> str:
    """Return 16 hexadecimal digits that distinguish a GGUF file from others, its tokenizer included.

    They are the start of a SHA-256 of the file's size, its first 16 MiB, and 64 pieces that are spread over the file. That takes
    milliseconds, where hashing the whole file takes seconds. It detects files that were mixed up; it is no protection against forgery.
    """
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        digest.update(opened.read(_HEAD_BYTES))
        for number in range(_PIECES):
            opened.seek(size * number // _PIECES)
            digest.update(opened.read(_PIECE_BYTES))
    return digest.hexdigest()[:16]


def _serve(file: Path, context_tokens: int, at_once: int, adapter: Path | None) -> Any:
    # If waiting threads spin for long, llama.cpp slows down to one token in two seconds as soon as another program uses the cores. If they
    # sleep at once, each of the hundreds of steps of a token waits until they are awake again, a third of the time in all.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_batch, params.cache_ram_mib = _BATCH_TOKENS, KEPT_MB
    params.n_ctx, params.n_parallel = context_tokens * at_once, at_once
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.cors_origins = ""  # else any page in a browser could ask the model
    params.verbosity = 0  # its log would be printed over the terminal
    params.warmup = params.ui = False
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = _physical_cores()
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        what = f"{file.name} with {adapter.name}" if adapter else file.name
        raise ModelError(f"llama.cpp cannot load {what} ({error}); is it a complete GGUF file, and is there enough memory?") from error


def _physical_cores() -> int:
    """Count the physical cores that this process may use. With two threads on one core, llama.cpp is slower."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = {path.read_text() for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")}
    return max(1, min(allowed, len(siblings) or allowed))
