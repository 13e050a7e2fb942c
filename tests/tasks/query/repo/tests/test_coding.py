import pytest

from askant import decode, encode


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", ""),
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("tea & milk", "tea+%26+milk"),
        ("1+1=2", "1%2B1%3D2"),
        ("100%", "100%25"),
    ],
)
def test_plain_english_is_encoded_and_decoded(text, encoded):
    assert encode(text) == encoded
    assert decode(encoded) == text


def test_every_byte_of_a_character_is_encoded():
    assert encode("é€") == "%C3%A9%E2%82%AC"


def test_small_and_large_digits_mean_the_same():
    assert decode("%2f%2F") == "//"


@pytest.mark.parametrize("text", ["100%", "%zz", "a%2", "%%"])
def test_a_percent_sign_without_two_digits_stands_for_itself(text):
    assert decode(text) == text


def test_what_is_not_encoded_stays_as_it_is():
    assert decode("café") == "café"


def test_the_bytes_of_a_character_are_decoded_together():
    assert decode("caf%C3%A9+%E2%82%AC5") == "café €5"


def test_encoded_and_plain_letters_can_be_mixed():
    assert decode("é%C3%A9%") == "éé%"
