"""Records some steps of a stage with torch's profiler, as a trace that chrome://tracing and ui.perfetto.dev open."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from chaku.console import say


class StepProfiler(AbstractContextManager["StepProfiler"]):
    """Records the steps FIRST to LAST of `steps` (counted from 1) into DIRECTORY/profile-FIRST-LAST.json.gz.

    Each step is an event "step N" around its operations. Records nothing when `steps` is None. When the training ends
    or stops between the two steps, the trace has the steps so far.
    """

    def __init__(self, steps: tuple[int, ...] | None, directory: Path):
        self._steps = range(steps[0], steps[1] + 1) if steps else range(0)
        self._path = directory / f"profile-{'-'.join(map(str, steps or ()))}.json.gz"
        self._profile: Any = None
        self._event: Any = None

    def begin(self, step: int) -> None:
        """Call before the operations of step `step`, counted from 1."""
        if step not in self._steps:
            return
        if self._profile is None:
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
            self._profile = profile(activities=activities)
            self._profile.start()
        self._event = record_function(f"step {step}")
        self._event.__enter__()

    def end(self, step: int) -> None:
        """Call after the operations of step `step`. Writes the trace after the last step."""
        if self._event is not None:
            self._event.__exit__(None, None, None)
            self._event = None
        if self._profile is not None and step + 1 not in self._steps:
            self._write()

    def _write(self) -> None:
        self._profile.stop()
        self._profile.export_chrome_trace(str(self._path))
        self._profile = None
        say(f"the profile is in {self._path}; chrome://tracing and ui.perfetto.dev open it")

    def __exit__(self, *_: object) -> None:
        if self._profile is not None:
            self.end(self._steps[-1])
