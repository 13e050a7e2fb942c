"""Asks `codagent-train serve` for the same replies one at a time and several at once, and prints how many tokens a second in all that is.

    .venv/bin/python tests/benchmarks/serving.py [WEIGHTS ...] [--at-once 8] [--tokens 64] [--rounds 3]

WEIGHTS are what `codagent-train import` made; a tiny model with random weights comes last, or alone. Each has a server of its own, and both
ways take turns with it. Then 16 requests are made alone and side by side with the same seeds: each must get the same ids.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))
from codagent_train.cli import library_logging
from tests.train.doubles.characters import made, save

TRAIN = Path(sys.executable).with_name("codagent-train")
SIDE_BY_SIDE = 16

Ids = tuple[int, ...]


class Asking:
    """A server, and what is asked of it: request N has a text and a seed of its own."""

    def __init__(self, url: str, key: str, tokens: int) -> None:
        limits = httpx.Limits(max_connections=SIDE_BY_SIDE, max_keepalive_connections=SIDE_BY_SIDE)
        self.client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, limits=limits, timeout=None)
        self.tokens = tokens

    def reply(self, number: int) -> Ids:
        text = f"Tell me all that you know of the number {number}, and of its neighbours."
        body = {"messages": [{"role": "user", "content": text}], "seed": number, "max_tokens": self.tokens, "return_token_ids": True}
        answer = self.client.post("/chat/completions", json=body).raise_for_status()
        return tuple(answer.json()["choices"][0]["token_ids"])

    def replies(self, numbers: Sequence[int], at_once: int) -> list[Ids]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.reply, numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="*")
    for name, default in (("at-once", 8), ("tokens", 64), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    library_logging.silence_libraries()
    with tempfile.TemporaryDirectory() as folder:
        tiny = save(*made(), Path(folder) / "tiny")
        same = [measured(weights, given) for weights in (*given.weights, str(tiny))]
    sys.exit(not all(same))


def measured(weights: str, given: argparse.Namespace) -> bool:
    """Whether each of many side by side got what it gets alone."""
    with served(weights, given.tokens) as asking:
        asking.replies(range(2), 2)  # what is slow at first
        speeds: dict[int, list[float]] = {1: [], given.at_once: []}
        for _ in range(given.rounds):
            for at_once, found in speeds.items():
                began = time.perf_counter()
                replies = asking.replies(range(given.at_once), at_once)
                found.append(sum(map(len, replies)) / (time.perf_counter() - began))
        alone = asking.replies(range(SIDE_BY_SIDE), 1)
        equal = sum(map(tuple.__eq__, alone, asking.replies(range(SIDE_BY_SIDE), SIDE_BY_SIDE)))
    print(Path(weights).name)
    for at_once, found in speeds.items():
        print(f"  {at_once:2} at once {median(found):10,.1f} tokens/s")
    print(f"  ratio      {median(speeds[given.at_once]) / median(speeds[1]):10.2f}")
    print(f"  {equal} of {SIDE_BY_SIDE} side by side, {len(set(alone))} of them different, are what each is alone", flush=True)
    return equal == SIDE_BY_SIDE


@contextmanager
def served(weights: str, tokens: int) -> Iterator[Asking]:
    command = [TRAIN, "serve", weights, "--engine", "local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            url, key = process.stdout.readline().split() if process.stdout else ("", "")
            asking = Asking(url, key, tokens)
            yield asking
            asking.client.close()
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
