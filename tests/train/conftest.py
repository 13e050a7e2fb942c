"""What tests of the trainer share. Those that use `hushed` need the train extra; without it they fail, and are never skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from msgspec.structs import replace

from codagent_train.cli import library_logging
from codagent_train.recipe.schema import BatchConfig, Recipe, read_recipe
from codagent_train.run_dir import checkpoints


@pytest.fixture(scope="session")
def hushed() -> None:
    """The libraries of the train extra say nothing on their own."""
    library_logging.silence_libraries()


@pytest.fixture
def small() -> Recipe:
    """The toy with fewer packs and steps."""
    toy = read_recipe("toy")
    return replace(toy, batch=BatchConfig(packs=4, group_size=4), learning=replace(toy.learning, steps=4, save_every=2))


@pytest.fixture
def out(tmp_path: Path, small: Recipe) -> Path:
    """A folder in which a run of `small` began."""
    checkpoints.begin_run(tmp_path / "out", small)
    return tmp_path / "out"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that read and write characters, and answer with a call where they are offered a tool."""
    from tests.train.doubles.characters import save_caller

    return save_caller(tmp_path_factory.mktemp("served") / "weights")


@pytest.fixture(scope="session")
def adapters(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters of those weights that change what they say."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=4, target_modules="all-linear"))
        for name, each in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(each, std=0.3)
        path = tmp_path_factory.mktemp("adapters") / f"checkpoint-{seed}"
        model.save_pretrained(path)
        found.append(path)
    return found


@pytest.fixture
def endpoint(folder: Path) -> Iterator[Any]:
    from codagent_train.run_dir.weights_ref import resolve
    from codagent_train.serving.adapters import open_weights
    from codagent_train.serving.server import listen

    with listen(open_weights(resolve(str(folder)))) as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def client(endpoint: Any) -> Iterator[Any]:
    import openai

    with openai.OpenAI(base_url=endpoint.url, api_key=endpoint.key, max_retries=0, timeout=250) as found:
        yield found
