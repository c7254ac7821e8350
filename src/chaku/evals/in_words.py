"""Formats results as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from chaku.results import BenchmarkResult


def result_in_lines(result: BenchmarkResult) -> list[str]:
    """One benchmark's score, its measures, verdicts and groups."""
    manifest = result.manifest
    lines = [f"{result.benchmark}: {result.num_passed} of {result.num_problems} problems have a right sample"]
    for k, share in result.pass_at_k.items():
        low, high = result.intervals_95[k]
        lines.append(f"  pass@{k}  {share:.1%}  (95%: {low:.1%} to {high:.1%})")
    lines += [f"  {name.replace('_', ' ')}  {value:.3g}" for name, value in result.measures.items()]
    for group, row in result.by_group.items():
        scores = ", ".join(f"pass@{k} {share:.1%}" for k, share in row.pass_at_k.items())
        lines.append(f"  {group}: {scores} of {row.num_problems} problems")
    verdicts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in result.verdicts.items())
    lines.append(f"  {result.num_samples} samples: {verdicts}")
    if left_out := manifest.get("left_out"):
        lines.append(f"  LEFT OUT: {len(left_out)} problems that cannot be judged on this machine")
    if unknown := manifest.get("unknown_problems"):
        lines.append(f"  LEFT OUT: samples of {len(unknown)} problems that are not in the set of problems")
    lines += [f"  NOTE: {note}" for note in result.notes]
    if excluded := manifest.get("excluded"):
        lines.append(f"  EXCLUDED: {', '.join(excluded)}")
    if manifest["partial"]:
        lines.append("  PARTIAL: not all problems of the benchmark had samples")
    if manifest["isolation"] != "sandbox":
        lines.append("  NOT ISOLATED: the programs ran outside the sandbox")
    return lines


def comparison_in_lines(comparison: Mapping[str, Any]) -> list[str]:
    """The differences between the protocols, then a table of scores."""
    lines = [f"NOT ALIKE: {difference}" for difference in comparison["differences"]]
    lines += [f"a: {comparison['a']}", f"b: {comparison['b']}"]
    common = f"{comparison['benchmark']}, {comparison['num_common']} problems in common"
    if only := [f"{comparison[f'num_only_{side}']} only in {side}" for side in "ab" if comparison[f"num_only_{side}"]]:
        common += f" ({', '.join(only)})"
    lines += [common, f"{'':20}{'a':>8}{'b':>8}{'b - a':>9}{'95% interval':>20}{'p':>9}"]
    for name, row in comparison["scores"].items():
        low, high = row["interval_95"]
        shares = name.startswith("pass@")
        show = (lambda value: f"{value:.1%}") if shares else (lambda value: f"{value:.3g}")
        interval = f"{show(low)} to {show(high)}"
        line = (
            f"{name:20}{show(row['a']):>8}{show(row['b']):>8}{show(row['difference']):>9}{interval:>20}{row['p']:>9.2g}"
        )
        lines.append(line)
        if "only_a" in row:
            lines.append(f"{'':20}solved by a only: {row['only_a']}, by b only: {row['only_b']} (exact McNemar test)")
    return lines
