"""Read TOML files as typed values, and say in words what does not fit.

The schemas are msgspec Structs. msgspec takes 20 ms to import, so this module is imported only where settings are read.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import asdict
from msgspec.structs import fields as fields_of

from codagent.errors import RepositoryError, UsageError
from codagent.files import read_plain

KeyPath = tuple[str | int, ...]  # keys, and positions in lists; () is the whole file
LARGEST = 10**18 - 1  # larger whole numbers do not fit into 64 bits

Text = Annotated[str, Meta(pattern=r"\S", description="a text that is not blank")]
Texts = Annotated[tuple[Text, ...], Meta(description="a list of texts, none of them blank")]
Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST, description="a whole number")]
Count = Annotated[int, Meta(gt=0, le=LARGEST, description="a whole number above zero")]
Amount = Annotated[float, Meta(gt=0, le=sys.float_info.max, description="a number above zero")]


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a TOML file. A field without a default is a required key."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are not None."""
        return {key: value for key, value in asdict(self).items() if value is not None}


TableT = TypeVar("TableT", bound=Table)


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a file. Raises FileNotFoundError when there is none, UsageError when it cannot be read or is not TOML."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{path} is not usable: its values are nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {str(error).partition('; use sys.')[0]}") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file. A link is followed to a plain file of bounded size, and to nothing else.

    Raises FileNotFoundError when there is none, UsageError when it cannot be read.
    """
    try:
        return read_plain(path.resolve()).decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, RepositoryError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from None


def name_key(path: KeyPath) -> str:
    """Name a key as a person finds it in a file: `max_steps`, `[sandbox] image`, `[[task]] number 2: seed`."""
    return f"{_name_table(path[:-1])}{path[-1]}"


def parse_table(data: Mapping[str, Any], schema: type[TableT], *, where: object = "", name: Callable[[KeyPath], str] = name_key) -> TableT:
    """Validate data and convert it to a Table.

    Raises UsageError when a key is unknown or missing, or when a value does not fit. Its sentence begins with `where`, usually the file
    ("": with the key), and calls the key what `name` makes of its path.
    """
    try:
        return convert(data, schema)
    except UnicodeError:  # never of a TOML file, but a record can hold half a character
        problem = "a key is not valid Unicode"
    except ValidationError as error:
        problem = _explain(str(error), data, schema, name)
    raise UsageError(f"{where}: {problem}" if where else problem)


def suggest(word: object, known: tuple[str, ...]) -> str:
    """Return the known word that is nearest to a wrong one, as the end of a sentence; all of them when none is near."""
    near = get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def _explain(message: str, data: Any, schema: Any, name: Callable[[KeyPath], str]) -> str:
    """Follow the path that ends a message of msgspec, such as `$.task[1].seed`, and say what is wrong on the way or at its end."""
    path: KeyPath = ()
    end = re.search(r" - at `\$([\w.\[\]]*)`$", message)
    for key, index in [*re.findall(r"\.(\w+)|\[(\d+)\]", end[1] if end else ""), ("", "")]:
        if isinstance(data, Mapping) and _is_table(schema):
            for unknown in (word for word in data if word not in schema.__struct_fields__):
                return f"{_name_table(path)}unknown key {unknown!r:.80}; {suggest(unknown, schema.__struct_fields__)}"
        if key:
            path, data, schema = (*path, key), data[key], _type_of(schema, key)
        elif index and isinstance(data[int(index)], Mapping) and _is_table(get_args(schema)[0]):
            path, data, schema = (*path, int(index)), data[int(index)], get_args(schema)[0]
        else:
            break
    if isinstance(data, Mapping) and _is_table(schema):
        missing = next(field for field in fields_of(schema) if field.required and field.name not in data)
        return f"{_name_table(path)}{missing.name!r} is missing; it must be {_describe(missing.type, missing.name)}"
    return f"{name(path)} must be {_describe(schema, path[-1])}, not {_show(data)}"


def _is_table(schema: Any) -> bool:
    return isinstance(schema, type) and issubclass(schema, Table)


def _type_of(schema: type[Table], key: str) -> Any:
    """Return T for a key of type T or `T | None`."""
    hint = next(field.type for field in fields_of(schema) if field.name == key)
    return get_args(hint)[0] if type(None) in get_args(hint) else hint


def _name_table(path: KeyPath) -> str:
    if path and isinstance(path[-1], int):
        return f"[[{path[-2]}]] number {path[-1] + 1}: "
    return f"[{'.'.join(map(str, path))}] " if path else ""


def _describe(schema: Any, key: str | int) -> str:
    """Say what the value of a key has to be, in words that follow "must be"."""
    if _is_table(schema):
        return f"a table, [{key}]"
    if get_origin(schema) is Literal:
        return f"one of {', '.join(get_args(schema))}"
    if get_origin(schema) is tuple:
        item = get_args(schema)[0]
        return f"tables, [[{key}]]" if _is_table(item) else f"a list, each {_describe(item, key)}"
    return "true or false" if schema is bool else str(schema.__metadata__[0].description)


def _show(value: Any) -> str:
    """Show a value in a sentence, in at most 80 characters."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "one of more than 18 digits"
    try:
        return f"{value!r:.80}"
    except (RecursionError, ValueError):  # a list with tables nested too deeply, or with a number too long to be written
        return "what it holds"
