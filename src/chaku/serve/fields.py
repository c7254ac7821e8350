"""Read the fields of a request: each has one type and a range, and what is wrong is said by the field's name."""

from collections.abc import Mapping
from typing import Any

from chaku.inference.constraints import json_grammar
from chaku.inference.generator import SamplingParams

MAX_TOKENS = 1_000_000  # more than any context: the room that the context leaves is the real limit

MAX_OBJECTS = 10_000  # messages, or other files
MAX_GRAMMAR = 100_000  # characters: the event loop, and then all requests whose prompts are not yet read, wait for it
MAX_STOP = 1_000  # characters of a stop string: every step of the model looks for all of its beginnings
MAX_PENALTY = 100.0  # OpenAI's own limit is 2, llama.cpp has none
LEAST_HEAT = 1e-6  # below it, logits over the temperature may be infinite, and the likeliest token always wins


class Refusal(Exception):
    """An answer that is an error: its HTTP status, a sentence, and the field that is wrong."""

    def __init__(self, status: int, message: str, field: str | None = None):
        super().__init__(message)
        self.status, self.message, self.field = status, message, field


class Fields:
    """The fields of a JSON object. null is the same as a missing field. Raises Refusal(400) for a wrong value."""

    def __init__(self, body: Any, where: str = ""):
        if not isinstance(body, dict):
            raise Refusal(400, f"{where or 'the body'} must be a JSON object")
        self.body, self._where = body, f"{where}." if where else ""

    def __contains__(self, name: str) -> bool:
        return self.body.get(name) is not None

    def get(self, name: str) -> Any:
        return self.body.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def whole(self, name: str, default: int | None, least: int, most: int) -> int:
        """A whole number in a range."""
        value = self._value(name, default)
        if isinstance(value, float) and value.is_integer():  # JavaScript has no other numbers
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "a whole number")
        if not least <= value <= most:
            raise self.wrong(name, f"from {least:,} to {most:,}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A string, or a list of strings; empty ones are left out."""
        value = self._value(name, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise self.wrong(name, "a string or a list of strings")
        if len(found) > 64:
            raise self.wrong(name, "at most 64 strings")
        return tuple(text for text in found if text)

    def ids(self, name: str) -> tuple[int, ...]:
        """A list of token ids."""
        value = self._value(name, [])
        if not isinstance(value, list) or len(value) > 64 or not all(type(item) is int and item >= 0 for item in value):
            raise self.wrong(name, "a list of at most 64 token ids")
        return tuple(value)

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects."""
        value = self._value(name, [])
        if not isinstance(value, list) or len(value) > MAX_OBJECTS:
            raise self.wrong(name, f"a list of at most {MAX_OBJECTS:,}")
        return [Fields(item, f"{self._where}{name}[{place}]") for place, item in enumerate(value)]

    def inner(self, name: str) -> "Fields":
        """An object; an empty one where it is missing."""
        return Fields(self._value(name, {}), f"{self._where}{name}")

    def wrong(self, name: str, wanted: str) -> Refusal:
        """The refusal of a field."""
        missing = self.body.get(name) is None
        return Refusal(400, f"{self._where}{name}{' is missing; it' if missing else ''} must be {wanted}", name)

    def _value(self, name: str, default: Any) -> Any:
        value = self.body.get(name)
        return default if value is None else value


def tokens_to_write(fields: Fields, name: str, default: int) -> int:
    """A number of tokens, as llama.cpp and Ollama write it: a negative one is as many as the context holds.

    0 asks to read the prompt into the cache; then one token is written, which the contract leaves out.
    """
    number = fields.whole(name, default, -2, MAX_TOKENS)
    return MAX_TOKENS if number < 0 else max(number, 1)


def read_grammar(fields: Fields) -> str | None:
    """The grammar of a text: `response_format`, or `grammar`, which is Lark. Raises Refusal."""
    form = fields.inner("response_format")
    kind = form.text("type", "text")
    if "grammar" in fields:
        if kind != "text":
            raise fields.wrong("grammar", "left out where `response_format` says what the text is")
        return grammar_text(fields)
    match kind:
        case "text":
            return None
        case "json_object":
            return json_grammar({"type": "object"})
        case "json_schema":
            return schema_grammar(form.inner("json_schema").inner("schema").body)
    raise fields.wrong("response_format", "of type text, json_object, json_schema or sql")


def grammar_text(fields: Fields) -> str:
    """`grammar`. Raises Refusal."""
    text = fields.text("grammar")
    if len(text) > MAX_GRAMMAR:
        raise fields.wrong("grammar", f"at most {MAX_GRAMMAR:,} characters long")
    return text


def schema_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of a JSON schema. Raises Refusal."""
    grammar = json_grammar(schema)
    if len(grammar) > MAX_GRAMMAR:
        raise Refusal(400, f"the JSON schema has more than {MAX_GRAMMAR:,} characters")
    return grammar


def sampling(
    fields: Fields,
    *,
    max_tokens: int,
    stop: tuple[str, ...] = (),
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float = 0.0,
    healing: bool = False,
    names: Mapping[str, str] | None = None,
) -> SamplingParams:
    """The sampling parameters of a request. `names`: the contract's names of fields, where they are not OpenAI's.

    `temperature`, `top_p`, `top_k` and `min_p`: the contract's defaults. `top_k`, `min_p`, `repeat_penalty` and
    `repeat_last_n` are llama.cpp's and Ollama's, and vLLM has the first two; every contract reads them.

    Without a seed, sampling draws one.
    """
    import secrets

    called = {name: name for name in ("temperature", "top_p", "seed", "stop")} | dict(names or {})
    heat = fields.number(called["temperature"], temperature, 0.0, 100.0)
    if heat < LEAST_HEAT:
        heat = 0.0
    stops = (*fields.texts(called["stop"]), *stop)
    if any(len(text) > MAX_STOP for text in stops):
        raise fields.wrong(called["stop"], f"strings of at most {MAX_STOP:,} characters")
    seed = fields.whole(called["seed"], -1, -(2**63), 2**64)
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=heat,
        top_p=max(fields.number(called["top_p"], top_p, 0.0, 1.0), 1e-6),
        stop=stops,
        seed=seed if seed >= 0 else (secrets.randbits(62) if heat else 0),
        stop_ids=fields.ids("stop_token_ids"),  # vLLM's field
        healing=healing,
        top_k=max(fields.whole("top_k", top_k, -1, MAX_TOKENS), 0),
        min_p=fields.number("min_p", min_p, 0.0, 1.0),
        presence_penalty=fields.number("presence_penalty", 0.0, -MAX_PENALTY, MAX_PENALTY),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -MAX_PENALTY, MAX_PENALTY),
        repeat_penalty=fields.number("repeat_penalty", 1.0, 1 / MAX_PENALTY, MAX_PENALTY),
        repeat_last_n=fields.whole("repeat_last_n", 64, -1, MAX_TOKENS),
    )
