"""How tables look in the notebooks: texts to be read stand left and whole, numbers are short and carry their interval.

A plain pandas table cuts long texts off and sets them flush right, and shows an interval as a pair of long decimals.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

    from ftlib.stats import Headline

_MOST_DECIMALS = 6
_CELL = {"text-align": "left", "white-space": "pre-wrap", "vertical-align": "top"}


def texts(frame: DataFrame) -> Styler:
    """A table of any columns as a notebook shows it: texts whole, as spaced, escaped, a dash where one is missing."""
    shown = frame.style.format(precision=3, escape="html", na_rep="–").set_properties(**_CELL)
    return shown.set_table_styles([{"selector": "th", "props": "text-align: left"}]).hide(axis="index")


def headlines(numbers: Iterable[Headline]) -> DataFrame:
    """The results table that ends a notebook: value, 95 % interval and n by the key in `summary.json`."""
    from pandas import DataFrame

    rows = [
        (key, _with_unit(key, value), interval(ci95), "" if n is None else f"{n:,}") for key, value, ci95, n in numbers
    ]
    return DataFrame(rows, columns=["number", "value", "95 % interval", "n"]).set_index("number")


def _with_unit(key: str, value: float | int | None) -> str:
    is_size = "bytes" in key and value is not None
    return f"{value / 2**30:.2f} GiB" if is_size else number(value)


def interval(limits: tuple[float, float] | None, sign: bool = False) -> str:
    """Two limits as `[low, high]`, with `sign` a plus for differences; empty where there are none."""
    return "" if limits is None else f"[{number(limits[0], sign)}, {number(limits[1], sign)}]"


def number(value: float | int | None, sign: bool = False) -> str:
    """A number with three decimals or four figures, whichever is shorter; whole numbers whole, None a dash.

    What three decimals do not show has two figures.
    """
    if value is None or value != value:  # NaN is not itself
        return "–"
    plus = "+" if sign else ""
    if isinstance(value, int):
        return f"{value:{plus},}"
    if abs(value) >= 100:
        return f"{value:{plus},.1f}"
    if abs(value) >= 0.01 or value == 0:
        return f"{value:{plus}.3f}"
    decimals = 1 - floor(log10(abs(value)))
    return f"{value:{plus}.{decimals}f}" if decimals <= _MOST_DECIMALS else f"{value:{plus}.2g}"
