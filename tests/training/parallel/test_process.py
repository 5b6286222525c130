"""Every launcher's variables, and a group of two processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from atomfm_calc.errors import TrainingError
from tests.house.sources import ROOT
from training.parallel.launcher import expand_counts, first_host
from training.parallel.process import bound_device, launcher_place, process_group

SLURM_STEP = {
    "SLURM_JOB_ID": "12345",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "11",
    "SLURM_STEP_NUM_TASKS": "11",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2),3",
    "SLURM_STEP_NODELIST": "frontier[00007-00008,00012]",
}
ENVIRONMENTS = {
    "torchrun": {
        **{
            "RANK": "9",
            "WORLD_SIZE": "11",
            "LOCAL_RANK": "1",
            "LOCAL_WORLD_SIZE": "3",
            "GROUP_RANK": "2",
        },
        **{"MASTER_ADDR": "frontier00007", "MASTER_PORT": "29400"},
    },
    "Slurm": SLURM_STEP,
    "PALS": {
        **{
            "PALS_RANKID": "9",
            "PALS_LOCAL_RANKID": "1",
            "PALS_LOCAL_SIZE": "3",
            "PALS_NODEID": "2",
        },
        **{"PMI_SIZE": "11", "PMI_RANK": "9", "PBS_JOBID": "98.aurora-pbs"},
    },
    "Open MPI": {
        **{"OMPI_COMM_WORLD_RANK": "9", "OMPI_COMM_WORLD_SIZE": "11"},
        **{"OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "3"},
    },
    "MPICH": {"PMI_RANK": "9", "PMI_SIZE": "11", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "3"},
    "PMI": {"PMI_RANK": "9", "PMI_SIZE": "11", "PMI_LOCAL_RANK": "1", "PMI_LOCAL_SIZE": "3"},
}
HAS_NODE = ("torchrun", "Slurm", "PALS")


@pytest.mark.parametrize("launcher", ENVIRONMENTS)
def test_every_launcher_gives_the_same_place(launcher: str) -> None:
    place = launcher_place(ENVIRONMENTS[launcher])
    assert place.launcher == launcher
    assert (place.rank, place.world_size) == (9, 11)
    assert (place.local_rank, place.local_world_size) == (1, 3)
    assert place.node == (2 if launcher in HAS_NODE else None)
    assert not place.is_main
    assert not place.is_on_one_node


def test_without_a_launcher_a_process_is_alone() -> None:
    place = launcher_place({"HOME": "somewhere", "MASTER_ADDR": "left-over"})
    assert (place.rank, place.world_size, place.launcher) == (0, 1, "none")
    assert place.is_main
    assert place.is_on_one_node


@pytest.mark.parametrize("step", [None, "4294967290", "4294967291"], ids=["old", "shell", "batch"])
def test_a_batch_script_or_an_interactive_shell_is_no_launch(step: str | None) -> None:
    environment = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "64", "SLURM_PROCID": "0"}
    if step is not None:
        environment["SLURM_STEP_ID"] = step
    assert launcher_place(environment).world_size == 1


@pytest.mark.parametrize("launcher", ["torchrun", "Open MPI", "MPICH"])
def test_a_launcher_inside_a_slurm_step_counts(launcher: str) -> None:
    outer = {**SLURM_STEP, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "3"}
    assert launcher_place({**outer, **ENVIRONMENTS[launcher]}).launcher == launcher


def test_srun_on_a_machine_of_hpe_is_slurm_although_it_sets_pals_variables() -> None:
    place = launcher_place({**SLURM_STEP, **ENVIRONMENTS["PALS"]})
    assert (place.launcher, place.master_address) == ("Slurm", "frontier00007")


def test_slurm_gives_the_first_host_and_a_port_from_the_job_number() -> None:
    place = launcher_place(SLURM_STEP)
    assert place.master_address == "frontier00007"
    assert place.master_port == 20000 + 12345 % 12000


def test_pals_takes_the_first_host_of_the_node_file(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.write_text("x4102c5s2b0n0.host\nx4102c5s3b0n0.host\n")
    place = launcher_place({**ENVIRONMENTS["PALS"], "PBS_NODEFILE": str(nodes)})
    assert (place.master_address, place.master_port) == ("x4102c5s2b0n0.host", 20098)
    with pytest.raises(TrainingError, match="PBS_NODEFILE=.*missing cannot be read"):
        launcher_place({**ENVIRONMENTS["PALS"], "PBS_NODEFILE": str(tmp_path / "missing")})


def test_an_explicit_address_counts_before_what_the_job_says() -> None:
    place = launcher_place({**SLURM_STEP, "MASTER_ADDR": "hsn0", "MASTER_PORT": "4000"})
    assert (place.master_address, place.master_port) == ("hsn0", 4000)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"RANK": "0"}, "torchrun started this process but WORLD_SIZE is not set; it gave RANK=0"),
        ({**ENVIRONMENTS["torchrun"], "RANK": "11"}, "contradict each other: RANK=11, WORLD_SIZE"),
        ({**ENVIRONMENTS["torchrun"], "RANK": "x"}, "RANK='x' is no number"),
        ({**ENVIRONMENTS["MPICH"], "MPI_LOCALRANKID": "3"}, "MPI_LOCALRANKID=3"),
        ({**ENVIRONMENTS["Open MPI"], "OMPI_COMM_WORLD_RANK": "-1"}, "OMPI_COMM_WORLD_RANK='-1'"),
        ({**SLURM_STEP, "SLURM_STEP_TASKS_PER_NODE": "4(x2)"}, "SLURM_STEP_TASKS_PER_NODE"),
        ({**SLURM_STEP, "MASTER_PORT": "70000"}, "MASTER_PORT='70000' is no port"),
    ],
)
def test_incomplete_or_contradictory_variables_are_named(
    environment: dict[str, str], text: str
) -> None:
    with pytest.raises(TrainingError, match=text):
        launcher_place(environment)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("frontier[00001-00004,00010]", "frontier00001"),
        ("nid[001234,001240-001243]", "nid001234"),
        ("nid001234", "nid001234"),
        ("login1,nid[3-4]", "login1"),
        ("rack[1-2]node[5-6,8],other", "rack1node5"),
        ("gpu-a.site.org,gpu-b.site.org", "gpu-a.site.org"),
    ],
)
def test_the_first_host_of_a_node_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@pytest.mark.parametrize("nodes", ["", "frontier[", "[]", "a b"])
def test_what_is_no_node_list_is_refused(nodes: str) -> None:
    with pytest.raises(TrainingError, match="is no Slurm node list"):
        first_host(nodes)


def test_tasks_per_node_are_expanded() -> None:
    assert expand_counts("4(x2),3") == [4, 4, 3]
    assert expand_counts("8") == [8]
    assert expand_counts("4(x") == []


def test_a_rank_gets_the_device_of_its_local_rank_or_its_only_one() -> None:
    place = launcher_place(ENVIRONMENTS["torchrun"])
    assert bound_device(place, "cpu", 0) == torch.device("cpu")
    assert bound_device(place, "cuda", 4) == torch.device("cuda:1")
    assert bound_device(place, "xpu", 1) == torch.device("xpu:0")
    alone = launcher_place({})
    assert bound_device(alone, "cuda:3", 4) == torch.device("cuda:3")


@pytest.mark.parametrize(
    ("device", "n_visible", "text"),
    [
        ("cuda", 0, "this process sees none"),
        ("cuda", 2, "local rank 2 of 3 has no cuda device of its own: 2 are visible"),
        ("cuda:0", 4, "shared by the 3 processes"),
    ],
)
def test_a_rank_without_a_device_is_refused(device: str, n_visible: int, text: str) -> None:
    place = launcher_place({**ENVIRONMENTS["torchrun"], "LOCAL_RANK": "2"})
    with pytest.raises(TrainingError, match=text):
        bound_device(place, device, n_visible)


def test_a_single_process_has_a_group_of_its_own() -> None:
    with process_group(launcher_place({})) as device:
        assert device == torch.device("cpu")
        with (
            pytest.raises(TrainingError, match="in a process group already"),
            process_group(launcher_place({})),
        ):
            pass
    with process_group(launcher_place({}), backend="gloo"):  # the first one is gone
        pass


def test_missing_backends_and_addresses_are_named() -> None:
    with (
        pytest.raises(TrainingError, match="no backend nonsense; it has: gloo"),
        process_group(launcher_place({}), backend="cpu:gloo,cuda:nonsense"),
    ):
        pass
    place = replace(launcher_place(ENVIRONMENTS["MPICH"]), master_address=None)
    with pytest.raises(TrainingError, match="export MASTER_ADDR"), process_group(place):
        pass


SUM_OF_RANKS = """
from pathlib import Path
import torch
from training.parallel.process import launcher_place, process_group
place = launcher_place()
with process_group(place, timeout_seconds=60):
    total = torch.tensor([place.rank + 1.0])
    torch.distributed.all_reduce(total)
    assert total.item() == 3.0 and place.world_size == 2, (total, place)
# a file of its own: two processes may write into the middle of each other's lines
Path(__file__).with_name(f"rank-{place.rank}.txt").write_text(place.launcher)
"""
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_of_torchrun_add_their_ranks(tmp_path: Path) -> None:
    script = tmp_path / "sum.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SUM_OF_RANKS}")
    result = subprocess.run([*TORCHRUN, str(script)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    written = {path.name: path.read_text() for path in tmp_path.glob("rank-*.txt")}
    assert written == {"rank-0.txt": "torchrun", "rank-1.txt": "torchrun"}
