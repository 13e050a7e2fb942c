"""Recorded loops as training data: which of them can be learned from, group by group, and why the others cannot. Knows nothing of torch.

A row is as it was sampled, or it is not used: ids and logprobs of every token, out of the whole distribution, by the weights that are
trained. Loops can be compared when they did the same tasks from the same start in the same image with the same weights. Those that
were started together are all there or none is used: what is left of a group where some broke off is the quick ones.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codagent.agent.loop import OVER
from codagent.store.codec import encode
from codagent.store.trainable import parse_policy, untrainable_reason
from codagent.types import Loop, Reply, Step
from codagent_train.data import credit
from codagent_train.data.records.files import Refused, loaded, records
from codagent_train.data.samples import copied


@dataclass(frozen=True, slots=True)
class Learner:
    """Who is to learn: weights as a reply's policy names them, how often they were trained so far, and the number of ids that there
    are. None: any."""

    weights: tuple[str, ...]
    version: int | None = None
    max_staleness: int = 0
    words: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Loops that can be learned from, in groups; a reply in them that cannot be has no tokens. What was left out; and how much was read:
    records, replies, and those of them that are `text` without tokens."""

    groups: tuple[tuple[Loop, ...], ...] = ()
    refused: tuple[Refused, ...] = ()
    records: int = 0
    replies: int = 0
    text: int = 0

    @property
    def dead(self) -> int:
        """How many groups have nothing to teach, by the paper's credit."""
        return sum(credit.dead(credit.advantages([credit.rewards(loop) for loop in group])) for group in self.groups)

    @property
    def rows(self) -> int:
        return sum(len(copied(group)) for group in self.groups)

    @property
    def trained(self) -> int:
        """How many replies the rows hold."""
        return sum(reply.tokens is not None for group in self.groups for loop in group for reply in replies(loop))

    def told(self) -> str:
        """Lines for a person."""
        dead, loops = self.dead, sum(map(len, self.groups))
        lines = [
            f"records  {self.records} read, with {self.replies} replies, {self.text} of them text only",
            f"groups   {len(self.groups)} of {loops} loops: {len(self.groups) - dead} alive, {dead} dead",
            f"rows     {self.rows}, out of {self.trained} replies",
        ]
        counted = Counter((each.kind, each.reason) for each in self.refused)
        lines += [f"refused  {count} {_plural(kind, count)}: {reason}" for (kind, reason), count in sorted(counted.items())]
        named = [f"         {each.where}: {each.reason}" for each in self.refused if each.kind != "reply"]
        return "\n".join([*lines, *named])


@dataclass(slots=True)
class _Sorting:
    """What is known of the records so far: loops that are whole, what is refused, groups that miss a loop, replies of all loops."""

    whole: list[tuple[Path, Loop]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    broken: set[tuple[Path, str]] = field(default_factory=set)
    replies: list[Reply] = field(default_factory=list)

    def refuse(self, kind: str, where: Path, reason: str) -> None:
        self.refused.append(Refused(kind, where, reason))


def read(given: Sequence[Path], learner: Learner | None = None) -> Found:
    """What can be learned from in these folders and records; without a learner, by each loop's own weights.

    UsageError for a path that is not there, or without a record.
    """
    files, sorting = records(given), _Sorting()
    for file, loop in loaded(files, sorting.refused):
        _sort(file, loop, sorting, learner)
    damaged = [each.where for each in sorting.refused if each.kind == "record"]
    sorting.broken |= {_mates(file, _group_named(file)) for file in damaged}
    groups = tuple(_groups(sorting, learner))
    text = sum(reply.tokens is None for reply in sorting.replies)
    return Found(groups, tuple(sorting.refused), len(files), len(sorting.replies), text)


def fresh(loop: Loop, learner: Learner) -> Loop:
    """A loop that was read, with the tokens of only those replies that the learner can still learn from."""
    return _without_tokens(loop, lambda reply: not _unlike(reply, learner))


def replies(loop: Loop) -> list[Reply]:
    return [step.reply for episode in loop.episodes for step in episode.steps]


def _sort(file: Path, loop: Loop, sorting: _Sorting, learner: Learner | None) -> None:
    sorting.replies += replies(loop)
    reason = _unfit(loop, learner)
    if reason:
        sorting.refuse("loop", file, reason)
        sorting.broken.add(_mates(file, loop.group))
    else:
        sorting.whole.append((file, loop))


def _unfit(loop: Loop, learner: Learner | None) -> str:
    """Why a loop cannot be compared with others, whatever its replies."""
    if not loop.episodes or loop.end is None or loop.end in OVER:
        return "broken off"
    outcomes = [episode.outcome for episode in loop.episodes]
    if any(outcome is None for outcome in outcomes):
        return "not judged"
    if not all(outcome and -1 <= outcome.reward <= 1 for outcome in outcomes):
        return "a reward that there cannot be"
    weights = {parse_policy(reply.policy).weights for reply in replies(loop)}
    if len(weights) != 1:
        return "several models" if weights else "no replies"
    return "another model" if learner and not weights <= set(learner.weights) else ""


def _groups(sorting: _Sorting, learner: Learner | None) -> Iterator[tuple[Loop, ...]]:
    cohorts: dict[str, list[tuple[Path, Loop]]] = defaultdict(list)
    starts: dict[tuple[Path, str], str] = {}
    there = Counter(_mates(file, loop.group) for file, loop in sorting.whole)
    for file, loop in sorting.whole:
        mates = _mates(file, loop.group)
        if mates in sorting.broken or there[mates] < _members(loop):
            sorting.refuse("loop", file, "its group is not whole")
        else:  # of uncommitted work each has a commit of its own, which tells the second
            start = starts.setdefault(mates, loop.start_commit)
            cohorts[_alike(replace(loop, start_commit=start))].append((file, loop))
    for cohort in cohorts.values():
        if len(cohort) == 1:
            sorting.refuse("loop", cohort[0][0], "alone, with nothing to be compared with")
            continue
        group = tuple(_stripped(file, loop, sorting, learner) for file, loop in cohort)
        if any(reply.tokens for loop in group for reply in replies(loop)):
            yield group


def _alike(loop: Loop) -> str:
    """The same for loops that can be compared."""
    told: Mapping[str, Any] = loop.settings
    tasks = _job(loop).get("tasks")
    if tasks is None:
        tasks = list(dict.fromkeys(json.dumps(encode(episode.task)) for episode in loop.episodes))
    weights = parse_policy(replies(loop)[0].policy).weights
    image = [told.get("sandbox"), told.get("sandbox_setup"), told.get("image")]
    return json.dumps([loop.environment, tasks, loop.start_commit, image, weights], sort_keys=True)


def _members(loop: Loop) -> int:
    """How many were started together."""
    return found if isinstance(found := _job(loop).get("members"), int) else 1


def _job(loop: Loop) -> Mapping[str, Any]:
    return job if isinstance(job := loop.settings.get("job"), dict) else {}


def _stripped(file: Path, loop: Loop, sorting: _Sorting, learner: Learner | None) -> Loop:
    def kept(reply: Reply) -> bool:
        reason = untrainable_reason(reply) or (_unlike(reply, learner) if learner else "")
        if reason:
            sorting.refuse("reply", file, reason)
        return not reason

    return _without_tokens(loop, kept)


def _without_tokens(loop: Loop, kept: Callable[[Reply], bool]) -> Loop:
    """The loop, with the tokens of only those replies that are kept."""

    def step(one: Step) -> Step:
        return one if kept(one.reply) else replace(one, reply=replace(one.reply, tokens=None))

    return replace(loop, episodes=tuple(replace(one, steps=tuple(map(step, one.steps))) for one in loop.episodes))


def _unlike(reply: Reply, learner: Learner) -> str:
    """Why a reply is not what the learner could have said. Weights without a version are those that training begins with."""
    if learner.words is not None and reply.tokens and max(reply.tokens.prompt_ids + reply.tokens.completion_ids) >= learner.words:
        return "ids of another tokenizer"
    behind = 0 if learner.version is None else learner.version - (parse_policy(reply.policy).version or 0)
    return "" if 0 <= behind <= learner.max_staleness else "stale"


def _mates(file: Path, group: str) -> tuple[Path, str]:
    """Names the loops that were started together: their folders lie side by side."""
    return file.resolve().parent.parent, group


def _group_named(file: Path) -> str:
    """The group of a damaged record, as far as it still tells; else the loop's own id, which is that of the first of a group."""
    try:
        with file.open("rb") as opened:
            return str(json.loads(opened.readline())["loop"]["group"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return file.resolve().parent.name


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else {"reply": "replies"}.get(kind, f"{kind}s")
