from sift import Rules, list_files


def test_files_below_a_folder_are_listed(tmp_path):
    for name in ("a.py", "lib/b.py", "lib/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert list_files(tmp_path, Rules.parse("*.py\nlib/*.py")) == ["a.py", "lib/b.py"]
