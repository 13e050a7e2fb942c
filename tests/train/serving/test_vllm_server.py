"""`codagent-train serve --engine vllm`, with a `vllm` that takes the flags of the real one and is none."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from codagent.errors import UsageError
from codagent.models.servers.server_facts import default_model
from codagent_train.run_dir.weights_ref import WeightsRef, resolve
from codagent_train.serving.vllm_server import build_command, start_vllm
from tests.train.doubles.vllm_command import ABSENT, ADAPTED, PLAIN
from tests.train.doubles.weights import save_adapter as adapter

ROOT = Path(__file__).parents[3]
TRAIN = Path(sys.executable).parent / "codagent-train"


@pytest.fixture
def environment(tmp_path):
    """In which `vllm` is the stand-in."""
    inner = tmp_path / "packages" / "vllm" / "entrypoints" / "cli"
    inner.mkdir(parents=True)
    for folder in (inner, *inner.parents[:2]):
        (folder / "__init__.py").touch()
    (inner / "main.py").write_text("from tests.train.doubles.vllm_command import main\n")
    return {**os.environ, "PYTHONPATH": f"{tmp_path / 'packages'}{os.pathsep}{ROOT}"}


@contextmanager
def started(environment, folder):
    """The process, its URL and its key."""
    command = [TRAIN, "serve", folder, "--engine", "vllm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url, key = process.stdout.readline().split()
            yield process, url, {"authorization": f"Bearer {key}"}
        finally:
            process.kill()


def completed(url, headers, model):
    asked = {"model": model, "prompt": [5], "top_p": 1.0, "top_k": -1, "temperature": 1.0, "max_tokens": 1, "seed": 1}
    body = asked | {"stop_token_ids": [], "return_token_ids": True}
    return httpx.post(f"{url}/completions", headers=headers, json=body).json()["choices"][0]["token_ids"]


def gone(url):
    """Whether nobody listens there any more, or will soon."""
    address, end = ("127.0.0.1", httpx.URL(url).port), time.monotonic() + 120
    while time.monotonic() < end:
        try:
            socket.create_connection(address).close()
        except ConnectionError:
            return True
        time.sleep(0.05)
    return False


def test_an_adapter_is_served_under_the_name_of_its_run_and_the_key_that_is_printed_first(environment, tmp_path):
    folder = adapter(tmp_path / "runs, a=b" / "checkpoint-2")
    with started(environment, folder) as (process, url, headers):
        listed = httpx.get(f"{url}/models", headers=headers).json()
        assert [model["id"] for model in listed["data"]] == ["some/base", "runs, a=b@2"]
        assert default_model(listed) == "runs, a=b@2"
        assert [completed(url, headers, name) for name in ("runs, a=b@2", "some/base")] == [[ADAPTED], [PLAIN]]
        assert httpx.get(f"{url}/models").status_code == 401
        another = {"lora_name": "another", "lora_path": str(folder)}
        assert httpx.post(f"{url}/load_lora_adapter", headers=headers, json=another).status_code == 200
        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=200)
    assert (process.returncode, said) == (0, "")
    assert "INFO it says much" in told
    assert "codagent-train: serving runs, a=b@2, some/base; codagent takes the key from CODAGENT_API_KEY" in told
    assert gone(url)


def test_vllm_ends_with_the_command_however_that_ends(environment, tmp_path):
    with started(environment, adapter(tmp_path / "one")) as (process, url, _):
        process.kill()
        assert gone(url)


def test_a_vllm_that_ends_before_it_answers_ends_the_command(environment, tmp_path):
    command = [TRAIN, "serve", adapter(tmp_path / "one", base=ABSENT), "--engine", "vllm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=250)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines()[-2:] == [
        f"OSError: {ABSENT} is not a model",
        "codagent-train: vLLM ended with 1 before it answered; what it said is above",
    ]


@pytest.mark.parametrize(("rank", "room"), [(4, "8"), (8, "8"), (24, "32"), (512, "512")])
def test_the_least_room_for_ranks_that_vllm_takes_is_asked_for(rank, room, tmp_path):
    said = build_command(resolve(str(adapter(tmp_path / "one", rank=rank))), host="127.0.0.1", port=1)
    assert said[said.index("--max-lora-rank") + 1] == room


def test_an_adapter_that_vllm_has_no_room_for_or_that_names_no_rank_is_refused(tmp_path):
    for rank, why in ((513, "has rank 513, and vLLM takes 512 at most"), (None, "names no rank")):
        with pytest.raises(UsageError, match=why):
            build_command(resolve(str(adapter(tmp_path / str(rank), rank=rank))), host="127.0.0.1", port=1)


def test_weights_without_an_adapter_are_served_ready_for_one():
    said = build_command(resolve("some/base"), host="127.0.0.1", port=1)
    assert said[:2] == ["serve", "some/base"]
    assert "--enable-lora" in said
    assert "--lora-modules" not in said


def test_without_vllm_another_engine_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UsageError, match="install it with: pip install vllm, or take --engine local"), start_vllm(WeightsRef("x", "x")):
        pass


def test_a_port_in_use_is_refused_before_vllm_starts(environment, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [TRAIN, "serve", "some/base", "--engine", "vllm", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=250)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
