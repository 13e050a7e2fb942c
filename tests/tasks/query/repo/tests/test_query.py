from askant import Query


def test_the_query_is_between_the_question_mark_and_the_hash():
    assert Query.of("https://shop.example/find?q=tea&n=2#top?x=1").pairs == (("q", "tea"), ("n", "2"))


def test_a_link_may_have_no_query():
    assert Query.of("https://shop.example/find").pairs == ()


def test_a_name_may_have_several_values():
    query = Query.parse("tag=new&q=tea&tag=cold")
    assert query.all("tag") == ["new", "cold"]
    assert query.first("tag") == "new"
    assert query.first("size", "large") == "large"


def test_a_pair_is_split_at_its_first_equals_sign():
    assert Query.parse("a=b=c&&d&=e").pairs == (("a", "b=c"), ("d", ""), ("", "e"))


def test_a_value_is_put_in_the_place_of_others():
    assert str(Query.parse("q=a&n=1&q=b").put("q", "tea & milk")) == "n=1&q=tea+%26+milk"


def test_a_query_that_was_written_can_be_read():
    query = Query((("größe", "½ l"), ("q", "日本茶")))
    assert Query.parse(str(query)) == query
