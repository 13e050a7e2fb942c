"""The metrics of a run on disk."""

import errno
from pathlib import Path

import pytest

from codagent_train.run_dir import metrics


def test_a_line_that_finds_no_room_is_an_error_of_the_disk():
    with pytest.raises(OSError, match="No space left") as caught:
        metrics.append(Path("/dev/full"), 1, {"loss/total": 0.5})
    assert caught.value.errno == errno.ENOSPC
