"""Tables of results, as they stand in a page: mean and spread in a cell, a caption, readable on a phone."""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd


def mean_sd(values: Sequence[float], digits: int = 2) -> str:
    """Mean and sample standard deviation, such as "0.61 ± 0.03"; of one value, the value.

    Parameters
    ----------
    values : sequence of float
        At least one.
    digits : int, default 2
        Digits after the point.

    Returns
    -------
    str
        A negative number has the minus sign "−".

    Raises
    ------
    ValueError
        No values.

    Examples
    --------
    >>> from helpers import tables
    >>> tables.mean_sd([0.60, 0.62, 0.64])
    '0.62 ± 0.02'
    """
    values = np.asarray(values, dtype=float)
    if not values.size:
        raise ValueError("values: got none, expected at least one")
    spread = f" ± {values.std(ddof=1):.{digits}f}" if values.size > 1 else ""
    return f"{values.mean():.{digits}f}{spread}".replace("-", "−")


def html(frame: pd.DataFrame, caption: str, *, corner: str) -> str:
    """HTML of a table that scrolls by itself where the page is narrow; show it with `IPython.display.HTML`.

    Parameters
    ----------
    frame : pandas.DataFrame
        One column per quantity, its index names the rows; missing cells become dashes.
    caption : str
        Says what the table shows, in plain text; also its name for a screen reader.
    corner : str
        What the rows are, such as "training".

    Returns
    -------
    str
        A fragment of HTML.

    Raises
    ------
    ValueError
        An empty frame, caption or corner.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers import tables
    >>> page = tables.html(pd.DataFrame({"R2": [0.5, 0.7]}, index=["GD", "Adam"]), "Test R2.", corner="training")
    >>> page.count("<tr")
    3
    """
    for name, value in (("frame", len(frame)), ("caption", caption.strip()), ("corner", corner.strip())):
        if not value:
            raise ValueError(f"{name}: got nothing, expected something to show")
    plain = frame.astype(object).where(frame.notna(), "–").rename_axis(index=None, columns=corner)
    title = f'<caption style="caption-side: bottom; text-align: left">{escape(caption)}</caption>'
    table = plain.to_html(border=0, justify="left").replace("<thead>", f"{title}<thead>", 1)
    return f'<div role="region" tabindex="0" style="overflow-x: auto" aria-label="{escape(caption)}">{table}</div>'
