import pytest

from recall import LRUCache


def filled(size, keys):
    cache = LRUCache(size)
    for key in keys:
        cache.put(key, key.upper())
    return cache


def test_a_value_is_found_again():
    assert filled(2, "a").get("a") == "A"


def test_an_unknown_key_gives_the_default():
    assert filled(2, "a").get("b", "nothing") == "nothing"


def test_a_full_cache_drops_the_oldest_entry():
    assert list(filled(2, "abc")) == ["b", "c"]


def test_writing_an_entry_again_makes_it_recent():
    cache = filled(3, "abc")
    cache.put("a", "again")
    cache.put("d", "D")
    assert list(cache) == ["c", "a", "d"]


def test_reading_an_entry_makes_it_recent():
    cache = filled(3, "abc")
    assert cache.get("a") == "A"
    cache.put("d", "D")
    assert list(cache) == ["c", "a", "d"]


def test_asking_for_membership_is_not_a_use():
    cache = filled(2, "ab")
    assert "a" in cache
    cache.put("c", "C")
    assert list(cache) == ["b", "c"]


def test_a_discarded_entry_is_gone_and_discarding_twice_is_fine():
    cache = filled(2, "ab")
    cache.discard("a")
    cache.discard("a")
    assert list(cache) == ["b"]


def test_a_cache_without_room_is_refused():
    with pytest.raises(ValueError, match="room for one entry"):
        LRUCache(0)
