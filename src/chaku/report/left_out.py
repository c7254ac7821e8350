"""The report's box of the parts that this run left out, because the machine lacked something."""

from chaku.report.html import Html, element
from chaku.report.run import ReportedRun
from chaku.report.table import Text, table


def left_out_box(run: ReportedRun) -> Html | None:
    """The parts that were left out, why, and how to get what they need; None when everything ran."""
    if not run.left_out:
        return None
    rows = [
        [
            str(part.get("part", "")),
            str(part.get("why", "")),
            element("code", how) if how else "–",
        ]
        for part in run.left_out
        for how in (str(part.get("how_to_get", "")),)
    ]
    text = "These parts were left out, as this machine lacked something. Install it and run the same command again:"
    return element("div", text, table(["left out", Text("why"), Text("how to get it")], rows), class_="warning")
