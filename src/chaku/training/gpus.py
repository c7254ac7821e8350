"""GPUs by name, with the figures of their datasheets; and a cluster of them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_text
from chaku.plain import from_plain
from chaku.settings import setting


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU.

    `memory`: bytes. `flops`: of bfloat16 products a second, without sparsity. `bandwidth`: bytes a second of its
    memory. `link`: bytes a second, in one direction, to the other GPUs of its node. `watts`: the most that it draws.
    """

    memory: float
    flops: float
    bandwidth: float
    link: float
    watts: float


# NVIDIA's datasheets: H100 (SXM), H200 (SXM), A100 80GB (SXM), HGX B200, L40S; and the whitepaper of the Ada
# architecture for the RTX 4090. L40S and RTX 4090 have no NVLink: their link is PCIe 4.0 with 16 lanes.
GPUS: dict[str, Gpu] = {
    "h100": Gpu(80e9, 989e12, 3.35e12, 450e9, 700),
    "h200": Gpu(141e9, 989e12, 4.8e12, 450e9, 700),
    "a100-80g": Gpu(80e9, 312e12, 2.04e12, 300e9, 400),
    "b200": Gpu(180e9, 2250e12, 7.7e12, 900e9, 1000),
    "l40s": Gpu(48e9, 362e12, 0.864e12, 32e9, 350),
    "rtx-4090": Gpu(24e9, 165e12, 1.008e12, 32e9, 450),
}


@dataclass(frozen=True)
class Cluster:
    """`nodes` machines with `gpus_per_node` GPUs each.

    `network`: GB a second, in one direction, between a GPU and the other nodes; 50 is one port of 400 Gb/s for each
    GPU, as in NVIDIA's DGX H100. `price`: dollars for an hour of one GPU; the default is an assumption, not an offer.
    """

    gpu: str = "h100"
    nodes: int = setting(1, at_least=1)
    gpus_per_node: int = setting(8, at_least=1)
    network: float = setting(50.0, above=0)
    price: float = setting(2.5, at_least=0)

    def __post_init__(self) -> None:
        if self.gpu not in GPUS:
            raise ChakuError(f"{self.gpu!r} is not a GPU that chaku knows; choose from {', '.join(GPUS)}")

    @property
    def num_gpus(self) -> int:
        """GPUs of all nodes."""
        return self.nodes * self.gpus_per_node

    @property
    def kind(self) -> Gpu:
        """The figures of its GPUs."""
        return GPUS[self.gpu]


def cluster_of(num_gpus: int, gpu: str) -> Cluster:
    """So many GPUs in nodes of eight, or in one smaller node. Raises ChakuError for a number without whole nodes."""
    per_node = max(1, min(num_gpus, 8))
    if num_gpus < 1 or num_gpus % per_node:
        raise ChakuError(f"{num_gpus} GPUs are no whole nodes of 8; describe the nodes in a file, and pass --cluster")
    return Cluster(gpu, num_gpus // per_node, per_node)


def read_cluster(path: Path) -> Cluster:
    """A cluster from a TOML file with the fields of `Cluster`. Raises ChakuError for another file."""
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ChakuError(f"{path} is not TOML: {error}") from None
    return from_plain(Cluster, table, str(path))
