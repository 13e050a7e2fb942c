"""Single numbers that stand for many."""


def mean(values):
    """The sum shared out evenly."""
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)


def median(values):
    """The value in the middle: half of the others are below it, half above."""
    if not values:
        raise ValueError("no values")
    return values[len(values) // 2]


def spread(values):
    """How far the largest is from the smallest."""
    if not values:
        raise ValueError("no values")
    return max(values) - min(values)
