"""Code that a test file with twins begins with. It is copied there with other names, so it imports nothing of codagent."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from unittest import SkipTest  # noqa: F401 - a twin raises it

NUMBER = 1
TAG = "tag"


class Never(Exception):
    """No program raises it."""


class NeverWarned(Warning):
    """No program warns of it."""


def shift(value, depth=9):
    """Return something that is not equal to `value`, and of the same type if it is a plain one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float, complex)):
        other = value + NUMBER
        return other if other != value else f"{TAG}"
    if isinstance(value, (str, bytes)):
        return f"{TAG}{value}{TAG}" if isinstance(value, str) else value + TAG.encode()
    if depth and isinstance(value, dict):
        return {key: shift(part, depth - 1) for key, part in value.items()} or {TAG: TAG}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return kind([TAG, *value] if kind in (set, frozenset) else [shift(part, depth - 1) for part in value] or [TAG])
    return object()


def shift_members(value):
    """Return a list of values that are not in `value`. It is empty if `value` is no plain container."""
    return [shift(part) for part in value] if isinstance(value, (list, tuple, set, frozenset, dict, range)) else []


def beyond(value, limit, sign):
    """Whether a value says that it is far beyond a limit: above it (`sign` 1) or below it (-1). A plain number is not."""
    far = limit + sign * 10**12 * NUMBER
    return type(value) not in (int, float) and (value > far if sign > 0 else value < far)


def every(values):
    """Whether there are values, and all of them are true."""
    return bool(values) and all(values)
