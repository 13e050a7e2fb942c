"""Silence transformers, trl and datasets: no progress bars, no telemetry, no warnings that are meant for programmers."""

from __future__ import annotations

import os
import warnings


def silence_libraries() -> None:
    """Silence the libraries in this process. Call it before they are used."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
