"""Asks a local model in every way that it can be served, one loop and four side by side, and prints how many tokens a second that is.

    .venv/bin/python tests/benchmarks/speeds.py [NAME] [--adapter FILE.gguf] [--weights DIR] [--tokens 160] [--rounds 3]

NAME is an embedded model, FILE.gguf an adapter for it that `codagent-train export --to gguf-adapter` wrote, and DIR its weights as
`codagent-train import` wrote them, which transformers serve. The prompt is a sample's: its files, its task, the form of the answer. Every
way is opened, asked once by each loop so that the prompt is read, and then asked in rounds. "sure" is the share of tokens whose recorded
probability is exactly 1. It should be the same in all ways of the same weights; where it is not, the records are not those of the policy.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from codagent.models.http.client import HttpClient
from codagent.models.open import ModelOptions, open_model, profile_for
from codagent.models.servers.llama_cpp import Llama
from codagent.models.weights.catalog import find_entry
from codagent.models.weights.download import weights_dir
from codagent.models.weights.embedded import name_weights
from codagent.protocols import Model
from codagent.repository.messages.first_message import MessageFacts, write_first_message
from codagent.repository.messages.repo_map import ShownFile
from codagent.repository.tools import select_tools
from codagent.types import Message, Profile, Reply, Task
from tests.benchmarks.samples import TASKS, sample

AT_ONCE = (1, 4)
SAMPLE, SHOWN = "intervals", ("freebusy/gaps.py", "freebusy/merge.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="qwen2.5-coder-0.5b")
    parser.add_argument("--adapter")
    parser.add_argument("--weights")
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    spec = f"embedded:{given.name}"
    profile = profile_for(spec)
    profile = replace(profile, sampling=replace(profile.sampling, max_tokens=given.tokens), context_tokens=4096)
    ways: dict[str, Callable[[int], Any]] = {
        "llama.cpp": lambda at_once: open_here(spec, profile, at_once),
        "llama.cpp, n-gram speculation": lambda at_once: open_speculating(given.name, profile, at_once),
    }
    if given.adapter:
        ways["llama.cpp, with the adapter"] = lambda at_once: open_here(f"adapter:{given.adapter}", profile, at_once)
    if given.weights:
        ways["transformers"] = lambda at_once: open_here(f"adapter:{given.weights}", profile, at_once)
    for way, open_way in ways.items():
        for at_once in AT_ONCE:
            with open_way(at_once) as model:
                speed, sure = measure(model, profile, at_once, given.rounds)
            print(f"{way:32} {at_once} at once {speed:8.1f} tokens/s   sure {sure:.3f}", flush=True)


def measure(model: Model, profile: Profile, at_once: int, rounds: int) -> tuple[float, float]:
    """Return the tokens a second in all, and the share of tokens that count as certain."""
    messages = prompt_of_sample(profile)
    replies: list[Reply] = []

    def ask(seed: int) -> int:
        replies.append(model.reply(messages, select_tools(profile), replace(profile.sampling, seed=seed)))
        return replies[-1].completion_tokens

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(ask, range(1000, 1000 + at_once)))
        replies.clear()
        speeds = []
        for number in range(rounds):
            began = time.perf_counter()
            tokens = sum(pool.map(ask, range(number * 4, number * 4 + 4)))
            speeds.append(tokens / (time.perf_counter() - began))
    logprobs = [logprob for reply in replies if reply.tokens for logprob in reply.tokens.logprobs]
    return median(speeds), sum(logprob == 0.0 for logprob in logprobs) / max(1, len(logprobs))


def prompt_of_sample(profile: Profile) -> tuple[Message, ...]:
    told = sample(SAMPLE)
    files = [ShownFile(path, (TASKS / SAMPLE / "repo" / path).read_text()) for path in SHOWN]
    facts = MessageFacts(Task(SAMPLE, told.instruction, told.checks), SHOWN, files=files)
    return (Message("user", write_first_message(facts, profile, None)),)


def open_here(spec: str, profile: Profile, at_once: int) -> closing[Model]:
    return closing(open_model(spec, profile=profile, options=ModelOptions(at_once=at_once)))


@contextmanager
def open_speculating(name: str, profile: Profile, at_once: int) -> Iterator[Model]:
    """Serve the model as `Embedded` does, with the simplest n-gram speculation of llama.cpp."""
    entry = find_entry(name)
    assert entry
    file, xllamacpp = weights_dir(None) / entry.file, importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.n_batch, params.verbosity, params.warmup, params.ui = str(file), 512, 0, False, False
    params.n_ctx, params.n_parallel = profile.context_tokens * at_once, at_once
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = len(os.sched_getaffinity(0))
    params.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    server = xllamacpp.Server(params)
    client = HttpClient(server.listening_address, local=True)
    with closing(Llama(client, name, weights=name_weights(file), calling=profile.calling)) as model:
        yield model


if __name__ == "__main__":
    main()
