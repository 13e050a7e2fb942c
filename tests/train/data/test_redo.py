"""Which recorded loops can be done again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Outcome, Task
from codagent_train.data.redo import find_redoable


def test_a_loop_whose_checks_passed_before_the_first_step_is_not_done_again(tmp_path: Path) -> None:
    task, passed = Task("task", "mend it", ("true",)), Outcome(1.0, True, "")
    episode = Episode("solve", 0, task, "", (Message("user", "mend it"),), end="passed", outcome=passed, commit="abc")
    file = tmp_path / ".codagent" / "loops" / "one" / "record.jsonl"
    with closing(Record(file, Loop("one", "one", "repository", "m", "abc"))) as record:
        record.on_episode_start(episode)
        record.on_episode_end(episode)
        record.finish("passed")
    redoable, rejections = find_redoable([tmp_path])
    assert (redoable, [rejection.reason for rejection in rejections]) == (
        [],
        ["loop one began with checks that passed, so there is nothing to do again"],
    )
