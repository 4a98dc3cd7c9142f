"""The notebooks of `docs/notebooks` as pages of the site: run when the site is built, with results.

A hook of mkdocs. The files themselves are kept without results.
"""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
SECONDS = 300  # of a cell


def run_notebook(path: Path) -> Any:
    """Run a notebook in a kernel of its own; a cell that fails ends it."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # the figure as data, without the library
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the kernel's debugger warns of frozen code
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3")
    client.execute(cwd=str(NOTEBOOKS))
    return notebook


def format_output(output: Any, name: str) -> str:
    """A result of a cell as HTML or as text; what goes to stderr (progress) is left out."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
    data = output.get("data", {})
    if PLOTLY in data:
        figure = json.dumps(data[PLOTLY]).replace("</", "<\\/")
        draw = (
            f"const f = {figure}; Plotly.newPlot({name!r}, f.data, f.layout, {{responsive: true}})"
        )
        return f'<div id="{name}"></div>\n<script>{{ {draw} }}</script>'
    if "text/html" in data:
        return f'<div class="result">{"".join(data["text/html"])}</div>'
    return f'<pre class="result">{html.escape("".join(data.get("text/plain", "")))}</pre>'


def format_notebook(notebook: Any) -> str:
    """A notebook as Markdown: its texts, its code, its results."""
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [format_output(each, f"r{number}-{i}") for i, each in enumerate(cell.outputs)]
    script = '<script src="../../../assets/plotly.min.js"></script>'
    title, _, rest = "\n\n".join(part for part in parts if part).partition("\n")
    return f"{title}\n\n{script}\n{rest}\n"


def on_files(files: Files, config: Any) -> Files:
    """Add a page per notebook, and the library that draws its figures."""
    import plotly

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        page = path.with_suffix(".md").relative_to(ROOT).as_posix()
        files.append(File.generated(config, page, content=format_notebook(run_notebook(path))))
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    files.append(File.generated(config, "assets/plotly.min.js", abs_src_path=str(library)))
    return files
