"""Prints how many steps of FrozenLake-Obscure one core makes in a second, without a model: resets, words and verdicts
included, in processor time.

.venv/bin/python tests/benchmarks/lake.py [--seconds 3]
"""

from __future__ import annotations

import argparse
import time
from itertools import cycle, islice

from codagent.types import Message
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, HARD, Level
from codagent_train.environments.frozenlake.wording import PAPER, TERSE, Form

GROUP = 8  # loops over one pack, as in training


def speed(level: Level, form: Form, answer: str, seconds: float) -> float:
    replies = cycle([Message("assistant", answer.format(code)) for code in (3, 1, 4, 1, 2, 4, 3, 2, 2)])
    steps, number = 0, 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        drawn = make_lake_pack(level, "train", number)
        number += 1
        for _ in range(GROUP):
            environment = FrozenLake(level, drawn.seed, form)
            for task in drawn.tasks:
                environment.reset(task, "")
                for reply in islice(replies, level.turns):
                    steps += 1
                    if environment.step(reply).end:
                        break
                environment.grade()
    return steps / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of the four")
    seconds = parser.parse_args().seconds
    for level in (EASY, HARD):
        for name, form, answer in (("paper", PAPER, "<answer>Direction {}</answer>"), ("terse", TERSE, "{}")):
            print(f"{level.name} {name}: {speed(level, form, answer, seconds):,.0f} steps per second")


if __name__ == "__main__":
    main()
