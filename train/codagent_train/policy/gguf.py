"""Weights as a GGUF file, after the one that they came from: its metadata, tokenizer included, with other numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from codagent.errors import UsageError

# Architectures, and whether the rows of their queries and keys lie in llama.cpp's order, where the two halves of a head alternate.
_ROTATED = {"llama": True, "qwen2": False, "qwen3": False}
_OURS = ("GGUF.", "general.alignment", "general.architecture", "general.file_type", "general.quantization_version")
_COPIED = ("rope_freqs.weight",)  # follows from the settings; transformers has none


def write_gguf(out: Path, weights: Mapping[str, Any], *, template: Path, heads: tuple[int, int]) -> None:
    """The file `out` with `weights`, numpy arrays by their names in transformers: matrices as float16, the rest as float32.

    `heads` are those of queries and of keys. UsageError when the template is no GGUF of such a model, or the weights do not fit it.
    """
    from gguf import GGUFValueType, GGUFWriter, LlamaFileType

    reader = _open(template)
    kind = str(reader.fields["general.architecture"].contents())
    if kind not in _ROTATED:
        raise UsageError(f"models of the kind {kind} cannot be written as GGUF, only {', '.join(_ROTATED)}; take --to merged")
    weights_by_name = _with_gguf_names(weights, reader, kind)
    with closing(GGUFWriter(out, kind)) as writer:
        writer.add_custom_alignment(int(reader.alignment))
        for name, field in reader.fields.items():
            is_array, value = field.types[0] == GGUFValueType.ARRAY, field.contents()
            if not name.startswith(_OURS) and not (is_array and not value):  # the writer takes no empty lists
                writer.add_key_value(name, value, field.types[0], sub_type=field.types[-1] if is_array else None)
        writer.add_file_type(LlamaFileType.MOSTLY_F16)
        for tensor in reader.tensors:
            if tensor.name in _COPIED:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            else:
                writer.add_tensor(tensor.name, _convert(tensor, weights_by_name, heads if _ROTATED[kind] else None))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def read_licence(file: Path) -> str:
    """What the file says of itself; nothing when it does not, or cannot be read."""
    try:
        field = _open(file).fields.get("general.license")
    except UsageError:
        return ""
    return str(field.contents()) if field else ""


def _open(file: Path) -> Any:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        reader.fields["general.architecture"].contents()
    except (OSError, ValueError, LookupError) as error:
        raise UsageError(f"{file} is not a GGUF file that can be read: {error}") from error
    return reader


def _with_gguf_names(weights: Mapping[str, Any], reader: Any, kind: str) -> dict[str, Any]:
    """By the names of the file. UsageError when it has no place for one; a head that is the embeddings needs none."""
    import numpy as np
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    (arch,) = (arch for arch, name in MODEL_ARCH_NAMES.items() if name == kind)
    names = get_tensor_name_map(arch, int(reader.fields[f"{kind}.block_count"].contents()))
    template_names = {tensor.name for tensor in reader.tensors}
    named = {names.get_name(name, try_suffixes=(".weight", ".bias")) or name: value for name, value in weights.items()}
    for name in named.keys() - template_names:
        if name != "output.weight" or not np.array_equal(named[name], named["token_embd.weight"]):
            raise UsageError(f"the GGUF that the weights came from has no place for {name}; take --to merged")
    return named


def _convert(tensor: Any, weights: Mapping[str, Any], heads: tuple[int, int] | None) -> Any:
    """Our tensor in the place of theirs. UsageError when there is none, or one of another shape, or with numbers too large."""
    import numpy as np

    value, shape = weights.get(tensor.name), tuple(int(size) for size in reversed(tensor.shape))
    if value is None or value.shape != shape:
        actual = "none" if value is None else str(value.shape)
        raise UsageError(f"the weights do not fit the GGUF that they came from: {tensor.name} is {shape} there, and here {actual}")
    if heads and ".attn_q." in tensor.name:
        value = _interleave_halves(value, heads[0])
    elif heads and ".attn_k." in tensor.name:
        value = _interleave_halves(value, heads[1])
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(value, dtype=np.float16 if len(shape) > 1 else np.float32)
    if not np.isfinite(converted).all():
        raise UsageError(f"{tensor.name} has numbers that float16 cannot hold; take --to merged")
    return converted


def _interleave_halves(value: Any, heads: int) -> Any:
    """The rows of each head, its first half and its second in turn."""
    return value.reshape(heads, 2, value.shape[0] // heads // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
