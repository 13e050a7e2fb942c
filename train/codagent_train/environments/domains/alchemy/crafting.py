"""The texts of Alchemy-Random in two wordings, and its attempts: one pair of elements in each round."""

from __future__ import annotations

import re
from dataclasses import replace

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.alchemy import alchemy_words
from codagent_train.environments.domains.alchemy.recipes import LEVELS, Bench, draw_world, name_elements, open_bench
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_answer, read_prompt
from codagent_train.environments.packs import Pack, Split

EXPECTED: dict[Wording, str] = {"terse": "a+b", "words": "a pair", "paper": "<answer>A + B</answer> once, with the names of two elements"}
_PAIR = re.compile(r"\s*([a-z]+\d?)\s*\+\s*([a-z]+\d?)\s*", re.IGNORECASE)
_FIRST_PAIR = re.compile(r"\s*([a-z])\+([a-z])(?![\w+])")
_FEEDBACK = {
    "made": "Success: {target} was made in {round} of {rounds} rounds.",
    "rounds": "Failed: {round} of {rounds} rounds are used up and {target} was not made.",
    "stock": "Failed: the materials are used up after {round} of {rounds} rounds.",
    "form": "Failed: the answer in round {next} has the wrong form. Expected: {form}.",
    None: "Failed: broken off after {round} of {rounds} rounds.",
}


def make_alchemy_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. What is hidden depends on the number of tasks, too."""
    pack = name_tasks(f"alchemy-{level}", split, number, tasks, lambda *_: "")
    world = draw_world(LEVELS[level], pack.seed, tasks)
    names = name_elements(world, pack.seed, wording)
    targets = (names[world.targets[position % len(world.targets)]] for position in range(tasks))
    described = (replace(task, instruction=f"Make {target}.") for task, target in zip(pack.tasks, targets, strict=True))
    return replace(pack, tasks=tuple(described))


def has_pair(reply: str) -> bool:
    """Return whether a reply begins with a pair of elements."""
    return bool(_FIRST_PAIR.match(reply))


class AlchemyGame:
    """The tasks of a pack. The environment itself remembers nothing of earlier tasks."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        name = wording if wording == "paper" else f"terse_{'limited' if LEVELS[level].limited else 'open'}"
        self.rules = "" if wording == "words" else read_prompt(__package__, name)
        self._level, self._wording = LEVELS[level], wording
        self._world = draw_world(self._level, pack.seed, len(pack.tasks))
        self._names = name_elements(self._world, pack.seed, wording)
        self._positions = {task.seed: position for position, task in enumerate(pack.tasks)}

    def begin(self, task: Task) -> AlchemyAttempt:
        bench = open_bench(self._level, self._world, self._positions[task.seed], task.seed)
        return AlchemyAttempt(bench, self._names, self._wording)

    def forget(self) -> None:
        """Do nothing."""


class AlchemyAttempt:
    """An DomainAttempt at making one target."""

    def __init__(self, bench: Bench, names: dict[int, str], wording: Wording) -> None:
        self._bench, self._names, self._wording = bench, names, wording
        self._elements = {name: element for element, name in names.items()}
        self._malformed = False
        self._news = ""  # what the last pair gave

    def observe(self) -> str:
        if self._wording == "words":
            return self._news or f"*{self._names[self._bench.target]}"
        return self._observe_terse() if self._wording == "terse" else self._observe_paper()

    def act(self, reply: str) -> End | None:
        written = read_answer(reply) or "" if self._wording == "paper" else reply
        match = _FIRST_PAIR.match(written) if self._wording == "terse" else _PAIR.fullmatch(written)
        if not match:
            self._malformed = True
            return "finished"
        names = match[1].lower(), match[2].lower()
        elements = [self._elements[name] for name in names if name in self._elements]
        pair = (min(elements), max(elements)) if len(elements) == 2 else None
        allowed = pair is not None and self._bench.allows(pair)
        self._bench = self._bench.combine(pair)
        self._news = self._describe_result(names, allowed=allowed)
        verdict = self._bench.verdict()
        return None if verdict is None else "steps" if verdict == "rounds" else "finished"

    def describe_state(self) -> str:
        return self._news

    def judge(self) -> Outcome:
        bench, verdict = self._bench, "form" if self._malformed else self._bench.verdict()
        passed = verdict == "made"
        words = {"target": self._names[bench.target], "round": bench.round, "rounds": bench.level.rounds, "next": bench.round + 1}
        feedback = _FEEDBACK[verdict].format(**words, form=EXPECTED[self._wording])
        failed = () if passed else ("form",) if self._malformed else ("target",)
        return Outcome(bench.reward if passed else 0.0, passed, feedback, failed)

    def _describe_result(self, names: tuple[str, str], *, allowed: bool) -> str:
        """Say what came of a pair."""
        a, b = names
        made = self._bench.last[1] if self._bench.last else None
        if self._wording == "words":
            return alchemy_words.describe_pair(a, b, None if made is None else self._names[made])
        if self._wording == "terse":
            return f"{a}+{b}={self._names[made]}" if made is not None else f"{a}+{b} no" if allowed else f"{a}+{b} not in stock"
        if allowed:
            used = "; the materials are used up" if self._bench.level.limited else ""
            return f"{a} + {b} gave {self._names[made]}." if made is not None else f"{a} + {b} gave nothing{used}."
        missing = [name for name in names if self._elements.get(name) not in self._bench.stock]
        return f"{a} + {b} was not possible: {f'{missing[0]} is not in stock' if missing else f'there is not enough {a}'}."

    def _observe_terse(self) -> str:
        bench = self._bench
        parts = [f"{self._tiers(' ', '*')} | {bench.round + 1}/{bench.level.rounds}"]
        if self._news:
            parts.append(self._news)
        if bench.level.limited:
            parts.append(" ".join(f"{self._names[element]}{count}" for element, count in sorted(bench.stock.items())))
        return "; ".join(parts)

    def _tiers(self, between: str, mark: str) -> str:
        """List all elements, tier by tier, with a mark after the target."""
        names = {element: f"{name}{mark if element == self._bench.target else ''}" for element, name in self._names.items()}
        return " | ".join(between.join(names[element] for element in tier) for tier in self._bench.world.tiers)

    def _observe_paper(self) -> str:
        bench, target = self._bench, self._names[self._bench.target]
        counts = [f"{self._names[item]} x {count}" if bench.level.limited else self._names[item] for item, count in bench.stock.items()]
        head = [] if bench.round else [f"Elements by tier, lowest first: {self._tiers(', ', '')}"]
        return "\n".join([
            *head,
            f"Round {bench.round + 1}/{bench.level.rounds}",
            *([self._news] if self._news else []),
            f"Target: {target} (tier {bench.world.tier(bench.target)})",
            f"Stock: {', '.join(counts)}",
        ])  # fmt: skip
