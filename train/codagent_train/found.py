"""What reading recorded loops came to: groups to learn from, and each refusal with its reason. Knows nothing of torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codagent.types import Loop, Reply
from codagent_train import credit
from codagent_train.rows import copied


@dataclass(frozen=True, slots=True)
class Refused:
    """What is not used: a record, a loop or a reply of one; `where` names the record."""

    kind: str
    where: Path
    reason: str


def reasons(refused: Iterable[Refused]) -> str:
    """Each once, in a line."""
    return "; ".join(sorted({each.reason for each in refused}))


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


def replies(loop: Loop) -> list[Reply]:
    return [step.reply for episode in loop.episodes for step in episode.steps]


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else {"reply": "replies"}.get(kind, f"{kind}s")
