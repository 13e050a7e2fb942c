"""The user's repository: a snapshot of it, the results as commits, and a change to the working tree when a person asks for it.

codagent adds objects, `refs/codagent/<id>/<position>`, `refs/codagent/<id>/start`, `refs/codagent/applied` and
`refs/heads/codagent/<id>`, and nothing else. The
index, the stash, HEAD, the checked out files, the configuration, other refs and reflogs stay as they are. Nothing in a repository can run a
program on this machine.
"""

from codagent.repository.git.changes.apply import apply, is_applied
from codagent.repository.git.changes.merge import merge
from codagent.repository.git.changes.parts import ChangedFile, Hunk, list_changed, select
from codagent.repository.git.changes.undo import Undone, forget_applied, undo
from codagent.repository.git.command import find_root, is_tracked, private_dir
from codagent.repository.git.objects import list_files, list_submodules, read_file
from codagent.repository.git.protected import TESTS, list_modules, protected_tree, read_changes, replace_files
from codagent.repository.git.refs import (
    branch_name,
    commit,
    diff,
    find_best,
    has_branch,
    keep_start,
    keep_work,
    list_published,
    publish,
    remove_branch,
    tree_of,
    unlock,
    unpublish,
)
from codagent.repository.git.snapshot import Snapshot, list_tracked, snapshot
from codagent.repository.git.submodules import SubmoduleReport, check_submodules, find_submodules
from codagent.repository.git.transfer.collect import collect_tree
from codagent.repository.git.transfer.packing import clone_shared, copy_in, make_repository, pack, pack_work
from codagent.repository.git.transfer.receive import receive

__all__ = [
    "TESTS",
    "ChangedFile",
    "Hunk",
    "Snapshot",
    "SubmoduleReport",
    "Undone",
    "apply",
    "branch_name",
    "check_submodules",
    "clone_shared",
    "collect_tree",
    "commit",
    "copy_in",
    "diff",
    "find_best",
    "find_root",
    "find_submodules",
    "forget_applied",
    "has_branch",
    "is_applied",
    "is_tracked",
    "keep_start",
    "keep_work",
    "list_changed",
    "list_files",
    "list_modules",
    "list_published",
    "list_submodules",
    "list_tracked",
    "make_repository",
    "merge",
    "pack",
    "pack_work",
    "private_dir",
    "protected_tree",
    "publish",
    "read_changes",
    "read_file",
    "receive",
    "remove_branch",
    "replace_files",
    "select",
    "snapshot",
    "tree_of",
    "undo",
    "unlock",
    "unpublish",
]
