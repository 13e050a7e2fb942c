"""Write a LoRA adapter as the GGUF file that llama.cpp puts on a base model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import refuse_unreadable
from codagent_train.policy import gguf
from codagent_train.policy.lora import TENSOR_NAME, read_lora_config
from codagent_train.run_dir.weights_ref import ADAPTER_TENSORS


def write_gguf_adapter(out: Path, adapter: Path, *, base: Path, facts: Mapping[str, str]) -> None:
    """Write the adapter in the folder `adapter` to the file `out`. `base` is the GGUF file of the model that it belongs to.

    `facts` are texts for the file's metadata, by their keys. The numbers are written as float16. Raises UsageError when the adapter cannot
    be read, has layers or dimensions that the base lacks, or is of a kind that llama.cpp does not know.
    """
    from gguf import GGUFWriter
    from safetensors.torch import load_file

    reader, kind = gguf.open_model(base)
    heads = tuple(int(reader.fields[f"{kind}.attention.{name}"].contents()) for name in ("head_count", "head_count_kv"))
    with refuse_unreadable(f"the adapter in {adapter} cannot be read", "give another checkpoint"):
        config, tensors = read_lora_config(adapter), load_file(adapter / ADAPTER_TENSORS)
    if config.use_dora or config.fan_in_fan_out:
        raise UsageError(f"the adapter in {adapter} is not a plain LoRA, and llama.cpp takes no other; take --to merged")
    with closing(GGUFWriter(out, kind)) as writer:
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(config.lora_alpha))
        for name, text in facts.items():
            writer.add_string(name, text)
        for name, value in _convert(tensors, config, reader, kind, heads if gguf.ROTATED[kind] else ()):
            writer.add_tensor(name, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def _convert(tensors: Mapping[str, Any], config: Any, reader: Any, kind: str, heads: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the numbers of each tensor of the file.

    A is (rank, inputs) and B is (outputs, rank). `heads` is the number of heads for queries and for keys; empty when their rows keep their
    order. llama.cpp scales every layer by the alpha of the file and the rank of the layer; what a layer differs from that goes into its B.
    """
    names, shapes = gguf.map_names(reader, kind), {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in reader.tensors}
    pairs: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        match = TENSOR_NAME.fullmatch(name)
        assert match is not None, "read_lora_config has checked it"
        pairs.setdefault(match[1], {})[match[2]] = tensor.float().numpy()
    for layer, pair in pairs.items():
        target = f"{names.get_name(layer) or layer}.weight"
        a, b = pair.get("A"), pair.get("B")
        if a is None or b is None or target not in shapes:
            raise UsageError(f"the adapter changes {layer}, which the GGUF of its base does not have as a layer; take --to merged")
        if (b.shape[0], a.shape[1]) != shapes[target]:
            raise UsageError(f"the adapter has other dimensions than its base: {layer} is {(b.shape[0], a.shape[1])}, not {shapes[target]}")
        b = b * (_scale(config, layer, len(a)) * len(a) / config.lora_alpha)
        if heads and (".attn_q." in target or ".attn_k." in target):
            b = gguf.interleave_halves(b, heads[".attn_k." in target])
        yield f"{target}.lora_a", gguf.to_floats(a, target)
        yield f"{target}.lora_b", gguf.to_floats(b, target)


def _scale(config: Any, layer: str, rank: int) -> float:
    """Return by what peft multiplies the output of a layer's adapter."""
    own = (value for name, value in config.alpha_pattern.items() if re.fullmatch(rf"(.*\.)?{re.escape(name)}", layer))
    alpha = float(next(own, config.lora_alpha))
    return alpha / (math.sqrt(rank) if config.use_rslora else rank)
