"""Runs one loop on a worker of a fleet. It does not know what carries the pieces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from codagent.errors import CodagentError
from codagent.files import temporary_folder
from codagent.fleet.parcel import NOTES, Ended, Failed, FileTail, KeptWork, Parcel, Piece, Said, Seen, write_files
from codagent.protocols import Stop, ignore_text
from codagent.repository import git
from codagent.runner.display import LoopView
from codagent.runner.model import Access, open_model
from codagent.runner.runner import Runner
from codagent.store import layout
from codagent.store.record import load
from codagent.types import Episode, Loop, Message, Reply, Step, Task

_CHUNK = 64 << 10  # bytes; small pieces travel with the message and are not lost with the machine that sent them
_Item = tuple[Piece | None, int]  # a piece, and how many bytes of the record may travel after it; None: there are no more
_LOOK_S = 0.1  # how often the files are looked at: a reservation in the ledger is a change, too


def play_loop(parcel: Parcel, packed: bytes, is_stopped: Callable[[], bool]) -> Iterator[Piece]:
    """Run the loop in a folder of its own, and yield what becomes of it. The last piece is Ended or Failed.

    `packed` are the commits that the loop begins from, or has made so far. Once `is_stopped`, the loop is interrupted.
    """
    with temporary_folder() as folder:
        root = folder / "repository"
        git.make_repository(root, packed)
        loops = layout.make_loops_dir(folder / "home")
        own = loops / parcel.spec.loop_id
        own.mkdir()
        write_files(own, parcel.files)
        pieces: SimpleQueue[_Item] = SimpleQueue()
        courier = Courier(own, root, parcel, pieces.put)
        access = Access(parcel.api_key, None, parcel.calling, parcel.secret, lambda _root, _wanted: parcel.setup)
        answered = sum(len(episode.steps) for episode in load(own / layout.RECORD).episodes) if layout.RECORD in parcel.files else 0
        opening = partial(open_model, parcel.settings, access, parcel.profile, answered=answered, say=courier.say)
        with (
            closing(Runner(root, parcel.settings, loops=loops, display=courier, open_model=opening, access=access)) as runner,
            ThreadPoolExecutor(1, thread_name_prefix="loop") as pool,
        ):
            running = pool.submit(_run, runner, parcel, own, pieces.put)
            try:
                yield from _relay(pieces, courier, is_stopped, runner.stop)
            finally:  # also when nobody listens any more
                runner.stop()
            running.result()  # raises what is a bug


def _relay(pieces: SimpleQueue[_Item], courier: Courier, is_stopped: Callable[[], bool], stop: Callable[[], None]) -> Iterator[Piece]:
    last: Piece | None = None
    while True:
        if is_stopped():
            stop()
        try:
            piece, record_bytes = pieces.get(timeout=_LOOK_S)
        except Empty:
            yield from courier.tails()
            continue
        if piece is None:
            break
        if isinstance(piece, Ended | Failed):
            last = piece
            continue
        yield piece
        yield from courier.tails(record_bytes)
    yield from courier.tails(sys.maxsize)
    if last:
        yield last


def _run(runner: Runner, parcel: Parcel, own: Path, put: Callable[[_Item], None]) -> None:
    notes = str(own / NOTES) if parcel.spec.notes_file else ""
    try:
        so_far = load(own / layout.RECORD) if (own / layout.RECORD).is_file() else None
        runner.run(replace(parcel.spec, notes_file=notes), so_far)
        put((Ended(), 0))
    except CodagentError as error:
        put((Failed(type(error).__name__, str(error)), 0))
    except KeyboardInterrupt:
        put((Failed("KeyboardInterrupt", ""), 0))
    finally:
        put((None, 0))


class Courier:
    """A Display that hands over what happens, and the files of the loop as they grow."""

    on_text = on_output = staticmethod(ignore_text)

    def __init__(self, folder: Path, root: Path, parcel: Parcel, put: Callable[[_Item], None]) -> None:
        self._folder, self._root, self._put, self._loop_id = folder, root, put, parcel.spec.loop_id
        self._sent = {name: len(file.data) for name, file in parcel.files.items() if name != NOTES}
        self._notes = parcel.files[NOTES].data if NOTES in parcel.files else None
        self._known = [parcel.spec.start_commit, parcel.spec.begin]
        self._view: LoopView | None = None
        self._allowed = 0

    def tails(self, record_bytes: int = 0) -> Iterator[FileTail]:
        """Yield what the files have more than before. Of the record, no more than so many bytes, or than an earlier call has allowed.

        A line of the record that names a commit would else travel before the commit.
        """
        self._allowed = max(self._allowed, record_bytes)
        for name in (layout.LEDGER, layout.RECORD):
            yield from self._tail_of(name, self._allowed if name == layout.RECORD else sys.maxsize)
        notes = self._folder / NOTES
        if notes.is_file() and (data := notes.read_bytes()) != self._notes:
            self._notes = data
            yield FileTail(NOTES, 0, data)

    def _tail_of(self, name: str, end: int) -> Iterator[FileTail]:
        offset, path = self._sent.get(name, 0), self._folder / name
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(offset)
            while offset < end and (data := file.read(min(_CHUNK, end - offset))):
                yield FileTail(name, offset, data)
                offset += len(data)
        self._sent[name] = offset

    def say(self, line: str) -> None:
        self._put((Said(line), 0))

    def watch(self, view: LoopView) -> None:
        self._view = view

    def close(self) -> None: ...

    def on_episode_start(self, episode: Episode) -> None:
        self._see(Seen("episode_start", replace(episode, prompt=())))

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        self._see(Seen("reply", replace(reply, tokens=None, raw="")))

    def on_step(self, step: Step) -> None:
        self._see(Seen("step", replace(step, reply=replace(step.reply, tokens=None, raw=""), context=None)))

    def on_episode_end(self, episode: Episode) -> None:
        commit = git.list_published(self._root, self._loop_id).get(episode.position) if episode.kind == "solve" else None
        if commit:
            pack = git.pack_work(self._root, commit, self._known)
            self._put((KeptWork(episode.position, commit, git.find_best(self._root, self._loop_id), self._known[0], pack), 0))
            self._known.append(commit)
        self._see(Seen("episode_end", replace(episode, prompt=(), steps=())))

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:
        for line in (self._view.describe_progress(loop) if self._view else "", following.message if isinstance(following, Stop) else ""):
            if line:
                self.say(line)

    def _see(self, event: Seen) -> None:
        """Hand over an event, with the record as it is now: it was written just before."""
        record = self._folder / layout.RECORD
        self._put((event, record.stat().st_size if record.exists() else 0))
