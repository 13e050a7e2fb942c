"""Exports recorded loops to a folder with rows, episodes and trajectories. The folder is written completely or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from codagent.adapters.atif import episode_name, to_json_value, to_trajectory
from codagent.errors import UsageError
from codagent.types import Episode, Loop, Message
from codagent_train.data import credit
from codagent_train.data.records.finder import iter_unique
from codagent_train.data.records.scan import ScanResult, scan
from codagent_train.files import atomic_output, require_empty

ROWS, EPISODES, TRAJECTORIES = "rows", "episodes", "trajectories"
_ROWS_PER_TABLE = 500  # rows that are converted at a time; a table can hold at most 2 GB of text

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export has written."""

    rows: int
    episodes: int  # and as many trajectories
    scanned: ScanResult  # what the records hold

    def describe(self) -> str:
        """Describe the export in lines for a person."""
        lines = [self.scanned.describe(), f"written  rows {self.rows}, episodes {self.episodes}, trajectories {self.episodes}"]
        if not self.rows:
            lines.append("         rows is empty: no reply can be learned from, for the reasons above")
        return "\n".join(lines)


def export_records(paths: Sequence[Path], out: Path) -> ExportSummary:
    """Write the records in these folders to the folder `out`.

    Raises UsageError for a path that does not exist or holds no record, and for an `out` that is not empty or cannot be written.
    """
    out = require_empty(out)
    result = scan(paths)
    episodes = list(_episodes(paths, result))
    try:
        with atomic_output(out) as unfinished:
            unfinished.mkdir()
            rows = _write(unfinished / ROWS, (row for group in result.groups for row in _rows(group)), _row_types())
            _write(unfinished / EPISODES, (_episode(loop, episode) for loop, episode in episodes), _episode_types())
            _write_trajectories(unfinished / TRAJECTORIES, episodes)
    except OverflowError as error:  # a damaged record may have a number that is too large for a column
        raise UsageError(f"{out} cannot be written: {error}; leave out the record that holds it") from error
    return ExportSummary(rows, len(episodes), result)


def _episodes(paths: Sequence[Path], result: ScanResult) -> Iterator[tuple[Loop, Episode]]:
    """Yield the finished episodes of all loops, each once, also those that cannot be trained on. A compared loop has its group's name."""
    groups = {loop.id: _group_name(group) for group in result.groups for loop in group}
    for _, loop in iter_unique(paths, []):  # the scan has the rejections already
        named_alike = replace(loop, group=groups.get(loop.id, loop.group))
        yield from ((named_alike, episode) for episode in loop.episodes if episode.steps and not episode.resumable)


def _rows(group: Sequence[Loop]) -> Iterator[Line]:
    """Yield a row for each reply that has an advantage. In a group without signal it is 0, and the rows can still be imitated."""
    worth = credit.advantages([credit.episode_rewards(loop) for loop in group])
    for loop, scores in zip(group, worth, strict=True):
        for episode in loop.episodes:
            advantage = scores.get((episode.kind, episode.position))
            if advantage is not None:
                about = {"loop": loop.id, "group": _group_name(group), "advantage": advantage}
                yield from ({**to_json_value(about), **line} for line in _reply_rows(episode))


def _group_name(group: Sequence[Loop]) -> str:
    """Return the name of a group of compared loops: the id of the first."""
    return group[0].id


def _reply_rows(episode: Episode) -> Iterator[Line]:
    """Yield the row of each reply that has tokens, without what is the same for the whole episode's loop."""
    for number, (step, messages) in enumerate(zip(episode.steps, episode.requests(), strict=True)):
        reply = step.reply
        if reply.tokens:
            text = {
                "kind": episode.kind,
                "position": episode.position,
                "step": number,
                "task": episode.task.id,
                "reward": episode.outcome.reward if episode.outcome else None,
                "temperature": reply.sampling.temperature,
                "policy": reply.policy,
                "prompt": [_message(message) for message in messages],
                "completion": [_message(reply.message)],
                "raw": reply.raw,
            }
            tokens = reply.tokens
            ids = {"prompt_ids": tokens.prompt_ids, "completion_ids": tokens.completion_ids, "logprobs": tokens.logprobs}
            yield {**to_json_value(text), **ids}


def _episode(loop: Loop, episode: Episode) -> Line:
    """Return the line of an episode."""
    outcome = episode.outcome
    messages = [message for step in episode.steps for message in (step.reply.message, *step.observation.messages)]
    line: Line = to_json_value(
        {
            "loop": loop.id,
            "group": loop.group,
            "kind": episode.kind,
            "position": episode.position,
            "task": episode.task.id,
            "instruction": episode.task.instruction,
            "notes_before": episode.notes_before,
            "notes_after": episode.notes_after,
            "messages": [_message(message) for message in (*episode.prompt, *messages)],
            "reward": outcome.reward if outcome else None,
            "passed": outcome.passed if outcome else None,
            "end": episode.end,
            "commit": episode.commit,
        }
    )
    return line


def _message(message: Message) -> Line:
    """Return a message in the form of chat endpoints. The arguments of a call are the text that the model wrote."""
    calls = [(call.id, {"name": call.name, "arguments": call.arguments}) for call in message.tool_calls]
    tool_calls = [{"id": id_, "type": "function", "function": function} for id_, function in calls] or None
    return {"role": message.role, "content": message.content, "tool_calls": tool_calls, "tool_call_id": message.tool_call_id}


def _row_types() -> Line:
    from datasets import List, Value

    text, integer, real = Value("string"), Value("int64"), Value("float64")
    return {
        "loop": text,
        "group": text,
        "kind": text,
        "position": integer,
        "step": integer,
        "task": text,
        "prompt_ids": List(integer),
        "completion_ids": List(integer),
        "logprobs": List(real),
        "advantage": real,
        "reward": real,
        "temperature": real,
        "policy": text,
        "prompt": _message_types(),
        "completion": _message_types(),
        "raw": text,
    }


def _episode_types() -> Line:
    from datasets import Value

    text = Value("string")
    return {
        "loop": text,
        "group": text,
        "kind": text,
        "position": Value("int64"),
        "task": text,
        "instruction": text,
        "notes_before": text,
        "notes_after": text,
        "messages": _message_types(),
        "reward": Value("float64"),
        "passed": Value("bool"),
        "end": text,
        "commit": text,
    }


def _message_types() -> Any:
    from datasets import List, Value

    text = Value("string")
    call = {"id": text, "type": text, "function": {"name": text, "arguments": text}}
    return List({"role": text, "content": text, "tool_calls": List(call), "tool_call_id": text})


def _write(folder: Path, lines: Iterable[Line], types: Line) -> int:
    """Write lines to a folder that `datasets` can load, and return their number. Without lines, it is a table with columns and no rows."""
    from datasets import Dataset, Features, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    columns, remaining = Features(types), iter(lines)
    tables = [Dataset.from_dict({name: [] for name in columns}, features=columns)]
    while chunk := list(islice(remaining, _ROWS_PER_TABLE)):
        tables.append(Dataset.from_list(chunk, features=columns))
    table = concatenate_datasets(tables)
    table.save_to_disk(folder, num_shards=1)
    return len(table)


def _write_trajectories(folder: Path, episodes: Sequence[tuple[Loop, Episode]]) -> None:
    folder.mkdir()
    for loop, episode in episodes:
        text = json.dumps(to_trajectory(loop, episode), ensure_ascii=False, allow_nan=False)
        name = episode_name(replace(loop, id=_file_name(loop.id)), episode)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _file_name(text: str) -> str:
    """Return a safe file name: the text if it is a plain name, otherwise its hash. A record may hold any text as the id of its loop."""
    if re.fullmatch(r"[\w-]{1,100}", text, re.ASCII):
        return text
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
