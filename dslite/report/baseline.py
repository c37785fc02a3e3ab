"""What the opponent reached, as tables for a terminal."""

from rich.console import Group
from rich.text import Text

from dslite.learn.baseline import Baseline
from dslite.metrics.scores import Classification
from dslite.report.evaluation import figure, interval, plain_table, quantity


def baseline_tables(found: Baseline) -> Group:
    """Lay a baseline out: figures on devel and test, and how its setting was chosen."""
    score = "UAR" if found.task == "classification" else "CCC"
    more = ("chance", "accuracy") if found.task == "classification" else ("MAE", "RMSE")
    table = plain_table("linear SVM", "files", score, "95 % CI", *more)
    for split, result in (("devel", found.devel), ("test", found.test)):
        if isinstance(result, Classification):
            cells = (figure(result.uar), interval(result.uar_interval), figure(result.chance), figure(result.accuracy))
        elif result:
            cells = (figure(result.ccc), interval(result.ccc_interval), quantity(result.mae), quantity(result.rmse))
        else:
            continue
        table.add_row(split, str(result.n), *cells)
    return Group(table, *(Text(f"- {line}", style="dim") for line in method(found)))


def method(found: Baseline) -> list[str]:
    """Say how the figures are made; a sentence each."""
    chosen = found.chosen
    tried = len(found.candidates)
    lines = [
        f"{found.n_features} features a file",
        f"best on devel of {tried} settings: C = {chosen.complexity:g}, scaling by {chosen.scaling}",
        "test is of a fit on train and devel" if found.test else "the table has no test split",
    ]
    if not found.converged:
        lines.append("the solver did not come to its end: figures are of its last step")
    return lines
