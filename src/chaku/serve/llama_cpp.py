"""llama.cpp's API: /infill, as llama.vim and llama.vscode ask; /completion, /tokenize, /detokenize, /props, /health."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku import __version__
from chaku.inference.generator import AnyPrompt, Request
from chaku.serve.early_end import EarlyEnd
from chaku.serve.fields import Fields, Refusal, grammar_text, sampling, schema_grammar, tokens_to_write
from chaku.serve.http import Contract, json_response, read_fields, server_sent, streamed, unless_gone
from chaku.serve.models import Served
from chaku.serve.prompts import hole, read_prompts
from chaku.serve.service import Writing

MAX_CHOICES = 128
MAX_MILLISECONDS = 86_400_000
SEVERAL_TEMPERATURE = 0.8  # of infillings beside the first, where one request asks for several


def contract(served: Served) -> Contract:
    """The routes that need the key."""

    async def infill(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        prefix = fields.text("input_prefix", "") + fields.text("prompt", "")  # the line left of the cursor
        others = [
            (file.text("filename", "") or "untitled", file.text("text", "")) for file in fields.objects("input_extra")
        ]
        prompt = hole(served.service.engine.tokenizer, prefix, fields.text("input_suffix", ""), others)
        return await _answer(served, request, fields, [prompt], temperature=0.0)

    async def completion(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        prompts = read_prompts(Fields(fields.body | {"suffix": None}), served.service.engine.tokenizer)
        return await _answer(served, request, fields, prompts, temperature=0.8, top_p=0.95, top_k=40, min_p=0.05)

    async def tokenize(request: HttpRequest) -> Response:
        return json_response({"tokens": await served.service.in_reader(_tokens, served, await read_fields(request))})

    async def detokenize(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        tokenizer = served.service.engine.tokenizer
        given = fields.get("tokens")
        if not isinstance(given, list) or not all(type(n) is int and 0 <= n < tokenizer.vocab_size for n in given):
            raise fields.wrong("tokens", f"a list of token ids from 0 to {tokenizer.vocab_size - 1}")
        return json_response({"content": await served.service.in_reader(tokenizer.decode, given)})

    async def props(request: HttpRequest) -> Response:
        engine = served.service.engine
        pieces = engine.tokenizer.pieces
        return json_response(
            {
                "default_generation_settings": {"id": 0, "n_ctx": engine.context, "is_processing": False},
                "total_slots": served.service.max_rows,
                "model_alias": served.name,
                "model_path": served.name,
                "modalities": {"vision": False, "audio": False},
                "chat_template": engine.tokenizer.config.get("chat_template") or "",
                "bos_token": pieces[engine.tokenizer.bos_id],
                "eos_token": pieces[engine.tokenizer.eos_id],
                "build_info": f"chaku {__version__}",
            }
        )

    routes = [
        ("POST", "/infill", infill),
        ("POST", "/completion", completion),
        ("POST", "/completions", completion),
        ("POST", "/tokenize", tokenize),
        ("POST", "/detokenize", detokenize),
        ("GET", "/props", props),
    ]
    return Contract(routes, error_body)


def health(served: Served) -> Contract:
    """The route that asks for no key."""

    async def answer(request: HttpRequest) -> Response:
        return json_response({"status": "ok"})

    return Contract([("GET", "/health", answer)], error_body, closed=False)


def error_body(refusal: Refusal) -> Any:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
    kind = kinds.get(refusal.status, "unavailable_error" if refusal.status in (429, 503) else "server_error")
    return {"error": {"code": refusal.status, "message": refusal.message, "type": kind}}


def _tokens(served: Served, fields: Fields) -> list[Any]:
    """The tokens of `content`; the names of special tokens in it stay text, whatever `parse_special` is."""
    tokenizer = served.service.engine.tokenizer
    ids = tokenizer.encode(fields.text("content"))
    if fields.flag("add_special"):
        ids = [*tokenizer.begin, *ids]
    if not fields.flag("with_pieces"):
        return ids
    pieces: list[Any] = []
    for number in ids:
        data = tokenizer.decode_bytes([number])
        try:
            pieces.append({"id": number, "piece": data.decode()})
        except UnicodeDecodeError:  # a part of a character
            pieces.append({"id": number, "piece": list(data)})
    return pieces


@dataclass
class _Text:
    """A text while it is written. `stop_type`: why it ended, in llama.cpp's words."""

    index: int
    request: Request
    writing: Writing
    early_end: EarlyEnd
    begun: float
    content: str = ""
    num_tokens: int = 0
    stop_type: str = "none"
    ended: float = field(default=0.0)


async def _answer(
    served: Served,
    request: HttpRequest,
    fields: Fields,
    prompts: Sequence[AnyPrompt],
    *,
    temperature: float,
    **defaults: Any,
) -> Response:
    asked = _Asked(served, fields, prompts, temperature, defaults)
    wanted = fields.texts("response_fields") if fields.get("response_fields") else None
    if fields.flag("stream"):

        async def events() -> AsyncIterator[bytes]:
            async with aclosing(asked.write()) as parts:
                async for text, new in parts:
                    if text.ended:
                        yield server_sent(_shown(asked.result(text) | {"content": new}, wanted))
                    elif new:
                        yield server_sent(asked.part(text, new))

        return await streamed(request, events(), "text/event-stream", lambda refusal: server_sent(error_body(refusal)))

    async def all_texts() -> list[_Text]:
        return sorted([text async for text, _ in asked.write() if text.ended], key=lambda text: text.index)

    results = [_shown(asked.result(text), wanted) for text in await unless_gone(request, all_texts())]
    return json_response(results[0] if len(results) == 1 else results)


def _shown(result: dict[str, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    """The wanted fields of a result, each by its path: `timings/prompt_n`. Unknown ones are left out."""
    if wanted is None:
        return result
    shown = {}
    for path in wanted:
        value: Any = result
        for name in path.split("/"):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            shown[path] = value
    return shown


class _Asked:
    """What a request asks for, and the form of its answers."""

    def __init__(
        self,
        served: Served,
        fields: Fields,
        prompts: Sequence[AnyPrompt],
        temperature: float,
        defaults: dict[str, Any],
    ):
        self._served = served
        self._silent = fields.get("n_predict") == 0  # the prompt is read into the cache, and nothing is written
        grammar = _grammar(fields)
        several = fields.whole("n_cmpl" if "n_cmpl" in fields else "n", 1, 1, MAX_CHOICES)
        if len(prompts) * several > MAX_CHOICES:
            raise fields.wrong("n_cmpl", f"such that there are at most {MAX_CHOICES} texts in all")
        differ = several > 1 and not temperature and "temperature" not in fields  # the likeliest text, and others
        if differ:
            temperature = SEVERAL_TEMPERATURE
        name = "max_tokens" if "n_predict" not in fields and "max_tokens" in fields else "n_predict"
        max_tokens = tokens_to_write(fields, name, -1)
        params = sampling(fields, max_tokens=max_tokens, temperature=temperature, **defaults)
        params = replace(params, first_greedy=differ)
        self._indent = fields.whole("n_indent", 0, 0, 10_000)
        milliseconds = fields.whole("t_max_predict_ms", -1, -1, MAX_MILLISECONDS)
        self._seconds = milliseconds / 1000 if milliseconds > 0 else None
        adapter = served.adapter(fields.text("model", ""))
        self._requests = [
            Request(prompt, replace(params, healing=not grammar and served.healing(prompt)), sample, grammar, adapter)
            for prompt in prompts
            for sample in range(several)
        ]

    async def write(self) -> AsyncGenerator[tuple[_Text, str], None]:
        """(a text, its new characters), as they come; `ended` is set with a text's last characters."""
        texts: dict[int, _Text] = {}
        begun = time.monotonic()
        async with aclosing(self._served.write_together(self._requests)) as pieces:
            async for number, piece, writing in pieces:
                if number not in texts:
                    early_end = EarlyEnd(self._indent, self._seconds)
                    texts[number] = _Text(number, self._requests[number], writing, early_end, begun)
                text = texts[number]
                if text.ended:
                    continue
                new = "" if self._silent else text.early_end.take(piece.text, last=piece.finish_reason is not None)
                text.content += new
                text.num_tokens += 0 if self._silent else piece.num_tokens
                if text.early_end.done or piece.finish_reason:
                    text.stop_type = self._stop_type(text, piece.finish_reason)
                    text.ended = time.monotonic()
                    writing.close()
                yield text, new
                if len(texts) == len(self._requests) and all(text.ended for text in texts.values()):
                    return

    def _stop_type(self, text: _Text, finish_reason: str | None) -> str:
        if self._silent or text.early_end.done or finish_reason == "length":
            return "limit"
        return "word" if text.writing.job.row.stop_text else "eos"

    def part(self, text: _Text, new: str) -> dict[str, Any]:
        """A part of a stream."""
        return {
            "index": text.index,
            "content": new,
            "tokens": [],
            "stop": False,
            "id_slot": -1,
            "tokens_predicted": text.num_tokens,
            "tokens_evaluated": text.writing.job.num_prompt,
        }

    def result(self, text: _Text) -> dict[str, Any]:
        """A whole text."""
        job, params = text.writing.job, text.request.params
        return {
            "index": text.index,
            "content": text.content,
            "tokens": [],
            "id_slot": -1,
            "stop": True,
            "model": self._served.name,
            "tokens_predicted": text.num_tokens,
            "tokens_evaluated": job.num_prompt,
            "generation_settings": {
                "n_ctx": self._served.service.engine.context,
                "n_predict": params.max_tokens,
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k,
                "min_p": params.min_p,
                "presence_penalty": params.presence_penalty,
                "frequency_penalty": params.frequency_penalty,
                "repeat_penalty": params.repeat_penalty,
                "repeat_last_n": params.repeat_last_n,
                "seed": params.seed,
                "stop": list(params.stop),
            },
            "has_new_line": "\n" in text.content,
            "truncated": job.row.tokens_cut > 0,
            "stop_type": text.stop_type,
            "stopping_word": job.row.stop_text if text.stop_type == "word" else "",
            "tokens_cached": job.num_prompt + text.num_tokens,
            "timings": _timings(text),
        }


def _timings(text: _Text) -> dict[str, Any]:
    """How long the prompt took, and the text; a text that another client asked for first was begun before."""
    job = text.writing.job
    read = max(job.read, text.begun)
    spent = {"prompt": (job.num_prompt - job.num_prompt_cached, read - text.begun)}
    spent["predicted"] = (text.num_tokens, text.ended - read)
    timings: dict[str, Any] = {"cache_n": job.num_prompt_cached}
    for name, (number, seconds) in spent.items():
        milliseconds = max(seconds * 1000, 1e-3)
        timings |= {
            f"{name}_n": number,
            f"{name}_ms": round(milliseconds, 3),
            f"{name}_per_token_ms": round(milliseconds / max(number, 1), 3),
            f"{name}_per_second": round(1000 * number / milliseconds, 3),
        }
    return timings


def _grammar(fields: Fields) -> str | None:
    """`json_schema`, or `grammar`, which is GBNF or Lark. Raises Refusal."""
    if fields.get("json_schema"):
        return schema_grammar(fields.inner("json_schema").body)
    if not fields.get("grammar"):
        return None
    from llguidance.gbnf_to_lark import GbnfToLarkError, any_to_lark

    try:
        return any_to_lark(grammar_text(fields))
    except GbnfToLarkError as error:
        raise fields.wrong("grammar", f"a grammar in GBNF: {error}") from None
