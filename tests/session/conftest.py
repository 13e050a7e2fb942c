import pytest

from tests.session.place import Place, make_repository


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository")


@pytest.fixture
def place(repository, tmp_path):
    made = Place(repository, tmp_path)
    yield made
    made.close()
