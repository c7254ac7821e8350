"""Vectors of texts, near for texts of like meaning: from a server with OpenAI's API, or from static embeddings here."""

import json
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.inference.post_json import post_json
from chaku.inference.sent_log import append_sent

if TYPE_CHECKING:
    import numpy as np

TEXTS_AT_ONCE = 32  # in one request
PATIENCE, PATIENCE_PER_TEXT = 5.0, 1.0  # seconds for a request, and for each of its texts: somebody waits
TOKENS = 512  # of a text; static embeddings ignore the rest


class Embedder(Protocol):
    """Gives texts vectors. `identity`: differs for embedders whose vectors cannot be compared."""

    @property
    def identity(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """The vectors of texts, float32 of length 1. # (texts, size)"""
        ...


def find_embedder(place: str, model: str = "default", log_sent: Path | None = None) -> Embedder:
    """The embedder at a URL or in a directory.

    `model`: its name on the server. `log_sent`: a file that receives everything that the server gets. Raises ChakuError
    for a place that is neither.
    """
    if "://" in place:
        return EmbeddingsServer(place, model, log_sent)
    return StaticEmbeddings(Path(place))


class EmbeddingsServer:
    """A server with OpenAI's /v1/embeddings: vLLM, llama.cpp, Ollama and others. The API key is $OPENAI_API_KEY."""

    def __init__(self, url: str, model: str, log_sent: Path | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ChakuError(f"--embeddings {url!r} is neither a directory nor a URL like http://localhost:8000/v1")
        path = parts.path.rstrip("/").removesuffix("/embeddings")
        path = path if path.endswith("/v1") else f"{path}/v1"
        self.address, self.model = f"{parts.scheme}://{parts.netloc}{path}/embeddings", model
        self._log = log_sent

    @property
    def identity(self) -> str:
        return f"{self.model} at {self.address}"

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """See `Embedder`. Raises ChakuError when the server refuses, is away, or answers in another form."""
        import numpy as np

        parts = [self._ask(texts[at : at + TEXTS_AT_ONCE]) for at in range(0, len(texts), TEXTS_AT_ONCE)]
        return _of_length_1(np.concatenate(parts))

    def _ask(self, texts: Sequence[str]) -> "np.ndarray":
        import numpy as np

        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        if self._log:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "to": self.address, **body}
            append_sent(self._log, json.dumps(line, ensure_ascii=False) + "\n")
        answer = post_json(
            self.address,
            body,
            advice="start it, or leave out --embeddings",
            hint=lambda status: "; check --embeddings-model, or leave the option out",
            timeout=PATIENCE + PATIENCE_PER_TEXT * len(texts),
            attempts=1,
        )
        try:
            rows = sorted(json.loads(answer)["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, LookupError, TypeError):
            raise ChakuError(f"{self.address} does not answer with data[i].embedding, lists of numbers") from None
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ChakuError(f"{self.address} gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors


class StaticEmbeddings:
    """A vector for each token, whose mean is the vector of a text: a directory in Model2Vec's form.

    Its files are tokenizer.json and model.safetensors, with the tensor `embeddings` and perhaps `weights` of tokens and
    their `mapping` to rows. Raises ChakuError for another directory.
    """

    def __init__(self, path: Path):
        if missing := [name for name in ("model.safetensors", "tokenizer.json") if not (path / name).is_file()]:
            raise ChakuError(
                f"{path} has no {missing[0]}; --embeddings takes a directory of static embeddings (Model2Vec's form), "
                "or the URL of a server with /v1/embeddings"
            )
        self._path = path

    @cached_property
    def identity(self) -> str:
        status = (self._path / "model.safetensors").stat()
        return f"{self._path.resolve()} {status.st_size} {status.st_mtime_ns}"

    @cached_property
    def _model(self) -> tuple[Any, dict[str, Any], int | None]:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        try:
            tensors = load_file(self._path / "model.safetensors")
            tokenizer = Tokenizer.from_file(str(self._path / "tokenizer.json"))
        except Exception as error:  # each library has errors of its own
            raise ChakuError(f"the static embeddings in {self._path} cannot be read: {error}") from None
        if "embeddings" not in tensors:
            raise ChakuError(
                f"{self._path / 'model.safetensors'} has no tensor `embeddings`, as static embeddings have"
            )
        tokenizer.no_padding()
        tokenizer.enable_truncation(TOKENS)
        model = read_json(self._path / "tokenizer.json")["model"]
        unknown = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")
        return tokenizer, tensors, unknown

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """See `Embedder`."""
        import numpy as np

        tokenizer, tensors, unknown = self._model
        rows = []
        for encoded in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
            ids = [token for token in encoded.ids if token != unknown]
            at = tensors["mapping"][ids] if "mapping" in tensors else ids
            vectors = tensors["embeddings"][at].astype(np.float32)
            if "weights" in tensors:
                vectors = vectors * tensors["weights"][ids].astype(np.float32)[:, None]
            rows.append(vectors.mean(axis=0) if ids else np.zeros(vectors.shape[1], np.float32))
        return _of_length_1(np.stack(rows))


def _of_length_1(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
