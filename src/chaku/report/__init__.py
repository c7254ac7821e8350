"""Writes a run's report as one HTML page."""

from chaku.report.page import write_report

__all__ = ["write_report"]
