"""The public API: a model that completes, infills, chats and scores; a database that answers; recipes and benchmarks.

    import chaku

    model = chaku.load("qwen2.5-coder-0.5b-instruct")
    print(model.complete("def add(a, b):\\n    return").text)

Every public name here can be imported from `chaku` itself. A function imports its modules when it is called.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chaku.console import say
from chaku.errors import ChakuError
from chaku.inference.generator import (
    ChatPrompt,
    Completion,
    Generator,
    InfillPrompt,
    RepositoryFile,
    Request,
    SamplingParams,
    TextPrompt,
    answer_in_order,
)
from chaku.launcher import num_ranks
from chaku.results import BenchmarkResult

if TYPE_CHECKING:
    import torch

    from chaku.evals.benchmark import Benchmark
    from chaku.evals.score import Scoring
    from chaku.inference.chat import ChatSession
    from chaku.inference.engine import Engine
    from chaku.pipeline.plan import Plan
    from chaku.sql.ask.answers import Answer
    from chaku.sql.ask.asker import Asker
    from chaku.sql.execute.database import Database
    from chaku.tokens.chat import Message

Prompt = str | TextPrompt | InfillPrompt | ChatPrompt


@dataclass(frozen=True, slots=True)
class TextScore:
    """A model's log-probability, in nats, of every token of a text after the first token."""

    log_probabilities: tuple[float, ...]
    num_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """The bits of all tokens after the first, divided by the bytes of the whole text: lower is more likely."""
        nats = -sum(self.log_probabilities)
        return nats / 0.6931471805599453 / max(self.num_bytes, 1)  # ln 2


class Model:
    """A model on this machine (`load`) or behind an endpoint (`connect`). `path`: its checkpoint on this machine.

    All methods take the same sampling settings: `max_tokens`, `temperature` (0 is greedy), `top_p`, `stop` (a stop
    string or a list of them), `seed`, `num_samples`; see `SamplingParams`.
    """

    def __init__(self, generator: Generator, path: Path | None = None):
        self.generator, self.path = generator, path

    def complete(self, text: str, **sampling: Any) -> Completion:
        """Continue a text. Raises ChakuError for a sampling setting out of range."""
        return self._one(TextPrompt(text), sampling)

    def infill(
        self,
        prefix: str,
        suffix: str,
        *,
        mode: Literal["psm", "spm"] | None = None,
        file: RepositoryFile | None = None,
        **sampling: Any,
    ) -> Completion:
        """Write the middle between a prefix and a suffix. Raises ChakuError for a model without infilling tokens."""
        return self._one(InfillPrompt(prefix, suffix, mode, file), sampling)

    def chat(self, messages: "str | Sequence[Message]", *, opening: str = "", **sampling: Any) -> Completion:
        """The reply to a message, or to the last message of a conversation.

        `opening` is the beginning of the reply: the model continues after it. Raises ChakuError for a model without a
        chat template.
        """
        return self._one(chat_prompt(messages, opening), {"max_tokens": 1024, **sampling})

    def generate(
        self, prompts: Sequence[Prompt], *, grammar: str | None = None, **sampling: Any
    ) -> list[list[Completion]]:
        """`num_samples` completions of each prompt, in the prompts' order, computed in batches.

        A plain text is a completion prompt. With a `grammar` (llguidance's dialect of Lark) every completion matches
        the grammar.
        """
        params = _params(sampling)
        requests = [
            Request(TextPrompt(prompt) if isinstance(prompt, str) else prompt, params, sample, grammar)
            for prompt in prompts
            for sample in range(params.num_samples)
        ]
        completions = iter(answer_in_order(self.generator, requests))
        return [[next(completions) for _ in range(params.num_samples)] for _ in prompts]

    def stream(self, prompt: Prompt, *, grammar: str | None = None, **sampling: Any) -> Iterator[str]:
        """One completion, piece by piece while the model writes it. Raises ChakuError for an endpoint."""
        request = Request(TextPrompt(prompt) if isinstance(prompt, str) else prompt, _params(sampling), 0, grammar)
        engine = self.engine
        return engine.stream(engine.read(request), request.params, grammar=grammar)

    def talk(self, *, system: str | None = None, template: str | None = None, **sampling: Any) -> "ChatSession":
        """A conversation, turn by turn. The model sees as many of the newest messages as fit its context.

        Raises ChakuError for an endpoint.
        """
        from chaku.inference.chat import ChatSession

        params = _params({"max_tokens": 1024, **sampling})
        return ChatSession(self.engine, params, system=system, template=template)

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """The log-probability of each text. Raises ChakuError for an endpoint."""
        engine = self.engine
        ids = [[*engine.tokenizer.begin, *engine.tokenizer.encode(text)] for text in texts]
        return [
            TextScore(tuple(scores.tolist()), len(text.encode()))
            for text, scores in zip(texts, engine.score(ids), strict=True)
        ]

    @cached_property
    def engine(self) -> "Engine":
        """The model's engine. Raises ChakuError for an endpoint, which has no engine on this machine."""
        from chaku.inference.engine import Engine

        if not isinstance(self.generator, Engine):
            raise ChakuError("an endpoint only answers whole requests; this needs a model directory on this machine")
        return self.generator

    def _one(self, prompt: TextPrompt | InfillPrompt | ChatPrompt, sampling: dict[str, Any]) -> Completion:
        request = Request(prompt, _params(sampling))
        if request.params.num_samples > 1:
            raise ChakuError("this method gives one completion; `generate` gives num_samples of them")
        return self.generator.answer([request])[0]


def _params(sampling: Mapping[str, Any]) -> SamplingParams:
    """The sampling parameters; `stop` may be one stop string or a list of them."""
    stop = sampling.get("stop", ())
    return SamplingParams(**{**sampling, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})


def load(
    name: str | Path,
    *,
    quantize: Literal["int8", "int4"] | None = None,
    dtype: str | None = None,
    device: str | None = None,
    decoder: Literal["torch", "openvino"] | None = None,
) -> Model:
    """Load a model on this machine from a directory, a .gguf file, a name of `chaku models`, or a Hub id.

    Settings that are not given are chosen for this machine (see `inference.load.load_engine`). Raises ChakuError when
    `name` is not a checkpoint, when files are missing, or when the model is larger than the memory.
    """
    from chaku.checkpoint.find import find_checkpoint
    from chaku.inference.load import load_engine

    path = find_checkpoint(name)
    return Model(load_engine(path, quantize, dtype=dtype, device=device, decoder=decoder), path)


def connect(url: str, model: str = "default", *, chat: bool = False, patience: float | None = None) -> Model:
    """Connect to a model behind an OpenAI-compatible server; `model` is the server's name for it.

    `chat`: use the server's chat API. `patience`: the timeout of one answer in seconds, all attempts included. The API
    key is read from $OPENAI_API_KEY.
    """
    from chaku.inference.endpoint import Endpoint

    return Model(Endpoint(url, model, chat=chat, patience=patience))


def chat_prompt(messages: "str | Sequence[Message]", opening: str = "") -> ChatPrompt:
    """The prompt for the reply to a conversation; a plain text is a user's message."""
    from chaku.tokens.chat import Message

    conversation = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
    return ChatPrompt(conversation, opening)


def ask(database: "str | Path | Database", model: Model, question: str, **settings: Any) -> "Answer":
    """Ask a database a question: returns the SQL, its rows, and the confidence. The database is only read.

    `database` and `settings` are those of `asker`. For several questions use `asker`, which reads the schema and the
    values once. Raises ChakuError for a database that cannot be read.
    """
    with asker(database, model, **settings) as asking:
        return asking.ask(question)


@contextmanager
def asker(
    database: "str | Path | Database",
    model: Model | Callable[[], Model],
    *,
    form: Literal["ddl", "compact", "db-gpt-hub"] | None = None,
    max_prompt_tokens: int | None = None,
    constrained: bool = True,
    seed: int = 0,
    cache: bool = True,
    memory: str | Path | None = None,
    log_sent: str | Path | None = None,
    words: bool = False,
    glossary: str | Path | None = None,
    embeddings: str | Path | None = None,
    embeddings_model: str = "default",
    **limits: Any,
) -> "Iterator[Asker]":
    """Open a database for several questions, as a context manager: its schema and values are read once.

    `database`: a SQLite or DuckDB file, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME. `model`: a model, or a
    function that loads the model once the database is open. A model that chaku trained gets the prompt that it was
    trained with, unless `form` or `max_prompt_tokens` change it. `constrained`: decode under a grammar of the schema.
    `cache`: keep the database's values on disk between uses. `memory`: the file of remembered question-query pairs
    (default: one file per database). `log_sent`: a file that receives everything that is sent to the model.
    `words`: the model also says the rows in words, which are kept if each number and name is in the rows. `limits`:
    `num_samples`, the number of queries that vote; `timeout` of a query in seconds; `max_rows` and `max_bytes` of a
    result; `send_values`, False keeps the database's values from the model; `min_confidence`, the share of samples
    that must agree; `select`, how one of several results is chosen ("vote", "csc", "tests"); `max_cost` of a query
    by the server's estimate. `glossary`: the file of the company's words (default: DATABASE.glossary.toml beside a
    database file, or else the file that was named last for this database). `embeddings`: finds tables and
    remembered pairs by meaning, too; a directory of static embeddings, or the URL of a server that knows a model as
    `embeddings_model`. Raises ChakuError for a database that cannot be read, and for a glossary with a mistake.
    """
    from chaku.inference.embeddings import find_embedder
    from chaku.inference.sent_log import SentLog
    from chaku.sql.ask.asker import Asker
    from chaku.sql.ask.memory import Memory, memory_path
    from chaku.sql.ask.writer import writer_as_learnt
    from chaku.sql.execute.database import Database
    from chaku.sql.glossary.find import find_glossary
    from chaku.sql.glossary.rules import CurrentRules
    from chaku.sql.schema.knowledge import Knowledge, cache_path, vectors_path
    from chaku.sql.schema.meaning import Meaning
    from chaku.sql.training.example_prompts import trained_prompt

    with ExitStack() as stack:
        opened = database if isinstance(database, Database) else stack.enter_context(Database(str(database)))
        if opened.server.warning:
            say(opened.server.warning)
        place = (opened.name, opened.place)
        meanings = find_glossary(opened, Path(glossary) if glossary else None)
        private = meanings.private if meanings else frozenset()
        knowledge = Knowledge(opened, cache=cache_path(*place) if cache else None, private=private)
        rules = CurrentRules(meanings, knowledge) if meanings is not None else None
        model = model if isinstance(model, Model) else model()
        writer = writer_as_learnt(
            SentLog(model.generator, Path(log_sent)) if log_sent else model.generator,
            trained_prompt(model.path) if model.path else None,
            form=form,
            max_prompt_tokens=max_prompt_tokens,
            constrained=constrained,
            seed=seed,
        )
        meaning = None
        if embeddings is not None:
            log = Path(log_sent) if log_sent else None
            embedder = find_embedder(str(embeddings), embeddings_model, log)
            meaning = Meaning(embedder, vectors_path(*place) if cache else None)
        yield Asker(
            opened,
            writer,
            knowledge=knowledge,
            meaning=meaning,
            rules=rules,
            memory=Memory(Path(memory) if memory else memory_path(*place)),
            reply=writer.replies() if words else None,
            **limits,
        )


def evaluate(
    model: Model,
    benchmark: str,
    *,
    chat: bool = False,
    out: str | Path | None = None,
    problems: str | Path | None = None,
    limit: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    num_samples: int = 1,
    seed: int = 0,
) -> BenchmarkResult:
    """Score a model on a benchmark of `chaku eval list`: the sandbox runs the model's programs.

    `chat`: prompt the model through its chat template. `out`: a directory for the results; a killed evaluation resumes
    there. `problems`: the benchmark's file, if chaku does not find it; `limit`: use only so many problems, the first
    ones. Raises ChakuError, before the model writes anything, when the benchmark's own solutions do not pass here.
    """
    from chaku.evals.generate import Sampling
    from chaku.evals.run import run_benchmark

    found = _find_benchmark(benchmark, chat=chat, endpoint=model.generator.tokenizer is None)
    directory = _evaluation_directory(out)
    sampling = Sampling(temperature=temperature, top_p=top_p, num_samples=num_samples, seed=seed)
    file = Path(problems) if problems is not None else None
    return run_benchmark(found, model.generator, directory, problems=file, limit=limit, sampling=sampling)


def score(
    benchmark: str,
    samples: str | Path,
    *,
    out: str | Path | None = None,
    problems: str | Path | None = None,
    extract: bool = False,
    scoring: "Scoring | None" = None,
) -> BenchmarkResult:
    """Score samples in a file or folder, from any program. `extract`: the samples are chat replies around code.

    Raises ChakuError for samples that do not fit the benchmark's problems.
    """
    from chaku.evals.run import score_file
    from chaku.evals.score import AS_IT_IS

    found = _find_benchmark(benchmark, chat=extract)
    directory = _evaluation_directory(out)
    file = Path(problems) if problems is not None else None
    return score_file(found, Path(samples), directory, problems=file, scoring=scoring or AS_IT_IS)


def _find_benchmark(name: str, *, chat: bool, endpoint: bool = False) -> "Benchmark":
    from chaku.evals.chat import in_chat
    from chaku.evals.suite import BENCHMARKS, find_benchmark

    found = find_benchmark(name)
    return in_chat(found, BENCHMARKS, endpoint=endpoint) if chat else found


def _evaluation_directory(out: str | Path | None) -> Path | None:
    from chaku.ownership import EVALUATION, make_ours

    if out is None:
        return None
    make_ours(Path(out), EVALUATION)
    return Path(out)


def run(
    recipe: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    without_missing: bool = False,
    make_again: bool | Callable[[str], bool] = False,
) -> Path:
    """Run a recipe, or resume it; returns the path of its report.

    `out`: the run's directory (default: runs/NAME). `overrides`: settings such as
    "stages.code.training.tokens=1000". `without_missing`: skip the steps whose requirements this machine lacks.
    `make_again`: whether finished work may be made again after a change of the recipe; a function gets a description
    of that work and returns True or False. Raises ChakuError for every error that the user can fix.

    On many ranks (torchrun, or another launcher that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT), all of them
    call this: rank 0 does every step, and all ranks train the stages together. `out` must be on storage that they
    share. Only one rank raises the reason of a failure; the others raise EndedElsewhere.
    """
    from chaku.pipeline import FinishedWork, run_recipe
    from chaku.recipe.load import load_recipe

    def whole_run(device: "torch.device | None" = None) -> Path:
        loaded = load_recipe(Path(recipe), list(overrides))
        directory = Path(out) if out is not None else Path("runs") / loaded.name
        try:
            return run_recipe(
                loaded, directory, device=device, without_missing=without_missing, make_again=make_again is True
            )
        except FinishedWork as error:
            if not callable(make_again):
                raise
            if not make_again(str(error)):
                raise ChakuError("nothing was changed") from None
            return run_recipe(loaded, directory, device=device, without_missing=without_missing, make_again=True)

    if num_ranks() == 1:
        return whole_run()
    from chaku.pipeline.run import assist, usual_device
    from chaku.training.ranks import together

    return together(usual_device(), whole_run, assist)


def plan(
    recipe: str | Path,
    *,
    gpus: int = 8,
    gpu: str = "h100",
    cluster: str | Path | None = None,
    price: float | None = None,
    shape: str | None = None,
    compute_share: float = 0.45,
    overrides: Sequence[str] = (),
    simulate: bool = False,
    measured: str | Path | None = None,
) -> "Plan":
    """Plan a recipe for `gpus` GPUs in nodes of 8, or for the cluster that a TOML file describes.

    For each stage: a GPU's memory by kind, the layout, tokens a second, days, energy and dollars. `price`: dollars for
    an hour of one GPU. `shape`: a preset's name for a base model whose checkpoint is not here. `simulate`: count one
    rank's memory and messages in a step with fake tensors too. `measured`: the folder of a run with a GRPO stage, whose
    speed gives the hours of sampling. Raises ChakuError for every error that the user can fix.
    """
    from chaku.pipeline.plan import plan_recipe
    from chaku.pipeline.sampling_plan import measured_rates
    from chaku.recipe.load import load_recipe
    from chaku.training.gpus import cluster_of, read_cluster

    loaded = load_recipe(Path(recipe), list(overrides))
    machines = cluster_of(gpus, gpu) if cluster is None else read_cluster(Path(cluster))
    if price is not None:
        machines = replace(machines, price=price)
    rates = measured_rates(Path(measured)) if measured is not None else None
    return plan_recipe(loaded, machines, shape, compute_share, simulated=simulate, rates=rates)


def build_corpus(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    near_duplicates: Literal["file", "repository", "both"] | None = None,
    against: Sequence[str | Path] = (),
    opt_out: str | Path | None = None,
) -> dict[str, Any]:
    """Build a corpus from directories, git checkouts and files of rows: filtered, deduplicated documents in Parquet.

    `recipe`: adds the sources of the recipe's [corpus] and applies its settings. `near_duplicates`: of files, of whole
    repositories or of both, one copy is kept; of what the corpora `against` hold, none. `opt_out`: a file of
    repositories and paths, whose documents are dropped. Returns the summary. Raises
    ChakuError when there are no sources, and when `out` holds files that are not a corpus of chaku's.
    """
    from chaku.corpus import build
    from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
    from chaku.corpus.reading.sources import guess_source
    from chaku.recipe.load import load_recipe
    from chaku.recipe.schema import CorpusConfig

    corpus = load_recipe(Path(recipe)).corpus if recipe else CorpusConfig(sources=())
    corpus = replace(corpus, sources=tuple(guess_source(source) for source in sources) + corpus.sources)
    if near_duplicates or against:
        settings = NearDuplicatesConfig(near_duplicates or "file", against=tuple(map(str, against)))
        corpus = replace(corpus, near_duplicates=settings)
    if opt_out is not None:
        corpus = replace(corpus, opt_out=str(opt_out))
    if not corpus.sources:
        raise ChakuError("no sources: name directories or files, or give --recipe")
    return build.build_corpus(
        corpus.sources,
        Path(out),
        heldout_fraction=corpus.heldout_fraction,
        max_bytes=corpus.max_bytes,
        num_workers=corpus.num_workers,
        near_duplicates=corpus.near_duplicates,
        cleaning=corpus.cleaning(),
    )
