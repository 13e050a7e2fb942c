"""How long the rows of recorded loops are."""

from dataclasses import replace

from codagent.types import Message, Tokens
from codagent_train.data.records.row_lengths import RowLengths, measure_rows
from tests.train.data.records.recordings import reply, write


def test_replies_that_go_on_share_a_row(tmp_path):
    first, second = reply(), reply(tokens=Tokens((5, 6, 1, 2, 9), (3,), (-1.0,)))
    write(tmp_path, "one", 1.0, first, second)
    write(tmp_path, "two", 0.0, first)
    assert measure_rows([tmp_path]) == RowLengths(per_loop=(6 + 4) // 2, longest=6)


def test_text_without_tokens_is_estimated_by_its_bytes(tmp_path):
    said = replace(reply(tokens=None), message=Message("assistant", "x" * 3_000))
    write(tmp_path, "one", 1.0, said)
    assert 1_000 < measure_rows([tmp_path]).longest < 1_050


def test_records_that_cannot_be_read_have_no_rows(tmp_path):
    write(tmp_path, "one", 1.0).write_text("{")
    assert measure_rows([tmp_path]) == RowLengths(0, 0)
