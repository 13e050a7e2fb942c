"""Finds the recorded loops that can be replayed in training, group by group, and says why others cannot. Does not import torch.

A reply is used only as it was sampled: the record has the ids and logprobs of all its tokens, nothing was cut from the distribution, and
the weights are those that are trained. Loops are compared when they did the same tasks from the same start in the same image with the same
weights. Loops that were started together are used together or not at all: those that completed are the quick ones, and not a fair sample of
the group.
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
from codagent.text import count
from codagent.types import Loop, Reply, Step
from codagent_train.data import credit
from codagent_train.data.records.finder import Rejection, find_record_files, iter_unique
from codagent_train.data.samples import imitation_samples


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """The policy that is to learn from records."""

    weights: tuple[str, ...]  # the names that records may have for its weights
    version: int | None = None  # how many training steps it has taken; None: replies of all versions are used
    max_staleness: int = 0  # how many steps older than `version` a reply may be
    vocabulary_size: int | None = None  # larger ids are of another tokenizer; None: not checked
    start: str = ""  # how records name the checkpoint that training begins with, RUN@STEP; "": it begins with no checkpoint


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What can be learned from, what cannot, and how much was read."""

    groups: tuple[tuple[Loop, ...], ...] = ()  # a reply that cannot be learned from has no tokens
    rejections: tuple[Rejection, ...] = ()
    records: int = 0
    replies: int = 0
    text_replies: int = 0  # replies whose record has no tokens

    @property
    def groups_without_signal(self) -> int:
        """The number of groups in which all advantages are 0, by the paper's returns."""
        return sum(credit.no_signal(credit.advantages([credit.episode_rewards(loop) for loop in group])) for group in self.groups)

    @property
    def sample_count(self) -> int:
        """The number of training samples in the groups."""
        return sum(len(imitation_samples(group)) for group in self.groups)

    @property
    def trained_replies(self) -> int:
        """The number of replies that can be learned from."""
        return sum(reply.tokens is not None for group in self.groups for loop in group for reply in all_replies(loop))

    def describe(self) -> str:
        """Describe the scan in lines for a person."""
        without_signal, loops = self.groups_without_signal, sum(map(len, self.groups))
        lines = [
            f"records  {self.records} read, with {self.replies} replies, {self.text_replies} of them text only",
            f"groups   {len(self.groups)} of {loops} loops: {len(self.groups) - without_signal} with a signal, {without_signal} without",
            f"rows     {self.sample_count}, out of {self.trained_replies} replies",
        ]
        counted = Counter((rejection.kind, rejection.reason) for rejection in self.rejections)
        lines += [f"refused  {count(number, kind)}: {reason}" for (kind, reason), number in sorted(counted.items())]
        named = [f"         {rejection.where}: {rejection.reason}" for rejection in self.rejections if rejection.kind != "reply"]
        return "\n".join([*lines, *named])


@dataclass(slots=True)
class _Scan:
    """The state of a scan."""

    complete: list[tuple[Path, Loop]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    incomplete: set[tuple[Path, str]] = field(default_factory=set)  # the cohorts in which a loop is rejected
    replies: list[Reply] = field(default_factory=list)  # of all loops

    def reject(self, kind: str, where: Path, reason: str) -> None:
        """Note why something is not used."""
        self.rejections.append(Rejection(kind, where, reason))


def scan(paths: Sequence[Path], target: TargetPolicy | None = None) -> ScanResult:
    """Find what `target` can learn from in these folders and records. None: what the weights of each loop can learn from.

    Raises UsageError for a path that does not exist or holds no record.
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
    """Remove the tokens of the replies that the target cannot learn from any more."""
    return _keep_tokens_where(loop, lambda reply: not _reply_rejection(reply, target))


def all_replies(loop: Loop) -> list[Reply]:
    """Return the replies of all episodes in order."""
    return [step.reply for episode in loop.episodes for step in episode.steps]


def _add_loop(file: Path, loop: Loop, state: _Scan, target: TargetPolicy | None) -> None:
    state.replies += all_replies(loop)
    reason = _loop_rejection(loop, target)
    if reason:
        state.reject("loop", file, reason)
        state.incomplete.add(_cohort_key(file, loop.group))
    else:
        state.complete.append((file, loop))


def _loop_rejection(loop: Loop, target: TargetPolicy | None) -> str:
    """Return why a loop cannot be compared with others; "" when it can."""
    if not loop.episodes or not loop.complete:
        return "not complete"
    outcomes = [episode.outcome for episode in loop.episodes]
    if any(outcome is None for outcome in outcomes):
        return "not graded"
    if not all(outcome and -1 <= outcome.reward <= 1 for outcome in outcomes):
        return "a reward outside -1 to 1"
    replies = all_replies(loop)
    weights = {parse_policy(reply.policy).weights for reply in replies}
    if len(weights) != 1:
        return "several models" if weights else "no replies"
    return "another model" if target and any(_version_of(reply, target) is None for reply in replies) else ""


def _comparable_groups(state: _Scan, target: TargetPolicy | None) -> Iterator[tuple[Loop, ...]]:
    """Yield the groups of loops that can be compared and have a reply to learn from. Reject the other loops."""
    cohorts: dict[str, list[tuple[Path, Loop]]] = defaultdict(list)
    starts: dict[tuple[Path, str], str] = {}
    counts = Counter(_cohort_key(file, loop.group) for file, loop in state.complete)
    for file, loop in state.complete:
        key = _cohort_key(file, loop.group)
        if key in state.incomplete or counts[key] < _group_size(loop):
            state.reject("loop", file, "its group is incomplete")
        else:  # loops that start from uncommitted work have different start commits: the time of the snapshot is a part of its hash
            start = starts.setdefault(key, loop.start_commit)
            cohorts[_comparison_key(replace(loop, start_commit=start))].append((file, loop))
    for cohort in cohorts.values():
        if len(cohort) == 1:
            state.reject("loop", cohort[0][0], "no other loop to compare it with")
            continue
        group = tuple(_trainable_only(file, loop, state, target) for file, loop in cohort)
        if any(reply.tokens for loop in group for reply in all_replies(loop)):
            yield group


def _comparison_key(loop: Loop) -> str:
    """Return a key that is equal for loops that can be compared."""
    settings: Mapping[str, Any] = loop.settings
    tasks = _job_settings(loop).get("tasks")
    if tasks is None:
        tasks = list(dict.fromkeys(json.dumps(encode(episode.task)) for episode in loop.episodes))
    weights = parse_policy(all_replies(loop)[0].policy).weights
    image = [settings.get("sandbox"), settings.get("sandbox_setup"), settings.get("image")]
    return json.dumps([loop.environment, tasks, loop.start_commit, image, weights], sort_keys=True)


def _group_size(loop: Loop) -> int:
    """Return how many loops were started together with this one, itself included."""
    return members if isinstance(members := _job_settings(loop).get("members"), int) else 1


def _job_settings(loop: Loop) -> Mapping[str, Any]:
    """Return the recorded spec of the loop; empty when the record has none."""
    return job if isinstance(job := loop.settings.get("job"), dict) else {}


def _trainable_only(file: Path, loop: Loop, state: _Scan, target: TargetPolicy | None) -> Loop:
    """Remove the tokens of replies that cannot be learned from, and reject these replies."""

    def is_trainable(reply: Reply) -> bool:
        reason = untrainable_reason(reply) or (_reply_rejection(reply, target) if target else "")
        if reason:
            state.reject("reply", file, reason)
        return not reason

    return _keep_tokens_where(loop, is_trainable)


def _keep_tokens_where(loop: Loop, keep: Callable[[Reply], bool]) -> Loop:
    """Remove the tokens of all replies for which `keep` is false."""

    def filter_step(step: Step) -> Step:
        return step if keep(step.reply) else replace(step, reply=replace(step.reply, tokens=None))

    return replace(loop, episodes=tuple(replace(episode, steps=tuple(map(filter_step, episode.steps))) for episode in loop.episodes))


def _reply_rejection(reply: Reply, target: TargetPolicy) -> str:
    """Return why the target cannot learn from a reply that is trainable as such; "" when it can."""
    size, tokens = target.vocabulary_size, reply.tokens
    if size is not None and tokens and max(tokens.prompt_ids + tokens.completion_ids) >= size:
        return "ids of another tokenizer"
    behind = 0 if target.version is None else target.version - (_version_of(reply, target) or 0)
    return "" if 0 <= behind <= target.max_staleness else "stale"


def _version_of(reply: Reply, target: TargetPolicy) -> int | None:
    """Return how many steps of the target's training had been taken when it gave a reply. None: other weights gave it.

    Weights without a version in the record count as version 0, with which training begins.
    """
    parsed = parse_policy(reply.policy)
    if f"{parsed.weights}@{parsed.version}" == target.start:
        return 0
    return (parsed.version or 0) if parsed.weights in target.weights else None


def _cohort_key(file: Path, group: str) -> tuple[Path, str]:
    """Return a key that is equal for loops that were started together. Their folders have the same parent."""
    return file.resolve().parent.parent, group


def _read_group_name(file: Path) -> str:
    """Read the group of a damaged record. If that is impossible, return the loop's id, which names the group of the first loop."""
    try:
        with file.open("rb") as opened:
            return str(json.loads(opened.readline())["loop"]["group"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return file.resolve().parent.name
