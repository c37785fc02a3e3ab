"""Reports as Markdown: what was measured, a table, what must be known of it, and the commands."""

import re

from dslite.report import paper
from dslite.report.view import View, facts_in_words


def markdown(view: View) -> str:
    """Write a view as Markdown."""
    columns = view.columns("document")
    headings = ["", *(_text(shown.title()) for shown in columns)]
    lines = [f"# {_text(view.title)}", "", f"| {' | '.join(headings)} |", f"|---|{'---:|' * len(columns)}"]
    for i, (name, of) in enumerate(zip(view.names, view.figures, strict=True)):
        mark = "\\* " if i in view.best else "! " if view.reasons[i] else ""
        lines.append(f"| {' | '.join([mark + _text(name), *(shown.cell(of) for shown in columns)])} |")
        if view.with_paper and (theirs := view.of_paper[i]):
            lines.append(f"| paper | {' | '.join(shown.of_paper(theirs) for shown in columns)} |")
    lines.append("")
    lines += [f"- **failed**: {_text(text)}" for text in view.failed()]
    lines += [f"- **{_text(text)}**" for text in view.partial()]
    lines += [f"- **! {_text(text)}**" for text in view.invalid()]
    lines += [f"- {_text(text)}" for text in (*view.in_turn(), *view.flags())]
    if view.with_paper and not any(view.of_paper):
        lines.append(f"- {paper.NO_ROW}")
    lines += [f"- {_text(note)}" for note in (*view.notes(), *filter(None, [view.star]))]
    for name, report in view.reports:
        code = f", commit {_text(report.commit)}" if report.commit else ""
        machine = "; ".join(f"{fact} {value}" for fact, value in facts_in_words(report.environment))
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", report.command)), default=0))
        lines += ["", f"{_text(name)}: {_text(report.created)}, dslite {_text(report.dslite)}{code}"]
        lines += ["", f"environment: {_text(machine)}"] if machine else []
        lines += ["", f"{fence}sh", report.command, fence]
    return "\n".join([*lines, ""])


def _text(words: str) -> str:
    """Write words so that Markdown takes none of them for its own."""
    plain = " ".join(words.split())
    for mark in ("\\", "&", "|", "<", "*", "_", "`", "[", "~"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain
