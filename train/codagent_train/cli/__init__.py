"""The `codagent-train` command: argv -> calls -> exit code. Only it and what lies beside it print."""

from __future__ import annotations

import sys

import typer

from codagent.errors import CodagentError, UsageError
from codagent_train.cli import play, results, training, weights

_EXTRA = ("accelerate", "datasets", "gguf", "matplotlib", "peft", "safetensors", "torch", "transformers", "trl")

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


app.command("play")(play.play)
app.command("run")(training.run)
app.command("check")(training.check)
app.command("eval")(results.eval_)
app.command("plot")(results.plot)
app.command("export-data")(results.export_data)
app.command("import")(weights.import_)
app.command("export")(weights.export)
app.command("serve")(weights.serve)
