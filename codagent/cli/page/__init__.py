"""Show a loop to the person who judges it: as one HTML page that needs nothing but a browser, and as a picture of its scores.

This package reads no file and runs no command; it reaches git through the function that it is given. Everything that it shows was written
by models, files and commands, and counts as hostile.
"""

from codagent.cli.page.page import render_page
from codagent.cli.page.png import draw_png

__all__ = ["draw_png", "render_page"]
