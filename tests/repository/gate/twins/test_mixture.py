"""The two mixtures of tests and twins of a commit."""

from codagent.repository.gate.twins import mix_tests, mixture


def test_all_loops_of_a_process_have_the_same_twins(shop):
    first, again = mix_tests(shop.root, shop.start), mix_tests(shop.root, shop.commit({"shop/price.py": "# another bug\n"}))
    assert first == again
    assert set(first.halves) >= {"tests/test_price.py::test_total", "tests/test_price.py::TestTotal::test_one"}


def test_other_tests_have_other_twins(shop):
    changed = shop.commit({"tests/test_price.py": "from shop.price import total\n\ndef test_total():\n    assert total([1, 2]) == 3\n"})
    mixed = (*mix_tests(shop.root, shop.start).mixed, *mix_tests(shop.root, changed).mixed)
    assert len({one.sources["tests/test_price.py"].text for one in mixed}) == 4


def test_what_twins_are_drawn_from_is_told_to_no_sandbox(shop):
    orders = [str(mixed.orders()) for mixed in mix_tests(shop.root, shop.start).mixed]
    assert all(mixture._SECRET not in order and mixture._SALT in order for order in orders)
