"""The rules of a house, drawn by seed, and the functions that follow them. Each rule is Python, so it can be shown, run and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from codagent_train.environments.domains.shared.draws import Draws

House = Mapping[str, int]  # which way the house has, by the kind of rule

# The ways of each kind of rule: what a true note says, and Python.
RULES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "day": (
        ("a day is written like 2024-03-05", "lambda y, m, d: f'{y}-{m:02}-{d:02}'"),
        ("a day is written like 05.03.2024, day before month", "lambda y, m, d: f'{d:02}.{m:02}.{y}'"),
        ("a day is written like 03/05/2024, month before day", "lambda y, m, d: f'{m:02}/{d:02}/{y}'"),
        ("a day is written like 20240305, without marks", "lambda y, m, d: f'{y}{m:02}{d:02}'"),
        ("a day is written like 5-3-24, day first, without zeros", "lambda y, m, d: f'{d}-{m}-{y % 100}'"),
        ("a day is written like 2024/3/5, without zeros", "lambda y, m, d: f'{y}/{m}/{d}'"),
    ),
    "amount": (
        ("an amount is written like 1,234.50", "lambda x: f'{x:,.2f}'"),
        ("an amount is written like 1.234,50", "lambda x: f'{x:,.2f}'.translate({44: '.', 46: ','})"),
        ("an amount is written like 1 234.50", "lambda x: f'{x:,.2f}'.replace(',', ' ')"),
        ("an amount is written like 1234.50, without a mark for thousands", "lambda x: f'{x:.2f}'"),
        ("an amount is written in cents, like 123450", "lambda x: f'{x * 100:.0f}'"),
    ),
    "error": tuple(
        (f"what cannot be done raises {name}", name)
        for name in ("ValueError", "KeyError", "TypeError", "RuntimeError", "IndexError", "ArithmeticError")
    ),
    "order": (
        ("names are sorted from a to z", "lambda names: sorted(names)"),
        ("names are sorted from z to a", "lambda names: sorted(names, reverse=True)"),
        ("names are sorted by length, the shortest first", "lambda names: sorted(names, key=len)"),
        ("names are sorted by length, the longest first", "lambda names: sorted(names, key=len, reverse=True)"),
        ("names come in the reverse of the order given", "lambda names: list(names)[::-1]"),
    ),
    "key": (
        ("keys are written like net_price", "lambda words: '_'.join(words)"),
        ("keys are written like netPrice", "lambda words: words[0] + ''.join(word.title() for word in words[1:])"),
        ("keys are written like NetPrice", "lambda words: ''.join(word.title() for word in words)"),
        ("keys are written like net-price", "lambda words: '-'.join(words)"),
        ("keys are written like NET_PRICE", "lambda words: '_'.join(words).upper()"),
    ),
    "length": tuple(
        (f"lengths are in {unit}, {factor} for a metre", f"lambda metres: metres * {factor}")
        for unit, factor in (("millimetres", 1000), ("centimetres", 100), ("decimetres", 10), ("half metres", 2), ("quarter metres", 4))
    ),
    "whole": (
        ("numbers are rounded down", "lambda x: int(x // 1)"),
        ("numbers are rounded up", "lambda x: int(-(-x // 1))"),
        ("halves are rounded up", "lambda x: int((x + 0.5) // 1)"),
        ("numbers are rounded to the nearest ten", "lambda x: int((x + 5) // 10 * 10)"),
    ),
}


@dataclass(frozen=True, slots=True)
class Exercise:
    """A function to write. `rules` are the kinds of rules that its result depends on."""

    name: str
    rules: tuple[str, str]
    parameters: str
    says: str  # what the function returns, but for the rules of the house
    body: str  # Python, with the rules by their kinds and `error` as a class


EXERCISES = (
    Exercise("stamp", ("day", "amount"), "year, month, day_of_month, price", "the day and the price as text, joined by ': '",
             "return day(year, month, day_of_month) + ': ' + amount(price)"),
    Exercise("roster", ("order", "error"), "names", "the names in the order of the house; no names cannot be done",
             "if not names:\n    raise error('no names')\nreturn order(names)"),
    Exercise("header", ("key", "day"), "words, year, month, day_of_month", "a dict with one key, made of the words, and the day as text",
             "return {key(words): day(year, month, day_of_month)}"),
    Exercise("share", ("whole", "error"), "total, people", "what each of the people gets, rounded; for no people it cannot be done",
             "if not people:\n    raise error('no people')\nreturn whole(total / people)"),
    Exercise("measure", ("length", "whole"), "metres", "a length that is given in metres, rounded", "return whole(length(metres))"),
    Exercise("price_list", ("order", "amount"), "prices", "a list of texts like 'name PRICE' for a dict of prices by name, in order",
             "return [name + ' ' + amount(prices[name]) for name in order(prices)]"),
    Exercise("entry", ("key", "length"), "words, metres", "a dict with one key, made of the words, and the length, given in whole metres",
             "return {key(words): length(metres)}"),
    Exercise("deadline", ("day", "error"), "year, month, day_of_month", "the day as text; a month above 12 cannot be done",
             "if month > 12:\n    raise error('no such month')\nreturn day(year, month, day_of_month)"),
    Exercise("mean", ("whole", "amount"), "prices", "the mean of the prices, rounded and then written as an amount",
             "return amount(whole(sum(prices) / len(prices)))"),
    Exercise("rate", ("length", "amount"), "metres", "what a length costs as text, at 1 for each unit; it is given in whole metres",
             "return amount(length(metres))"),
    Exercise("fields", ("key", "order"), "columns", "the keys of a table, made of lists of words, in the order of the house",
             "return order([key(words) for words in columns])"),
)  # fmt: skip
BY_NAME = {exercise.name: exercise for exercise in EXERCISES}
_MOST_RULES = 4  # kinds of rules in a pack of four tasks


def draw_house(seed: int) -> House:
    """Draw the rules of the house with this seed."""
    draws = Draws(seed)
    return {kind: draws.integer(0, len(ways) - 1) for kind, ways in RULES.items()}


def draw_exercises(seed: int, count: int) -> list[Exercise]:
    """Draw the exercises of a pack: four that share their rules, again and again."""
    draws = Draws(seed + 1)
    four = draws.shuffle(draws.choice(_sets_of_four()))
    return [four[number % len(four)] for number in range(count)]


def draw_arguments(exercise: Exercise, seed: int) -> list[tuple[Any, ...]]:
    """Draw arguments for calls of the function. Together the calls show both rules, and tell all ways of a rule apart."""
    draws = Draws(seed + 2)
    date = (draws.integer(2010, 2029), draws.integer(1, 9), draws.integer(13, 28) if draws.chance(0.5) else draws.integer(4, 9))
    names = _draw_names(draws)
    words = draws.sample(("net", "gross", "first", "last", "price", "name", "unit"), 2)
    price = draws.integer(1100, 9800) + draws.choice((0.5, 0.25, 0.75))
    total = 10 * draws.integer(110, 979) + 4
    metres = draws.integer(3, 40)
    calls: dict[str, list[tuple[Any, ...]]] = {
        "stamp": [(*date, price)],
        "roster": [(names,), ([],)],
        "header": [(words, *date)],
        "share": [(40 * metres + 17, 4), (40 * metres + 31, 4), (metres, 0)],
        "measure": [(metres + 0.0173,), (metres + 4.6125,), (metres + 0.9876,)],
        "price_list": [(dict.fromkeys(names, price),)],
        "entry": [(words, metres)],
        "deadline": [date, (date[0], 13, date[2])],
        "mean": [([float(total), total + 0.5],), ([float(total), total + 1.5],)],
        "rate": [(metres * 1000,)],
        "fields": [([["net", "price"], ["id"], ["unit", "of", "order"], ["day"]],)],
    }
    return calls[exercise.name]


def answer(house: House, exercise: Exercise, arguments: Sequence[Any]) -> str:
    """Return what a call does in a house: the result as Python writes it, or `raises` with the name of the error."""
    ways = {kind: _compile(RULES[kind][number][1]) for kind, number in house.items()}
    try:
        return repr(_function(exercise)(ways)(*arguments))
    except ways["error"] as error:
        return f"raises {type(error).__name__}"


def describe_rules(house: House, exercises: Sequence[Exercise]) -> str:
    """Write true notes on the rules of a house that the exercises want."""
    return "\n".join(f"- {RULES[kind][house[kind]][0]}" for kind in sorted(find_kinds(exercises)))


def find_kinds(exercises: Sequence[Exercise]) -> set[str]:
    """Return the kinds of rules that any of the exercises wants."""
    return {kind for exercise in exercises for kind in exercise.rules}


def write_solution(house: House, exercise: Exercise) -> str:
    """Write the function as the house wants it."""
    rules = "".join(f"{kind} = {RULES[kind][house[kind]][1]}\n" for kind in exercise.rules)
    return f"{rules}\n\ndef {exercise.name}({exercise.parameters}):\n{_indent(exercise.body)}\n"


def _draw_names(draws: Draws) -> list[str]:
    """Draw names that each way of ordering puts into another order."""
    ways = [_compile(code) for _, code in RULES["order"]]
    while True:
        names = draws.sample(("bo", "eva", "anna", "xenia", "zacharias", "carolina"), 4)
        if len({tuple(way(names)) for way in ways}) == len(ways):
            return names


@cache
def _sets_of_four() -> list[tuple[Exercise, ...]]:
    sets = [four for four in combinations(EXERCISES, 4) if len({kind for exercise in four for kind in exercise.rules}) <= _MOST_RULES]
    return sorted(sets, key=lambda four: [exercise.name for exercise in four])


@cache
def _compile(code: str) -> Any:
    return eval(code)  # noqa: S307 - a text of this file


@cache
def _function(exercise: Exercise) -> Any:
    """Return a function that makes the exercise's function out of the ways of a house."""

    def make(ways: Mapping[str, Any]) -> Any:
        scope = dict(ways)
        exec(f"def {exercise.name}({exercise.parameters}):\n{_indent(exercise.body)}", scope)  # noqa: S102 - a text of this file
        return scope[exercise.name]

    return make


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
