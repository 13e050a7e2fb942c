"""`codagent-train play`: a person plays a pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from codagent.protocols import Environment
from codagent.types import Message, Task

TASKS = 4  # in the pack that a person plays


def play(
    environment: Annotated[
        Literal["frozenlake", "control", "alchemy", "conventions", "terminal", "grid", "pde"],
        typer.Argument(metavar="GAME", help="The game: frozenlake, control, alchemy, conventions, terminal, grid or pde."),
    ],
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="Level of the game.", show_default="its first")] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Short for --level hard.")] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Let the game show what it remembers of earlier tasks, as the paper's does.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Number of the pack.")] = 0,
) -> None:
    """Play four tasks yourself, in few words.

    The rules say what an answer looks like. Ctrl-D ends the game.
    """
    from codagent_train.environments.make import open_game

    game = open_game(environment, "hard" if hard else level, seed, tasks=TASKS, memory="environment" if memory else "notes")
    opened, total = game.open_environment(), 0.0
    print(opened.reset(game.pack.tasks[0], "(your memory)")[0].content)
    try:
        for number, task in enumerate(game.pack.tasks, 1):
            print(f"\n# task {number} of {TASKS}\n")
            total += _play_task(opened, task, game.has_form, game.expected)
    except EOFError:
        print()
    print(f"\ntotal {total:.2f} of {TASKS}")


def _play_task(environment: Environment, task: Task, has_form: Callable[[str], bool], expected: str) -> float:
    """Let a person play a task and return its reward. Raises EOFError when the person leaves."""
    messages, end = environment.reset(task, "")[1:], None
    while end is None:
        print("\n\n".join(message.content for message in messages))
        answer = input("> ")
        while not has_form(answer):
            answer = input(f"{expected}, please > ")
        observation = environment.step(Message("assistant", answer))
        messages, end = observation.messages, observation.end
    outcome = environment.grade()
    reward, feedback = (outcome.reward, outcome.feedback) if outcome else (0.0, "")
    print(f"{environment.describe_state()}\n{feedback} Reward {reward:.2f}.")
    return reward
