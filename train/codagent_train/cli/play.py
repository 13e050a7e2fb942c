"""`codagent-train play`: a person plays a pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from codagent.protocols import Environment
from codagent.types import Message, Task

TASKS = 4  # in the pack that a person plays


def play(
    environment: Annotated[Literal["frozenlake"], typer.Argument(help="The game.")],  # noqa: ARG001
    hard: Annotated[bool, typer.Option("--hard", help="Play on larger lakes.")] = False,
    seed: Annotated[int, typer.Option(help="Number of the pack.")] = 0,
) -> None:
    """Play four tasks yourself.

    Answer with a digit from 1 to 4. Ctrl-D ends the game.
    """
    from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
    from codagent_train.environments.frozenlake.rules import EASY, HARD
    from codagent_train.environments.frozenlake.wording import TERSE

    level = HARD if hard else EASY
    pack = make_lake_pack(level, "test", seed, tasks=TASKS)
    lakes = FrozenLake(level, pack.seed, TERSE)
    total = 0.0
    print(lakes.reset(pack.tasks[0], "(your memory)")[0].content)
    try:
        for number, task in enumerate(pack.tasks, 1):
            print(f"\n# task {number} of {TASKS}\n")
            total += _play_task(lakes, task, TERSE.parse_answer)
    except EOFError:
        print()
    print(f"\ntotal {total:.2f} of {TASKS}")


def _play_task(environment: Environment, task: Task, valid: Callable[[str], int | None]) -> float:
    """Let a person play a task and return its reward. Raises EOFError when the person leaves."""
    messages, end = environment.reset(task, "")[1:], None
    while end is None:
        print("\n\n".join(message.content for message in messages))
        answer = input("> ")
        while valid(answer) is None:
            answer = input("a digit from 1 to 4, please > ")
        observation = environment.step(Message("assistant", answer))
        messages, end = observation.messages, observation.end
    outcome = environment.grade()
    reward, feedback = (outcome.reward, outcome.feedback) if outcome else (0.0, "")
    print(f"{environment.describe_state()}\n{feedback} Reward {reward:.2f}.")
    return reward
