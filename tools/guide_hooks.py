"""What MkDocs does besides when it builds the guide: the notebooks, executed on the stand-in, become pages of it.

Nothing of it is committed. ``PEOPLENET_GUIDE_NOTEBOOKS=no`` leaves the notebooks out, for a quick look at the rest.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS = 600  # for one cell
NOTE = (
    "*This page is the notebook as it runs on the demo clip and the stand-in network. Open it with the kernel "
    "PeopleNet for the sliders, and with a video of your own.*\n\n"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the notebooks to the navigation."""
    if notebooks():
        pages = [{title(path): f"notebooks/{path.stem}.md"} for path in notebooks()]
        config.nav.insert(2, {"Notebooks": pages})
    config.nav.insert(-1, {"Measurements": "results.md"})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Execute the notebooks and add them, and their pictures, as pages; and what benchmarks wrote."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "results.md", content=results))
    with tempfile.TemporaryDirectory() as home:
        for path in notebooks():
            body, pictures = executed(path, Path(home))
            name = f"notebooks/{path.stem}"
            files.append(File.generated(config, f"{name}.md", content=body))
            for picture, data in pictures.items():
                files.append(File.generated(config, f"{name}/{picture}", content=data))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files outside of `docs/` into links to the pages made of them, or into text."""
    folder = posixpath.dirname(page.file.src_uri)

    def other(link: re.Match[str]) -> str:
        text, target, anchor = link.groups(default="")
        name = posixpath.normpath(posixpath.join(folder, target))
        if not name.startswith("../"):
            return link[0]
        name = re.sub(r"^notebooks/(\w+)\.ipynb$", r"notebooks/\1.md", name.removeprefix("../"))
        name = "results.md" if name == "benchmarks/RESULTS.md" else name
        there = files.get_file_from_path(name)
        return f"[{text}]({posixpath.relpath(name, folder or '.')}{anchor})" if there else text

    return re.sub(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)", other, markdown)


def notebooks() -> list[Path]:
    """Return the notebooks, in order."""
    wanted = os.environ.get("PEOPLENET_GUIDE_NOTEBOOKS", "yes") != "no"
    return sorted((ROOT / "notebooks").glob("*.ipynb")) if wanted else []


def title(path: Path) -> str:
    """Return the first heading of a notebook."""
    found = re.search(r'"# (.+?)(\\n)?"', path.read_text(encoding="utf-8"))
    return found[1] if found else path.stem


def executed(path: Path, home: Path) -> tuple[str, dict[str, bytes]]:
    """Execute one notebook, and return it as Markdown with its pictures by name."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    notebook = nbformat.read(path, as_version=4)
    os.environ["PEOPLENET_HOME"] = str(home)
    os.environ.pop("PEOPLENET_MODEL", None)
    where = {"metadata": {"path": str(home)}}
    # Not the notebooks' own kernel: that names the home of whoever builds the guide, with their model and runs.
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=where).execute()
    notebook.cells = [cell for cell in notebook.cells if not hidden(cell)]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data and "text/html" not in data:
                data.clear()
                data["text/markdown"] = "*(Here the notebook shows controls.)*"
            elif "text/html" in data:
                data["text/html"] = f'<div class="notebook-output">\n{data["text/html"]}\n</div>'
    body, resources = MarkdownExporter().from_notebook_node(notebook)
    for picture in resources["outputs"]:
        body = body.replace(f"]({picture})", f"]({path.stem}/{picture})")
    # Links between notebooks become links between their pages.
    body = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.md)", body).replace("](../docs/", "](../")
    first, _, rest = body.partition("\n")
    return f"{first}\n\n{NOTE}{rest}", resources["outputs"]


def hidden(cell: object) -> bool:
    """Return whether JupyterLab shows a cell folded away: the checks at the end."""
    return bool(cell.get("metadata", {}).get("jupyter", {}).get("source_hidden"))  # type: ignore[attr-defined]
