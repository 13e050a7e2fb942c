"""Render a loop as one HTML page: what came out first, then how it went, then each iteration."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codagent.cli.page.chart import lay_out_scores, lay_out_tokens
from codagent.cli.page.iteration import Diff, format_duration, format_money, prepare_section
from codagent.cli.page.patch import is_long, truncate_patch
from codagent.cli.page.summary import describe_verdict, explain_end, read_limits, sum_usage, summarize_iterations
from codagent.runner.result import iterates, kind_of
from codagent.text import count, escape_undecodable, first_argument, first_line, strip_controls
from codagent.types import Loop


def render_page(loop: Loop, *, diff: Diff, branch: str) -> str:
    """Render `loop` as one HTML page, which is valid UTF-8 whatever the loop holds.

    `diff` returns the patch between two commits, or raises RepositoryError. `branch` is where the best work of the loop lies; "": nowhere.
    """
    iterations = summarize_iterations(loop)
    verdict, usage, limits = describe_verdict(loop, iterations), sum_usage(loop.episodes), read_limits(loop)
    return (
        make_environment()
        .get_template("page.html")
        .render(
            loop_id=loop.id,
            kind=kind_of(loop),
            title=_find_title(loop),
            verdict=verdict,
            verdict_class={"Passed": "passed", "Not passed": "failed"}.get(verdict, "open"),
            reason=explain_end(loop, iterations),
            usage=usage,
            max_iterations=limits.iterations if limits and iterates(loop) else None,
            limits=limits,
            max_usd=limits.usd if limits and usage.usd is not None else None,
            model=loop.model,
            start_commit=loop.start_commit,
            branch=branch,
            task=loop.episodes[0].task if loop.episodes else None,
            scores=lay_out_scores(iterations),
            tokens=lay_out_tokens(iterations),
            sections=[prepare_section(iteration, diff) for iteration in iterations],
            several_tasks=len({iteration.attempt.task.id for iteration in iterations}) > 1,
        )
    )


def make_environment() -> Environment:
    """Make the environment of the templates, in which only a template writes markup.

    Each value is sanitized and escaped where a template prints it. No template and no function here marks a value as markup.
    """
    environment = Environment(
        loader=PackageLoader(__package__ or "", ""),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "cut": truncate_patch,
        "duration": format_duration,
        "first_argument": first_argument,
        "first_line": first_line,
        "money": format_money,
        "thousands": "{:,}".format,
    }
    environment.tests["long"] = is_long
    return environment


def _clean(value: object) -> object:
    """Turn a value into text without control characters and lone surrogates. Output of a macro is markup and stays as it is."""
    return value if isinstance(value, Markup) else escape_undecodable(strip_controls(str(value)))


def _find_title(loop: Loop) -> str:
    """Take the first line of the first task, else the kind and the id of the record."""
    instruction = loop.episodes[0].task.instruction.strip() if loop.episodes else ""
    return instruction.partition("\n")[0][:200] or f"{kind_of(loop)} {loop.id}"
