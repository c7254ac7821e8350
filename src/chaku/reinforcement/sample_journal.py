"""The samples of every step with their verdicts, in files that are whole or not there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.jsonl import read_lines, write_lines
from chaku.reinforcement.groups import Drawn, Draws, Group, drawn_from_plain, group_from_plain

FOLDER = "samples"  # in a stage's folder


class SampleJournal:
    """DIRECTORY/samples/step-00000001.jsonl for each step, counted from 1.

    The first line has `step`, `next_draw` (the first draw of the next step), `notes` and `spent` (the cost so far, as
    `LimitsConfig` counts it); every other line is a group.
    A step's file is written before the step's update, so a resumed stage reads it in place of sampling again.
    """

    def __init__(self, directory: Path):
        self._directory = directory / FOLDER

    def path(self, step: int, kind: str = "") -> Path:
        return self._directory / f"step-{step + 1:08}{kind}.jsonl"

    def write(
        self,
        step: int,
        next_draw: int,
        notes: dict[str, float],
        spent: dict[str, float],
        groups: Sequence[Group],
        dropped: Sequence[Group],
    ) -> None:
        """Write a step (0-based); then remove what was drawn for it before."""
        head = {"step": step + 1, "next_draw": next_draw, "notes": notes, "spent": spent}
        rows = [{**group.to_plain(), "dropped": False} for group in groups]
        rows += [{**group.to_plain(), "dropped": True} for group in dropped]
        write_lines(self.path(step), [head, *rows])
        self.path(step, ".drawn").unlink(missing_ok=True)

    def head(self, step: int) -> dict[str, Any] | None:
        """The first line of a step's file; None without such a file."""
        if not self.path(step).exists():
            return None
        with self.path(step).open(encoding="utf-8") as file:
            return dict(json.loads(file.readline()))

    def groups(self, step: int, draws: Draws) -> list[Group]:
        """The groups that the step trains on."""
        rows = [row for _, row in read_lines(self.path(step))][1:]
        return [group_from_plain(row, draws) for row in rows if not row["dropped"]]

    def write_drawn(self, step: int, drawn: Sequence[Drawn]) -> None:
        """Write the replies of a step before they are judged."""
        write_lines(self.path(step, ".drawn"), [one.to_plain() for one in drawn])

    def drawn(self, step: int, draws: Draws) -> list[Drawn] | None:
        """The replies that were drawn for a step; None without such a file."""
        path = self.path(step, ".drawn")
        return [drawn_from_plain(row, draws) for _, row in read_lines(path)] if path.exists() else None
