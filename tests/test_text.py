import pytest

from codagent.text import (
    count,
    count_bytes,
    encode_text,
    first_argument,
    first_line,
    format_result,
    format_usd,
    join_names,
    parse_json,
    replace_unencodable,
    sanitize,
    strip_controls,
    truncate_middle,
)
from codagent.types import CommandResult, Message, Profile, ToolCall


def test_text_within_both_limits_is_untouched():
    assert truncate_middle("a\nb\n", max_lines=2, max_bytes=4) == "a\nb\n"


def test_too_many_lines_keep_head_and_tail_and_say_what_is_missing():
    text = "".join(f"{n}\n" for n in range(10))
    assert truncate_middle(text, max_lines=4, max_bytes=100) == "0\n1\n[… 6 lines, 12 bytes left out …]\n8\n9\n"


def test_too_many_bytes_never_cut_inside_a_line():
    text = "aaaa\nbbbb\ncccc\ndddd\n"
    assert truncate_middle(text, max_lines=100, max_bytes=12) == "aaaa\n[… 2 lines, 10 bytes left out …]\ndddd\n"


def test_one_enormous_line_is_left_out_whole():
    assert truncate_middle("x" * 1000, max_lines=10, max_bytes=100) == "[… 1 lines, 1,000 bytes left out …]\n"


def test_bytes_are_counted_and_not_characters():
    assert "left out" in truncate_middle("ééé\nb\n", max_lines=10, max_bytes=7)


def test_colours_titles_and_links_vanish():
    assert sanitize("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\") == "red  link"


def test_other_controls_are_spelt_out():
    assert sanitize("a\x00b\x08\x9bc\u202ed") == "a\\x00b\\x08\\x9bc\\u202ed"


def test_a_progress_bar_leaves_its_last_state():
    assert sanitize("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"
    assert sanitize("1\n2\r3\r\n4\r\r5\r") == "1\n3\n5"


def test_a_line_of_a_million_characters_takes_no_longer_than_many_short_ones():
    line = "x" * 1_000_000
    assert sanitize(line) == line


def test_an_unfinished_escape_sequence_cannot_swallow_what_a_terminal_prints_next():
    assert "\x1b" not in sanitize("text\x1b[") + sanitize("text\x1b]0;never ended")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"command": "ls", "seconds": 3}', "ls"),
        ('{"seconds": 3}', "3"),
        ("{}", ""),
        ("[1]", "[1]"),
        ('{"command": "l', '{"command": "l'),
        ("[" * 9000, "[" * 9000),
        ('{"a": ' * 9000, '{"a": ' * 9000),
    ],
)
def test_the_first_argument_of_a_call(arguments, told):
    assert first_argument(ToolCall("c", "bash", arguments)) == told


def test_a_first_line_says_that_there_is_more():
    assert [first_line(text, 3) for text in ("abc", " abc\n", "abcd", "a\nb", "")] == ["abc", "abc", "abc…", "a…", ""]


def test_marks_that_reorder_text_are_escape_controls():
    assert sanitize("a\u061c\u200f\u202eb") == r"a\u061c\u200f\u202eb"


HALVES = ["a\ud83d", "\ude00a", "\udcff\ud83d", "\ud83d\n" * 900, "\ud800\udc7f\udd00\udfff"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("❤️‍🔥 fire", "❤️‍🔥 fire"),
        ("ad\u200dmin", "ad\\u200dmin"),
        ("👩\u200dx", "👩\\u200dx"),
        ("x\u200d👧", "x\\u200d👧"),
        ("👩\u200d\u200d👧", "👩\\u200d\\u200d👧"),
    ],
)
def test_a_joiner_is_seen_unless_it_joins_two_emoji(text, seen):
    assert sanitize(text) == seen


@pytest.mark.parametrize("text", HALVES, ids=ascii)
def test_half_a_character_is_counted_cut_and_encoded(text):
    assert len(encode_text(text)) + 16 == count_bytes(Message("user", text))
    truncate_middle(text, max_lines=4, max_bytes=100)
    format_result(CommandResult(0, text, timed_out=False, seconds=0.0), Profile(output_lines=4))


def test_bytes_that_are_not_utf8_are_kept_and_halves_of_characters_are_not():
    assert encode_text("caf\udce9 \ud83d") == b"caf\xe9 \xef\xbf\xbd"
    assert replace_unencodable("\udc7f\udc80\udcff\udd00") == "\ufffd\udc80\udcff\ufffd"


def test_two_halves_of_a_character_are_that_character():
    assert replace_unencodable("\ud83d" + "\ude00" + "\ud83d" + "\udc80") == "\U0001f600\U0001f480"


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, "[" * 101 + "]" * 101, "9" * 5000, "-" + "9" * 300, "{", ""])
def test_json_that_cannot_be_used_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is what is promised
        parse_json(text)


def test_json_within_the_bounds_is_parsed():
    assert parse_json("[" * 99 + '{"a": "\n"}' + "]" * 99)
    assert parse_json("9" * 300) == int("9" * 300)


@pytest.mark.parametrize(
    ("usd", "written"),
    [
        (None, "cost unknown"),
        (0.0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.0123, "$0.01"),
        (0.0009, "$0.0009"),
        (0.001234, "$0.0012"),
        (0.00002, "$0.00002"),
    ],
)
def test_an_amount_is_written_with_a_digit_that_says_something(usd, written):
    assert format_usd(usd) == written


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\rall checks pass", "task: \\rall checks pass → failed"),
        ("\x1b]0;never ended", "task: "),
        ("\x1b[2K\x1b[1Gx", "task: x → failed"),
        ("a\u202eb\U000e0041", "task: a\\u202eb\\U000e0041 → failed"),
    ],
)
def test_a_foreign_part_hides_nothing_that_stands_before_it(foreign, shown):
    assert strip_controls(f"task: {foreign} → failed") == shown


def test_a_sequence_without_an_end_hides_no_other_line():
    assert strip_controls("one \x1b]52;c;\ntwo") == "one \ntwo"
    assert sanitize("one \x1bPq\ntwo\x1b\\") == "one \ntwo"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a.py", "b.py"], "a.py, b.py"),
        (["x\nall checks pass", "\x1b[2K\ry"], "x\\nall checks pass, \\x1b[2K\\ry"),
        ([str(number) for number in range(5)], "0, 1, 2 and 2 more"),
        ([], ""),
    ],
)
def test_names_in_a_sentence_are_bounded_and_no_sentences(names, sentence):
    assert join_names(names, 3) == sentence


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(1, "reply", "1 reply"), (0, "reply", "0 replies"), (2, "key", "2 keys"), (1234, "step", "1,234 steps"), (2, "copy", "2 copies")],
)
def test_a_number_comes_with_its_noun(number, noun, said):
    assert count(number, noun) == said
