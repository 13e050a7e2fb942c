"""Import weights: make a folder that transformers loads fast, from an entry of the catalogue, a GGUF file, the hub or a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.download import OnProgress, pull
from codagent.models.weights.embedded import name_weights
from codagent.store.codec import encode
from codagent_train.files import atomic_output, first_line, refuse_unreadable, require_empty

CARD_FILE = "codagent.json"
_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
_CHUNK = 1 << 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImportCard:
    """Where the weights in a folder came from, as its `codagent.json` says."""

    source: str  # what the user named
    weights: str  # SHA-256 of the weight files, in the order of their names
    tokenizer: str  # the fingerprint of the tokenizer
    recorded: str = ""  # what records call the weights of a GGUF file; "": the source is not a GGUF file


@dataclass(frozen=True, slots=True)
class _WeightFiles:
    """The folder that holds weights and tokenizer."""

    folder: Path
    gguf: str | None  # the name of the GGUF file that holds both; None: safetensors files

    @property
    def files(self) -> list[Path]:
        return [self.folder / self.gguf] if self.gguf else sorted(file for file in self.folder.glob("*.safetensors") if file.is_file())


def import_model(source: str, out: Path, *, weights: Path, progress: OnProgress, say: Say) -> ImportCard:
    """Import `source` into the folder `out`, and return its card. When this fails, nothing is left at `out`.

    `weights` is the folder of downloaded catalogue entries. Quantised weights become float32.
    Raises UsageError when the source is missing or has no chat template, when something is at `out`, or when the disk is full.
    """
    out = require_empty(out)
    files = _locate(source, weights, progress)
    if not files.files:
        raise UsageError(f"there are no weights in {files.folder}: no *.safetensors; give a folder that transformers can load")
    with atomic_output(out) as unfinished:
        unfinished.mkdir()  # before the weights are read, which takes long
        say(f"reading {source}")
        tokenizer = _tokenizer(source, files)
        model = _model(source, files)
        card = ImportCard(source, hash_files(files.files), fingerprint(tokenizer), name_weights(files.files[0]) if files.gguf else "")
        say(f"writing {out}")
        _write(unfinished, model, tokenizer, card)
    return card


def fingerprint(tokenizer: Any) -> str:
    """Return the SHA-256 of a transformers tokenizer: of its JSON with sorted keys.

    Its settings for padding and truncation are left out, because they change when the tokenizer is used.
    """
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    settings["truncation"] = settings["padding"] = None
    return hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_files(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the contents of the files, one after the other."""
    hasher = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                hasher.update(chunk)
    return hasher.hexdigest()


def check_room(folder: Path, size: int) -> None:
    """Raise UsageError when the disk of `folder` has fewer than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UsageError(
            f"the weights take {size / 1e9:,.1f} GB and {folder.parent} has {free / 1e9:,.1f} GB free; make room or give another --out"
        )


def _locate(source: str, weights: Path, progress: OnProgress) -> _WeightFiles:
    path = Path(source).expanduser()
    entry = catalog.find_entry(source)
    if entry:
        return _WeightFiles(weights, pull(entry, weights, progress=progress).name)
    if path.is_dir():
        return _WeightFiles(path, None)
    if source.endswith(".gguf"):
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        return _WeightFiles(path.parent, path.name)
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        known = ", ".join(entry.name for entry in catalog.ENTRIES)
        raise UsageError(f"there is no model {source!r}; give one of {known}, a .gguf file, a folder, or OWNER/NAME of the hub")
    return _WeightFiles(_from_hub(source), None)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(f"{name} cannot be fetched from the hub: {first_line(error)}; check the name and the network") from error


def _tokenizer(source: str, files: _WeightFiles) -> Any:
    from transformers import AutoTokenizer

    tokenizer = _from_pretrained(AutoTokenizer, source, files)
    if not tokenizer.chat_template:
        raise UsageError(f"the tokenizer of {source} has no chat template; take an instruction-tuned model")
    if not tokenizer.is_fast:
        raise UsageError(f"the tokenizer of {source} has no tokenizer.json; the trainer needs one")
    return tokenizer


def _model(source: str, files: _WeightFiles) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    if files.gguf is None:
        return _from_pretrained(AutoModelForCausalLM, source, files, dtype="auto")
    return _from_pretrained(AutoModelForCausalLM, source, files, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True))


def _from_pretrained(kind: Any, source: str, files: _WeightFiles, **settings: Any) -> Any:
    if files.gguf:
        settings["gguf_file"] = files.gguf
    with refuse_unreadable(f"{source} cannot be loaded", "give another folder, file or name"):
        try:
            return kind.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False, **settings)
        except ImportError as error:
            raise UsageError(
                f"{source} needs a package that is not installed: {first_line(error)}; pip install 'codagent[train]'"
            ) from error


def _write(folder: Path, model: Any, tokenizer: Any, card: ImportCard) -> None:
    check_room(folder, model.get_memory_footprint())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / CARD_FILE).write_text(json.dumps(encode(card), indent=2) + "\n", encoding="utf-8")
