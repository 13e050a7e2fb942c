"""`vllm serve` as what answers, in a process of its own that ends with this one. Nothing of vLLM is imported here.

Flags, their values and what it lists after vLLM's `config/lora.py`, `entrypoints/openai/cli_args.py` and
`entrypoints/openai/models/serving.py`, version 0.10.2 or later. As our own endpoint does, it samples from the whole distribution unless
a request says otherwise (`--generation-config vllm`), and tells the logprobs of what was sampled from
(`--logprobs-mode processed_logprobs`).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NoReturn

from codagent.errors import ModelError, UsageError
from codagent.models.http.client import HttpClient
from codagent.models.http.retry import Transient
from codagent_train.run_dir.weights_ref import Source, rank_of

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the values of --max-lora-rank
_LOOK_S = 0.5  # between two looks at whether it answers
_STOP_S = 15.0
# The key is in the environment, for arguments can be read by everyone on the machine. Without usage statistics, which it would send.
_ENVIRONMENT = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_NO_USAGE_STATS": "1"}
# It ends, with all that it started, when its stdin does, and so with this process, however that ends.
_SERVE = """
import os, signal, sys, threading, time
def end():
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(10)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end, daemon=True).start()
from vllm.entrypoints.cli.main import main
sys.argv[0] = "vllm"
main()
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A vLLM that answers; `names` are the adapters, the base last."""

    url: str
    key: str
    names: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def wait(self) -> NoReturn:
        """Until it ends, which it is not meant to: ModelError then."""
        raise ModelError(f"vLLM ended with {self.process.wait()}; what it said is above")


def present() -> bool:
    """Whether vLLM is installed, and a GPU for it is there."""
    if find_spec("vllm") is None:
        return False
    import torch  # vLLM brings it

    return bool(torch.cuda.is_available())


@contextmanager
def serving(source: Source, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Served]:
    """Start vLLM, and go on when it answers. UsageError when there is none, or the address cannot be had; ModelError when it ends first."""
    if find_spec("vllm") is None:
        raise UsageError("vLLM is not installed here; install it with: pip install vllm, or take --engine local")
    key, port = secrets.token_urlsafe(24), _free(host, port)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVE, *arguments(source, host=host, port=port)],
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),  # stdout is the result
        env={**os.environ, **_ENVIRONMENT, "VLLM_API_KEY": key},
        start_new_session=True,  # Ctrl-C is this process's to hear of
    )
    try:
        url = f"http://{host}:{port}/v1"
        yield Served(url, key, _names(url, key, process), process)
    finally:
        _end(process)


def arguments(source: Source, *, host: str, port: int) -> list[str]:
    """What is said to `vllm`."""
    said = ["serve", source.base, "--host", host, "--port", str(port)]
    said += ["--generation-config", "vllm", "--logprobs-mode", "processed_logprobs", "--enable-lora"]
    if source.adapter:
        rank, module = rank_of(source.adapter), {"name": source.name, "path": str(source.adapter.resolve()), "base_model_name": source.base}
        if rank > _RANKS[-1]:
            raise UsageError(f"the adapter in {source.adapter} has rank {rank}, and vLLM takes {_RANKS[-1]} at most; take --engine local")
        said += ["--max-lora-rank", str(min(each for each in _RANKS if each >= rank)), "--lora-modules", json.dumps(module)]
    return said


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0; known to be free now, for vLLM is slow to find out that it is not."""
    try:
        with socket.create_server((host, port)) as taken:
            return int(taken.getsockname()[1])
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error


def _names(url: str, key: str, process: subprocess.Popen[bytes]) -> tuple[str, ...]:
    """What it serves, once it answers; loading takes as long as it takes."""
    wire = HttpClient(url, api_key=key, local=True)
    try:
        while process.poll() is None:
            try:
                listed = wire.get_json("/models").get("data") or []
            except Transient:
                time.sleep(_LOOK_S)
            else:
                return tuple(str(model["id"]) for model in sorted(listed, key=lambda model: not model.get("parent")))
    finally:
        wire.close()
    raise ModelError(f"vLLM ended with {process.returncode} before it answered; what it said is above")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it may have left
    process.wait()
