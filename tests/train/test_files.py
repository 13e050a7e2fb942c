"""A run whose disk is full says so, keeps what is whole, and goes on when there is room."""

import errno
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from codagent.errors import RecordError
from codagent_train.files import disk_errors
from codagent_train.policy.load import load_policy
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training.trainer import train

pytestmark = pytest.mark.usefixtures("hushed")

WEIGHTS, MOMENTS = 200_000, 500_000  # bytes that a file may have: fewer than model.safetensors, than optimizer.pt


@contextmanager
def files_end_at(size):
    """As on a disk that is full; any user may set it, and any file system knows it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [WEIGHTS, MOMENTS])
def test_a_checkpoint_that_finds_no_room_ends_the_run_and_the_one_before_is_gone_on_from(small, out, room):
    often = replace(small, learning=replace(small.learning, steps=3, save_every=1))
    train(replace(often, learning=replace(often.learning, steps=1)), load_policy(small.policy, seed=0), out)
    with files_end_at(room), pytest.raises(RecordError, match="make room, then continue with --resume") as caught, disk_errors(out):
        train(often, load_policy(small.policy, seed=0), out, last=checkpoints.resume_run(out, often))
    assert caught.value.exit_code == 7
    assert (checkpoints.unfinished_dir(out) / "checkpoint-2").is_dir()
    last = checkpoints.resume_run(out, often)
    assert last == out / "checkpoint-1"
    assert not checkpoints.unfinished_dir(out).exists()
    train(often, load_policy(small.policy, seed=0), out, last=last)
    assert [line["step"] for line in metrics.read(out / metrics.FILE)] == [1, 2, 3]


def test_so_does_a_line_of_metrics(out):
    with pytest.raises(RecordError, match="No space left on device"), disk_errors(out):
        metrics.append(Path("/dev/full"), 1, {"loss/total": 0.5})


def test_what_is_no_matter_of_room_stays_what_it_is(out):
    for error in (OSError(errno.EACCES, "no"), RuntimeError("no"), ValueError("no")):
        with pytest.raises(type(error), match="no"), disk_errors(out):
            raise error
