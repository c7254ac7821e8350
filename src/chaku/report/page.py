"""Reads a run directory and writes its report.html: one file that loads no other files."""

from collections.abc import Sequence
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import write_text
from chaku.report.achieved import achieved_section
from chaku.report.document import document
from chaku.report.html import Html, element, join
from chaku.report.left_out import left_out_box
from chaku.report.material import corpus_section, timings_section
from chaku.report.reinforcement import reinforcement_section, rl_stages
from chaku.report.results import results_section
from chaku.report.robustness import robustness_section
from chaku.report.run import ReportedRun, number, read_robustness, read_run
from chaku.report.samples import samples_section
from chaku.report.table import Text, count, duration, table
from chaku.report.training import curves_section, stages_section, tree_section

BREAKS = "Where text-to-SQL breaks"


def write_report(run_dir: Path, beside: Sequence[Path] = ()) -> Path:
    """Write RUN_DIR/report.html from the files that the run has written so far, and return its path.

    `beside`: other run directories, whose figures are shown below this run's, with links to their reports.
    Raises ChakuError when `run_dir` is not a directory or cannot be written. Missing or broken parts are not errors;
    the page names them.
    """
    run_dir = Path(run_dir)
    page = render(read_run(run_dir), [read_run(other) for other in beside])
    path = run_dir / "report.html"
    write_text(path, page)
    return path


def render(run: ReportedRun, beside: Sequence[ReportedRun] = ()) -> str:
    """The whole page."""
    sections = (
        ("achieved", "What was achieved", lambda run: achieved_section(run, beside)),
        *([("commands", "Try it", _commands)] if run.commands else []),
        ("family", "Family tree", tree_section),
        ("curves", "Loss", curves_section),
        *([("reinforcement", "Reinforcement", reinforcement_section)] if rl_stages(run) else []),
        ("stages", "Stages", stages_section),
        ("results", "Results", results_section),
        *([("robustness", BREAKS, lambda run: robustness_section(run.robustness))] if run.robustness else []),
        ("samples", "Samples", samples_section),
        ("corpus", "Corpus", corpus_section),
        ("time", "Time", timings_section),
        ("details", "How to make it again", _details),
    )
    top = [element("p", _lead(run), class_="lead"), _facts(run), _problems(run), left_out_box(run)]
    shown = [(anchor, title, show(run)) for anchor, title, show in sections]
    return document(run.directory.resolve().name, top, shown)


def write_robustness_report(directory: Path) -> Path:
    """Write DIRECTORY/report.html of what `chaku sql robustness` wrote there, and return its path.

    Raises ChakuError for a robustness.json that cannot be read.
    """
    problems: list[str] = []
    found = read_robustness(directory, problems)
    if problems or not found:
        raise ChakuError("; ".join(problems) or f"{directory} has no robustness.json that can be read")
    path = directory / "report.html"
    section = ("robustness", BREAKS, robustness_section(found))
    write_text(path, document(directory.resolve().name, [], [section]))
    return path


def _lead(run: ReportedRun) -> str:
    statuses = [stage.status for stage in run.stages]
    done = statuses.count("done")
    text = (
        f"{done} of {len(statuses)} stage{'s' * (len(statuses) != 1)} finished." if statuses else "Nothing trained yet."
    )
    minutes, speed = number(run.budget.get("minutes")), number(run.budget.get("tokens_per_second"))
    if minutes and speed:
        tokens = count(run.budget.get("tokens"))
        text += (
            f" Training was given {minutes:g} minutes, of which some are for held-out losses and saving:"
            f" {tokens} tokens at the measured {count(speed)} tokens/s."
        )
    return text


def _facts(run: ReportedRun) -> Html | None:
    """One line: the size of the largest model, the tokens of all stages, the time of all steps."""
    trained = [stage for stage in run.stages if stage.tokens]
    parameters = [stage.facts.num_parameters for stage in run.stages if stage.facts]
    facts = []
    if largest := max(parameters, default=0):
        facts.append(f"{count(largest)} parameters")
    if trained:
        stages = "1 stage" if len(trained) == 1 else f"{len(trained)} stages"
        facts.append(f"{count(sum(stage.tokens for stage in trained))} training tokens in {stages}")
    seconds = sum(number(entry.get("seconds")) or 0.0 for entry in run.timings)
    seconds = seconds or sum(number(stage.seconds) or 0.0 for stage in run.stages)
    if seconds:
        facts.append(f"{duration(seconds)} in all")
    return element("ul", [element("li", fact) for fact in facts], class_="facts") if facts else None


def _problems(run: ReportedRun) -> Html | None:
    if not run.problems:
        return None
    items = [element("li", problem) for problem in run.problems]
    return element("div", "Parts of this run could not be read:", element("ul", items), class_="warning")


def _commands(run: ReportedRun) -> Html:
    """Commands that a reader may copy into a terminal."""
    shown = [
        element(
            "article",
            element("header", str(command.get("about", ""))),
            element("pre", element("code", str(command.get("command", "")))),
            class_="sample",
        )
        for command in run.commands
    ]
    return join(shown)


def _details(run: ReportedRun) -> Html:
    """Seeds, fingerprints and versions of every stage."""
    rows = []
    for stage in run.stages:
        if stage.facts:
            versions = ", ".join(f"{name} {version}" for name, version in stage.facts.versions.items())
            fingerprint = element("code", stage.facts.fingerprint[:16])
            rows.append([stage.name, str(stage.facts.seed), fingerprint, versions or "–"])
    if not rows:
        return element("p", "No stage is finished.", class_="absent")
    text = "The same recipe, seed and versions on the same kind of machine give the same weights to the bit."
    return join([table(["stage", "seed", "fingerprint", Text("versions")], rows), element("p", text, class_="note")])
