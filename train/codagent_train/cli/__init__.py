"""The `codagent-train` command: it reads the arguments, calls the rooms, and ends with an exit code. Only this room prints."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from codagent.errors import CodagentError, UsageError, explain_system_error
from codagent_train.cli import improve, play, results, tasks, training, weights

_EXTRA = ("accelerate", "datasets", "gguf", "matplotlib", "peft", "safetensors", "torch", "transformers", "trl")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Example: codagent-train run toy --out toy",
)


def main() -> None:
    """Run the command. A CodagentError becomes one line on stderr and its exit code.

    An error of the machine, as a full disk, is told in the same way. Any other error is a bug: Python prints its traceback, exit code 1.
    """
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
    except OSError as error:
        code, message = explain_system_error(error)
        print(f"codagent-train: {message}", file=sys.stderr)
        sys.exit(code)
    except KeyboardInterrupt:
        print("codagent-train: interrupted", file=sys.stderr)
        sys.exit(130)


@app.callback()
def codagent_train() -> None:
    """Train a model to improve from task to task by the notes that it writes."""


_EXAMPLES: dict[Callable[..., None], str] = {
    tasks.tasks: "codagent-train tasks my-repository --out tasks",
    tasks.repair: "codagent-train repair tasks --record repairs",
    improve.improve: "codagent-train improve my-repository --out improved",
    training.run: "codagent-train run toy --out toy",
    training.recipe: "codagent-train recipe smoke",
    training.check: "codagent-train check frozenlake",
    results.eval_: "codagent-train eval smoke --packs 20",
    results.plot: "codagent-train plot toy",
    results.export_data: "codagent-train export-data .codagent/loops --out data",
    weights.import_: "codagent-train import smollm2-135m --out base",
    weights.export: "codagent-train export smoke --to merged --out merged",
    weights.serve: "codagent-train serve smoke",
    play.play: "codagent-train play frozenlake",
}
for command, example in _EXAMPLES.items():
    app.command(command.__name__.rstrip("_").replace("_", "-"), epilog=f"Example: {example}")(command)
