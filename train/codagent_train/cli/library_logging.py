"""Silence transformers, trl and datasets: no progress bars, no telemetry, no warnings that are meant for programmers."""

from __future__ import annotations

import os
import sys
import warnings


def silence_libraries() -> None:
    """Silence the libraries in this process. Call it before they are used."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not sys.stderr.isatty():
        os.environ["TQDM_DISABLE"] = "1"  # transformers shows how far it has read a GGUF file
    warnings.filterwarnings("ignore", category=FutureWarning)  # of any module: transformers' appear as those of torch, which calls it
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
