"""The report's box of what this run left out, because the machine lacked something for it."""

from chaku.report.html import Html, element
from chaku.report.run import ReportedRun
from chaku.report.table import table, text_cell


def left_out_box(run: ReportedRun) -> Html | None:
    """What was left out, why, and what would let it run; nothing where everything ran."""
    if not run.left_out:
        return None
    rows = [
        [
            str(part.get("part", "")),
            text_cell(str(part.get("why", ""))),
            text_cell(element("code", how) if how else "–"),
        ]
        for part in run.left_out
        for how in (str(part.get("how_to_get", "")),)
    ]
    text = "Left out of this run, because this machine lacked something. Run the same command again when it is there:"
    return element("div", text, table(["left out", "<why", "<how to get it"], rows), class_="warning")
