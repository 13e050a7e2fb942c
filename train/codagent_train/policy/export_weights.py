"""Export trained weights: merged into one model, as a GGUF file, or as a folder that is ready for a hub."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.embedded import name_weights
from codagent.models.weights.llama_adapter import ANSWERS_KEY, BASE_KEY, POLICY_KEY, SOURCE_KEY, TRAINED_KEY
from codagent.store.codec import decode
from codagent_train.files import atomic_output, refuse_unreadable, require_empty
from codagent_train.policy import gguf
from codagent_train.policy.gguf_adapter import write_gguf_adapter
from codagent_train.policy.import_weights import CARD_FILE, ImportCard
from codagent_train.policy.load import load_pretrained
from codagent_train.policy.lora import load_lora, read_lora_config
from codagent_train.recipe.schema import RANDOM, PolicyConfig, Recipe
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.run_dir.weights_ref import WeightsRef, read_adapter_settings, resolve

ExportFormat = Literal["merged", "gguf", "gguf-adapter", "hub-folder"]
_KEPT = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_LEFT = ("trainer_state.json", CARD_FILE)  # not for others: the state of the run, and paths of this machine


@dataclass(frozen=True, slots=True)
class WeightsOrigin:
    """The weights that training began with."""

    weights: str  # a folder, or a name on the hub
    card: ImportCard | None  # what they were imported from; None: not imported

    @property
    def entry(self) -> catalog.Entry | None:
        """The catalogue's entry for the weights; None when they are not in the catalogue."""
        return catalog.find_entry(self.card.source) if self.card else None

    @property
    def name(self) -> str:
        """The name of the weights on the hub. Weights that are only on this machine are named by their folder or file, without its path."""
        name = self.entry.repository if self.entry else self.card.source if self.card else self.weights
        local = name.count("/") != 1 or name.startswith((".", "/", "~")) or name.endswith(".gguf") or Path(name).exists()
        return Path(name).name if local else name

    @property
    def licence(self) -> str:
        """The licence of the weights: from the catalogue, else the README in the folder, else the GGUF file; else "unknown"."""
        if self.entry:
            return self.entry.licence
        folders = [Path(self.weights), *([Path(self.card.source).expanduser()] if self.card else [])]
        licences = (_read_licence(path / "README.md") or (gguf.read_licence(path) if path.suffix == ".gguf" else "") for path in folders)
        return next(filter(None, licences), "unknown")


def export_weights(source: WeightsRef, out: Path, *, to: ExportFormat, catalog_dir: Path, say: Callable[[str], None]) -> None:
    """Write weights to `out` in another form. When this fails, nothing is left at `out`.

    `catalog_dir` is the folder of the weights that `codagent models pull` fetched.
    Raises UsageError when the weights cannot be read or written in this form, when something is at `out`, or when the disk is full.
    """
    if not Path(source.location).is_dir():
        raise UsageError(
            f"{source.name} is a name on the hub, not a folder; make a folder of it first: codagent-train import {source.name}"
        )
    out = require_empty(out)
    if to in ("gguf", "gguf-adapter") and out.is_dir():
        raise UsageError(f"{out} is a folder, and a GGUF is one file; give its name in --out")
    origin = _find_origin(source)
    template = _find_template(origin, catalog_dir) if to in ("gguf", "gguf-adapter") else None
    say(f"writing {out}, from {source.location}")
    if template and to == "gguf-adapter":
        _gguf_adapter(out, source, origin, template)
        return
    if to == "hub-folder":
        _hub_folder(out, source, origin)
        return
    with atomic_output(out) as unfinished:
        model, processor = _merge(source)
        if template:
            config = model.config.get_text_config()
            weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
            gguf.write_gguf(unfinished, weights, template=template, heads=(config.num_attention_heads, config.num_key_value_heads))
        else:
            model.save_pretrained(unfinished)
            processor.save_pretrained(unfinished)


def _gguf_adapter(out: Path, source: WeightsRef, origin: WeightsOrigin, template: Path) -> None:
    """Write an adapter for llama.cpp. The file says which base it belongs to, and what it was trained with."""
    if source.adapter is None or Path(source.base).resolve() != Path(origin.weights).resolve() or origin.card is None:
        raise UsageError(f"{source.name} is not an adapter on weights that were imported from a GGUF file; take --to gguf")
    recipe = checkpoints.load_recipe(source.run) if source.run else None
    facts = {
        "general.name": source.name,
        BASE_KEY: origin.card.recorded,
        SOURCE_KEY: origin.card.source if origin.entry else str(template.resolve()),
        POLICY_KEY: source.name,
        TRAINED_KEY: describe_training(recipe) if recipe else "",
        ANSWERS_KEY: recipe.policy.answers if recipe else "",
    }
    with atomic_output(out) as unfinished:
        write_gguf_adapter(unfinished, source.adapter, base=template, facts=facts)


def describe_training(recipe: Recipe) -> str:
    """Say in a line what a run learns from."""
    sources = [f"{weight:g} {name}" for name, weight in recipe.sources.to_dict().items() if weight]
    return f"{recipe.environment.name}, {', '.join(sources)}, {recipe.learning.steps} steps"


def _merge(source: WeightsRef) -> tuple[Any, Any]:
    """Load the model, with the adapter merged into its weights, and the tokenizer.

    Raises UsageError when they cannot be read or do not fit each other.
    """
    from peft import PeftModel

    problem = f"{source.adapter} cannot be put on {source.base}" if source.adapter else f"{source.base} cannot be read"
    with refuse_unreadable(problem, "give another checkpoint"):
        policy = load_pretrained(PolicyConfig(weights=source.base))
        if source.adapter is None:
            return policy.model, policy.processor
        model = PeftModel(policy.model, read_lora_config(source.adapter))
        load_lora(model, source.adapter, "default")
        return model.merge_and_unload(), policy.processor


def _find_origin(source: WeightsRef) -> WeightsOrigin:
    """Find the weights that training began with.

    An adapter leads to its base, and a checkpoint to the weights that its run began with.
    """
    weights, seen = source.base, set[str]()
    while weights not in seen and Path(weights).is_dir():
        seen.add(weights)
        ref = resolve(weights)
        weights = checkpoints.load_recipe(ref.run).policy.weights if ref.run and not ref.adapter else ref.base
    return WeightsOrigin(weights, _read_card(Path(weights)))


def _read_card(folder: Path) -> ImportCard | None:
    """Read the card of imported weights; None when the folder has none."""
    try:
        return decode(ImportCard, json.loads((folder / CARD_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _find_template(origin: WeightsOrigin, pulled: Path) -> Path:
    """Return the GGUF file that the weights came from. Raises UsageError when there is none, or it was moved or changed."""
    if origin.card is None or not origin.card.recorded:
        raise UsageError(f"{origin.weights} was not imported from a GGUF file, so it cannot be written as one; take --to merged")
    file = pulled / origin.entry.file if origin.entry else Path(origin.card.source).expanduser()
    if not file.is_file():
        raise UsageError(f"{file}, which {origin.weights} was imported from, is not there; fetch it again, or take --to merged")
    if name_weights(file) != origin.card.recorded:
        raise UsageError(f"{file} has changed since {origin.weights} was imported from it; import it again and train on that")
    return file


def _hub_folder(out: Path, source: WeightsRef, origin: WeightsOrigin) -> None:
    """Write the folder for a hub: weights, tokenizer, recipe and metrics of the run, licence, README."""
    folder, run = Path(source.location), source.run
    with atomic_output(out) as unfinished:
        unfinished.mkdir()
        for file in sorted(file for pattern in _KEPT for file in folder.glob(pattern)):
            if file.name not in _LEFT and file.is_file():
                shutil.copy(file, unfinished / file.name)
        if not (unfinished / "tokenizer_config.json").exists():
            _load_tokenizer(source).save_pretrained(unfinished)
        if source.adapter:
            config = read_adapter_settings(unfinished) | {"base_model_name_or_path": origin.name}
            (unfinished / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if run:
            checkpoints.begin_run(unfinished, _without_local_paths(checkpoints.load_recipe(run), origin))
        if run and (run / metrics.FILE).is_file():
            shutil.copy(run / metrics.FILE, unfinished)
            if source.step is not None:  # the run may have taken more steps than this checkpoint
                metrics.drop_after(unfinished / metrics.FILE, source.step)
        for file in Path(origin.weights).glob("LICEN[CS]E*"):
            shutil.copy(file, unfinished / file.name)
        card = _model_card(source, origin, metrics.read(unfinished / metrics.FILE))
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def _without_local_paths(recipe: Recipe, origin: WeightsOrigin) -> Recipe:
    """Return the recipe without paths of this machine."""
    folders = tuple(Path(folder).name for folder in recipe.records.folders)
    return replace(recipe, policy=replace(recipe.policy, weights=origin.name), records=replace(recipe.records, folders=folders))


def _load_tokenizer(source: WeightsRef) -> Any:
    """Load the tokenizer of the base. Raises UsageError when the base has none."""
    from transformers import AutoTokenizer

    with refuse_unreadable(f"there is no tokenizer in {source.base}", "put one beside the weights"):
        return AutoTokenizer.from_pretrained(source.base, trust_remote_code=False)


def _read_licence(file: Path) -> str:
    """Return the licence in the front matter of a model card; "" when it has none."""
    try:
        front_matter = re.match(r"---\n(.*?\n)---\n", file.read_text(encoding="utf-8"), re.DOTALL)
    except (OSError, ValueError):
        return ""
    licence = re.search(r"^license:[ \t]*['\"]?([^\s'\"]+)", front_matter[1], re.MULTILINE) if front_matter else None
    return licence[1] if licence else ""


def _model_card(source: WeightsRef, origin: WeightsOrigin, lines: Sequence[Mapping[str, float]]) -> str:
    """Return the README of a folder for a hub. `lines` are the metrics of the run up to these weights; empty when no run is known."""
    last = {name: value for name, value in (lines[-1] if lines else {}).items() if name.startswith(("reward/", "success/"))}
    kind, library, relation = ("adapter", "peft", "adapter") if source.adapter else ("weights", "transformers", "finetune")
    base = "" if origin.weights == RANDOM else f"base_model: {origin.name}\nbase_model_relation: {relation}\n"
    facts = [f"base: {origin.name}, licence {origin.licence}"]
    if source.adapter and origin.entry:
        facts.append(f"the folder that it was trained on: `codagent-train import {origin.entry.name} --out base`")
    if source.run and source.step is not None:
        facts.append(f"steps: {source.step}; the recipe is in `{checkpoints.RUN_FILE}`, what each step measured in `{metrics.FILE}`")
    facts += [f"{name}: {value:.3f} in the last step" for name, value in last.items()]
    return f"""---
{base}library_name: {library}
license: {origin.licence.lower()}
tags: [codagent, connect-the-dots, grpo]
---

# {source.name}

The {kind} of a model that codagent trained to get better from task to task by what it writes into its notes (arXiv 2606.20002).

{"".join(f"- {line}" + chr(10) for line in facts)}"""
