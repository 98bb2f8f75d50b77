"""Medians with their range, and ratios that are taken pair by pair.

A *series* is {round: value}. Machines drift: two values are compared only if they come from the same round.
"""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float
    count: int


def spread(values):
    """Median, least and greatest; None of nothing. Values that are None were not measured."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(median(known), min(known), max(known), len(known))


def pairs(series, other, combine):
    """combine(value, other's value) for each round that has both."""
    both = sorted(set(series) & set(other))
    return {number: combine(series[number], other[number]) for number in both
            if series[number] is not None and other[number] is not None}


def ratios(series, other):
    """series / other, round by round; without the rounds in which the other is 0."""
    return pairs(series, {n: value for n, value in other.items() if value}, lambda a, b: a / b)


def differences(series, other):
    return pairs(series, other, lambda a, b: a - b)


def rotated(items, by):
    """The order of round `by`: each round begins with another one."""
    return items[by % len(items):] + items[:by % len(items)] if items else []
