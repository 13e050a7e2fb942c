import pytest

from tests.session.place import Place, make_repository


@pytest.fixture
def place(tmp_path):
    made = Place(make_repository(tmp_path / "repository"), tmp_path)
    yield made
    made.close()
