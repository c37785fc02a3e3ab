"""A report for a terminal or a pipe: a table that fits, and under it what a reader must know."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.segment import Segment
from rich.text import Text

from dslite.metrics.table import ALWAYS, ESSENTIAL
from dslite.records import BenchReport, Table
from dslite.report.names import is_experiment
from dslite.report.view import Shown, View, view

GAP = 3
"""Blanks between two columns."""
_EDGE = 1
"""Blanks at either side of a table."""
_SHORTEST_NAME = {"bench": 24, "experiment": 14}
_MOST_NOTES = 12
NOT_VALID = "!"
"""Marks a row that is not valid, as a star does an optimal one."""


# -- tables as text ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextTable:
    """Lines of cells under headings, for any number of rows: rich's own table takes a minute for 100,000.

    Attributes:
        headings: of the columns; lines end with a newline character.
        rows: cells, which may have several lines.
        styles: of the rows.
        left: columns that begin at the left; the others are figures.
        accents: styles of the cells of a column.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    styles: Sequence[str]
    left: Collection[int] = (0,)
    accents: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the lines; what is too wide for the console is not cut."""
        del options
        widths = [max(map(width_of, column)) for column in zip(self.headings, *self.rows, strict=True)]
        height = max(heading.count("\n") for heading in self.headings) + 1
        top = ["\n" * (height - 1 - heading.count("\n")) + heading for heading in self.headings]
        yield Segment("\n")
        yield from self._lines(console, top, widths, ["bold"] * len(widths))
        yield Segment(f" {'─' * (sum(widths) + GAP * (len(widths) - 1))} \n")
        for i, (row, style) in enumerate(zip(self.rows, self.styles, strict=True)):
            cells = [self.accents[at][i] if at in self.accents else style for at in range(len(widths))]
            yield from self._lines(console, row, widths, cells)
        yield Segment("\n")

    def _lines(
        self, console: Console, row: Sequence[str], widths: Sequence[int], styles: Sequence[str]
    ) -> RenderResult:
        cells = [cell.split("\n") for cell in row]
        for n in range(max(map(len, cells))):
            texts = [
                _padded(lines[n] if n < len(lines) else "", width, at_left=at in self.left)
                for at, (lines, width) in enumerate(zip(cells, widths, strict=True))
            ]
            if len(set(styles)) == 1:
                yield Segment(f" {(' ' * GAP).join(texts)} \n", console.get_style(styles[0]) if styles[0] else None)
                continue
            for at, (text, style) in enumerate(zip(texts, styles, strict=True)):
                yield Segment(" " * (GAP if at else 1))
                yield Segment(text, console.get_style(style) if style else None)
            yield Segment(" \n")


def _padded(text: str, width: int, *, at_left: bool) -> str:
    blanks = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return text + blanks if at_left else blanks + text


def width_of(cell: str) -> int:
    """Give the characters of the longest line of a cell."""
    return max((len(line) if line.isascii() else cell_len(line) for line in cell.split("\n")), default=0)


def too_wide(widths: Mapping[str, int], first_to_go: Sequence[str], room: int) -> list[str]:
    """Name the columns of a table that go, so that the others fit: no figure is ever cut.

    Args:
        widths: characters of the longest cell of each column, under its name.
        first_to_go: names; those that are not among them stay.
        room: characters there are for the columns.
    """
    needed = sum(width + GAP for width in widths.values())
    gone = []
    for name in first_to_go:
        if needed <= room:
            break
        gone.append(name)
        needed -= widths[name] + GAP
    return gone


def folded(name: str, width: int) -> str:
    """Break a name behind commas, colons and pluses, or where it must be, where it is longer than that."""
    if width_of(name) <= width:
        return name
    lines = [""]
    for piece in re.findall(r"[^,+:]*[,+:]? *", name):
        if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(part for line in lines for part in chop_cells(line.rstrip(), max(1, width)) or [""])


def _cut(name: str, width: int) -> str:
    return name if width_of(name) <= width else set_cell_size(name, max(1, width) - 1).rstrip() + "…"


# -- reports ----------------------------------------------------------------------------------------------


def report_table(report: BenchReport, width: int, sort: str | None = None) -> Group:
    """Lay a report out: a table, the errors, and what a reader must know of the figures.

    Args:
        report: what to show, of a bench or of an experiment.
        width: characters a line may have; columns that do not fit are left out, and that is said.
        sort: the column that rows are ordered by; it stays.
    """
    found = view([("", report)])
    of_experiment = is_experiment(report)
    chosen, bare, taken, left_out = _fitting(found, width, sort or "", of_experiment=of_experiment)
    are_bare = [(shown, shown in bare) for shown in chosen]
    cells = [[shown.cell(of, bare=is_bare) for shown, is_bare in are_bare] for of in found.figures]
    headings = [shown.title(bare=is_bare) for shown, is_bare in are_bare]
    marks = _marks(found)
    name_width = width - 2 * _EDGE - taken - (2 if marks else 0)
    shorten = folded if of_experiment else _cut
    headings.insert(0, shorten(_heading(report), name_width))
    rows, styles = [], []
    for i, (name, run) in enumerate(zip(found.names, found.runs, strict=True)):
        indent = f"{marks[i]} " if marks else ""
        rows.append([indent + shorten(name, name_width).replace("\n", "\n" + " " * len(indent)), *cells[i]])
        styles.append("red" if run.error else "")
        if theirs := found.of_paper[i]:
            rows.append(["  paper", *(shown.of_paper(theirs) for shown in chosen)])
            styles.append("dim")
    below = [Text(f"failed: {text}", style="red") for text in found.failed()]
    below += [Text(f"partial: {report.partial}", style="red")] if report.partial else []
    below += [Text(f"{NOT_VALID} {text}", style="red") for text in found.invalid()]
    messages = found.flags()
    most = len(messages) if of_experiment else _MOST_NOTES
    below += [Text(f"note: {message}", style="yellow") for message in messages[:most]]
    if len(messages) > most:
        below.append(Text(f"{len(messages) - most} notes more: a report (-o) has all, `dslite report` shows it"))
    below += [Text(text) for text in found.in_turn()]
    below += [Text(f"- {note}", style="dim") for note in (*found.notes(), *filter(None, [found.star]))]
    if left_out:
        where = "the folder has all" if of_experiment else "a report (-o) has all"
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; {where}", style="dim"))
    return Group(TextTable(headings, rows, styles), *below)


def _heading(report: BenchReport) -> str:
    if is_experiment(report):
        return "compressor, exporter"
    backbones = sorted({run.artifact.backbone for run in report.runs if run.artifact.backbone})
    return backbones[0] if len(backbones) == 1 else "backbone" if backbones else "file"


def _marks(found: View) -> list[str]:
    """Give what stands before each name; nothing where no row has a mark."""
    marks = ["*" if i in found.best else NOT_VALID if why else " " for i, why in enumerate(found.reasons)]
    return marks if {*marks} != {" "} else []


def _fitting(
    found: View, width: int, sort: str, *, of_experiment: bool
) -> tuple[list[Shown], Collection[Shown], int, list[str]]:
    """Choose the columns that fit, of these the ones without brackets, their width, and name what is left out.

    What is not essential goes first, then intervals, then what is.
    """
    table: Table = "experiment" if of_experiment else "bench"
    able = found.columns(table, {sort})
    full = {s: _width(s, found) for s in able}
    short = full | {s: _width(s, found, bare=True) for s in able if s.column.brackets}
    longest = max(map(width_of, found.names), default=0)
    room = width - 2 * _EDGE - min(_SHORTEST_NAME[table], longest) - (2 if _marks(found) else 0)
    going = sorted((s for s in able if s.column.rank < ALWAYS and s.name.lower() != sort), key=lambda s: s.column.rank)
    minor = [s for s in going if s.column.rank < ESSENTIAL]
    bracketed = sorted((s for s in able if full[s] > short[s]), key=lambda s: s.column.rank)
    stages = [(bracketed[:n], minor) for n in range(max(1, len(bracketed)))]
    stages += [(bracketed[:-1], going), (bracketed, going)]
    for bare, first_to_go in stages:
        widths = {s.name: (short if s in bare else full)[s] for s in able}
        gone = too_wide(widths, [s.name for s in first_to_go], room)
        chosen = [s for s in able if s.name not in gone]
        taken = sum(widths[s.name] + GAP for s in chosen)
        if taken <= room:
            break
    left_out = [f"intervals of {s.name}" for s in bare if s.name not in gone]
    return chosen, bare, taken, [*left_out, *(s.name for s in able if s.name in gone)]


def _width(shown: Shown, found: View, *, bare: bool = False) -> int:
    ours = (shown.cell(of, bare=bare) for of in found.figures)
    theirs = (shown.of_paper(each) for each in found.of_paper if each)
    return max(map(width_of, (shown.title(bare=bare), *ours, *theirs)))
