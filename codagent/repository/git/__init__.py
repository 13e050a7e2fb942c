"""The user's repository: a snapshot out, a result back as commits, and a change onto the working tree when asked.

Only objects, `refs/codagent/<id>/<position>` and `refs/heads/codagent/<id>` are ever added; index, stash, checkout, HEAD, configuration,
other refs and reflogs stay as they are, and nothing that a repository says runs a program on this machine.
"""

from codagent.repository.git.apply import apply
from codagent.repository.git.command import find_root, is_tracked, private_dir
from codagent.repository.git.protected import TESTS, gated_tree
from codagent.repository.git.refs import branch, commit, diff, publish, published, tree_of, unlock, unpublish
from codagent.repository.git.shared_clone import borrow
from codagent.repository.git.snapshot import Snapshot, files, show, snapshot
from codagent.repository.git.transfer import enter, leave, pack

__all__ = [
    "TESTS",
    "Snapshot",
    "apply",
    "borrow",
    "branch",
    "commit",
    "diff",
    "enter",
    "files",
    "find_root",
    "gated_tree",
    "is_tracked",
    "leave",
    "pack",
    "private_dir",
    "publish",
    "published",
    "show",
    "snapshot",
    "tree_of",
    "unlock",
    "unpublish",
]
