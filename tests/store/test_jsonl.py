"""Files of JSON Lines, torn and damaged everywhere."""

import pytest

from codagent.errors import RepositoryError
from codagent.store import jsonl
from tests.store.foreign import without_checksums

VALUES = [{"a": 1}, {"b": "\udcff"}, {"b": "x" * 30}, {"b": "x" * 30}]


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "file.jsonl", VALUES)


def write(path, values, previous=0):
    with jsonl.open_to_append(path) as opened:
        for value in values:
            previous = jsonl.append(opened, value, previous=previous)
    return path


def parse_all(path):
    values, checksum = [], None
    for line in jsonl.read_lines(path):
        value, checksum = jsonl.parse(line, checksum)
        values.append(value)
    return values


def test_lines_come_back_as_they_were_appended(file):
    assert parse_all(file) == VALUES


def test_a_file_torn_at_any_byte_has_its_whole_lines_and_goes_on_after_them(file):
    whole = file.read_bytes()
    for size in range(len(whole) + 1):
        file.write_bytes(whole[:size])
        left = VALUES[: whole[:size].count(b"\n")]
        assert parse_all(file) == left
        write(file, [{"more": size}], jsonl.drop_torn_line(file))
        assert parse_all(file) == [*left, {"more": size}]


def test_any_bit_that_is_flipped_is_noticed_or_tears_the_last_line(file):
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        if flipped.endswith(b"\n"):
            with pytest.raises(ValueError, match=r"^its? "):
                parse_all(file)
        else:
            assert parse_all(file) == VALUES[:-1]


def test_a_line_that_was_removed_doubled_or_moved_is_noticed(file):
    lines = file.read_bytes().splitlines(keepends=True)
    for at in range(len(lines)):
        for other in range(at + 1, len(lines)):
            swapped = list(lines)
            swapped[at], swapped[other] = lines[other], lines[at]
            for damaged in (swapped, [*lines[:at], *lines[other:]], [*lines[:other], *lines[at:]]):
                file.write_bytes(b"".join(damaged))
                with pytest.raises(ValueError, match="checksum does not fit"):
                    parse_all(file)


def test_lines_without_checksums_are_read_until_one_has_one(file):
    file.write_text(without_checksums(file.read_text()))
    write(file, [{"more": 1}, {"more": 2}], jsonl.drop_torn_line(file))
    assert parse_all(file) == [*VALUES, {"more": 1}, {"more": 2}]
    with file.open("a") as opened:
        opened.write('{"more": 3}\n')
    with pytest.raises(ValueError, match="no checksum"):
        parse_all(file)


@pytest.mark.parametrize(
    "line", [b"", b"5", b"[" * 50_000, b'{"a":' + b"1" * 5_001 + b"}", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"sum":"1"}']
)
def test_what_is_no_line_is_a_value_error(line):
    with pytest.raises(ValueError, match=r"^its? "):
        jsonl.parse(line, None)


def test_a_new_file_is_not_the_one_that_is_there_and_no_link_is_followed(file, tmp_path):
    with pytest.raises(FileExistsError):
        jsonl.open_to_append(file, new=True)
    (tmp_path / "link").symlink_to(file)
    for use in (jsonl.open_to_append, jsonl.read_lines, jsonl.drop_torn_line):
        with pytest.raises(RepositoryError):
            use(tmp_path / "link")
