import pytest

from layers import lookup, merge


def test_settings_of_both_are_there():
    assert merge({"a": 1}, {"b": 2}) == {"a": 1, "b": 2}


def test_the_later_setting_wins():
    assert merge({"a": 1, "b": 2}, {"a": 3}) == {"a": 3, "b": 2}


def test_tables_are_merged():
    assert merge({"server": {"host": "x", "port": 80}}, {"server": {"port": 81}}) == {"server": {"host": "x", "port": 81}}


def test_tables_within_tables_are_merged():
    base = {"server": {"tls": {"port": 443, "verify": True}}}
    assert merge(base, {"server": {"tls": {"verify": False}}}) == {"server": {"tls": {"port": 443, "verify": False}}}


def test_lists_are_replaced():
    assert merge({"hosts": ["a", "b"]}, {"hosts": ["c"]}) == {"hosts": ["c"]}


def test_none_removes_a_setting():
    assert merge({"a": 1, "b": 2}, {"a": None}) == {"b": 2}


def test_a_table_can_replace_a_value_and_a_value_a_table():
    assert merge({"a": 1, "b": {"c": 2}}, {"a": {"d": 3}, "b": 4}) == {"a": {"d": 3}, "b": 4}


def test_the_base_is_left_as_it_was():
    base = {"server": {"host": "x", "port": 80}}
    merge(base, {"server": {"port": 81}})
    assert base == {"server": {"host": "x", "port": 80}}


@pytest.mark.parametrize(("path", "value"), [("a", {"b": 1}), ("a.b", 1), ("a.c", "none"), ("a.b.c", "none")])
def test_a_setting_is_looked_up_by_its_path(path, value):
    assert lookup({"a": {"b": 1}}, path, "none") == value
