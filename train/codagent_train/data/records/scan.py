"""Recorded loops as training data: which of them can be learned from, group by group, and why the others cannot. Knows nothing of torch.

A sample is as it was sampled, or it is not used: ids and logprobs of every token, out of the whole distribution, by the weights that are
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

from codagent.store.codec import encode
from codagent.store.trainable import parse_policy, untrainable_reason
from codagent.types import Loop, Reply, Step
from codagent_train.data import credit
from codagent_train.data.records.files import Rejection, find_record_files, iter_unique
from codagent_train.data.samples import imitation_samples


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Who is to learn: weights as a reply's policy names them, how often they were trained so far, and the number of ids that there
    are. None: any."""

    weights: tuple[str, ...]
    version: int | None = None
    max_staleness: int = 0
    vocabulary_size: int | None = None


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Loops that can be learned from, in groups; a reply in them that cannot be has no tokens. What was left out; and how much was read:
    records, replies, and those of them that are `text` without tokens."""

    groups: tuple[tuple[Loop, ...], ...] = ()
    rejections: tuple[Rejection, ...] = ()
    records: int = 0
    replies: int = 0
    text_replies: int = 0

    @property
    def groups_without_signal(self) -> int:
        """How many groups have nothing to teach, by the paper's credit."""
        return sum(credit.no_signal(credit.advantages([credit.episode_rewards(loop) for loop in group])) for group in self.groups)

    @property
    def sample_count(self) -> int:
        return sum(len(imitation_samples(group)) for group in self.groups)

    @property
    def trained_replies(self) -> int:
        """How many replies the rows hold."""
        return sum(reply.tokens is not None for group in self.groups for loop in group for reply in all_replies(loop))

    def describe(self) -> str:
        """Lines for a person."""
        without_signal, loops = self.groups_without_signal, sum(map(len, self.groups))
        lines = [
            f"records  {self.records} read, with {self.replies} replies, {self.text_replies} of them text only",
            f"groups   {len(self.groups)} of {loops} loops: {len(self.groups) - without_signal} alive, {without_signal} dead",
            f"rows     {self.sample_count}, out of {self.trained_replies} replies",
        ]
        counted = Counter((rejection.kind, rejection.reason) for rejection in self.rejections)
        lines += [f"refused  {count} {_plural(kind, count)}: {reason}" for (kind, reason), count in sorted(counted.items())]
        named = [f"         {rejection.where}: {rejection.reason}" for rejection in self.rejections if rejection.kind != "reply"]
        return "\n".join([*lines, *named])


@dataclass(slots=True)
class _Scan:
    """What is known of the records so far: loops that are whole, what is refused, groups that miss a loop, replies of all loops."""

    whole: list[tuple[Path, Loop]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    incomplete: set[tuple[Path, str]] = field(default_factory=set)
    replies: list[Reply] = field(default_factory=list)

    def reject(self, kind: str, where: Path, reason: str) -> None:
        self.rejections.append(Rejection(kind, where, reason))


def scan(paths: Sequence[Path], target: TargetPolicy | None = None) -> ScanResult:
    """What can be learned from in these folders and records; without a target, by each loop's own weights.

    UsageError for a path that is not there, or without a record.
    """
    files, state = find_record_files(paths), _Scan()
    for file, loop in iter_unique(files, state.rejections):
        _add_loop(file, loop, state, target)
    damaged = [rejection.where for rejection in state.rejections if rejection.kind == "record"]
    state.incomplete |= {_cohort_key(file, _read_group_name(file)) for file in damaged}
    groups = tuple(_comparable_groups(state, target))
    text = sum(reply.tokens is None for reply in state.replies)
    return ScanResult(groups, tuple(state.rejections), len(files), len(state.replies), text)


def drop_stale_tokens(loop: Loop, target: TargetPolicy) -> Loop:
    """A loop that was read, with the tokens of only those replies that the target can still learn from."""
    return _keep_tokens_where(loop, lambda reply: not _reply_rejection(reply, target))


def all_replies(loop: Loop) -> list[Reply]:
    return [step.reply for episode in loop.episodes for step in episode.steps]


def _add_loop(file: Path, loop: Loop, state: _Scan, target: TargetPolicy | None) -> None:
    state.replies += all_replies(loop)
    reason = _loop_rejection(loop, target)
    if reason:
        state.reject("loop", file, reason)
        state.incomplete.add(_cohort_key(file, loop.group))
    else:
        state.whole.append((file, loop))


def _loop_rejection(loop: Loop, target: TargetPolicy | None) -> str:
    """Why a loop cannot be compared with others, whatever its replies."""
    if not loop.episodes or not loop.complete:
        return "broken off"
    outcomes = [episode.outcome for episode in loop.episodes]
    if any(outcome is None for outcome in outcomes):
        return "not judged"
    if not all(outcome and -1 <= outcome.reward <= 1 for outcome in outcomes):
        return "a reward that there cannot be"
    weights = {parse_policy(reply.policy).weights for reply in all_replies(loop)}
    if len(weights) != 1:
        return "several models" if weights else "no replies"
    return "another model" if target and not weights <= set(target.weights) else ""


def _comparable_groups(state: _Scan, target: TargetPolicy | None) -> Iterator[tuple[Loop, ...]]:
    cohorts: dict[str, list[tuple[Path, Loop]]] = defaultdict(list)
    starts: dict[tuple[Path, str], str] = {}
    counts = Counter(_cohort_key(file, loop.group) for file, loop in state.whole)
    for file, loop in state.whole:
        key = _cohort_key(file, loop.group)
        if key in state.incomplete or counts[key] < _group_size(loop):
            state.reject("loop", file, "its group is not whole")
        else:  # of uncommitted work each has a commit of its own, which tells the second
            start = starts.setdefault(key, loop.start_commit)
            cohorts[_comparison_key(replace(loop, start_commit=start))].append((file, loop))
    for cohort in cohorts.values():
        if len(cohort) == 1:
            state.reject("loop", cohort[0][0], "alone, with nothing to be compared with")
            continue
        group = tuple(_trainable_only(file, loop, state, target) for file, loop in cohort)
        if any(reply.tokens for loop in group for reply in all_replies(loop)):
            yield group


def _comparison_key(loop: Loop) -> str:
    """The same for loops that can be compared."""
    settings: Mapping[str, Any] = loop.settings
    tasks = _job_settings(loop).get("tasks")
    if tasks is None:
        tasks = list(dict.fromkeys(json.dumps(encode(episode.task)) for episode in loop.episodes))
    weights = parse_policy(all_replies(loop)[0].policy).weights
    image = [settings.get("sandbox"), settings.get("sandbox_setup"), settings.get("image")]
    return json.dumps([loop.environment, tasks, loop.start_commit, image, weights], sort_keys=True)


def _group_size(loop: Loop) -> int:
    """How many were started together."""
    return members if isinstance(members := _job_settings(loop).get("members"), int) else 1


def _job_settings(loop: Loop) -> Mapping[str, Any]:
    return job if isinstance(job := loop.settings.get("job"), dict) else {}


def _trainable_only(file: Path, loop: Loop, state: _Scan, target: TargetPolicy | None) -> Loop:
    def is_trainable(reply: Reply) -> bool:
        reason = untrainable_reason(reply) or (_reply_rejection(reply, target) if target else "")
        if reason:
            state.reject("reply", file, reason)
        return not reason

    return _keep_tokens_where(loop, is_trainable)


def _keep_tokens_where(loop: Loop, keep: Callable[[Reply], bool]) -> Loop:
    """The loop, with the tokens of only those replies that are kept."""

    def filter_step(step: Step) -> Step:
        return step if keep(step.reply) else replace(step, reply=replace(step.reply, tokens=None))

    return replace(loop, episodes=tuple(replace(episode, steps=tuple(map(filter_step, episode.steps))) for episode in loop.episodes))


def _reply_rejection(reply: Reply, target: TargetPolicy) -> str:
    """Why a reply is not what the target could have said. Weights without a version are those that training begins with."""
    size, tokens = target.vocabulary_size, reply.tokens
    if size is not None and tokens and max(tokens.prompt_ids + tokens.completion_ids) >= size:
        return "ids of another tokenizer"
    behind = 0 if target.version is None else target.version - (parse_policy(reply.policy).version or 0)
    return "" if 0 <= behind <= target.max_staleness else "stale"


def _cohort_key(file: Path, group: str) -> tuple[Path, str]:
    """Names the loops that were started together: their folders lie side by side."""
    return file.resolve().parent.parent, group


def _read_group_name(file: Path) -> str:
    """The group of a damaged record, as far as it still tells; else the loop's own id, which is that of the first of a group."""
    try:
        with file.open("rb") as opened:
            return str(json.loads(opened.readline())["loop"]["group"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return file.resolve().parent.name


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else {"reply": "replies"}.get(kind, f"{kind}s")
