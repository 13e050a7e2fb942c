"""What a task of the paper's terminal begins with: two computers, and the files and folders that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.terminal.simulator.computer import Computer, File, Folder, Path, System

Side = Literal["local", "server"]
MODES = ("644", "755", "600", "700", "664", "640", "444", "750")
ARCHIVES = ("tar", "tar.gz", "zip")
_SYSTEMS: tuple[System, ...] = ("windows", "macos", "linux")
_USERS = ("admin", "deploy", "user", "webmaster", "devops", "ops", "ubuntu")
# fmt: off
_FILES = (
    "report.txt", "notes.md", "config.yaml", "data.csv", "index.html", "app.py", "main.js", "style.css", "backup.sql", "readme.txt",
    "invoice.pdf", "photo.jpg", "logo.png", "server.log", "access.log", "settings.json", "package.json", "script.sh", "query.sql",
    "users.csv", "budget.xlsx", "slides.pptx", "archive.dat", "key.pem", "todo.txt",
)
_FOLDERS = (
    "documents", "projects", "backup", "data", "logs", "images", "scripts", "reports", "public", "private", "releases", "shared",
    "archive", "temp", "config", "build", "assets", "sources", "uploads", "exports",
)
# fmt: on


class Check(NamedTuple):
    """What must hold on one computer in the end."""

    side: Side
    path: Path
    wants: Literal["content", "nothing", "folder", "mode", "entries"]
    value: object = None  # the content, the mode, or the contents by name

    def holds(self, computer: Computer) -> bool:
        node = computer.find(self.path)
        if self.wants == "nothing":
            return node is None
        if self.wants == "folder":
            return isinstance(node, Folder)
        if not isinstance(node, File):
            return False
        packed = {name.rpartition("/")[2]: content for name, content in node.entries}
        return self.value == {"content": node.content, "mode": node.mode, "entries": packed}[self.wants]


@dataclass(frozen=True, slots=True)
class Job:
    """One task: its sentence, what must hold, and commands that do it."""

    text: str
    checks: tuple[Check, ...]
    solution: tuple[str, ...]


class Scene:
    """The two computers while a task is drawn."""

    def __init__(self, seed: int) -> None:
        self.draws, self._seed = Draws(seed), seed
        self.local = Computer(self.draws.choice(_SYSTEMS), "user", "local")
        user = self.draws.choice(_USERS)
        self.server = Computer("linux", user, f"192.168.1.{self.draws.integer(10, 99)}")
        self._names, self._folders = self.draws.shuffle(_FILES), self.draws.shuffle(_FOLDERS)

    @property
    def address(self) -> str:
        return f"{self.server.user}@{self.server.host}"

    def on(self, side: Side) -> Computer:
        return self.local if side == "local" else self.server

    def show(self, side: Side, path: Path) -> str:
        return self.on(side).show_path(path)

    def take_name(self) -> str:
        """Return a file name that this task has not used."""
        return self._names.pop()

    def take_folder(self) -> str:
        return self._folders.pop()

    def draw_folder(self, side: Side) -> Path:
        """Draw a folder, and make it."""
        name, home = self.take_folder(), self.on(side).home
        places: Sequence[Path] = [(*home, name)]
        if side == "server":
            places = [(*home, name), ("var", "www", "html"), ("opt", name), home]
        folder = self.draws.choice(places)
        self.on(side).make_folders(folder)
        return folder

    def draw_other_folder(self, side: Side) -> Path:
        """Make a folder below the home that this task has not used."""
        folder = (*self.on(side).home, self.take_folder())
        self.on(side).make_folders(folder)
        return folder

    def put_file(self, side: Side, folder: Path, name: str = "", mode: str = "644") -> Path:
        """Put a file into a folder. `name` "": one that this task has not used."""
        path = (*folder, name or self.take_name())
        self.on(side).write(path, File(f"content of {path[-1]} on {self.on(side).host}, {self._seed}", mode))
        return path

    def add_others(self, side: Side, folder: Path) -> None:
        """Put up to three more files into a folder."""
        for _ in range(self.draws.integer(0, 3)):
            self.put_file(side, folder)

    def content_of(self, side: Side, path: Path) -> str:
        return self.on(side).get_file(path).content

    def draw_packed(self, side: Side) -> tuple[Path, dict[str, str]]:
        """Make a folder of two to four files below the home. Returns it, and the contents by name."""
        folder = self.draw_other_folder(side)
        paths = [self.put_file(side, folder) for _ in range(self.draws.integer(2, 4))]
        return folder, {path[-1]: self.content_of(side, path) for path in paths}

    def draw_ending(self, *sides: Side) -> str:
        """Draw the ending of an archive that these computers can handle."""
        return "zip" if any(self.on(side).is_windows for side in sides) else self.draws.choice(ARCHIVES)

    def draw_new_folders(self, side: Side, most: int) -> Path:
        """Draw nested folders below the home that are not there yet: two to `most`."""
        return (*self.on(side).home, *(self.take_folder() for _ in range(self.draws.integer(2, most))))
