"""dlip.train with two processes: the same result as with one, every picture once."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = Path(__file__).with_name("train_processes.py")
ROOT = PROGRAM.parents[2]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process gets."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(PROGRAM), str(folder)])
        runpy.run_path(str(PROGRAM))
    return torch.load(folder / "0.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes, started by torchrun, have written what they got."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
        + ["--master-addr", "127.0.0.1", "--master-port", str(port), str(PROGRAM), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


@pytest.fixture(scope="module")
def first(folder):
    return torch.load(folder / "0.pt")


@pytest.fixture(scope="module")
def second(folder):
    return torch.load(folder / "1.pt")


# The last batch of 203 pictures has 3, of 201 only 1, so that one process has none.
SAME = ["sgd 203", "sgd 201", "sgd 200", "adam 201", "data set", "loader"]
FILES = ["first half", "second half", "whole"]


@pytest.mark.parametrize("name", SAME + FILES)
def test_the_same_weights_and_numbers_as_one_process(alone, first, name):
    for key, weight in alone[name]["weights"].items():
        torch.testing.assert_close(first[name]["weights"][key], weight, rtol=0, atol=2e-6)
    for key, values in alone[name]["history"].items():
        assert first[name]["history"][key] == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("name", SAME + FILES + ["batch normalization"])
def test_all_processes_have_the_same(first, second, name):
    assert first[name]["history"] == second[name]["history"]
    for key, weight in first[name]["weights"].items():
        assert torch.equal(weight, second[name]["weights"][key])


def test_batch_normalization_still_learns(alone, first):
    one, two = alone["batch normalization"], first["batch normalization"]
    assert two["history"]["val_loss"] == pytest.approx(one["history"]["val_loss"], rel=0.05)
    # Their statistics differ: each process normalizes by its own share.
    assert not torch.equal(one["weights"]["1.running_mean"], two["weights"]["1.running_mean"])


@pytest.mark.parametrize("name", ["data set", "loader"])
def test_every_picture_is_read_once_an_epoch(first, second, name):
    shares = first[name]["train read"], second[name]["train read"]
    assert sorted(shares[0] + shares[1]) == sorted(list(range(201)) * 3)
    assert 0 <= len(shares[0]) - len(shares[1]) <= 3 * 7  # at most one more of each batch
    for share in shares:
        epochs = [share[i * len(share) // 3 :][: len(share) // 3] for i in range(3)]
        assert all(len(set(epoch)) == len(epoch) for epoch in epochs)
        assert epochs[0] != epochs[1]


def test_every_picture_is_evaluated_once(first, second):
    read = first["data set"]["val read"] + second["data set"]["val read"]
    assert sorted(read) == sorted(list(range(101)) * 3)


def test_evaluation_is_the_same(alone, first, second):
    for result in (first["evaluation"], second["evaluation"]):
        assert torch.equal(result["confusion"], alone["evaluation"]["confusion"])
        assert result["confusion"].sum() == result["count"] == 101
        assert result["accuracy"] == alone["evaluation"]["accuracy"]
        assert result["loss"] == pytest.approx(alone["evaluation"]["loss"], rel=1e-6)


def test_files_are_written_once_and_read_by_all(folder, first, second):
    assert len(first["writes"]) == 4  # epochs 1 and 2, then 3 and 4
    assert second["writes"] == []
    assert [file.name for file in (folder / "new").iterdir()] == ["run.pt"]
    for results in (first, second):
        assert results["second half"]["history"] == results["whole"]["history"]
        for key, weight in results["whole"]["weights"].items():
            assert torch.equal(results["second half"]["weights"][key], weight)


def test_fewer_pictures_than_processes(first, second):
    message = "for each of 2 processes, got 1 pictures of training data in batches of 64"
    assert message in first["one picture"]
    assert message in second["one picture"]
