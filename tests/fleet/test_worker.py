"""A loop on a worker, without anything that carries the pieces: what the driver keeps equals what the worker made."""

import json
import subprocess
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import SandboxError, UsageError
from codagent.fleet.parcel import Began, Ended, Failed, FileTail, KeptWork, Seen
from codagent.fleet.remote_runner import NoWorkerLeft, RemoteRunner, WorkerLost
from codagent.fleet.worker import play_loop
from codagent.repository import git
from codagent.runner.executor import LocalExecutor, RunnerOptions
from codagent.runner.model import Access, open_model
from codagent.runner.result import outcome_label
from codagent.runner.spec import LoopSpec
from codagent.settings.settings import LOCAL, Settings
from codagent.store import layout
from codagent.store.ledger import read_spent
from codagent.store.record import load
from codagent.types import Limits, Task
from tests.cli.conftest import CHECK, call
from tests.cli.loops import tries


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "answer.txt").write_text("wrong\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def options(root, tmp_path):
    def make(items, **limits):
        script = tmp_path / "script.json"
        script.write_text(json.dumps(items))
        settings = Settings(model=f"scripted:{script}", sandbox=LOCAL, limits=Limits(**limits))
        loops = layout.make_loops_dir(tmp_path / "home")
        return RunnerOptions(root, settings, loops, ProgressLines(), lambda: open_model(settings, Access()), Access(secret=b"s"))

    return make


def spec_for(options, **changed):
    loop_id = layout.create_loop(options.loops)
    facts = {"iterate": True, "rewrite": "until-passed", "notes_file": str(options.loops / loop_id / "notes.md")} | changed
    return LoopSpec(loop_id, loop_id, (Task("t", "mend it", (CHECK,)),), **facts)


def here(parcel, packed, unfit):
    """Carry a loop to a worker in this process."""
    yield Began("here")
    yield from play_loop(parcel, packed, lambda: False)


def lose_after(count):
    """Carry loops to workers of which the first is lost after so many pieces; also returns how often a worker began."""
    began = []

    def carry(parcel, packed, unfit):
        began.append(parcel)
        with closing(here(parcel, packed, unfit)) as pieces:
            for number, piece in enumerate(pieces):
                if len(began) == 1 and number == count:
                    raise WorkerLost("killed")
                yield piece

    return carry, began


def outline(loop):
    """What a loop did, without what differs from run to run."""
    return [
        (episode.kind, episode.position, episode.end, episode.notes_after, episode.outcome and episode.outcome.reward)
        for episode in loop.episodes
    ], [[step.observation.messages for step in episode.steps] for episode in loop.episodes]


def run(options, carry, so_far=None, spec=None):
    spec = spec or spec_for(options)
    return RemoteRunner(options, carry).run(spec, so_far)


def test_a_worker_has_the_submodules(options, root):
    (root / "vendor").mkdir()
    (root / "vendor/value.h").write_text("42\n")
    for folder in (root / "vendor", root):
        for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
            subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    made = options([call("bash", command="cat vendor/value.h >answer.txt; rm -r vendor"), call("finish", summary="x")])
    loop = run(
        made, here, spec=replace(spec_for(made), tasks=(Task("t", "x", ("grep -q 42 answer.txt", "grep -q 42 vendor/value.h")),))
    ).loop
    assert outcome_label(loop) == "passed"
    assert git.list_submodules(root, git.find_best(root, loop.id)) == git.list_submodules(root, loop.start_commit)


def test_a_loop_elsewhere_equals_one_here(options, root):
    made = options(tries("1", "2", "right"))
    there = run(made, here)
    local = LocalExecutor().make_runner(made)
    with closing(local):
        same = local.run(spec_for(made))
    assert outline(there.loop) == outline(same.loop)
    assert outcome_label(there.loop) == "passed"
    assert there.spent == same.spent
    folder = made.loops / there.loop.id
    assert (folder / "notes.md").read_text() == "after 2\n"
    assert sorted(git.list_published(root, there.loop.id)) == [0, 1, 2]
    for result in (there, same):
        shown = subprocess.run(
            ["git", "show", f"codagent/{result.loop.id}:answer.txt"], cwd=root, capture_output=True, text=True, check=True
        )
        assert shown.stdout == "right\n"
    assert not list(folder.glob("lock*"))


@pytest.mark.parametrize("count", [1, 5, 14, 27])
def test_a_loop_whose_worker_is_lost_goes_on_from_its_record(options, root, count):
    made = options(tries("1", "2", "right"))
    carry, began = lose_after(count)
    result = run(made, carry)
    assert len(began) == 2
    expected = run(made, here)
    assert outline(result.loop) == outline(expected.loop)
    replies = [step.reply.message for episode in result.loop.episodes for step in episode.steps]
    assert len(replies) == len({repr(reply) for reply in replies})  # no reply was asked for twice
    published = git.list_published(root, result.loop.id)
    assert [published[attempt.position] for attempt in result.loop.attempts] == [attempt.commit for attempt in result.loop.attempts]


def test_a_record_names_no_commit_that_was_not_received_before(options, root):
    made = options(tries("1", "right"))
    spec = spec_for(made)
    seen, commits = b"", set()
    for piece in run_pieces(made, spec):
        if isinstance(piece, KeptWork):
            commits.add(piece.commit)
        elif isinstance(piece, FileTail) and piece.name == layout.RECORD:
            seen += piece.data
            named = {json.loads(line)["ended"].get("commit") for line in seen.splitlines(keepends=False) if line.startswith(b'{"ended"')}
            assert named - {None} <= commits
    assert len(commits) == 2


def run_pieces(options, spec):
    runner = RemoteRunner(options, here)
    pieces = []

    def carry(parcel, packed, unfit):
        for piece in here(parcel, packed, unfit):
            pieces.append(piece)
            yield piece

    runner._run_elsewhere = carry
    runner.run(spec)
    return pieces


def test_what_a_lost_worker_may_have_asked_counts_as_spent(options):
    made = options(tries("1", "2", "right"))
    carry, _ = lose_after(14)
    lost, whole = run(made, carry), run(made, here)
    assert lost.spent.tokens > whole.spent.tokens
    assert read_spent(made.loops / lost.loop.id / layout.LEDGER) == lost.spent


def test_a_limit_holds_over_all_workers(options):
    made = options(tries("1", "2", "right"), tokens=6_500)
    assert run(made, here).loop.end == "passed"
    result = run(made, lose_after(12)[0])
    assert (result.loop.end, result.spent.tokens <= 6_500) == ("tokens", True)


def test_a_reservation_travels_before_its_request_is_answered(options):
    """The ledger is ahead of the record: at no time is there a reply on record that the ledger does not have."""
    made = options(tries("1", "right"))
    ledger = record = b""
    for piece in run_pieces(made, spec_for(made)):
        if isinstance(piece, FileTail) and piece.name == layout.LEDGER:
            ledger = ledger[: piece.offset] + piece.data
        elif isinstance(piece, FileTail) and piece.name == layout.RECORD:
            record = record[: piece.offset] + piece.data
            assert record.count(b'\n{"reply"') <= ledger.count(b'"reserve"')


def test_a_worker_that_has_no_engine_is_left_for_another(options):
    made = options(tries("right"))
    asked = []

    def carry(parcel, packed, unfit):
        asked.append(unfit)
        node = f"node{len(unfit)}"
        yield Began(node)
        if len(unfit) < 2:
            yield Failed("SandboxError", "no engine answers")
        else:
            yield from play_loop(parcel, packed, lambda: False)

    assert outcome_label(run(made, carry).loop) == "passed"
    assert asked == [frozenset(), frozenset({"node0"}), frozenset({"node0", "node1"})]


def test_where_no_worker_has_an_engine_the_reason_is_told_and_nothing_stays(options, root):
    made = options([])

    def carry(parcel, packed, unfit):
        if unfit:
            raise NoWorkerLeft
        yield Began("only")
        yield Failed("SandboxError", "no engine answers")

    with pytest.raises(SandboxError, match="no engine answers"):
        run(made, carry)
    assert list(made.loops.iterdir()) == []
    assert not subprocess.run(["git", "for-each-ref", "refs/codagent"], cwd=root, capture_output=True, check=True).stdout


def test_a_loop_that_loses_every_worker_is_no_success(options):
    made, began = options(tries("right")), []

    def carry(parcel, packed, unfit):
        began.append(1)
        yield Began("n")
        raise WorkerLost("killed")

    with pytest.raises(SandboxError, match="5 workers were lost"):
        run(made, carry)
    assert len(began) == 5


def test_a_wrong_setting_is_raised_as_it_is_here(options):
    made = options([])
    with pytest.raises(UsageError, match="the price of"):
        run(
            RunnerOptions(
                made.root,
                Settings(model="http://127.0.0.1:1/v1#x", sandbox=LOCAL, limits=Limits(usd=1.0), asked=frozenset({"max_usd"})),
                made.loops,
                made.display,
                made.open_model,
                made.access,
            ),
            here,
        )


def slow_start():
    return [call("bash", command="echo 1 > answer.txt"), call("finish", summary="x"), "<notes>\nn\n</notes>", *tries("right")]


def test_a_stopped_loop_can_be_resumed_elsewhere_and_ends_the_same(options):
    made, stopped = options(slow_start()), []

    def carry(parcel, packed, unfit):
        for piece in play_loop(parcel, packed, lambda: parcel.spec.loop_id in stopped):
            if isinstance(piece, Seen) and piece.kind == "episode_end":
                runner.stop()
            yield piece

    spec = spec_for(made)
    runner = RemoteRunner(made, carry, stopped.append)
    with suppress(KeyboardInterrupt):  # raised when the stop comes between two episodes
        assert runner.run(spec).loop.end == "interrupted"
    assert stopped == [spec.loop_id] * len(stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run(spec_for(made))  # no further loop begins
    so_far = load(made.loops / spec.loop_id / layout.RECORD)
    result = run(made, here, so_far, spec=spec)
    assert (outcome_label(result.loop), len(result.loop.attempts)) == ("passed", 2)


@pytest.mark.parametrize("moment", ["episode_start", "reply", "episode_end"])
def test_a_worker_that_is_ended_by_its_machine_is_a_lost_worker_and_no_interrupt(options, moment):
    made, ended, began = options(slow_start()), [], []

    def carry(parcel, packed, unfit):
        began.append(parcel)
        for piece in play_loop(parcel, packed, lambda: bool(ended) and len(began) == 1):
            if isinstance(piece, Seen) and piece.kind == moment:
                ended.append(1)
            yield piece

    result = run(made, carry)
    assert (outcome_label(result.loop), len(result.loop.attempts)) == ("passed", 2)


def test_the_last_piece_says_how_it_ended(options):
    made = options(tries("right"))
    assert isinstance(run_pieces(made, spec_for(made))[-1], Ended)


def test_a_bug_on_a_worker_is_raised_and_is_no_end_of_the_loop(options):
    made = options(tries("right"))

    def carry(parcel, packed, unfit):
        broken = replace(parcel, spec=replace(parcel.spec, rewrite=None, tasks=None))
        yield from play_loop(broken, packed, lambda: False)

    with pytest.raises(TypeError):
        run(made, carry)
