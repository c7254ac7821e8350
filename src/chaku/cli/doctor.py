"""`chaku doctor`: what this machine can do."""

import json
from dataclasses import asdict

from chaku.cli.shared.options import json_option
from chaku.cli.shared.show_report import say_what_does_not_run
from chaku.cli.shared.verb import verb


@verb("chaku doctor")
@json_option("Print the findings as JSON: status (ok, optional or missing) and text.")
def doctor(as_json: bool) -> None:
    """Say what this machine can do, and what to install for the rest."""
    say_what_does_not_run()
    from chaku.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        print("\n".join(map(str, findings)))
