"""What transformers, trl and datasets would say on their own is not said: no bars, no telemetry, no advice for other people's code."""

from __future__ import annotations

import os
import warnings


def silence_libraries() -> None:
    """For this process, before anything else of theirs."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
