"""Cores and memory: what the process is bound to, a container's limits, joblib's variable."""

import os

import pytest

from fewshot import machine
from fewshot.errors import UsageError
from fewshot.trials.plan import Machine


@pytest.fixture
def bound(monkeypatch, tmp_path):
    """Eight cores, and control groups of the test's own, without any limit yet."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv(machine.LIMIT, raising=False)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_CGROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/job/step\n")
    (tmp_path / "job" / "step").mkdir(parents=True)
    return tmp_path


def test_cores_are_those_that_the_process_is_bound_to(bound):
    assert machine.cores() == 8


@pytest.mark.parametrize(("quota", "cores"), [("250000 100000", 3), ("50000 100000", 1), ("max 100000", 8)])
def test_a_containers_quota_counts_wherever_above_it_stands(bound, quota, cores):
    (bound / "job" / "cpu.max").write_text(quota)
    assert machine.cores() == cores


def test_quotas_of_the_first_version_count_too(bound):
    (bound / "own").write_text("4:cpu,cpuacct:/pod\n3:memory:/pod\n")
    (bound / "cpu" / "pod").mkdir(parents=True)
    (bound / "cpu" / "pod" / "cpu.cfs_quota_us").write_text("200000")
    (bound / "cpu" / "pod" / "cpu.cfs_period_us").write_text("100000")
    assert machine.cores() == 2


def test_joblibs_limit_is_respected(bound, monkeypatch):
    monkeypatch.setenv(machine.LIMIT, "3")
    assert machine.cores() == 3
    monkeypatch.setenv(machine.LIMIT, "many")
    with pytest.raises(
        UsageError, match=r"LOKY_MAX_CPU_COUNT wants a whole number above 0\. Received: 'many'"
    ):
        machine.cores()
    with pytest.raises(UsageError, match=machine.LIMIT):  # before anything is computed
        Machine(jobs=1, threads=1, device="cpu").resolve()


def test_memory_is_what_a_containers_limit_leaves(bound):
    free = machine.memory()
    assert free is None or free > 0
    for name, value in (("max", "1000000"), ("current", "900000"), ("stat", "inactive_file 50000\nfile 1\n")):
        (bound / "job" / f"memory.{name}").write_text(value)
    assert machine.memory() == 150_000
