"""`codagent-train import`, `export` and `serve`: bring weights in, write them for others, serve them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from codagent.cli.numbers import at_least
from codagent_train.cli import library_logging
from codagent_train.cli.options import WEIGHTS_ARGUMENT, Out
from codagent_train.cli.say import say


def import_(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A name of `codagent models list`, a .gguf file, a folder, or OWNER/NAME of the hub.")
    ],
    out: Out,
) -> None:
    """Make a folder of weights to train from.

    A recipe names the folder as its `weights`.
    """
    from codagent.models.weights.download import show_progress, weights_dir
    from codagent_train.policy.import_weights import import_model

    weights = weights_dir(os.environ.get("XDG_CACHE_HOME"))
    library_logging.silence_libraries()
    with show_progress(sys.stderr) as progress:
        import_model(source, out, weights=weights, progress=progress, say=say)
    print(out)


def export(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="A run (its last checkpoint), a checkpoint, an adapter, or a folder of weights.")
    ],
    to: Annotated[
        Literal["merged", "gguf", "gguf-adapter", "hub-folder"],
        typer.Option(
            help="merged: a folder for transformers; gguf: a file for llama.cpp and gguf:FILE; gguf-adapter: a file for llama.cpp that goes"
            " with its base, for adapter:FILE; hub-folder: a folder to upload."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="PATH", help="Folder or file to make.")],
) -> None:
    """Write trained weights for use elsewhere."""
    from codagent.models.weights.download import weights_dir
    from codagent_train.policy.export_weights import export_weights as write
    from codagent_train.run_dir.weights_ref import resolve

    source = resolve(weights)
    library_logging.silence_libraries()
    write(source, out, to=to, catalog_dir=weights_dir(os.environ.get("XDG_CACHE_HOME")), say=say)
    print(out)


def serve(
    weights: Annotated[str, WEIGHTS_ARGUMENT],
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(parser=at_least(0, most=65535), metavar="N", help="Port to listen on; 0 takes a free one.")] = 0,
    engine: Annotated[
        Literal["local", "vllm"] | None,
        typer.Option(help="local: this process; vllm: starts `vllm serve`.", show_default="vllm if it and a GPU are there, else local"),
    ] = None,
) -> None:
    """Serve weights as an OpenAI-compatible endpoint.

    The URL and the API key are printed first. Ctrl-C ends it.
    """
    from codagent_train.run_dir.weights_ref import resolve
    from codagent_train.serving import vllm_server

    ref = resolve(weights)
    with suppress(KeyboardInterrupt):
        if engine == "vllm" or (engine is None and vllm_server.is_available()):
            with vllm_server.start_vllm(ref, host=host, port=port) as served:
                _announce(served.url, served.key, served.names)
                served.wait()
        from codagent_train.serving.adapters import open_weights
        from codagent_train.serving.server import listen

        library_logging.silence_libraries()
        with listen(open_weights(ref), host=host, port=port) as endpoint:
            _announce(endpoint.url, endpoint.key, endpoint.pool.names)
            endpoint.serve_forever()


def _announce(url: str, key: str, names: Sequence[str]) -> None:
    print(f"{url} {key}", flush=True)
    say(f"serving {', '.join(names)}; codagent takes the key from CODAGENT_API_KEY")
