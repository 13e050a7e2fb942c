"""The user's repository: a snapshot of it, the results as commits, and a change to the working tree when a person asks for it.

codagent adds objects, `refs/codagent/<id>/<position>`, `refs/codagent/<id>/start` and `refs/heads/codagent/<id>`, and nothing else. The
index, the stash, HEAD, the checked out files, the configuration, other refs and reflogs stay as they are. Nothing in a repository can run a
program on this machine.
"""

from codagent.repository.git.apply import apply
from codagent.repository.git.collect import collect_tree
from codagent.repository.git.command import find_root, is_tracked, private_dir
from codagent.repository.git.protected import TESTS, protected_tree, read_changes, replace_files
from codagent.repository.git.refs import (
    branch_name,
    commit,
    diff,
    has_branch,
    keep_start,
    list_published,
    publish,
    tree_of,
    unlock,
    unpublish,
)
from codagent.repository.git.snapshot import Snapshot, list_files, list_tracked, read_file, snapshot
from codagent.repository.git.transfer import clone_shared, copy_in, pack

__all__ = [
    "TESTS",
    "Snapshot",
    "apply",
    "branch_name",
    "clone_shared",
    "collect_tree",
    "commit",
    "copy_in",
    "diff",
    "find_root",
    "has_branch",
    "is_tracked",
    "keep_start",
    "list_files",
    "list_published",
    "list_tracked",
    "pack",
    "private_dir",
    "protected_tree",
    "publish",
    "read_changes",
    "read_file",
    "replace_files",
    "snapshot",
    "tree_of",
    "unlock",
    "unpublish",
]
