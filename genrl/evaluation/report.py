"""A report as one HTML file that needs nothing else: pictures inside, own style, light and dark, no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from genrl.evaluation.whole_file import write_whole

STYLE = """
:root { color-scheme: light dark; --ink: #23272e; --soft: #66707c; --line: #d9dde2; --page: #ffffff; --band: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --soft: #9aa4b0; --line: #3a414b; --page: #171a1f; --band: #20252c; }
}
body { background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; margin: 0; }
main { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { border-top: 1px solid var(--line); font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: 1.2rem; }
p { max-width: 46rem; }
figure { margin: 1.2rem 0; }
figure img { background: #ffffff; border-radius: 6px; display: block; height: auto; max-width: 100%; }
figcaption, caption { color: var(--soft); font-size: .88rem; margin-top: .4rem; text-align: left; }
caption { caption-side: bottom; padding-top: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .94rem; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .9rem .35rem .4rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; }
tbody tr:nth-child(odd) { background: var(--band); }
.warning { background: #fff4e0; border-left: 4px solid #d55e00; color: #3b2a10; padding: .6rem .9rem; }
"""


class Report:
    """Collects headings, text, figures and tables in order; every word is escaped; ``write`` makes the file.

    Every method but ``write`` and ``html`` returns the report, so that calls chain.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> Report:
        """Begin a section."""
        return self._add(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> Report:
        """One paragraph."""
        return self._add(f"<p>{escape(text)}</p>")

    def warning(self, text: str) -> Report:
        """One paragraph that must not be overlooked."""
        return self._add(f'<p class="warning" role="alert">{escape(text)}</p>')

    def figure(self, figure: Figure, caption: str) -> Report:
        """A picture inside the file; the caption is also what a screen reader says of it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        width = round(96 * figure.get_figwidth())
        image = f'<img width="{width}" alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        return self._add(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")

    def table(self, rows: Iterable[Sequence[object]], caption: str, header: Sequence[str] = ()) -> Report:
        """A table; its first column names the rows. Numbers are shown as given: format them before."""
        head = f"<thead><tr>{_cells('th', header)}</tr></thead>" if header else ""
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
        table = f"<table><caption>{escape(caption)}</caption>{head}<tbody>{body}</tbody></table>"
        return self._add(f'<div class="scroll">{table}</div>')

    def html(self) -> str:
        """The whole document."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{escape(self.title)}</h1>\n" + "\n".join(self._parts) + "\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: Path | str) -> Path:
        """Write the file, all of it or nothing; folders are made, an older report is replaced.

        Raises:
            ConfigurationError: there is no room for it, or it may not be written.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.html())
        return path

    def _add(self, part: str) -> Report:
        self._parts.append(part)
        return self


def _cells(tag: str, row: Sequence[object]) -> str:
    return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row)
