"""The `vllm` command as far as `codagent-train serve` speaks to it: its flags, its environment, and the double in place of a model."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from threading import Event
from time import sleep

from codagent.types import Sampling, Tokens
from tests.train.doubles.vllm_double import serve

ABSENT = "nobody/nothing"  # a base that there is not
ADAPTED, PLAIN = 1, 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="vllm")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--generation-config", choices=["auto", "vllm"])
    parser.add_argument("--logprobs-mode", choices=["raw_logits", "raw_logprobs", "processed_logits", "processed_logprobs"])
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-lora-rank", type=int, choices=[8, 16, 32, 64, 128, 256, 320, 512], default=16)
    parser.add_argument("--lora-modules", type=json.loads, nargs="+", default=[])
    given = parser.parse_args()
    print("INFO it says much, and on stdout", flush=True)
    if given.model == ABSENT:
        sys.exit(f"OSError: {ABSENT} is not a model")
    sleep(0.6)  # it loads
    with serve(sample, port=given.port, key=os.environ["VLLM_API_KEY"], base=given.model) as double:
        double.updating = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1"
        for module in given.lora_modules:
            rank = json.loads((Path(module["path"]) / "adapter_config.json").read_text())["r"]
            if rank > given.max_lora_rank:
                sys.exit(f"ValueError: LoRA rank {rank} is greater than max_lora_rank {given.max_lora_rank}.")
            double.adapters[module["name"]] = module["path"]
        Event().wait()


def sample(folder: str, prompt: tuple[int, ...], _: Sampling) -> Tokens:
    return Tokens(prompt, (ADAPTED if folder else PLAIN,), (-1.0,))
