"""The rules that notebooks keep, held on the files."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]
LOOPS = (ast.For, ast.While, ast.AsyncFor)
LONGEST_LOOP, LONGEST_CELL = 5, 8
FORBIDDEN = ("cv2.imshow", "waitKey", "input(", "!pip", "!apt", "%pip", "%%bash", "getpass", "nvapi-")


def load(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def words_of(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def faults(source: str) -> list[str]:
    """What a cell's code does that belongs into the package."""
    # The word itself, not the end of another: model.network_input(frame) asks nobody anything.
    found = [f"holds {word}" for word in FORBIDDEN if re.search(rf"(?<!\w){re.escape(word)}", source)]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            found.append(f"line {node.lineno}: a {type(node).__name__}")
        if isinstance(node, LOOPS) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_LOOP:
            found.append(f"line {node.lineno}: a loop of more than {LONGEST_LOOP} lines")
    return found


def test_there_are_the_numbered_notebooks() -> None:
    numbers = [int(name[:2]) for name in NAMES]
    assert numbers == sorted(set(numbers))
    for name in ("01_setup", "02_ngc_download", "03_model_inspection", "04_threshold_debug"):
        assert f"{name}.ipynb" in NAMES
    assert NAMES[4:7] == ["05_video_runs.ipynb", "06_speed.ipynb", "07_people_over_time.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
class TestRules:
    def test_is_valid_with_stable_ids_and_no_output(self, path: Path) -> None:
        notebook = load(path)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)
        # Words, not random letters: an id that a tool made up changes whenever the tool runs again.
        assert [i for i in ids if not re.fullmatch(rf"nb{path.name[:2]}-[a-z][a-z-]*", i)] == []
        for cell in code_of(notebook):
            assert cell.outputs == []
            assert cell.execution_count is None
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        assert notebook.metadata.kernelspec.name == "peoplenet"

    def test_holds_no_logic(self, path: Path) -> None:
        for cell in code_of(load(path)):
            assert faults(cell.source) == [], cell.id
            if "hide" not in tags(cell):
                longest = max(LONGEST_CELL, 10 if "parameters" in tags(cell) else 0)
                assert len(cell.source.splitlines()) <= longest, f"{cell.id} is too long"

    def test_has_one_cell_of_plain_parameters(self, path: Path) -> None:
        (cell,) = [cell for cell in code_of(load(path)) if "parameters" in tags(cell)]
        for statement in ast.parse(cell.source).body:
            assert isinstance(statement, ast.Assign), ast.unparse(statement)
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            assert target.id.isupper()
            ast.literal_eval(statement.value)

    def test_what_prose_tells_to_call_is_there_to_be_called(self, path: Path) -> None:
        notebook = load(path)
        names = {
            node.id if isinstance(node, ast.Name) else node.name
            for cell in code_of(notebook)
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name | ast.alias)
        }
        called = re.findall(r"`(\w+)[(.][^`]*\)`", words_of(notebook))
        assert [name for name in called if name not in names] == []

    def test_what_is_imported_is_there(self, path: Path) -> None:
        for cell in code_of(load(path)):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("peoplenet_nb"):
                    exec(ast.unparse(node), {})

    def test_every_result_is_led_in_by_words(self, path: Path) -> None:
        kinds = [cell.cell_type for cell in load(path).cells]
        assert kinds[0] == "markdown"
        assert "code code code" not in " ".join(kinds), "three code cells without a sentence between them"

    def test_opens_with_what_it_gives_and_ends_with_the_next(self, path: Path) -> None:
        notebook = load(path)
        number = NOTEBOOKS.index(path)
        head, end = notebook.cells[0].source, notebook.cells[-2].source
        assert head.startswith(f"# {path.name[:2]} · ")
        assert "**At the end you have**" in head
        assert "**It takes**" in head
        if number:
            assert f"]({NAMES[number - 1]})" in head
        following = NAMES[number + 1] if number + 1 < len(NAMES) else NAMES[0]
        assert f"]({following})" in end.splitlines()[-1]

    def test_ends_in_a_hidden_check_that_asserts(self, path: Path) -> None:
        cell = load(path).cells[-1]
        assert {"hide", "remove-input"} <= set(tags(cell))
        assert cell.metadata.jupyter.source_hidden is True
        asserts = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
        assert len(asserts) >= 3
        assert not any(isinstance(node.test, ast.Constant) for node in asserts)
        source = "\n".join(c.source for c in code_of(load(path)))
        if "tune(" in source or "tune_run(" in source:
            assert "assert panel.errors == []" in cell.source

    def test_local_links_and_neighbours_titles_are_right(self, path: Path) -> None:
        text = words_of(load(path))
        for label, target in re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", text):
            if re.match(r"https?://", target):
                continue
            there = path.parent / target.partition("#")[0]
            assert there.exists(), f"{path.name} links to {target}"
            if there.suffix == ".ipynb":
                assert label.startswith(f"{there.name[:2]} · "), (
                    f"{label} names another notebook than {target}"
                )
