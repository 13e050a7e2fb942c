"""What was trained, for use elsewhere: merged weights, a GGUF file, or a folder that is ready for a hub."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from codagent.codec import decode
from codagent.errors import UsageError
from codagent.models import catalog
from codagent.models.embedded import weights_named
from codagent_train import checkpoint, gguf_file, metrics, recipe
from codagent_train.folder import refuse_unreadable, vacant, whole
from codagent_train.importing import CARD, Card
from codagent_train.policy import pretrained
from codagent_train.serve_adapter import load, lora
from codagent_train.serve_source import Source, base_of, is_adapter, located, settings_of

To = Literal["merged", "gguf", "hub-folder"]
_KEPT = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_LEFT = ("trainer_state.json", CARD)  # the state of the run; where on this machine the weights came from


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
        local = found.count("/") != 1 or found.startswith((".", "/", "~")) or found.endswith(".gguf") or Path(found).exists()
        return Path(found).name if local else found

    @property
    def licence(self) -> str:
        """By the catalogue, else by the card in the folder, else by what the GGUF says of itself."""
        if self.entry:
            return self.entry.licence
        folders = [Path(self.weights), *([Path(self.card.source).expanduser()] if self.card else [])]
        said = (_licence_in(each / "README.md") or (gguf_file.licence(each) if each.suffix == ".gguf" else "") for each in folders)
        return next(filter(None, said), "unknown")


def export(given: str, out: Path, *, to: To, pulled: Path, say: Callable[[str], None]) -> None:
    """Write what `given` names (a run, a checkpoint, a folder of weights) to `out`, which is there whole or not at all.

    `pulled` is where weights of the catalogue lie. UsageError for what is not there, cannot be written so, or has no room.
    """
    if not Path(given).is_dir():
        raise UsageError(f"there is no folder {given}; give a run, a checkpoint, or a folder of weights")
    out, source = vacant(out), located(given)
    if to == "gguf" and out.is_dir():
        raise UsageError(f"{out} is a folder, and a GGUF is one file; give its name in --out")
    origin = _origin(source)
    template = _template(origin, pulled) if to == "gguf" else None
    say(f"writing {out}, from {source.adapter or source.base}")
    if to == "hub-folder":
        _hub_folder(out, source, origin)
        return
    model, processor = _merged(source)
    with whole(out) as unfinished:
        if template:
            config = model.config.get_text_config()
            weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
            gguf_file.write(unfinished, weights, template=template, heads=(config.num_attention_heads, config.num_key_value_heads))
        else:
            model.save_pretrained(unfinished)
            processor.save_pretrained(unfinished)


def _merged(source: Source) -> tuple[Any, Any]:
    """The model, its adapter a part of its weights, and its tokenizer. UsageError when they cannot be read, or do not fit each other."""
    from peft import PeftModel

    what = f"{source.adapter} cannot be put on {source.base}" if source.adapter else f"{source.base} cannot be read"
    with refuse_unreadable(what, "give another checkpoint"):
        policy = pretrained(recipe.Policy(weights=source.base))
        if source.adapter is None:
            return policy.model, policy.processor
        dressed = PeftModel(policy.model, lora(source.adapter))
        load(dressed, source.adapter, "default")
        return dressed.merge_and_unload(), policy.processor


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
    except (OSError, ValueError, TypeError, RecursionError):
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
    _check(folder)
    of_run = checkpoint.is_checkpoint(folder) and checkpoint.is_run(folder.parent)
    with whole(out) as unfinished:
        unfinished.mkdir()
        for file in sorted(file for pattern in _KEPT for file in folder.glob(pattern)):
            if file.name not in _LEFT and file.is_file():
                shutil.copy(file, unfinished / file.name)
        if not (unfinished / "tokenizer_config.json").exists():
            _tokenizer(source).save_pretrained(unfinished)
        if source.adapter:
            config = settings_of(unfinished) | {"base_model_name_or_path": origin.name}
            (unfinished / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if of_run:
            checkpoint.begin(unfinished, _shared(checkpoint.recipe_of(folder.parent), origin))
        if of_run and (folder.parent / metrics.FILE).is_file():
            shutil.copy(folder.parent / metrics.FILE, unfinished)
            metrics.cut(unfinished / metrics.FILE, checkpoint.step_of(folder))  # the run may have gone on
        for file in Path(origin.weights).glob("LICEN[CS]E*"):
            shutil.copy(file, unfinished / file.name)
        card = _model_card(source, origin, checkpoint.step_of(folder) if of_run else None, metrics.read(unfinished / metrics.FILE))
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def _shared(told: recipe.Recipe, origin: Origin) -> recipe.Recipe:
    """The recipe of a run, for others: it names no place on this machine."""
    folders = tuple(Path(folder).name for folder in told.records.folders)
    return replace(told, policy=replace(told.policy, weights=origin.name), records=replace(told.records, folders=folders))


def _check(folder: Path) -> None:
    """UsageError when there are no weights in the folder, or they were cut off."""
    from safetensors import safe_open

    files = sorted(file for file in folder.glob("*.safetensors") if file.is_file())
    if not files:
        raise UsageError(f"there are no weights in {folder}: no *.safetensors; give a run, a checkpoint, or a folder of weights")
    for file in files:
        with refuse_unreadable(f"{file} cannot be read", "give another checkpoint"), safe_open(file, "np"):
            pass


def _tokenizer(source: Source) -> Any:
    from transformers import AutoTokenizer

    with refuse_unreadable(f"there is no tokenizer in {source.base}", "put one beside the weights"):
        return AutoTokenizer.from_pretrained(source.base, trust_remote_code=False)


def _licence_in(file: Path) -> str:
    """What the front matter of a model card says, if there is any."""
    try:
        said = re.match(r"---\n(.*?\n)---\n", file.read_text(encoding="utf-8"), re.DOTALL)
    except (OSError, ValueError):
        return ""
    found = re.search(r"^license:[ \t]*['\"]?([^\s'\"]+)", said[1], re.MULTILINE) if said else None
    return found[1] if found else ""


def _model_card(source: Source, origin: Origin, step: int | None, lines: Sequence[Mapping[str, float]]) -> str:
    """`step` is that of the checkpoint, where it is one of a run, and `lines` what was measured until then."""
    last = {name: value for name, value in (lines[-1] if lines else {}).items() if name.startswith(("reward/", "success/"))}
    kind, library, relation = ("adapter", "peft", "adapter") if source.adapter else ("weights", "transformers", "finetune")
    base = "" if origin.weights == recipe.RANDOM else f"base_model: {origin.name}\nbase_model_relation: {relation}\n"
    told = [f"base: {origin.name}, licence {origin.licence}"]
    if source.adapter and origin.entry:
        told.append(f"the folder that it was trained on: `codagent-train import {origin.entry.name} --out base`")
    if step is not None:
        told.append(f"steps: {step}; the recipe is in `{checkpoint.RUN}`, what each step measured in `{metrics.FILE}`")
    told += [f"{name}: {value:.3f} in the last step" for name, value in last.items()]
    return f"""---
{base}library_name: {library}
license: {origin.licence.lower()}
tags: [codagent, connect-the-dots, grpo]
---

# {source.name or Path(source.base).resolve().name}

The {kind} of a model that codagent trained to get better from task to task by what it writes into its notes (arXiv 2606.20002).

{"".join(f"- {line}" + chr(10) for line in told)}"""
