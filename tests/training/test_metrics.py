"""Metrics as lines and for TensorBoard: each step once, whatever was killed."""

import pytest

from chaku.training.metrics import MetricsLog, read_metrics
from chaku.training.trackers import TrackedStage, open_trackers


def test_tensorboard_has_the_same_numbers_after_a_kill(tmp_path, monkeypatch):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.summary.writer import event_file_writer

    # Files of one second and process are read in the order of a count that is compared as text: 9, then 10, would swap.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))

    def log_from(step):
        return MetricsLog(tmp_path, step, open_trackers((), TrackedStage("project", "stage", tmp_path, step, {})))

    with log_from(0) as log:
        for step in (1, 2, 3):
            log.write(step, loss=float(step))
    with log_from(2) as log:  # step 3 is lost with its state, and done again
        log.write(3, loss=30.0)
        log.write(3, heldout_loss={"code": 2.5})
        log.write(3, sample={"prompt": "def ", "text": "f():"})
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [(line["step"], line["loss"]) for line in lines if "loss" in line] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(scalar.step, scalar.value) for scalar in events.Scalars("loss")] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert [scalar.value for scalar in events.Scalars("heldout_loss/code")] == [2.5]
    assert events.Tags()["tensors"] == ["sample/text_summary"]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]
    with MetricsLog(tmp_path, 1) as log:
        log.write(2, loss=1.5)
    assert [line["step"] for line in read_metrics(path)] == [1, 2]
    assert read_metrics(tmp_path / "none") == []
