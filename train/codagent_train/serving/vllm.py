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
from codagent_train.run_dir.weights_ref import WeightsRef, read_rank

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
class VllmServer:
    """A vLLM that answers; `names` are the adapters, the base last."""

    url: str
    key: str
    names: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def wait(self) -> NoReturn:
        """Until it ends, which it is not meant to: ModelError then."""
        raise ModelError(f"vLLM ended with {self.process.wait()}; what it said is above")


def is_available() -> bool:
    """Whether vLLM is installed, and a GPU for it is there."""
    if find_spec("vllm") is None:
        return False
    import torch  # vLLM brings it

    return bool(torch.cuda.is_available())


@contextmanager
def start_vllm(source: WeightsRef, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[VllmServer]:
    """Start vLLM, and go on when it answers. UsageError when there is none, or the address cannot be had; ModelError when it ends first."""
    if find_spec("vllm") is None:
        raise UsageError("vLLM is not installed here; install it with: pip install vllm, or take --engine local")
    key, port = secrets.token_urlsafe(24), _free_port(host, port)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVE, *command_line(source, host=host, port=port)],
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),  # stdout is the result
        env={**os.environ, **_ENVIRONMENT, "VLLM_API_KEY": key},
        start_new_session=True,  # Ctrl-C is this process's to hear of
    )
    try:
        url = f"http://{host}:{port}/v1"
        yield VllmServer(url, key, _wait_for_names(url, key, process), process)
    finally:
        _stop(process)


def command_line(source: WeightsRef, *, host: str, port: int) -> list[str]:
    """What is said to `vllm`."""
    words = ["serve", source.base, "--host", host, "--port", str(port)]
    words += ["--generation-config", "vllm", "--logprobs-mode", "processed_logprobs", "--enable-lora"]
    if source.adapter:
        rank, module = (
            read_rank(source.adapter),
            {"name": source.name, "path": str(source.adapter.resolve()), "base_model_name": source.base},
        )
        if rank > _RANKS[-1]:
            raise UsageError(f"the adapter in {source.adapter} has rank {rank}, and vLLM takes {_RANKS[-1]} at most; take --engine local")
        words += ["--max-lora-rank", str(min(value for value in _RANKS if value >= rank)), "--lora-modules", json.dumps(module)]
    return words


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0; known to be free now, for vLLM is slow to find out that it is not."""
    try:
        with socket.create_server((host, port)) as taken:
            return int(taken.getsockname()[1])
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error


def _wait_for_names(url: str, key: str, process: subprocess.Popen[bytes]) -> tuple[str, ...]:
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


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it may have left
    process.wait()
