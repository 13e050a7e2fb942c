"""The request for notes after an attempt: what the notes are for, the rules, the attempt in full, its result."""

from __future__ import annotations

from codagent.types import Episode, Message, Step


def ask_for_notes(prompt: str, rules: str, attempt: Episode, ending: str, *, max_bytes: int) -> tuple[Message, Message]:
    """Return the request. `prompt` says what notes are good for, and `ending` describes the state after the last action.

    A request that would be longer than `max_bytes` leaves out the oldest turns, as many as needed. Nothing else is cut, and the last turn
    stays, so a very long turn can make a request longer. An `ending` that the feedback repeats is left out.
    """
    outcome = attempt.outcome
    before = [f"# Rules\n{rules}"] if rules else []
    before.append(f"# Notes so far\n{attempt.notes_before or 'none'}")
    repeated = outcome is not None and outcome.feedback == ending
    after = [f"# After the last action\n{ending}"] if ending and not repeated else []
    if outcome:
        after += [f"# Reward\n{outcome.reward:.3f}", f"# Feedback\n{outcome.feedback}"]
    turns = describe_turns(attempt)
    room = max_bytes - sum(len(part.encode()) + 2 for part in (prompt, *before, *after))
    left_out = 0
    while left_out < len(turns) - 1 and sum(len(turn.encode()) + 1 for turn in turns[left_out:]) > room:
        left_out += 1
    told = [f"(turns 1 to {left_out} are left out)"] if left_out else []
    attempted = "\n".join(["# The attempt", *told, *turns[left_out:]])
    return Message("system", prompt), Message("user", "\n\n".join([*before, attempted, *after]))


def describe_turns(attempt: Episode) -> list[str]:
    """Describe each turn of an attempt: what the model was shown, and its whole answer."""
    shown = [message.content for message in attempt.prompt if message.role != "system"]
    turns = []
    for number, step in enumerate(attempt.steps, 1):
        observed = "\n".join(shown)
        turns.append(f"Turn {number}\nObservation: {observed}\nAction: {step.reply.message.content}")
        shown = _shown_by(step)
    return turns


def _shown_by(step: Step) -> list[str]:
    return [message.content for message in step.observation.messages]
