"""The report's part on training: the family tree, the loss curves, the tables of stages."""

from typing import Any

from chaku.report.charts import Line, Node, family_tree, line_chart, smooth, swatch, thin
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, Stage, mapping, number
from chaku.report.table import count, duration, fixed, percent, spaced, table, whole


def tree_section(run: ReportedRun) -> Html:
    """The family tree of the stages."""
    if not run.stages:
        return _absent("No stage was run.")
    nodes = []
    for index, stage in enumerate(run.stages):
        settings = settings_of(stage)
        loss = last_loss(stage)
        lines = [
            f"{count(stage.tokens)} tokens" if stage.status != "not run" else "not run",
            f"loss {fixed(loss)}" if loss is not None else "",
            f"{whole(settings['sequence_length'])} context · base {count(settings['rope_theta'])}",
        ]
        if stage.status == "unfinished":
            lines[0] += ", unfinished"
        if stage.status == "not run":
            lines[2] = ""
        nodes.append(Node(stage.name, stage.parent, index, lines, faint=stage.status != "done"))
    return family_tree(nodes)


def curves_section(run: ReportedRun) -> Html:
    """Training loss along the family tree, and held-out loss of every set."""
    # The loss of GRPO is near 0 whatever the model learns; reinforcement.py has the curves that say something.
    trained = [
        (index, stage) for index, stage in enumerate(run.stages) if stage.steps and "reward" not in stage.steps[-1]
    ]
    if not trained:
        return _absent("No training step was logged.")
    losses: list[Line] = []
    heldout: dict[str, list[Line]] = {}
    accuracies: dict[str, list[Line]] = {}
    for index, stage in trained:
        offset = sum(ancestor.tokens for ancestor in run.ancestors(stage.name))
        points = [(offset + (number(line.get("tokens")) or 0.0), float(line["loss"])) for line in stage.steps]
        window = max(1, len(points) // 40)
        raw = thin(points) if window > 1 else []
        losses.append(Line(stage.name, index, thin(smooth(points, window)), raw))
        for key, lines_of in (("heldout_loss", heldout), ("heldout_accuracy", accuracies)):
            for name, curve in heldout_curves(stage, offset, key).items():
                lines_of.setdefault(name, []).append(Line(stage.name, index, curve))
    x_label = "tokens seen, ancestors included"
    parts = [
        line_chart(
            losses,
            title="Training loss",
            x_label=x_label,
            y_label="nats per token, log scale; pale: single steps, solid: running mean",
            log_y=True,
        ),
        element(
            "p",
            "Every stage trains on its own mix of data, so compare training losses only within a stage. The held-out "
            "losses below can be compared between stages of one context length, which read the same text.",
            class_="note",
        ),
    ]
    charts = [
        line_chart(
            lines,
            title=f"Held-out loss: {name}",
            x_label=x_label,
            y_label="DPO loss of a pair, log scale" if name in accuracies else "nats per token, log scale",
            log_y=True,
            small=True,
        )
        for name, lines in heldout.items()
    ]
    charts += [
        line_chart(
            lines,
            title=f"Held-out accuracy: {name}",
            x_label=x_label,
            y_label="share of pairs whose better reply gained more",
            small=True,
        )
        for name, lines in accuracies.items()
    ]
    return join([*parts, element("div", charts, class_="pair") if charts else _absent("No held-out loss was logged.")])


def heldout_curves(stage: Stage, offset: float, key: str) -> dict[str, list[tuple[float, float]]]:
    """The logged values of a stage by set: (tokens, value). `offset`: the tokens of its ancestors."""
    if not stage.steps:
        return {}
    last = stage.steps[-1]
    tokens_per_step = (number(last.get("tokens")) or 0.0) / max(number(last.get("step")) or 1.0, 1.0)
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in stage.heldout:
        for name, logged in mapping(line.get(key)).items():
            if (value := number(logged)) is not None:
                curves.setdefault(str(name), []).append((offset + line["step"] * tokens_per_step, value))
    return curves


def stages_section(run: ReportedRun) -> Html:
    """Settings, time and throughput of every stage."""
    settings_rows, speed_rows = [], []
    for index, stage in enumerate(run.stages):
        name = element("span", swatch(index), stage.name, class_="key")
        settings, steps = settings_of(stage), stage.steps
        settings_rows.append(
            [
                name,
                stage.parent,
                stage.status,
                whole(settings["sequence_length"]),
                count(settings["rope_theta"]),
                scientific(settings["learning_rate"]),
                percent(_mean(steps, "infilling_rate"), 0),
                fixed(last_loss(stage)),
            ]
        )
        seconds = stage.seconds
        speed_rows.append(
            [
                name,
                count(stage.tokens or None),
                count(stage.facts.steps if stage.facts else steps[-1]["step"] if steps else None),
                duration(seconds),
                count(stage.tokens / seconds) if seconds and stage.tokens else None,
                spaced(_mean(steps, "flops_per_second"), "FLOP/s") if steps else None,
                percent(_mean(steps, "mfu"), 0),
            ]
        )
    if not settings_rows:
        return _absent("No stage was run.")
    settings_columns = [
        "stage",
        "from",
        "status",
        "context",
        "rotary base",
        "peak learning rate",
        "infilled tokens",
        "last loss",
    ]
    speed_columns = ["stage", "tokens", "steps", "time", "tokens/s", "arithmetic", "MFU"]
    note = (
        "Infilled tokens: the share of tokens in documents rearranged for infilling. Last loss: mean of the last tenth "
        "of the steps. MFU: share of the machine's measured matrix-product speed."
    )
    return join(
        [
            table(settings_columns, settings_rows),
            table(speed_columns, speed_rows),
            element("p", note, class_="note"),
        ]
    )


def settings_of(stage: Stage) -> dict[str, Any]:
    """The settings of a stage that the tables show, from its resolved configuration; None when not recorded."""
    config, model = (stage.facts.config, stage.facts.model) if stage.facts else ({}, {})
    return {
        "sequence_length": number(config.get("sequence_length")),
        "rope_theta": number(model.get("rope_theta")),
        "learning_rate": number(mapping(config.get("training")).get("learning_rate")),
    }


def last_loss(stage: Stage) -> float | None:
    """The mean training loss over the last tenth of the logged steps, in nats; None without steps."""
    tail = stage.steps[-max(1, len(stage.steps) // 10) :]
    return sum(float(line["loss"]) for line in tail) / len(tail) if tail else None


def _mean(lines: list[dict[str, Any]], key: str) -> float | None:
    values = [value for line in lines if (value := number(line.get(key))) is not None]
    return sum(values) / len(values) if values else None


def scientific(value: float | None) -> str | None:
    """0.0003 -> 3e-4."""
    if value is None or value >= 0.01:
        return None if value is None else f"{value:.2g}"
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def _absent(text: str) -> Html:
    return element("p", text, class_="absent")
