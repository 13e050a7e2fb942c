"""`codagent bench`: the instances of a benchmark in the form of SWE-bench, and predictions for its harness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_local
from codagent.cli.commands.loops.many import Crowd, Jobs, On, TotalTokens, TotalUsd, open_crowd, refuse_unknown_price
from codagent.cli.terminal.output import warn
from codagent.repository import git
from codagent.runner.result import UNFINISHED, change, is_over
from codagent.runner.spec import LoopSpec, Result
from codagent.text import count
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.fleet.jobs import LoopJob
    from codagent.fleet.swe_bench import Instance

File = Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Instances: instance_id, repo, base_commit, problem_statement a line.")]
Repos = Annotated[Path, typer.Option("--repos", metavar="DIR", help="Folder of clones, each named OWNER__NAME.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Predictions are added here. An instance that has one is not run again.")]


@options.takes_settings(*options.OF_BENCH)
def bench(
    file: File,
    *,
    repos: Repos = Path("repos"),
    out: Out = Path("predictions.jsonl"),
    jobs: Jobs = None,
    on: On = None,
    flags: options.Flags,
    total_tokens: TotalTokens = None,
    total_usd: TotalUsd = None,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
) -> None:
    """Work on the instances of a SWE-bench file, and write predictions.

    Give the same command again to go on where it stopped. Without --check, each instance is attempted once.
    """
    from codagent.fleet.budget import FleetBudget
    from codagent.fleet.swe_bench import Predictions, find_clone, read_instances

    instances = read_instances(file)
    roots = [find_clone(repos, instance) for instance in instances]
    allow_local(repos, options.read_user_settings(**flags))
    predictions = Predictions(out)
    left = [(item, root) for item, root in zip(instances, roots, strict=True) if item.instance_id not in predictions.done]
    if done := len(instances) - len(left):
        warn(f"{count(done, 'instance')} of {len(instances)} have a prediction in {out} already")

    def predict(job: LoopJob, result: Result) -> None:
        """Write the prediction of an instance whose loop came to its end, or to a limit."""
        if is_over(result.loop):
            changed = change(result.loop)
            patch = git.diff(job.launch.root, *changed, binary=True) if changed else ""
            predictions.add(job.name, result.loop.model, patch)

    with open_crowd(on, jobs, FleetBudget(total_tokens, total_usd)) as crowd:
        members = [_make_job(crowd, item, root, record, flags, seed) for item, root in left]
        refuse_unknown_price([job.launch.settings for job in members], total_usd)
        endings = crowd.run(members, predict)
    missing = [item.instance_id for item in instances if item.instance_id not in predictions.done]
    told = f"{len(instances) - len(missing)} of {count(len(instances), 'instance')} have a prediction in {out}"
    if missing:
        warn("give the same command again for those that are missing")
    code = (endings.exit_code or UNFINISHED) if missing else 0
    endings.finish(json_=json_, code=code, told=told, predictions=str(out), missing=missing)


def _make_job(crowd: Crowd, instance: Instance, root: Path, record: Path | None, flags: dict[str, Any], seed: int | None) -> LoopJob:
    """Make the job of an instance. It goes on with the loop that an earlier command has begun."""
    from codagent.fleet.jobs import LoopJob

    settings = options.read_settings(root, **flags)
    loops = options.loops_dir(root, record, make=True)
    task = Task(instance.instance_id, instance.problem_statement.strip(), settings.checks)
    pattern = LoopSpec(
        "",
        "",
        (task,),
        iterate=bool(settings.checks),
        rewrite="until-passed" if settings.checks else "never",
        start_commit=instance.base_commit,
        seed=seed,
    ).with_own(user_files.read_own())
    launch = crowd.launch(instance.instance_id, root, loops, settings)
    return LoopJob(instance.instance_id, launch, pattern, options.person(warn, flags), flags, crowd.recorded(loops).find(pattern))
