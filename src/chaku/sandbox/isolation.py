"""Whether programs can be isolated here."""

from chaku.sandbox.bubblewrap import check_sandbox

__all__ = ["check_sandbox"]
