"""A figure of each day, in sliding windows of whole weeks, next to the four weeks before and to held-out rows: difference and p-value.

Days of a service are not independent draws: weekdays differ, and a campaign lasts for days. Chance is measured by the days themselves: the
spread of the four weeks before, beyond that of independent records, widens every interval (quasi-likelihood, McCullagh and Nelder,
*Generalized Linear Models*, 1989, section 4.5).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

#: A window is the shortest of these that has enough answers; whole weeks, so that each weekday counts alike.
WINDOWS: Final = (7, 14, 28)
#: Days before the window that it is compared with.
MONTH: Final = 28
#: Weeks before the month whose spread counts too.
MEMORY_WEEKS: Final = 2
_WEEK: Final = 7
#: Least degrees of freedom of the spread between days: two weeks.
_LEAST_FREEDOM: Final = 7
_FREEDOM_OF_ROWS: Final = 21


class Series(NamedTuple):
    """A figure by days.

    Attributes:
        records: Records of each day that have the figure, shape (…, days).
        total: Sum of the figure over them.
        squares: Sum of its squares.
    """

    records: Floats
    total: Floats
    squares: Floats


class Rows(NamedTuple):
    """The figure on held-out rows: shapes broadcast with those of a series, the days left out."""

    records: Floats
    mean: Floats
    variance: Floats


class Compared(NamedTuple):
    """The window that ends on each day, next to its reference; NaN where one of the two has too few records.

    Attributes:
        days: Length of the window; 0 where none of the lengths has enough records.
        records: Records of the window.
        value: Mean of the figure over the window.
        reference: Mean of the figure over the reference.
        p_value: Two-sided, of a difference as large as this without drift.
    """

    days: Floats
    records: Floats
    value: Floats
    reference: Floats
    p_value: Floats


class _Window(NamedTuple):
    days: Floats
    sums: Series
    before: Series
    spread: Floats
    freedom: Floats


def rolling(values: Floats, days: int) -> Floats:
    """Return the sum over the days that end on each day; days before the first count as zero."""
    sums = np.cumsum(values, axis=-1)
    return sums - shifted(sums, days)


def shifted(values: Floats, days: int) -> Floats:
    """Return the values of so many days before; zero before the first."""
    result = np.zeros_like(values)
    if days < values.shape[-1]:
        result[..., days:] = values[..., : values.shape[-1] - days]
    return result


def _ratio(top: Floats, bottom: Floats, empty: float = np.nan) -> Floats:
    result = np.full(np.broadcast(top, bottom).shape, empty)
    np.divide(top, bottom, out=result, where=bottom > 0)
    return result


def _variance(sums: Series) -> Floats:
    return np.maximum(_ratio(sums.squares, sums.records) - _ratio(sums.total, sums.records) ** 2, 0.0)


def spread_between_days(series: Series) -> tuple[Floats, Floats]:
    """Return how many times the variance of independent records the four weeks to each day have, at least 1; and the degrees of freedom.

    The larger of two estimates: between days of the same weekday, and between weeks, which a rise that lasts for days moves more.
    """
    month = Series(*(rolling(each, MONTH) for each in series))
    variance = _variance(month)
    by_day = rolling(_ratio(series.total**2, series.records, 0.0), MONTH)
    same_weekday = Series(*(sum((shifted(each, _WEEK * back) for back in range(1, 4)), each) for each in series))
    by_weekday = rolling(_ratio(same_weekday.total**2, same_weekday.records, 0.0), _WEEK)
    days = rolling((series.records > 0).astype(np.float64), MONTH)
    freedom = days - rolling((same_weekday.records > 0).astype(np.float64), _WEEK)
    week = Series(*(rolling(each, _WEEK) for each in series))
    by_week, weeks = _ratio(week.total**2, week.records, 0.0), (week.records > 0).astype(np.float64)
    all_weeks, many_weeks = (sum((shifted(each, _WEEK * back) for back in range(1, 4)), each) for each in (by_week, weeks))
    of_days = _ratio(by_day - by_weekday, variance * freedom, 1.0)
    of_weeks = _ratio(all_weeks - _ratio(month.total**2, month.records, 0.0), variance * (many_weeks - 1), 1.0)
    # Four weeks tell little of the spread between weeks: what the days tell counts twice as much.
    return np.maximum(np.maximum(of_days, (of_weeks + 2 * of_days) / 3), 1.0), freedom


def _unmoved_spread(spread: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Return the least spread of the month to each day and of those that ended a week and two weeks before.

    A change that lasts is soon part of the month before, and its onset would look like a spread that hides it.
    """
    least = spread
    for back in range(1, MEMORY_WEEKS + 1):
        earlier, known = shifted(spread, _WEEK * back), shifted(freedom, _WEEK * back) >= _LEAST_FREEDOM
        least = np.where(known, np.minimum(least, np.maximum(earlier, 1.0)), least)
    return least, freedom


def _window(series: Series, least: float) -> _Window:
    """Return the shortest window to each day that has enough records, and what lies before it."""
    spread, freedom = _unmoved_spread(*spread_between_days(series))
    shape = np.broadcast(*series).shape
    none, zeros = Series(np.zeros(shape), np.zeros(shape), np.zeros(shape)), np.zeros(shape)
    found = _Window(zeros, none, none, np.ones(shape), zeros)
    for days in reversed(WINDOWS):
        sums = Series(*(rolling(each, days) for each in series))
        before = Series(*(shifted(rolling(each, MONTH), days) for each in series))
        fits = sums.records >= least
        found = _Window(
            np.where(fits, days, found.days),
            Series(*(np.where(fits, new, old) for new, old in zip(sums, found.sums, strict=True))),
            Series(*(np.where(fits, new, old) for new, old in zip(before, found.before, strict=True))),
            np.where(fits, shifted(spread, days), found.spread),
            np.where(fits, shifted(freedom, days), found.freedom),
        )
    return found


def against_month(series: Series, least: float) -> Compared:
    """Return each day's window next to the four weeks before it.

    Args:
        least: Records that the window and the reference need.
    """
    found = _window(series, least)
    known = (found.days > 0) & (found.before.records >= least) & (found.freedom >= _LEAST_FREEDOM)
    both = Series(*(now + then for now, then in zip(found.sums, found.before, strict=True)))
    error = (
        _variance(both)
        * found.spread
        * (_ratio(np.ones_like(both.records), found.sums.records) + _ratio(1.0 + 0 * both.records, found.before.records))
    )
    return _compared(found, _ratio(found.before.total, found.before.records), error, np.maximum(found.freedom, 1.0), known)


def against_rows(series: Series, least: float, rows: Rows) -> Compared:
    """Return each day's window next to held-out rows, which have no days; the spread is that of the month before, once it is known."""
    found = _window(series, least)
    count, mean, variance = (np.asarray(each, dtype=np.float64)[..., None] for each in rows)
    known = (found.days > 0) & (count > 0)
    spread = np.where(found.freedom >= _LEAST_FREEDOM, found.spread, _spread_within(series, found))
    # Pooled: a label that the held-out rows lack, or that the window lacks, has no variance there.
    together = found.sums.records + count
    pooled = (found.sums.total + count * mean) / np.maximum(together, 1.0)
    squares = found.sums.squares + count * (variance + mean**2)
    error = np.maximum(squares / np.maximum(together, 1.0) - pooled**2, 0.0) * (
        _ratio(spread, found.sums.records) + _ratio(1.0 + 0 * spread, count + 0 * spread)
    )
    return _compared(found, mean + 0 * spread, error, np.full_like(spread, _FREEDOM_OF_ROWS), known)


def _spread_within(series: Series, found: _Window) -> Floats:
    """Return the spread between the days of the window itself; weekdays count as spread."""
    by_day, days = _ratio(series.total**2, series.records, 0.0), (series.records > 0).astype(np.float64)
    result = np.ones_like(found.days)
    for length in WINDOWS:
        between = rolling(by_day, length) - _ratio(found.sums.total**2, found.sums.records, 0.0)
        spread = _ratio(between, _variance(found.sums) * (rolling(days, length) - 1), 1.0)
        result = np.where(found.days == length, np.maximum(spread, 1.0), result)
    return result


def _compared(found: _Window, reference: Floats, error: Floats, freedom: Floats, known: Truths) -> Compared:
    from scipy.special import stdtr  # noqa: PLC0415 - this folder is part of the service's image, which has no SciPy

    value = _ratio(found.sums.total, found.sums.records)
    statistic = _ratio(np.abs(value - reference), np.sqrt(np.nan_to_num(error)), 0.0)
    p_value = 2 * stdtr(freedom, -np.nan_to_num(statistic))
    unknown = np.where(known, 0.0, np.nan)
    return Compared(found.days, found.sums.records, value, reference + unknown, p_value + unknown)


def holm(p_values: Floats, axis: int = 0) -> Floats:
    """Return the p-values adjusted for all along an axis (S. Holm, Scandinavian Journal of Statistics 6, 1979); NaN stays and counts."""
    ordered = np.moveaxis(p_values, axis, 0)
    order = np.argsort(np.where(np.isnan(ordered), 2.0, ordered), axis=0)
    factors = np.arange(ordered.shape[0], 0, -1).reshape(-1, *([1] * (ordered.ndim - 1)))
    scaled = np.take_along_axis(ordered, order, axis=0) * factors
    grown = np.fmax.accumulate(scaled, axis=0)
    adjusted = np.empty_like(ordered)
    np.put_along_axis(adjusted, order, np.where(np.isnan(scaled), np.nan, np.minimum(grown, 1.0)), axis=0)
    return np.moveaxis(adjusted, 0, axis)
