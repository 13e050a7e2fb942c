"""What has happened in a session is in its history and on record, whatever comes in between."""

import os
import signal

import pytest

from codagent.session.history import History
from codagent.store.record import load
from codagent.types import Loop, Task


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_episode_is_added_whole_when_a_signal_comes_meanwhile(repository, tmp_path, monkeypatch, number):
    history = History(repository, tmp_path / "record.jsonl", Loop("1", "g", "repository", "m", ""), resumed=False)
    episode = history.begin("solve", Task("turn-1", "x"))
    history.record.on_episode_start(episode)
    write = history.record.on_episode_end

    def write_interrupted(episode):
        os.kill(os.getpid(), number)
        write(episode)

    monkeypatch.setattr(history.record, "on_episode_end", write_interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            history.add(episode)
    finally:
        signal.signal(number, before)
    assert history.episodes == (episode,)
    history.close()
    assert [one.task.id for one in load(tmp_path / "record.jsonl").episodes] == ["turn-1"]
