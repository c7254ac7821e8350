"""`chaku inspect`: what a checkpoint is."""

import json

from chaku.cli.shared.loading import model_argument
from chaku.cli.shared.options import json_option
from chaku.cli.shared.verb import verb


@verb("chaku inspect qwen2.5-coder-0.5b-instruct")
@model_argument()
@json_option()
def inspect(model: str, as_json: bool) -> None:
    """Say what a checkpoint is, from its files, without reading a weight."""
    from chaku.checkpoint import inspect as inspecting

    about = inspecting.inspect(model)
    print(json.dumps(about) if as_json else "\n".join(inspecting.in_lines(about)))
