"""Adapters that llama.cpp puts on a quantised base: written by the trainer once, and kept beside the weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.embedded import name_weights
from codagent.models.weights.gguf_header import read_texts
from codagent.types import Profile

BASE_KEY = "codagent.base"  # what records call the weights of the base
SOURCE_KEY = "codagent.base_source"  # a name of the catalogue, or the path of a GGUF file
POLICY_KEY = "codagent.policy"  # what records call the trained weights
TRAINED_KEY = "codagent.trained_on"
ANSWERS_KEY = "codagent.answers"  # a key of `catalog.ANSWERS`
FOLDER = "adapters"  # in the folder of the weights
_NVIDIA = Path("/dev/nvidiactl")
_EXPORT = "import sys; sys.argv[0] = 'codagent-train'; from codagent_train.cli import main; main()"


@dataclass(frozen=True, slots=True)
class LlamaAdapter:
    """An adapter as a GGUF file, as its header describes it."""

    file: Path
    base: str  # what records call the weights of the base
    source: str  # a name of the catalogue, or the path of a GGUF file
    policy: str  # what records call the weights with the adapter
    trained_on: str  # in a line; "": not known
    answers: str = ""  # how it learned to answer, a key of `catalog.ANSWERS`; "": as its base

    @property
    def profile(self) -> Profile | None:
        """How the base is best worked with. None: it is not in the catalogue."""
        return _profile_of(self.source, self.answers)

    def find_base(self, weights: Path) -> Path:
        """Return the file of the base. `weights` is the folder that `pull` downloads to.

        Raises UsageError when the file is not there, or is another.
        """
        entry = catalog.find_entry(self.source)
        file = weights / entry.file if entry else Path(self.source)
        if not file.is_file():
            advice = f"codagent models pull {entry.name}" if entry else "put it back"
            raise UsageError(f"{file}, the base of the adapter {self.file.name}, is not there: {advice}")
        if name_weights(file) != self.base:
            raise UsageError(f"the adapter {self.file.name} belongs to the base {self.base}, and {file} is another")
        return file


def read_adapter(file: Path) -> LlamaAdapter:
    """Read the header of an adapter. Raises UsageError for any other file, and for an adapter that does not say which base it has."""
    texts = read_texts(file)
    if texts.get("general.type") != "adapter":
        raise UsageError(f"{file} is a whole model, not an adapter; take gguf:{file}")
    if not (texts.get(BASE_KEY) and texts.get(SOURCE_KEY)):
        raise UsageError(f"{file} does not say which base it belongs to; write it with `codagent-train export RUN --to gguf-adapter`")
    policy = texts.get(POLICY_KEY) or name_weights(file)
    return LlamaAdapter(file, texts[BASE_KEY], texts[SOURCE_KEY], policy, texts.get(TRAINED_KEY, ""), texts.get(ANSWERS_KEY, ""))


@cache
def find_adapter(path: Path, weights: Path) -> LlamaAdapter | str:
    """Return the adapter for llama.cpp that `path` names: such a file, or a run or a checkpoint of the trainer, which is converted once.

    Returns a reason in words when llama.cpp cannot use it, or when transformers is faster. Raises UsageError as `read_adapter` does.
    """
    if path.suffix == ".gguf":
        return read_adapter(path)
    checkpoint = _find_checkpoint(path)
    if reason := _unfit(checkpoint):
        return reason
    if _torch_has_gpu():
        return "there is a GPU"
    tensors = (checkpoint / "adapter_model.safetensors").stat()
    key = hashlib.sha256(f"{checkpoint} {tensors.st_mtime_ns} {tensors.st_size}".encode()).hexdigest()[:16]
    file = weights / FOLDER / f"{path.resolve().name}-{key}.gguf"
    if not file.is_file():
        command = [sys.executable, "-P", "-c", _EXPORT, "export", str(path.resolve()), "--to", "gguf-adapter", "--out", str(file)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            return (ran.stderr.strip().splitlines() or ["it cannot be converted"])[-1].removeprefix("codagent-train: ")
    return read_adapter(file)


def find_profile(path: Path) -> Profile | None:
    """Return how the weights at `path` are best worked with: as the model of the catalogue that they, or their base, were imported from.

    None: they were not imported from one.
    """
    checkpoint = _find_checkpoint(path)
    return _profile_of(str(_read_card(checkpoint).get("source", "")), _read_answers(checkpoint))


def _profile_of(source: str, answers: str) -> Profile | None:
    entry = catalog.find_entry(source)
    return catalog.answer_in(entry.profile, answers) if entry else None


def _read_answers(checkpoint: Path) -> str:
    """Return how the run of a checkpoint learned to answer. "": it does not say."""
    try:
        return str(json.loads((checkpoint.parent / "run.json").read_text(encoding="utf-8"))["policy"]["answers"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def list_adapters(weights: Path) -> list[LlamaAdapter]:
    """Return the adapters that were converted on this machine, sorted by name. Files that are none are left out."""
    found = []
    for file in sorted((weights / FOLDER).glob("*.gguf")):
        try:
            found.append(read_adapter(file))
        except UsageError:
            continue
    return found


def _find_checkpoint(path: Path) -> Path:
    """Return the last checkpoint of a run; `path` itself when it has none."""
    steps = {int(name): folder for folder in path.glob("checkpoint-*") if (name := folder.name.partition("-")[2]).isdecimal()}
    return steps[max(steps)].resolve() if steps else path.resolve()


def _unfit(checkpoint: Path) -> str:
    """Say in words why llama.cpp cannot use a checkpoint; "": nothing is known against it."""
    if _read_base(checkpoint) is None or not (checkpoint / "adapter_model.safetensors").is_file():
        return "it is not an adapter"
    return "" if _read_card(checkpoint).get("recorded") else "its base was not imported from a GGUF file"


def _read_base(checkpoint: Path) -> Path | None:
    """Return the folder of an adapter's base. None: it is no adapter."""
    try:
        return Path(json.loads((checkpoint / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _read_card(folder: Path) -> dict[str, object]:
    """Return what the card of imported weights says; of an adapter, that of its base. Empty: there is none."""
    try:
        card = json.loads(((_read_base(folder) or folder) / "codagent.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _torch_has_gpu() -> bool:
    """Whether torch can use an NVIDIA GPU here, as far as can be seen without importing it."""
    try:
        built_for_cpu = importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return not built_for_cpu and os.environ.get("CUDA_VISIBLE_DEVICES") != "" and _NVIDIA.exists()
