"""The tasks of the paper's terminal: nine kinds of one deed, and eight of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codagent_train.environments.domains.terminal.simulator.archive_commands import make_archive
from codagent_train.environments.domains.terminal.simulator.computer import Form, Path
from codagent_train.environments.domains.terminal.simulator.scene import MODES, Check, Job, Scene, Side


def draw_job(seed: int) -> tuple[Scene, Job]:
    """Draw a task from its seed: half of them are of one deed. Returns the computers as they are at the start, and the task."""
    scene = Scene(seed)
    if scene.draws.chance(0.5):
        return scene, scene.draws.choice(COMPOSITE)(scene)
    make = scene.draws.choice(SINGLE)
    if make in (_upload, _download):
        return scene, make(scene, "local")
    at_server = scene.draws.chance(0.5) or (make is _chmod and scene.local.is_windows)
    return scene, make(scene, "server" if at_server else "local")


def _job(scene: Scene, side: Side, text: str, checks: Sequence[Check], *commands: str) -> Job:
    """A task on one computer."""
    where = "On the server" if side == "server" else "On the local computer"
    before = (f"ssh {scene.address}",) if side == "server" else ()
    return Job(f"{where}: {text}", tuple(checks), (*before, *commands))


def _pack(scene: Scene, side: Side, folder: Path, archive: Path) -> str:
    tool = "zip -r" if archive[-1].endswith(".zip") else "tar -czf" if archive[-1].endswith(".gz") else "tar -cf"
    return f"{tool} {scene.show(side, archive)} {scene.show(side, folder)}"


def _unpack(shown: str, into: str) -> str:
    return f"unzip {shown} -d {into}" if shown.endswith(".zip") else f"cd {into} && tar -xf {shown}"


def _send(scene: Scene, path: Path, target: Path) -> str:
    return f"scp {scene.show('local', path)} {scene.address}:{scene.show('server', target)}"


def _fetch(scene: Scene, path: Path, target: Path) -> str:
    return f"scp {scene.address}:{scene.show('server', path)} {scene.show('local', target)}"


def _draw_file(scene: Scene, side: Side) -> tuple[Path, str]:
    """Put a file among others. Returns its path and its content."""
    folder = scene.draw_folder(side)
    path = scene.put_file(side, folder)
    scene.add_others(side, folder)
    return path, scene.content_of(side, path)


def _upload(scene: Scene, _: Side) -> Job:
    (path, content), folder = _draw_file(scene, "local"), scene.draw_folder("server")
    text = f"Upload the file {scene.show('local', path)} into the folder {scene.show('server', folder)} of the server."
    return Job(text, (Check("server", (*folder, path[-1]), "content", content),), (_send(scene, path, folder),))


def _download(scene: Scene, _: Side) -> Job:
    (path, content), folder = _draw_file(scene, "server"), scene.draw_folder("local")
    text = f"Download the file {scene.show('server', path)} from the server into the local folder {scene.show('local', folder)}."
    return Job(text, (Check("local", (*folder, path[-1]), "content", content),), (_fetch(scene, path, folder),))


def _rename(scene: Scene, side: Side) -> Job:
    path, content = _draw_file(scene, side)
    new = (*path[:-1], scene.take_name())
    checks = Check(side, new, "content", content), Check(side, path, "nothing")
    shown = scene.show(side, path)
    return _job(scene, side, f"rename the file {shown} to {new[-1]}.", checks, f"mv {shown} {scene.show(side, new)}")


def _move(scene: Scene, side: Side) -> Job:
    (path, content), folder = _draw_file(scene, side), scene.draw_other_folder(side)
    checks = Check(side, (*folder, path[-1]), "content", content), Check(side, path, "nothing")
    shown = scene.show(side, path), scene.show(side, folder)
    return _job(scene, side, "move the file {} into the folder {}.".format(*shown), checks, "mv {} {}".format(*shown))


def _chmod(scene: Scene, side: Side) -> Job:
    old, new = scene.draws.sample(MODES, 2)
    path = scene.put_file(side, scene.draw_folder(side), mode=old)
    shown = scene.show(side, path)
    return _job(scene, side, f"change the mode of the file {shown} to {new}.", [Check(side, path, "mode", new)], f"chmod {new} {shown}")


def _delete(scene: Scene, side: Side) -> Job:
    path, _ = _draw_file(scene, side)
    shown = scene.show(side, path)
    return _job(scene, side, f"delete the file {shown}.", [Check(side, path, "nothing")], f"rm {shown}")


def _copy(scene: Scene, side: Side) -> Job:
    path = scene.put_file(side, scene.draw_folder(side))
    folder, content = scene.draw_other_folder(side), scene.content_of(side, path)
    checks = [Check(side, one, "content", content) for one in (path, (*folder, path[-1]))]
    shown = scene.show(side, path), scene.show(side, folder)
    return _job(scene, side, "copy the file {} into the folder {}.".format(*shown), checks, "cp {} {}".format(*shown))


def _archive(scene: Scene, side: Side) -> Job:
    folder, packed = scene.draw_packed(side)
    archive = (*folder[:-1], f"{scene.take_folder()}.{scene.draw_ending(side)}")
    text = f"pack the folder {scene.show(side, folder)} into the archive {scene.show(side, archive)}."
    return _job(scene, side, text, [Check(side, archive, "entries", packed)], _pack(scene, side, folder, archive))


def _make_folders(scene: Scene, side: Side) -> Job:
    path = scene.draw_new_folders(side, 4)
    shown = scene.show(side, path)
    return _job(scene, side, f"make the folder {shown}, with those above it.", [Check(side, path, "folder")], f"mkdir -p {shown}")


def _pack_and_upload(scene: Scene) -> Job:
    (folder, packed), target = scene.draw_packed("local"), scene.draw_folder("server")
    archive = (*folder[:-1], f"{scene.take_folder()}.{scene.draw_ending('local')}")
    where = f"the folder {scene.show('server', target)} of the server"
    text = f"Pack the local folder {scene.show('local', folder)} into {archive[-1]}, and upload the archive into {where}."
    check = Check("server", (*target, archive[-1]), "entries", packed)
    return Job(text, (check,), (_pack(scene, "local", folder, archive), _send(scene, archive, target)))


def _download_and_unpack(scene: Scene) -> Job:
    folder, packed = scene.draw_packed("server")
    archive, target = (*folder[:-1], f"{scene.take_folder()}.{scene.draw_ending('local')}"), scene.draw_folder("local")
    form: Form = "zip" if archive[-1].endswith("zip") else "tar"
    scene.server.write(archive, make_archive(scene.server, [folder], form))
    scene.server.remove(folder)
    shown = scene.show("local", target)
    text = f"Download the archive {scene.show('server', archive)} from the server, and unpack it in the local folder {shown}."
    checks = [Check("local", (*target, folder[-1], name), "content", content) for name, content in packed.items()]
    return Job(text, tuple(checks), (_fetch(scene, archive, target), _unpack(scene.show("local", (*target, archive[-1])), shown)))


def _make_folders_and_upload(scene: Scene) -> Job:
    (path, content), folder = _draw_file(scene, "local"), scene.draw_new_folders("server", 3)
    shown = scene.show("server", folder)
    text = f"Make the folder {shown} on the server, with those above it, and upload the file {scene.show('local', path)} into it."
    commands = f"ssh {scene.address}", f"mkdir -p {shown}", "exit", _send(scene, path, folder)
    return Job(text, (Check("server", (*folder, path[-1]), "content", content),), commands)


def _upload_and_chmod(scene: Scene) -> Job:
    job, mode = _upload(scene, "local"), scene.draws.choice(("755", "700", "600", "444"))
    [check] = job.checks
    shown = scene.show("server", check.path)
    commands = *job.solution, f"ssh {scene.address}", f"chmod {mode} {shown}"
    return Job(f"{job.text} Then give it the mode {mode} there.", (check, Check("server", check.path, "mode", mode)), commands)


def _upload_and_delete(scene: Scene) -> Job:
    (path, content), folder = _draw_file(scene, "local"), scene.draw_folder("server")
    shown = scene.show("local", path)
    text = f"Upload the file {shown} into the folder {scene.show('server', folder)} of the server, and delete it on the local computer."
    checks = Check("server", (*folder, path[-1]), "content", content), Check("local", path, "nothing")
    return Job(text, checks, (_send(scene, path, folder), f"rm {shown}"))


def _pack_upload_and_unpack(scene: Scene) -> Job:
    (folder, packed), target = scene.draw_packed("local"), scene.draw_folder("server")
    archive = (*folder[:-1], f"{scene.take_folder()}.{scene.draw_ending('local')}")
    shown = scene.show("server", target)
    where = f"the folder {shown} of the server, and unpack it there"
    text = f"Pack the local folder {scene.show('local', folder)} into {archive[-1]}, upload the archive into {where}."
    checks = [Check("server", (*target, folder[-1], name), "content", content) for name, content in packed.items()]
    unpack = _unpack(scene.show("server", (*target, archive[-1])), shown)
    commands = _pack(scene, "local", folder, archive), _send(scene, archive, target), f"ssh {scene.address}", unpack
    return Job(text, tuple(checks), commands)


def _download_and_rename(scene: Scene) -> Job:
    (path, content), folder = _draw_file(scene, "server"), scene.draw_folder("local")
    new = (*folder, scene.take_name())
    text = f"Download the file {scene.show('server', path)} from the server as {scene.show('local', new)}."
    return Job(text, (Check("local", new, "content", content),), (_fetch(scene, path, new),))


def _keep_and_replace(scene: Scene) -> Job:
    path, old = _draw_file(scene, "server")
    new = scene.put_file("local", scene.draw_folder("local"), path[-1])
    kept, shown = (*path[:-1], f"{path[-1]}.bak"), scene.show("server", path)
    text = f"Rename the file {shown} on the server to {kept[-1]}, and upload {scene.show('local', new)} in its place."
    checks = Check("server", kept, "content", old), Check("server", path, "content", scene.content_of("local", new))
    commands = f"ssh {scene.address}", f"mv {shown} {scene.show('server', kept)}", "exit", _send(scene, new, path)
    return Job(text, checks, commands)


SINGLE: Sequence[Callable[[Scene, Side], Job]] = (_upload, _download, _rename, _move, _chmod, _delete, _copy, _archive, _make_folders)
COMPOSITE: Sequence[Callable[[Scene], Job]] = (
    _pack_and_upload,
    _download_and_unpack,
    _make_folders_and_upload,
    _upload_and_chmod,
    _upload_and_delete,
    _pack_upload_and_unpack,
    _download_and_rename,
    _keep_and_replace,
)
