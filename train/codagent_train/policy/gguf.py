"""Write trained weights as a GGUF file, with the metadata and the tokenizer of the file that the weights came from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import refuse_unreadable

# Architectures that can be written. True: llama.cpp keeps the rows of queries and keys in another order than transformers.
ROTATED = {"llama": True, "qwen2": False, "qwen3": False}
_OURS = ("GGUF.", "general.alignment", "general.architecture", "general.file_type", "general.quantization_version")
_COPIED = ("rope_freqs.weight",)  # computed from the settings; transformers has no such tensor


def write_gguf(out: Path, weights: Mapping[str, Any], *, template: Path, heads: tuple[int, int]) -> None:
    """Write `weights` to the file `out`, with the metadata of the GGUF file `template`.

    `weights` are numpy arrays by the names that transformers gives them. Matrices are written as float16, vectors as float32.
    `heads` is the number of attention heads for queries and for keys.
    Raises UsageError when the template is not the GGUF file of a llama, qwen2 or qwen3 model, or the weights do not fit it.
    """
    from gguf import GGUFValueType, GGUFWriter, LlamaFileType

    reader, kind = open_model(template)
    weights_by_name = _with_gguf_names(weights, reader, kind)
    with closing(GGUFWriter(out, kind)) as writer:
        writer.add_custom_alignment(int(reader.alignment))
        for name, field in reader.fields.items():
            is_array, value = field.types[0] == GGUFValueType.ARRAY, field.contents()
            if not name.startswith(_OURS) and not (is_array and not value):  # the writer refuses empty lists
                writer.add_key_value(name, value, field.types[0], sub_type=field.types[-1] if is_array else None)
        writer.add_file_type(LlamaFileType.MOSTLY_F16)
        for tensor in reader.tensors:
            if tensor.name in _COPIED:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            else:
                writer.add_tensor(tensor.name, _convert(tensor, weights_by_name, heads if ROTATED[kind] else None))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def open_model(file: Path) -> tuple[Any, str]:
    """Open the GGUF file of a model, and return it with its architecture. Raises UsageError for one that cannot be written."""
    reader = _open(file)
    kind = str(reader.fields["general.architecture"].contents())
    if kind not in ROTATED:
        raise UsageError(f"models of the kind {kind} cannot be written as GGUF, only {', '.join(ROTATED)}; take --to merged")
    return reader, kind


def map_names(reader: Any, kind: str) -> Any:
    """Return the map from the names of transformers to those of an open GGUF file."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    (arch,) = (arch for arch, name in MODEL_ARCH_NAMES.items() if name == kind)
    return get_tensor_name_map(arch, int(reader.fields[f"{kind}.block_count"].contents()))


def interleave_halves(value: Any, heads: int) -> Any:
    """Reorder the rows of each head: row 1 of its first half, row 1 of its second half, row 2 of the first, and so on.

    `value` is (rows, ...) with rows = heads * size of a head. llama.cpp keeps queries and keys of llama models in this order.
    """
    return value.reshape(heads, 2, value.shape[0] // heads // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)


def to_floats(value: Any, name: str, *, half: bool = True) -> Any:
    """Return the numbers of the tensor `name` as float16, or as float32 when they are not `half`.

    Raises UsageError when these cannot hold the numbers.
    """
    import numpy as np

    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(value, dtype=np.float16 if half else np.float32)
    if not np.isfinite(converted).all():
        raise UsageError(f"{name} has numbers that float16 cannot hold; take --to merged")
    return converted


def read_licence(file: Path) -> str:
    """Return the licence that the file names; "" when it names none or cannot be read."""
    try:
        field = _open(file).fields.get("general.license")
    except UsageError:
        return ""
    return str(field.contents()) if field else ""


def _open(file: Path) -> Any:
    """Open a GGUF file. Raises UsageError when it cannot be read."""
    from gguf import GGUFReader

    with refuse_unreadable(f"{file} is not a GGUF file that can be read", "fetch it again"):
        reader = GGUFReader(file)
        reader.fields["general.architecture"].contents()
    return reader


def _with_gguf_names(weights: Mapping[str, Any], reader: Any, kind: str) -> dict[str, Any]:
    """Return the weights by the names of their tensors in the file.

    Raises UsageError when the file has no tensor of that name. An output layer that equals the embeddings needs none.
    """
    import numpy as np

    names = map_names(reader, kind)
    template_names = {tensor.name for tensor in reader.tensors}
    named = {names.get_name(name, try_suffixes=(".weight", ".bias")) or name: value for name, value in weights.items()}
    for name in named.keys() - template_names:
        if name != "output.weight" or not np.array_equal(named[name], named["token_embd.weight"]):
            raise UsageError(f"the GGUF that the weights came from has no tensor {name}; take --to merged")
    return named


def _convert(tensor: Any, weights: Mapping[str, Any], heads: tuple[int, int] | None) -> Any:
    """Return the trained weights for one tensor of the template, in its shape and order.

    `heads` is the number of heads for queries and for keys; None when their rows keep their order.
    Raises UsageError when the weights have no such tensor, its shape differs, or float16 cannot hold its numbers.
    """
    value, shape = weights.get(tensor.name), tuple(int(size) for size in reversed(tensor.shape))
    if value is None or value.shape != shape:
        actual = "none" if value is None else str(value.shape)
        raise UsageError(f"the weights do not fit the GGUF that they came from: {tensor.name} has shape {shape} there and {actual} here")
    if heads and ".attn_q." in tensor.name:
        value = interleave_halves(value, heads[0])
    elif heads and ".attn_k." in tensor.name:
        value = interleave_halves(value, heads[1])
    return to_floats(value, tensor.name, half=len(shape) > 1)
