import json

import pytest

from layers import from_environ, from_file, load

DEFAULTS = {"debug": False, "server": {"host": "localhost", "port": 80}}


def test_defaults_alone_are_the_settings():
    assert load(DEFAULTS) == DEFAULTS


def test_the_file_wins_over_the_defaults(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"debug": True}))
    assert load(DEFAULTS, file=file)["debug"] is True


def test_one_load_does_not_change_the_next():
    load(DEFAULTS, environ={"APP_SERVER__PORT": "81"})
    assert load(DEFAULTS)["server"]["port"] == 80


def test_a_file_that_is_not_there_is_empty(tmp_path):
    assert from_file(tmp_path / "none.json") == {}


def test_a_file_without_a_table_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds no table"):
        from_file(tmp_path / "list.json")


def test_names_of_the_environment_become_tables():
    environ = {"APP_SERVER__PORT": "81", "APP_NAME": "web", "HOME": "/root"}
    assert from_environ(environ, "APP_") == {"server": {"port": 81}, "name": "web"}
