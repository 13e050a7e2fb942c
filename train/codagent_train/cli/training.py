"""`codagent-train run` and `check`: train, and estimate before training."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codagent.protocols import ignore_text
from codagent.text import sanitize
from codagent_train.cli import library_logging
from codagent_train.cli.options import On, Weights
from codagent_train.cli.say import say

if TYPE_CHECKING:
    from codagent_train.recipe.schema import Recipe


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A .toml file, or a name that `codagent-train recipe` lists.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for metrics and checkpoints.")],
    weights: Weights = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed, in place of the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in the folder.")] = False,
    log: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also send the metrics to tensorboard or trackio. Repeatable.")
    ] = None,
    on: On = None,
) -> None:
    """Train a policy as a recipe says.

    Prints the folder of the last checkpoint.
    """
    from codagent_train.cli.progress import show_steps
    from codagent_train.environments.make import vocabulary_of
    from codagent_train.files import disk_errors
    from codagent_train.policy.load import load_policy
    from codagent_train.recipe.schema import read_recipe
    from codagent_train.rollout.ray_rollout import open_rollout
    from codagent_train.run_dir import checkpoints, loggers

    seed = checkpoints.load_seed(out) if resume and seed is None else seed
    config = read_recipe(recipe, seed=seed, weights=_find_weights(weights))
    first = os.environ.get("RANK", "0") == "0"  # torchrun numbers the processes
    tell = say if first else ignore_text
    log_to = log if log and first else ()
    loggers.check_loggers(log_to)
    if first:
        _fits(config, out)
    with disk_errors(out):
        last = checkpoints.prepare_run(out, config, resume=resume, first=first)
        tell(f"{recipe}, seed {config.seed}, {config.learning.steps} steps, into {out}")
        library_logging.silence_libraries()
        done = checkpoints.step_of(last) if last else 0
        with (
            open_rollout(on) as play,
            loggers.open_loggers(log_to, out) as log_step,
            show_steps(sys.stderr, config.learning.steps, done=done) as show,
        ):
            policy = load_policy(config.policy, seed=config.seed, vocabulary=vocabulary_of(*config.environments), to_train=True)
            from codagent.repository.setups import AllowedSetups, allowed_file
            from codagent_train.data.redo import Operator
            from codagent_train.training.processes import exit_if_one_of_several
            from codagent_train.training.trainer import train  # takes seconds, so it comes after all that may fail quickly

            def on_step(step: int, values: Mapping[str, float]) -> None:
                show(step, values)
                log_step(step, values)

            operator = Operator(tell, AllowedSetups(allowed_file(os.environ)), play)
            train(config, policy, out, last=last, on_step=on_step, operator=operator)
    if first:
        print(checkpoints.find_latest(out))
    tell(_what_next(config, out))
    exit_if_one_of_several()


def recipe(name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a recipe.", show_default="all names")] = None) -> None:
    """Print a recipe to copy, or list the recipes."""
    from codagent_train.recipe.schema import describe_recipe, find_recipe, shipped_recipes

    if name is not None:
        print(find_recipe(name).read_text(encoding="utf-8"), end="")
        return
    names = shipped_recipes()
    width = max(map(len, names))
    for each in names:
        print(f"{each:{width}}  {describe_recipe(each)}")


def check(
    sources: Annotated[
        list[str], typer.Argument(metavar="RECIPE|LOOPS...", help="A recipe, or folders of recorded loops.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run, to check its disk.")] = Path(),
    weights: Weights = None,
) -> None:
    """Estimate what a run needs, or list the loops to learn from.

    With a recipe: memory, tokens, disk and time, and an error when the run cannot fit. With folders of recorded loops: what can be learned
    from them, and why some cannot be used.
    """
    from codagent_train.data import mixture
    from codagent_train.data.records.scan import scan
    from codagent_train.policy.size.config_size import require_size
    from codagent_train.recipe.schema import read_recipe, shipped_recipes
    from codagent_train.run_dir.weights_ref import name_base
    from codagent_train.training import estimate

    name = sources[0] if len(sources) == 1 else None
    if name is None or (Path(name).exists() and not name.endswith(".toml") and name not in shipped_recipes()):
        folders = [Path(path) for path in sources]
        found = scan(folders)
        print(sanitize(found.describe()))
        print(mixture.describe_uses(folders))
        if len(found.groups) == found.groups_without_signal:
            say("no group has a signal to learn from: record some with `codagent loop TASK --check CMD --group 4 --all --rewrite always`,")
            say("with a model that gives tokens, such as `embedded` or `adapter:DIR`, and a task that it passes sometimes")
        return
    config = read_recipe(name, weights=_find_weights(weights))
    model = require_size(name_base(config.policy.weights))
    recorded = estimate.measure_records(config)
    print(estimate.describe(config, model, out, recorded))
    estimate.check_fits(config, model, out, recorded)


def _find_weights(weights: str | None) -> str | None:
    """Return the folder that `--weights` means: a run stands for its last checkpoint. Raises UsageError for a run without one."""
    from codagent_train.run_dir import checkpoints
    from codagent_train.run_dir.weights_ref import resolve

    return resolve(weights).location if weights and checkpoints.is_run(Path(weights)) else weights


def _fits(recipe: Recipe, out: Path) -> None:
    """Raise UsageError when the run cannot fit. Say it when this is not known, and when weights have to be downloaded first."""
    from codagent_train.policy.size.config_size import size_by_config
    from codagent_train.policy.size.model_size import model_size
    from codagent_train.run_dir.weights_ref import name_base
    from codagent_train.training import estimate

    weights = name_base(recipe.policy.weights)
    here = model_size(weights)
    if model := here or size_by_config(weights):
        estimate.check_fits(recipe, model, out, estimate.measure_records(recipe))
    else:
        say(f"it is not known whether the run fits: the weights {weights} are not on this machine as safetensors")
    if not here and not Path(weights).exists():
        say(f"the weights {weights} are asked for on the hub; `codagent-train import` makes a folder of weights, which --weights DIR uses")


def _what_next(recipe: Recipe, out: Path) -> str:
    """Return a sentence with commands that use the result of a run."""
    if recipe.environment.name == "keycode":
        return f"next: `codagent-train plot {out}` draws what was learned; `codagent-train check smoke` is about a language model"
    return f"next: `codagent-train eval {out}` plays test packs with it, and `codagent run TASK --model adapter:{out}` works with it"
