"""A recipe on a Ray cluster: Ray starts the ranks and, when a machine fails, starts them again.

pip install 'ray[train]'
python examples/cluster/ray_train.py recipes/codellama-7b.toml --out /shared/runs/codellama-7b --workers 16
"""

import argparse
from pathlib import Path

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

import chaku


def rank(options: dict) -> None:
    """One rank. Ray has set RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and made the process group."""
    chaku.run(options["recipe"], options["out"], overrides=options["overrides"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the run directory, on storage that all machines share")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, default=8, help="ranks: one for each GPU (default: 8)")
    parser.add_argument("--cpu", action="store_true", help="without GPUs")
    parser.add_argument("--max-failures", type=int, default=20, help="how often Ray starts again (default: 20)")
    options = parser.parse_args()
    # The workers run elsewhere: their paths are whole.
    recipe, out = str(options.recipe.resolve()), str(options.out.resolve())
    trainer = TorchTrainer(
        rank,
        train_loop_config={"recipe": recipe, "out": out, "overrides": options.overrides},
        scaling_config=ScalingConfig(num_workers=options.workers, use_gpu=not options.cpu),
        # chaku talks over both: NCCL for tensors on GPUs, gloo for the rest.
        torch_config=TorchConfig(backend="gloo" if options.cpu else "cpu:gloo,cuda:nccl"),
        run_config=RunConfig(
            name=options.out.name,
            storage_path=str(options.out.resolve().parent / "ray"),
            failure_config=FailureConfig(max_failures=options.max_failures),
        ),
    )
    trainer.fit()
    print(options.out / "report.html")


if __name__ == "__main__":
    main()
