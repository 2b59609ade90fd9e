"""Whether measurements tell two things apart."""

import math


def tells_apart(one: list[float], other: list[float], chance: float = 1e-6) -> bool:
    """The Kolmogorov-Smirnov test: whether two samples differ more than once in a million times by accident."""
    both = sorted({*one, *other})
    one, other = sorted(one), sorted(other)
    distance, nth, mth = 0.0, 0, 0
    for value in both:
        while nth < len(one) and one[nth] <= value:
            nth += 1
        while mth < len(other) and other[mth] <= value:
            mth += 1
        distance = max(distance, abs(nth / len(one) - mth / len(other)))
    limit = math.sqrt(-math.log(chance / 2) / 2) * math.sqrt((len(one) + len(other)) / (len(one) * len(other)))
    return distance > limit
