"""A repository, and scripts for a model to play, as the tests of the commands have them."""

from tests.cli.conftest import repository, script

__all__ = ["repository", "script"]
