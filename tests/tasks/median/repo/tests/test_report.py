from tally import column, report


def test_a_report_has_a_line_for_each_number():
    assert report([1, 2, 9], "s") == "values  3\nmean    4s\nmedian  2s\nspread  8s"


def test_decimals_are_cut_to_two():
    assert "mean    0.33" in report([0, 0, 1])


def test_nothing_is_reported_as_nothing():
    assert report([]) == "no values"


def test_a_column_can_be_reported():
    assert report(column("n\n1\n2\n3\n", "n")).splitlines()[0] == "values  3"
