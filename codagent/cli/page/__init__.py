"""A loop for a person to judge: as one HTML page that needs nothing but a browser, and as a picture of its scores.

Pure: git is reached through the callable that it is given. All that it shows was written by models, files and commands, and is taken for
hostile.
"""

from codagent.cli.page.page import report
from codagent.cli.page.png import draw

__all__ = ["draw", "report"]
