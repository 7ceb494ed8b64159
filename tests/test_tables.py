"""Tables as a browser and a screen reader meet them."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from helpers import tables

FRAME = pd.DataFrame({"test R²": ["0.61 ± 0.03", None], "a < b": ["1", "2"]}, index=["GD", "Adam"])


def test_mean_and_standard_deviation():
    assert tables.mean_sd([1.0, 2.0, 3.0]) == "2.00 ± 1.00"
    assert tables.mean_sd([-0.5, -0.5], 1) == "−0.5 ± 0.0"
    assert tables.mean_sd([0.25], 3) == "0.250"


def test_no_values_are_refused():
    with pytest.raises(ValueError, match=r"^values"):
        tables.mean_sd([])


def test_a_table_reads_back():
    table = ElementTree.fromstring(tables.html(FRAME, "What it shows.", corner="training")).find("table")
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows == [["training", *FRAME.columns], ["GD", "0.61 ± 0.03", "1"], ["Adam", "–", "2"]]
    assert table.find("caption").text == "What it shows."


def test_no_header_is_empty_and_the_caption_is_said():
    text = tables.html(FRAME, 'A "caption" & more', corner="training")
    assert "<th></th>" not in text
    assert text.count("A &quot;caption&quot; &amp; more") == 2


def test_the_same_table_gives_the_same_text():
    assert tables.html(FRAME, "c", corner="r") == tables.html(FRAME.copy(), "c", corner="r")


def test_numbers_and_gaps():
    text = tables.html(pd.DataFrame({"x": [1.5, np.nan]}), "c", corner="r")
    assert "1.5" in text and "–" in text and "nan" not in text.lower()


@pytest.mark.parametrize(
    "name, frame, caption, corner",
    [("frame", FRAME.iloc[:0], "c", "r"), ("caption", FRAME, " ", "r"), ("corner", FRAME, "c", "")],
)
def test_nothing_to_show_is_refused(name, frame, caption, corner):
    with pytest.raises(ValueError, match=f"^{name}"):
        tables.html(frame, caption, corner=corner)
