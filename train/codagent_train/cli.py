"""The `codagent-train` command: argv -> calls -> exit code. Only it prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codagent.errors import CodagentError, UsageError
from codagent.truncate import harmless
from codagent.types import Environment, Message, Task

if TYPE_CHECKING:
    from codagent_train.recipe import Recipe

_EXTRA = ("accelerate", "datasets", "gguf", "matplotlib", "peft", "safetensors", "torch", "transformers", "trl")
TASKS = 4  # of a pack that a person plays

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def main() -> None:
    """Anything but a CodagentError is a bug: Python prints its traceback and exits with 1."""
    try:
        app(prog_name="codagent-train")
    except CodagentError as error:
        print(f"codagent-train: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(f"codagent-train: this needs {error.name}; install it with: pip install 'codagent[train]'", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except KeyboardInterrupt:
        print("codagent-train: interrupted", file=sys.stderr)
        sys.exit(130)


@app.callback()
def codagent_train() -> None:
    """Train a model to get better from task to task by what it writes into its notes."""


@app.command()
def play(
    environment: Annotated[Literal["frozenlake"], typer.Argument(help="What to play.")],  # noqa: ARG001
    hard: Annotated[bool, typer.Option("--hard", help="Larger lakes.")] = False,
    seed: Annotated[int, typer.Option(help="Which pack.")] = 0,
) -> None:
    """Play a pack of four tasks yourself; Ctrl-D leaves."""
    from codagent_train.environments.frozenlake import TERSE, FrozenLake, pack
    from codagent_train.environments.lakes import EASY, HARD

    level = HARD if hard else EASY
    drawn = pack(level, "test", seed, tasks=TASKS)
    lakes = FrozenLake(level, drawn.seed, TERSE)
    total = 0.0
    print(lakes.reset(drawn.tasks[0], "(your memory)")[0].content)
    try:
        for number, task in enumerate(drawn.tasks, 1):
            print(f"\n# task {number} of {TASKS}\n")
            total += _played(lakes, task, TERSE.answer)
    except EOFError:
        print()
    print(f"\ntotal {total:.2f} of {TASKS}")


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A .toml file, or one that ships: toy, smoke, imitate, frozenlake, paper.")],
    out: Annotated[Path, typer.Option(help="The folder for metrics and checkpoints.")],
    seed: Annotated[int | None, typer.Option(help="Another seed than the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    log: Annotated[list[str] | None, typer.Option(help="Draw the metrics, too: tensorboard, trackio; again for both.")] = None,
) -> None:
    """Train a policy; at the end the folder of its last checkpoint is printed."""
    from codagent_train import checkpoint, disk, logs, policy, quiet
    from codagent_train import recipe as recipes
    from codagent_train.progress import Progress

    given = recipes.read(recipe, seed=checkpoint.seed_of(out) if resume and seed is None else seed)
    first = os.environ.get("RANK", "0") == "0"  # as torchrun numbers processes
    drawn_by = log if log and first else ()
    logs.check(drawn_by)
    if first:
        _fits(given, out)
    with disk.written(out):
        last = checkpoint.prepared(out, given, resume=resume, first=first)
        _say(f"{recipe}, seed {given.seed}, {given.learning.steps} steps, into {out}")
        quiet.hush()
        loaded = policy.load(given.policy, seed=given.seed)
        from codagent_train.trainer import train  # after what is quick to fail: it takes seconds

        progress = Progress(sys.stderr, given.learning.steps, done=checkpoint.step_of(last) if last else 0)
        with logs.opened(drawn_by, out) as tell:

            def on_step(step: int, values: Mapping[str, float]) -> None:
                progress(step, values)
                tell(step, values)

            train(given, loaded, out, last=last, on_step=on_step)
    print(checkpoint.latest(out))


@app.command()
def check(
    what: Annotated[
        list[str], typer.Argument(metavar="RECIPE|LOOPS...", help="As for run; or folders of recorded loops.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The folder that a run would have.")] = Path(),
) -> None:
    """Say what a run will take, in memory, tokens, disk and time; what cannot fit is refused. Or, of recorded loops, what can be learned
    from them, and why not from the others."""
    from codagent_train import estimate, recorded
    from codagent_train import recipe as recipes

    one = what[0] if len(what) == 1 else None
    if one is None or (Path(one).exists() and not one.endswith(".toml") and one not in recipes.shipped()):
        print(harmless(recorded.read([Path(each) for each in what]).told()))
        return
    given = recipes.read(one)
    model = estimate.sized(given)
    print(estimate.told(given, model, out))
    estimate.fits(given, model, out)


@app.command("eval")
def eval_(
    weights: Annotated[str, typer.Argument(help="A run, then its last checkpoint; a checkpoint; a folder of weights; a name on the hub.")],
    *,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe or a run: how to ask weights, and on which device.", show_default="the run's own")
    ] = None,
    level: Annotated[str | None, typer.Option(help="small, easy or hard.", show_default="the recipe's")] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="In a pack.", show_default="the recipe's")] = None,
    packing: Annotated[
        Literal["cod", "ralph"] | None,
        typer.Option(help="cod: different tasks; ralph: the first one again and again.", show_default="cod"),
    ] = None,
    notes: Annotated[
        Literal["own", "none", "shuffled", "frozen"],
        typer.Option(help="Whose notes are solved with: its own, none, those for another pack, those of the untrained model."),
    ] = "own",
    every: Annotated[bool, typer.Option("--all", help="Easy and hard, 4 and 8 tasks, both packings, but for what is given.")] = False,
    packs: Annotated[int, typer.Option(min=2, help="Test packs in a setting.")] = 100,
    loops: Annotated[int, typer.Option(min=1, help="Over each pack, with different draws.")] = 1,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the reports to a file, too.", show_default=False)] = None,
) -> None:
    """Play test packs of FrozenLake and print reward, success and notes by position, beside what can be reached."""
    from codagent_train import quiet, table
    from codagent_train.evaluate import Report
    from codagent_train.examine import Size, examine, opened, settings
    from codagent_train.players import player

    found = player(weights, asked=recipe)
    given = {name: value for name, value in (("level", level), ("tasks", tasks), ("packing", packing)) if value is not None}
    chosen = settings(found.recipe.environment, given, notes=notes, every=every)
    reports: list[Report] = []
    if json:
        table.writable(json)  # before hours of play
    quiet.hush()
    for report in examine(found, chosen, Size(packs, loops), say=_say, opener=opened):
        print(("\n" if reports else "") + table.markdown(report), flush=True)
        reports.append(report)
        if json:
            table.write(json, reports)


@app.command()
def serve(
    weights: Annotated[str, typer.Argument(help="A run, then its last checkpoint; a checkpoint; a folder of weights; a name on the hub.")],
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
) -> None:
    """Answer OpenAI-compatible requests with weights until Ctrl-C; the URL and the API key are printed first."""
    from codagent_train import quiet
    from codagent_train.serve import listening
    from codagent_train.serve_weights import opened

    quiet.hush()
    with suppress(KeyboardInterrupt), listening(opened(weights), host=host, port=port) as endpoint:
        print(f"{endpoint.url} {endpoint.key}", flush=True)
        _say(f"serving {', '.join(endpoint.weights.names)}; codagent takes the key from CODAGENT_API_KEY")
        endpoint.serve_forever()


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A name of `codagent models list`, a .gguf file, a folder, or OWNER/NAME of the hub.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
) -> None:
    """Make a folder of weights that loads fast, for the `weights` of a recipe."""
    from codagent.models.download import show_on, weights_dir
    from codagent_train.importing import import_model

    weights = weights_dir(os.environ.get("XDG_CACHE_HOME"))
    import_model(source, out, weights=weights, progress=show_on(sys.stderr), say=_say)
    print(out)


@app.command()
def plot(
    out: Annotated[Path, typer.Argument(help="The folder of a run.")],
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the picture goes.", show_default="reward.png in the folder")
    ] = None,
) -> None:
    """Draw reward by position over the steps of a run, with what can be reached, and print where the picture is."""
    from codagent_train.plots import draw

    file = png or out / "reward.png"
    draw(out, file)
    print(file)


def _fits(recipe: Recipe, out: Path) -> None:
    """UsageError for a run that cannot fit; where it cannot be told, that is said."""
    from codagent_train import estimate
    from codagent_train.shape import shape

    if model := shape(recipe.policy.weights):
        estimate.fits(recipe, model, out)
    else:
        _say(f"whether the run fits is not known: the weights {recipe.policy.weights} are not on this machine as safetensors")


def _say(line: str) -> None:
    print(f"codagent-train: {line}", file=sys.stderr)


def _played(environment: Environment, task: Task, valid: Callable[[str], int | None]) -> float:
    """The reward of a task that a person played. EOFError when they leave."""
    said, end = environment.reset(task, "")[1:], None
    while end is None:
        print("\n\n".join(message.content for message in said))
        answer = input("> ")
        while valid(answer) is None:
            answer = input("a digit from 1 to 4, please > ")
        observation = environment.step(Message("assistant", answer))
        said, end = observation.messages, observation.end
    outcome = environment.grade()
    reward, feedback = (outcome.reward, outcome.feedback) if outcome else (0.0, "")
    print(f"{environment.account()}\n{feedback} Reward {reward:.2f}.")
    return reward
