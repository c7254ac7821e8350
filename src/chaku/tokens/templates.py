"""Find a chat template (built-in, a checkpoint's, or a file) and render conversations with it."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.errors import ChakuError, did_you_mean
from chaku.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_REFUSE = """
{%- for message in messages %}{% for tag in TAGS %}{% if tag in message['content'] %}
{{- raise_exception('a message contains ' + tag + ', which the format uses itself; take it out') }}
{%- endif %}{% endfor %}{% endfor %}"""

# The template of Llama 2 and Code Llama (7B to 34B), with the ids of Meta's `chat_completion`: the system message goes
# before the first user message, every message is stripped, and a message that contains a tag is refused.
_LLAMA2 = (
    """{%- set TAGS = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'] %}"""
    + _REFUSE
    + """
{%- set system = '' %}{% set turns = messages %}
{%- if messages and messages[0]['role'] == 'system' %}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}{% set turns = messages[1:] %}
{%- endif %}
{%- for message in turns %}
{%- if message['role'] != ['user', 'assistant'][loop.index0 % 2] %}
{{- raise_exception('after an optional system message, user and assistant must take turns, the user first') }}
{%- elif message['role'] == 'user' %}
{{- bos_token + '[INST] ' + ((system if loop.first else '') + message['content']) | trim + ' [/INST]' }}
{%- else %}
{{- ' ' + message['content'] | trim + ' ' + eos_token }}
{%- endif %}
{%- endfor %}"""
)

# Code Llama 70B's template, with the ids of Meta's `dialog_prompt_tokens`. Meta encodes header and content apart, and
# both get Llama's implicit space: the space before the two line breaks is the content's. Other programs refuse a
# message with <step>, by this template; in chaku it stays text (`Chat`).
_CODE_LLAMA_70B = (
    """{%- set TAGS = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>', '<step>'] %}"""
    + _REFUSE
    + """
{{- bos_token }}
{%- set turns = messages %}
{%- if messages and messages[0]['role'] == 'system' %}
{%- set turns = messages[1:] %}{{ ' Source: system \\n\\n ' + messages[0]['content'] | trim + '<step>' }}
{%- else %}
{{- ' Source: system \\n\\n <step>' }}
{%- endif %}
{%- for message in turns %}
{%- if message['role'] != ['user', 'assistant'][loop.index0 % 2] %}
{{- raise_exception('after an optional system message, user and assistant must take turns, the user first') }}
{%- endif %}
{{- ' Source: ' + message['role'] + ('\\nDestination: user' if message['role'] == 'assistant' else '') }}
{{- ' \\n\\n ' + message['content'] | trim + '<step>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ ' Source: assistant\\nDestination: user \\n\\n ' }}{% endif %}"""
)

_CHATML = """
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


@dataclass(frozen=True)
class Builtin:
    """A built-in template: its Jinja text, and the tokens that the vocabulary must contain."""

    text: str
    tokens: tuple[str, ...] = ()


BUILTIN = {
    "llama2": Builtin(_LLAMA2),
    "codellama-70b": Builtin(_CODE_LLAMA_70B, ("<step>",)),
    "chatml": Builtin(_CHATML, ("<|im_start|>", "<|im_end|>")),
}


def find_template(tokenizer: Tokenizer, name: str | None = None) -> str:
    """The Jinja text of a built-in template, of a file, or (None) of the template in the tokenizer's checkpoint.

    Raises ChakuError when there is no such template, or when the vocabulary lacks a token of the template.
    """
    known = ", ".join(BUILTIN)
    if name is None:
        own = tokenizer.config.get("chat_template")
        if isinstance(own, list):  # older checkpoints have several named templates
            own = next((template["template"] for template in own if template.get("name") == "default"), None)
        if not own:
            raise ChakuError(
                "the checkpoint has no chat template of its own; name one, as in --template llama2: "
                f"{known}, or a Jinja file"
            )
        return own
    if name in BUILTIN:
        missing = [token for token in BUILTIN[name].tokens if token not in tokenizer.pieces]
        if missing:
            raise ChakuError(
                f"the chat template {name} needs the token {missing[0]}, which the vocabulary does not have; use "
                "llama2, which works with any vocabulary"
            )
        return BUILTIN[name].text
    if not Path(name).is_file():
        near = did_you_mean(name, BUILTIN)
        raise ChakuError(f"the chat template {name!r} is neither a file nor one of {known}{near}")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChakuError(f"cannot read the chat template {name}: {error}") from error


def render(template: str, messages: list[dict[str, str]], **variables: Any) -> str:
    """Render a conversation to text. Raises ChakuError for a broken template, and when it refuses the conversation."""
    from jinja2 import TemplateError

    try:
        return _compiled(template).render(messages=messages, tools=None, documents=None, **variables)
    except (TemplateError, TypeError, KeyError, ValueError, IndexError) as error:
        raise ChakuError(f"the chat template rejects the conversation: {error}") from error


@cache
def _compiled(template: str) -> "Template":
    return _environment().from_string(template)


@cache
def _environment() -> "Environment":
    """The Jinja environment of transformers: sandboxed, with its settings, functions and the `generation` tag."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Ignores `{% generation %}`, which marks the model's text; chaku finds that text by rendering twice."""

        tags = {"generation"}  # noqa: RUF012 (Jinja's own convention)

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None, **settings: Any) -> str:  # Jinja's own escapes HTML
        return json.dumps(value, ensure_ascii=False, indent=indent, **settings)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
