"""Tables in the notebooks: nothing is cut off, nothing runs, and every number carries its interval."""

from __future__ import annotations

import pandas as pd
import pytest

from ftlib import tables
from ftlib.stats import Headline


def test_texts_are_whole_left_and_escaped():
    long = "What has to be true of the goods before they are taken back? " * 4
    page = tables.texts(pd.DataFrame({"question": [long, "<script>1</script>"], "rate": [0.123456, None]})).to_html()
    assert long.strip() in page
    assert "&lt;script&gt;1" in page and "<script>" not in page
    assert "text-align: left" in page and "white-space: pre-wrap" in page
    assert "0.123" in page and "0.1234" not in page and "–" in page


def test_headlines_show_value_interval_and_n():
    numbers = [Headline("em", 0.8666, (0.8174, 0.9042), 1240), Headline("unscored", 0, n=495)]
    numbers.append(Headline("speed", 3072.4))
    numbers.append(Headline("peak_memory_bytes", 3 * 2**29))
    found = tables.headlines(numbers)
    assert found.loc["peak_memory_bytes", "value"] == "1.50 GiB"
    assert found.loc["em"].tolist() == ["0.867", "[0.817, 0.904]", "1,240"]
    assert found.loc["unscored"].tolist() == ["0", "", "495"]
    assert found.loc["speed"].tolist() == ["3,072.4", "", ""]


@pytest.mark.parametrize(
    ("value", "sign", "shown"),
    [(12345, False, "12,345"), (0.25, True, "+0.250"), (-0.041667, True, "-0.042"), (0.0003804, False, "0.00038"),
     (0.0, False, "0.000"), (151.7387, False, "151.7"), (None, False, "–"), (float("nan"), False, "–")],
)  # fmt: skip
def test_numbers_are_short(value, sign, shown):
    assert tables.number(value, sign) == shown
