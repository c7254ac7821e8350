"""`chaku eval list`: what can be measured here."""

import json

from chaku.cli.shared.options import json_option
from chaku.cli.shared.verb import verb


@verb("chaku eval list")
@json_option("Print a list with an entry a benchmark as JSON.")
def eval_list(as_json: bool) -> None:
    """List the benchmarks, what each measures, and whether its data is here."""
    from chaku.evals.listing import list_benchmarks, listing_in_lines

    if as_json:
        print(json.dumps(list(list_benchmarks()), ensure_ascii=False))
        return
    for line in listing_in_lines():
        print(line)
