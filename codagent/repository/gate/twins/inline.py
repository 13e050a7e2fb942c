"""Code that a test file with twins begins with. It is copied there with other names, so it imports nothing of codagent."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator"
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from os import _exit  # noqa: F401 - the twin of a script calls it
from unittest import SkipTest  # noqa: F401 - a twin raises it

STEP = 1
NUMBER = 1
TAG = "tag"
COPIES = 4
NUMBERS = (int, float, complex, Decimal, Fraction)


class Never(Exception):
    """No program raises it."""


class NeverWarned(Warning):
    """No program warns of it."""


def shift(value, depth=9):
    """Return something that is not equal to `value` but near to it, and of the same type if it is a plain one."""
    other: object = None
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, NUMBERS):
        other = value + STEP * (1 + abs(value) // 1000)
    elif isinstance(value, (date, timedelta)):
        other = value + timedelta(days=STEP, seconds=STEP)
    elif isinstance(value, str):
        other = shift_text(value)
    elif isinstance(value, bytes):
        other = shift_text(value.decode("latin-1")).encode("latin-1")
    elif isinstance(value, (set, frozenset)):
        other = replace_member(value)
    elif depth and isinstance(value, dict):
        other = {key: shift(part, depth - 1) for key, part in value.items()} or {TAG: TAG}
    elif depth and isinstance(value, (list, tuple)):
        other = (list if isinstance(value, list) else tuple)([shift(part, depth - 1) for part in value] or [TAG])
    return object() if other is None else other if other != value else TAG


def replace_member(value):
    """Return a set of the same size in which another member stands in the place of one. An empty set gets a member."""
    if not value:
        return {TAG}
    member = other = next(iter(value))
    while other in value:
        other = TAG if isinstance(other, bool) else shift(other)
    return (set if isinstance(value, set) else frozenset)([*(value - {member}), other])


def shift_each(value, depth=9):
    """Return up to COPIES copies of a value. In each, one part is near to what it was and not equal to it."""
    if not depth or not value or not isinstance(value, (list, tuple, dict)):
        return [shift(value)]
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return spread([replace_part(value, key, part) for key in spread(keys) for part in shift_each(value[key], depth - 1)])


def spread(items):
    """Return up to COPIES of the items, from the whole length."""
    return [items[(NUMBER + place * len(items) // COPIES) % len(items)] for place in range(COPIES)] if len(items) > COPIES else items


def replace_part(value, key, part):
    """Return a copy of a container in which another part stands at `key`."""
    if isinstance(value, dict):
        return {**value, key: part}
    copy = [*value[:key], part, *value[key + 1 :]]
    return copy if isinstance(value, list) else tuple(copy)


def shift_text(value):
    """Return a text of the same length in which one letter or digit is another one."""
    places = [place for place, letter in enumerate(value) if letter.isascii() and letter.isalnum()]
    if not places:
        return TAG + value + TAG
    place = places[NUMBER % len(places)]
    first, count = ("0", 10) if value[place].isdigit() else ("a", 26) if value[place].islower() else ("A", 26)
    other = chr(ord(first) + (ord(value[place]) - ord(first) + STEP) % count)
    return value[:place] + other + value[place + 1 :]


def shift_far(value, depth=9):
    """Return something that is far from `value`, and of the same type if it is a plain one."""
    if isinstance(value, (date, timedelta)):
        return value + timedelta(days=NUMBER, seconds=STEP)
    if isinstance(value, NUMBERS) and not isinstance(value, bool):
        other = value + NUMBER * (1 + abs(value))
        return other if other != value else TAG
    if isinstance(value, (str, bytes)):
        return TAG + value + TAG if isinstance(value, str) else TAG.encode() + value
    if depth and isinstance(value, dict):
        return {key: shift_far(part, depth - 1) for key, part in value.items()} or {TAG: TAG}
    if depth and isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)([shift_far(part, depth - 1) for part in value] or [TAG])
    return shift(value)


def shift_by(value, limit):
    """Return a number further from `value` than `limit`, but not much."""
    return value + (3 * limit + STEP if STEP > 0 else STEP - 3 * limit)


def shift_members(value):
    """Return a list of values that are not in `value`. It is empty if `value` is no plain container."""
    return [shift_far(part) for part in value] if isinstance(value, (list, tuple, set, frozenset, dict, range)) else []


def beyond(value, limit, sign):
    """Whether a value says what cannot be: that it is far beyond a limit, above it (`sign` 1) or below it (-1), or not as its number is.

    A plain number never says so.
    """
    if type(value) in (int, float):
        return False
    far = limit + sign * 10**12 * NUMBER
    if value > far if sign > 0 else value < far:
        return True
    if not isinstance(value, (int, float)):
        return False
    number = (int if isinstance(value, int) else float).__add__(value, 0)
    said = value > limit, value < limit, value >= limit, value <= limit
    return said != (number > limit, number < limit, number >= limit, number <= limit)


def every(values):
    """Whether there are values, and all of them are true."""
    return bool(values) and all(values)
