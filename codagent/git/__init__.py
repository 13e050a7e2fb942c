"""The user's repository: a snapshot out, a result back as commits, and a change onto the working tree when asked.

Only objects, `refs/codagent/<id>/<position>` and `refs/heads/codagent/<id>` are ever added; index, stash, checkout, HEAD, configuration,
other refs and reflogs stay as they are, and nothing that a repository says runs a program on this machine.
"""

from codagent.git.borrow import borrow
from codagent.git.capture import Snapshot, files, show, snapshot
from codagent.git.carry import enter, leave, pack
from codagent.git.gated import TESTS, gated_tree
from codagent.git.host import find_root, is_tracked, private_dir
from codagent.git.merge import apply
from codagent.git.refs import branch, commit, diff, publish, published, tree_of, unlock, unpublish

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
