"""Writes a run's report as one HTML page, and the comparison of two runs as another."""

from chaku.report.against import write_comparison
from chaku.report.page import write_report, write_robustness_report

__all__ = ["write_comparison", "write_report", "write_robustness_report"]
