"""Tables, notes and folds as HTML: whole, escaped, and honest about what they leave out."""

from __future__ import annotations

import pandas as pd

from peoplenet_nb.html_tables import fold, note, pairs, table


def test_table_cuts_nothing_off_and_escapes() -> None:
    long = "a" * 300
    html = table([{"what": long, "n": 1234, "x": 0.25}, {"what": "<b>", "n": 5, "x": float("nan")}])
    assert long in html
    assert "&lt;b&gt;" in html
    assert "1,234" in html
    assert ">0.25<" in html
    assert "nan" not in html


def test_numbers_stand_on_the_right_and_words_on_the_left() -> None:
    html = table([{"n": 1, "word": "x", "yes": True}])
    assert '<th style="text-align:right">n</th>' in html
    assert '<th style="text-align:left">word</th>' in html
    assert '<th style="text-align:left">yes</th>' in html
    assert '<th style="text-align:right">x</th>' in table([{"x": 0.5}, {"x": None}])


def test_short_words_are_never_broken() -> None:
    assert "nowrap" in table([{"device": "openvino"}])
    assert "overflow-wrap:anywhere" in table([{"sha256": "f" * 64}])


def test_table_says_how_much_it_leaves_out() -> None:
    html = table([{"n": i} for i in range(50)], limit=12, more="All: x.csv")
    assert html.count("<tr>") == 13
    assert "and 38 more rows. All: x.csv" in html
    assert "more rows" not in table([{"n": 1}])


def test_a_data_frame_shows_its_columns_even_without_rows() -> None:
    frame = pd.DataFrame({"label": ["person"], "boxes": [3]})
    assert table(frame) == table([{"label": "person", "boxes": 3}])
    assert "boxes" in table(frame.iloc[:0])


def test_rows_may_lack_columns() -> None:
    html = table([{"a": "x"}, {"b": "y"}])
    assert html.count("<td") == 4


def test_pairs_notes_and_folds_escape_what_they_hold() -> None:
    assert "&lt;i&gt;" in pairs([("what", "<i>")])
    assert "&lt;i&gt;" in note("<i>")
    assert "<b>Instead: </b>the demo" in note("the demo", "instead")
    assert "more &lt;" in fold("more <", "<p>inside</p>")
    assert "<p>inside</p>" in fold("more", "<p>inside</p>")
