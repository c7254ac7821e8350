"""The examples for clusters parse, start torchrun as it can be started, and give chaku options that it has."""

import ast
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from chaku.recipe.load import load_recipe
from command_lines import parse

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "cluster"

FAKE = {
    "srun": '#!/bin/bash\nprintf "%s\\n" "$@" > words\n',
    "scontrol": '#!/bin/bash\n[ "$1" = show ] && exec seq -f gpu-%.0f 20000\necho "$*" > requeued\n',
}


def check(words):
    """A command line that begins with torchrun: its own options, and chaku's after `-m chaku`."""
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(words[words.index("torchrun") + 1 :])
    assert (options.module, options.training_script) == (True, "chaku")
    context = parse(options.training_script_args)
    assert context.command_path.endswith("run")
    load_recipe(ROOT / context.params["recipe"])
    return options, context.params


def slurm(directory, **more):
    for name, text in FAKE.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{directory}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "gpu-[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "7",
        "SLURM_GPUS_ON_NODE": "4",
    }
    command = ["bash", str(EXAMPLES / "slurm.sh"), "recipes/codellama-7b.toml", "--out", "/shared/a run"]
    return subprocess.Popen(command, cwd=directory, env=environment)


def test_slurm_starts_one_torchrun_on_each_machine(tmp_path):
    assert slurm(tmp_path).wait(30) == 0
    options, params = check((tmp_path / "words").read_text().splitlines())
    assert (options.nnodes, options.nproc_per_node, options.rdzv_endpoint) == ("2", "4", "gpu-1:29500")
    assert params["out"] == Path("/shared/a run")
    assert not (tmp_path / "requeued").exists()


def test_a_stop_of_slurm_reaches_the_ranks_and_the_job_goes_back_into_the_queue(tmp_path, monkeypatch):
    waits = "#!/bin/bash\ntrap 'touch stopped; exit 130' TERM\ntouch started\nwhile :; do sleep 0.05; done\n"
    monkeypatch.setitem(FAKE, "srun", waits)
    job = slurm(tmp_path)
    while not (tmp_path / "started").exists():
        assert job.poll() is None
    job.terminate()
    assert job.wait(30) == 0
    assert (tmp_path / "stopped").exists()
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"


def test_slurm_sends_a_stop_early_enough_to_save():
    lines = [line.split() for line in (EXAMPLES / "slurm.sh").read_text().splitlines() if line.startswith("#SBATCH")]
    assert ["#SBATCH", "--signal=B:TERM@120"] in lines
    assert ["#SBATCH", "--requeue"] in lines


def test_kubernetes_runs_torchrun_on_the_volume_that_it_mounts():
    yaml = pytest.importorskip("yaml")
    runtime, job = yaml.safe_load_all((EXAMPLES / "trainjob.yaml").read_text())
    assert job["spec"]["runtimeRef"] == {"kind": runtime["kind"], "name": runtime["metadata"]["name"]}
    options, params = check(job["spec"]["trainer"]["command"])
    pod = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert options.shutdown_timeout < pod["terminationGracePeriodSeconds"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert any(params["out"].is_relative_to(mount["mountPath"]) for mount in container["volumeMounts"])


def test_skypilot_runs_torchrun_on_the_volume_that_it_mounts():
    yaml = pytest.importorskip("yaml")
    task = yaml.safe_load((EXAMPLES / "sky.yaml").read_text())
    line = task["run"].replace("\\\n", " ").splitlines()[1].replace("$SKYPILOT_NUM_NODES", "2")
    words = shlex.split(line.replace("$SKYPILOT_NODE_RANK", "1"))
    assert words[:2] == ["exec", "~/chaku/bin/torchrun"]
    _, params = check(["torchrun", *words[2:]])
    assert params["out"].is_relative_to(next(iter(task["volumes"])))


def test_ray_calls_the_public_function():
    tree = ast.parse((EXAMPLES / "ray_train.py").read_text())
    [call] = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "chaku.run"]
    import inspect

    import chaku

    inspect.signature(chaku.run).bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})
