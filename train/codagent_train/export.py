"""What was trained, for use elsewhere: merged weights, a GGUF file, or a folder that is ready for a hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from codagent.codec import decode
from codagent.errors import UsageError
from codagent.models import catalog
from codagent.models.embedded import weights_named
from codagent_train import checkpoint, gguf_file, metrics, recipe
from codagent_train.folder import vacant, whole
from codagent_train.importing import CARD, Card
from codagent_train.policy import pretrained
from codagent_train.serve_source import Source, base_of, is_adapter, located

To = Literal["merged", "gguf", "hub-folder"]
_KEPT = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_OF_THE_RUN = ("trainer_state.json",)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the weights that training began with came from: their folder or name on the hub, and what they were imported from."""

    weights: str
    card: Card | None

    @property
    def entry(self) -> catalog.Entry | None:
        return catalog.entry_named(self.card.source) if self.card else None

    @property
    def name(self) -> str:
        """As a hub knows it; of what is on this machine alone, without where."""
        found = self.entry.repository if self.entry else self.card.source if self.card else self.weights
        return Path(found).name if Path(found).exists() else found

    @property
    def licence(self) -> str:
        return self.entry.licence if self.entry else "unknown"


def export(given: str, out: Path, *, to: To, pulled: Path, say: Callable[[str], None]) -> None:
    """Write what `given` names (a run, a checkpoint, a folder of weights) to `out`, which is there whole or not at all.

    `pulled` is where weights of the catalogue lie. UsageError for what is not there, cannot be written so, or has no room.
    """
    out, source = vacant(out), located(given)
    origin = _origin(source)
    template = _template(origin, pulled) if to == "gguf" else None
    say(f"writing {out}, from {source.adapter or source.base}")
    with whole(out) as unfinished:
        if to == "hub-folder":
            _hub_folder(unfinished, source, origin)
            return
        model, processor = _merged(source)
        if template:
            config = model.config.get_text_config()
            weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
            gguf_file.write(unfinished, weights, template=template, heads=(config.num_attention_heads, config.num_key_value_heads))
        else:
            model.save_pretrained(unfinished)
            processor.save_pretrained(unfinished)


def _merged(source: Source) -> tuple[Any, Any]:
    """The model, its adapter a part of its weights, and its tokenizer."""
    policy = pretrained(recipe.Policy(weights=source.base))
    if source.adapter is None:
        return policy.model, policy.processor
    from peft import PeftModel

    return PeftModel.from_pretrained(policy.model, source.adapter).merge_and_unload(), policy.processor


def _origin(source: Source) -> Origin:
    """Back from an adapter to its base, and from a checkpoint to what its run began with."""
    weights, seen = source.base, set[str]()
    while weights not in seen:
        seen.add(weights)
        folder = Path(weights)
        if is_adapter(folder):
            weights = base_of(folder)
        elif checkpoint.is_checkpoint(folder) and checkpoint.is_run(folder.parent):
            weights = checkpoint.recipe_of(folder.parent).policy.weights
    return Origin(weights, _card(Path(weights)))


def _card(folder: Path) -> Card | None:
    try:
        return decode(Card, json.loads((folder / CARD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _template(origin: Origin, pulled: Path) -> Path:
    """The GGUF file that the weights came from. UsageError when they came from none, or it is not there as it was."""
    if origin.card is None or not origin.card.recorded:
        raise UsageError(f"{origin.weights} was not imported from a GGUF file, so there is none to write another after; take --to merged")
    file = pulled / origin.entry.file if origin.entry else Path(origin.card.source).expanduser()
    if not file.is_file():
        raise UsageError(f"{file}, which {origin.weights} was imported from, is not there; fetch it again, or take --to merged")
    if weights_named(file) != origin.card.recorded:
        raise UsageError(f"{file} is not the file any more that {origin.weights} was imported from; import it again and train on that")
    return file


def _hub_folder(out: Path, source: Source, origin: Origin) -> None:
    folder = source.adapter or Path(source.base)
    if not folder.is_dir():
        raise UsageError(f"{folder} is on a hub already; give a run, or a checkpoint")
    out.mkdir()
    for file in sorted(file for pattern in _KEPT for file in folder.glob(pattern)):
        if file.name not in _OF_THE_RUN:
            shutil.copy(file, out / file.name)
    if source.adapter:
        config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
        (out / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": origin.name}, indent=2) + "\n", "utf-8")
    for file in (folder.parent / name for name in (metrics.FILE, checkpoint.RUN)):
        if file.is_file():
            shutil.copy(file, out / file.name)
    for file in Path(origin.weights).glob("LICEN[CS]E*"):
        shutil.copy(file, out / file.name)
    (out / "README.md").write_text(_model_card(source, origin, out), encoding="utf-8")


def _model_card(source: Source, origin: Origin, out: Path) -> str:
    lines = metrics.read(out / metrics.FILE)
    last = {name: value for name, value in (lines[-1] if lines else {}).items() if name.startswith(("reward/", "success/"))}
    kind, library, relation = ("adapter", "peft", "adapter") if source.adapter else ("weights", "transformers", "finetune")
    return f"""---
base_model: {origin.name}
base_model_relation: {relation}
library_name: {library}
license: {origin.licence.lower()}
tags: [codagent, connect-the-dots, grpo]
---

# {source.name or Path(source.base).resolve().name}

The {kind} of a model that codagent trained to get better from task to task by what it writes into its notes (arXiv 2606.20002).

- base: {origin.name}, licence {origin.licence}
- steps: {int(lines[-1]["step"]) if lines else "unknown"}; the recipe is in `{checkpoint.RUN}`, what each step measured in `{metrics.FILE}`
{"".join(f"- {name}: {value:.3f} in the last step" + chr(10) for name, value in last.items())}"""
