"""Every error says what happened, what was seen and what to do."""

from __future__ import annotations

import re

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from peoplenet_nb.errors import PeopleNetError, SourceError


def test_message_has_three_parts_and_cuts_long_values() -> None:
    error = PeopleNetError("It broke", seen="x" * 1000, next_step="fix it.")
    assert str(error).startswith("It broke. Seen: xxx")
    assert str(error).endswith("…. Next: fix it.")
    assert len(str(error)) < 400
    assert str(PeopleNetError("It broke.")) == "It broke."
    assert (error.what, error.next_step) == ("It broke", "fix it.")


def broken_deep_down() -> None:
    raise SourceError("No such <file>", seen="a\nb", next_step="check the path.")


def test_html_is_three_rows_and_escaped() -> None:
    shown = SourceError("No such <file>", seen="<b>", next_step="check.")._repr_html_()
    assert shown.count("<tr>") == 3
    assert "&lt;file&gt;" in shown
    assert "<b>" not in shown


def test_ipython_shows_the_message_with_the_traceback_folded(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()
    shell.run_line_magic("colors", "nocolor")
    shell.user_ns["broken_deep_down"] = broken_deep_down
    shell.run_cell("broken_deep_down()")
    lines = "".join(capsys.readouterr()).strip().splitlines()
    assert lines[:3] == ["SourceError: No such <file>", "seen: a b", "next: check the path."]
    assert re.fullmatch(r"from: the notebook, line 1 > test_errors.py, line \d+", lines[3])
    assert len(lines) == 4
    shell.run_cell("1 / 0")
    assert "Traceback" in "".join(capsys.readouterr()), "errors that are not ours keep their traceback"


def test_a_notebook_keeps_the_message_only() -> None:
    code = "import peoplenet_nb as pn\npn.open_source('/no/such/video.mp4')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    (output,) = notebook.cells[0].outputs
    assert output.ename == "SourceError"
    assert output.traceback[0] == "SourceError: No such file or folder"
    assert output.traceback[1] == "seen: /no/such/video.mp4"
    assert output.traceback[2].startswith("next: ")
    assert output.traceback[3].startswith("from: the notebook, line 2 > opening.py, line ")
    assert len(output.traceback) == 4
