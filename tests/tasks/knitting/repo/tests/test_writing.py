from purl import chart, parse, pattern, runs


def test_a_row_without_stitches_has_no_stretches():
    assert runs("") == []


def test_every_stretch_of_equal_stitches_is_counted():
    assert runs("..---o") == [(".", 2), ("-", 3), ("o", 1)]


def test_a_pattern_has_a_line_for_each_row():
    assert pattern(["..--..", "------"]) == "row 1: k2 p2 k2\nrow 2: p6"


def test_a_written_pattern_reads_as_the_chart_that_it_came_from():
    rows = parse("..o..\n-----\n.-.-.")
    assert chart(pattern(rows)) == rows
