"""Weights as the trainer wants them: a folder that transformers loads fast, made of a catalogue entry, a GGUF file, the hub or a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.codec import encode
from codagent.errors import UsageError
from codagent.models import catalog
from codagent.models.download import Progress, pull
from codagent.models.embedded import weights_named
from codagent_train import quiet
from codagent_train.folder import first_line, refuse_unreadable, vacant, whole

CARD = "codagent.json"
_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
_CHUNK = 1 << 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Card:
    """What a folder was made of, as its `codagent.json` says. `weights` is the SHA-256 of the files that the weights came in, one after the
    other by name; `tokenizer` is its fingerprint. `recorded`: how records name the weights of a GGUF."""

    source: str
    weights: str
    tokenizer: str
    recorded: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """Where weights and tokenizer lie; `gguf` names the file in the folder that holds both, where one does."""

    folder: Path
    gguf: str | None

    @property
    def files(self) -> list[Path]:
        return [self.folder / self.gguf] if self.gguf else sorted(file for file in self.folder.glob("*.safetensors") if file.is_file())


def import_model(source: str, out: Path, *, weights: Path, progress: Progress, say: Say) -> Card:
    """Make the folder `out`, which is there whole or not at all; quantised weights become float32. `weights` is where pulled files lie.

    UsageError for a source that is missing or cannot chat, for an `out` that holds something, and for a disk that is too small.
    """
    out = vacant(out)
    found = _found(source, weights, progress)
    if not found.files:
        raise UsageError(f"there are no weights in {found.folder}: no *.safetensors; give a folder that transformers can load")
    say(f"reading {source}")
    quiet.hush()
    tokenizer = _tokenizer(source, found)
    model = _model(source, found)
    card = Card(source, digest(found.files), fingerprint(tokenizer), weights_named(found.files[0]) if found.gguf else "")
    say(f"writing {out}")
    _write(out, model, tokenizer, card)
    return card


def fingerprint(tokenizer: Any) -> str:
    """The SHA-256 of a transformers tokenizer's JSON with sorted keys, without how it pads and truncates: that changes with its use."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    told["truncation"] = told["padding"] = None
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest(files: Sequence[Path]) -> str:
    """The SHA-256 of the files, one after the other."""
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                found.update(chunk)
    return found.hexdigest()


def fits(folder: Path, size: int) -> None:
    """UsageError when the disk of `folder` has not that many bytes free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UsageError(
            f"the weights take {size / 1e9:,.1f} GB and {folder.parent} has {free / 1e9:,.1f} GB free; make room or give another --out"
        )


def _found(source: str, weights: Path, progress: Progress) -> _Found:
    path = Path(source).expanduser()
    entry = catalog.entry_named(source)
    if entry:
        return _Found(weights, pull(entry, weights, progress=progress).name)
    if path.is_dir():
        return _Found(path, None)
    if source.endswith(".gguf"):
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        return _Found(path.parent, path.name)
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        known = ", ".join(entry.name for entry in catalog.ENTRIES)
        raise UsageError(f"there is no model {source!r}; give one of {known}, a .gguf file, a folder, or OWNER/NAME of the hub")
    return _Found(_from_hub(source), None)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(f"the hub does not give {name}: {first_line(error)}; check the name and the network") from error


def _tokenizer(source: str, found: _Found) -> Any:
    from transformers import AutoTokenizer

    tokenizer = _loaded(AutoTokenizer, source, found)
    if not tokenizer.chat_template:
        raise UsageError(f"the tokenizer of {source} has no chat template; take an instruction-tuned model")
    if not tokenizer.is_fast:
        raise UsageError(f"the tokenizer of {source} has no tokenizer.json; the trainer needs one")
    return tokenizer


def _model(source: str, found: _Found) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    if found.gguf is None:
        return _loaded(AutoModelForCausalLM, source, found, dtype="auto")
    return _loaded(AutoModelForCausalLM, source, found, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True))


def _loaded(kind: Any, source: str, found: _Found, **settings: Any) -> Any:
    if found.gguf:
        settings["gguf_file"] = found.gguf
    with refuse_unreadable(f"{source} cannot be loaded", "give another folder, file or name"):
        try:
            return kind.from_pretrained(found.folder, local_files_only=True, trust_remote_code=False, **settings)
        except ImportError as error:
            raise UsageError(f"{source} needs what is not installed: {first_line(error)}; pip install 'codagent[train]'") from error


def _write(out: Path, model: Any, tokenizer: Any, card: Card) -> None:
    with whole(out) as unfinished:
        unfinished.mkdir()
        fits(unfinished, model.get_memory_footprint())
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / CARD).write_text(json.dumps(encode(card), indent=2) + "\n", encoding="utf-8")
