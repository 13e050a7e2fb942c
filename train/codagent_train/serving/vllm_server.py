"""Serves weights with `vllm serve`, in a process that ends with this one. vLLM is never imported here.

The flags, their values and the answer of `/v1/models` are those of vLLM 0.10.2 and later: `config/lora.py`,
`entrypoints/openai/cli_args.py` and `entrypoints/openai/models/serving.py`. vLLM is started so that it does what our own server does: it
samples from the whole distribution unless a request says otherwise (`--generation-config vllm`), and its logprobs are those of the
distribution that was sampled from (`--logprobs-mode processed_logprobs`).
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
_POLL_S = 0.5  # how often to ask whether vLLM answers yet
_STOP_S = 15.0  # how long vLLM has to stop before it is killed
# Adapters may be loaded while vLLM runs, and vLLM sends no usage statistics. The key is in the environment, too, because everyone on the
# machine can read the arguments of a process.
_ENVIRONMENT = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_NO_USAGE_STATS": "1"}
# What the process runs. When its stdin ends, which it does however this process ends, it stops itself and all processes that it started.
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
    """A vLLM that runs and answers."""

    url: str
    key: str
    names: tuple[str, ...]  # of the adapters, and the base last
    process: subprocess.Popen[bytes]

    def wait(self) -> NoReturn:
        """Wait until vLLM ends. Raises ModelError then, because it should run until Ctrl-C."""
        raise ModelError(f"vLLM ended with {self.process.wait()}; what it said is above")


def is_available() -> bool:
    """Whether vLLM is installed and the machine has a GPU."""
    if find_spec("vllm") is None:
        return False
    import torch  # installed with vLLM

    return bool(torch.cuda.is_available())


@contextmanager
def start_vllm(source: WeightsRef, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[VllmServer]:
    """Start vLLM, wait until it answers, and stop it at the end. Port 0: a free one is chosen.

    Raises UsageError when vLLM is not installed or the address cannot be used, and ModelError when vLLM ends before it answers.
    """
    if find_spec("vllm") is None:
        raise UsageError("vLLM is not installed here; install it with: pip install vllm, or take --engine local")
    key, port = secrets.token_urlsafe(24), _choose_port(host, port)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVE, *build_command(source, host=host, port=port)],
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),  # our stdout has the result alone
        env={**os.environ, **_ENVIRONMENT, "VLLM_API_KEY": key},
        start_new_session=True,  # else Ctrl-C would reach vLLM, too
    )
    try:
        url = f"http://{host}:{port}/v1"
        yield VllmServer(url, key, _wait_for_names(url, key, process), process)
    finally:
        _stop(process)


def build_command(source: WeightsRef, *, host: str, port: int) -> list[str]:
    """Return the arguments of `vllm`. Raises UsageError when the adapter has no rank, or one that is too large for vLLM."""
    command = ["serve", source.base, "--host", host, "--port", str(port)]
    command += ["--generation-config", "vllm", "--logprobs-mode", "processed_logprobs", "--enable-lora"]
    if source.adapter:
        rank = read_rank(source.adapter)
        if rank > _RANKS[-1]:
            raise UsageError(f"the adapter in {source.adapter} has rank {rank}, and vLLM takes {_RANKS[-1]} at most; take --engine local")
        module = {"name": source.name, "path": str(source.adapter.resolve()), "base_model_name": source.base}
        command += ["--max-lora-rank", str(min(value for value in _RANKS if value >= rank)), "--lora-modules", json.dumps(module)]
    return command


def _choose_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises UsageError when it is in use: vLLM would load the weights before it finds that out."""
    try:
        with socket.create_server((host, port)) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error


def _wait_for_names(url: str, key: str, process: subprocess.Popen[bytes]) -> tuple[str, ...]:
    """Wait until vLLM answers, however long it loads, and return what it serves: the adapters, and the base last."""
    client = HttpClient(url, api_key=key, local=True)
    try:
        while process.poll() is None:
            try:
                models = client.get_json("/models").get("data") or []
            except Transient:
                time.sleep(_POLL_S)
            else:
                return tuple(str(model["id"]) for model in sorted(models, key=lambda model: not model.get("parent")))
    finally:
        client.close()
    raise ModelError(f"vLLM ended with {process.returncode} before it answered; what it said is above")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop vLLM by closing its stdin, and kill what is left of it after `_STOP_S` seconds."""
    if process.stdin:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # processes that it may have left
    process.wait()
