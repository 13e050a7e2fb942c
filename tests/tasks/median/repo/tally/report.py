"""The few lines."""

from .summary import mean, median, spread


def report(values, unit=""):
    """Count, mean, median and spread, one a line."""
    if not values:
        return "no values"
    numbers = [("mean", mean(values)), ("median", median(values)), ("spread", spread(values))]
    lines = [f"{name:<8}{show(number)}{unit}" for name, number in numbers]
    return "\n".join([f"{'values':<8}{len(values)}", *lines])


def show(number):
    """At most two decimals, and none where none are needed."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
