"""What tests of GGUF files share."""

import os

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from codagent.models.weights.download import weights_dir
from codagent_train.policy.import_weights import import_model
from tests.train.policy.tiny_gguf import KINDS, save_gguf


@pytest.fixture(scope="session")
def smol(tmp_path_factory):
    """The folder that is made of the smallest model of the catalogue."""
    out = tmp_path_factory.mktemp("imported") / "smol"
    import_model("smollm2-135m", out, weights=weights_dir(os.environ.get("XDG_CACHE_HOME")), progress=lambda *_: None, say=lambda _: None)
    return out


@pytest.fixture(scope="session", params=KINDS)
def imported(request, tmp_path_factory):
    """A GGUF file of one kind, the folder made of it, and an adapter on that."""
    at = tmp_path_factory.mktemp(request.param)
    save_gguf(at / "tiny.gguf", request.param)
    import_model(str(at / "tiny.gguf"), at / "base", weights=at, progress=lambda *_: None, say=lambda _: None)
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(at / "base"), LoraConfig(r=4, target_modules="all-linear"))
    for name, each in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.2)
    model.save_pretrained(at / "checkpoint-1")
    return at
