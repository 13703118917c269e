"""dlip.train: a training that is killed and started again ends as if nothing had happened."""

import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dlip
from dlip.train import EarlyStopping, fit

# A new process is a copy of one that has imported dlip.train, and what PyTorch's optimizers
# import when they are first used: that is quick.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["dlip.train", "torch._dynamo"])

STEPS = 6  # in an epoch
EPOCHS = 4


def blobs(count, seed):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=g)
    return torch.randn(count, 4, generator=g) + 0.7 * nn.functional.one_hot(labels, 4), labels


class Killer:
    """An augmentation with random numbers of every kind, which kills its process at a step."""

    def __init__(self, step):
        self.left = step

    def __call__(self, images):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return images * random.uniform(0.9, 1.1) + np.random.normal() + torch.randn(()) / 10


def data(kind):
    """Return training data of 90 points: 6 batches, the last one smaller."""
    tensors = blobs(90, seed=0)
    if kind == "tensors":
        return tensors
    if kind == "data set":
        return TensorDataset(*tensors)
    order = torch.Generator().manual_seed(5) if kind == "loader with generator" else None
    workers = 1 if kind == "loader with worker" else 0
    return DataLoader(
        TensorDataset(*tensors), 16, shuffle=True, generator=order, num_workers=workers,
        collate_fn=shaken, multiprocessing_context="fork" if workers else None,
    )  # fmt: skip


def shaken(samples):
    """Make a batch, with random numbers drawn in the worker, if there is one."""
    images, labels = torch.utils.data.default_collate(samples)
    return images + random.random() + float(np.random.normal()) + torch.randn(()), labels


def train(file, kind="tensors", every="epoch", step=-1, **options):
    dlip.env.seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3)
    )
    torch.rand(step % 7)  # what else the program has drawn must not matter
    schedules = {
        "epoch": lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=0, factor=0.5
        ),
        "step": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.1, total_steps=STEPS * EPOCHS
        ),
    }
    history = fit(
        model, data(kind), blobs(50, seed=1), epochs=EPOCHS, batch_size=16, lr=0.05,
        schedule=schedules[every], schedule_every=every, augment=Killer(step),
        early_stopping=EarlyStopping(patience=3), checkpoint=file, progress=False, **options,
    )  # fmt: skip
    return model.state_dict(), history


def child(file, kind, every, step, kill_while_saving, answer):
    """Train in a process of its own, and write down what came out."""
    torch.set_num_threads(1)
    if kill_while_saving:
        saves = iter(range(1, 100))
        step_of_write = {"before": "fsync", "after": "replace"}[kill_while_saving]

        def die_in_second_epoch(*_):
            if next(saves) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        if step_of_write == "fsync":
            os.fsync = die_in_second_epoch
        else:
            real = os.fsync

            def sync_then_die(number):
                real(number)
                die_in_second_epoch()

            os.fsync = sync_then_die
    torch.save(train(file, kind, every, step), answer)


def run_child(file, kind, every, step, answer, kill_while_saving=None):
    """Return whether the process has come to its end; if not, it has been killed."""
    arguments = (file, kind, every, step, kill_while_saving, answer)
    process = PROCESSES.Process(target=child, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def check_same(answer, expected):
    weights, history = torch.load(answer, weights_only=False)
    assert history == expected[1]
    assert history.to_json() == expected[1].to_json()
    assert weights.keys() == expected[0].keys()
    for name, weight in expected[0].items():
        assert torch.equal(weights[name], weight), name


KINDS = ["tensors", "data set", "loader", "loader with generator", "loader with worker"]


@pytest.mark.parametrize("seed", range(7))
def test_killed_at_random_steps(tmp_path, seed):
    kind, every = KINDS[seed % len(KINDS)], ["epoch", "step"][seed % 2]
    expected = train(None, kind, every)
    draw = random.Random(seed)
    kills = 0
    # The first kill comes at any step. Each of the next ones leaves at least an epoch behind.
    step = draw.randint(1, EPOCHS * STEPS)
    while not run_child(tmp_path / "run.pt", kind, every, step, tmp_path / "answer.pt"):
        kills += 1
        step = draw.randint(STEPS + 1, 2 * STEPS)
        assert kills <= EPOCHS
    assert kills >= 1
    check_same(tmp_path / "answer.pt", expected)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_writing_the_checkpoint(tmp_path, moment):
    file, answer = tmp_path / "run.pt", tmp_path / "answer.pt"
    assert not run_child(file, "tensors", "epoch", -1, answer, kill_while_saving=moment)
    saved = torch.load(file, weights_only=True)
    assert len(saved["history"]["loss"]) == 1  # the second epoch was not finished writing
    assert run_child(file, "tensors", "epoch", -1, answer)
    check_same(answer, train(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.pt", "run.pt"]


def test_a_checkpoint_is_plain_data(tmp_path):
    weights, history = train(tmp_path / "run.pt")
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    assert saved["history"]["val_loss"] == history.val_loss
    best_epoch, best = saved["best"]
    assert best_epoch == history.kept_epoch
    assert all(torch.equal(best[name], weight) for name, weight in weights.items())
    fresh = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3)
    )
    fresh.load_state_dict(saved["model"])


def network():
    dlip.env.seed(0)
    return nn.Linear(4, 3)


POINTS = blobs(60, seed=0)


def short(file, model=None, **options):
    model = network() if model is None else model
    options = {"epochs": 2, "progress": False} | options
    return model, fit(model, options.pop("data", POINTS), checkpoint=file, **options)


def test_more_epochs_later(tmp_path):
    once, whole = short(None, epochs=5)
    short(tmp_path / "run.pt", epochs=2)
    twice, history = short(tmp_path / "run.pt", epochs=5)
    assert history == whole
    assert torch.equal(once.weight, twice.weight)


def test_a_finished_training_is_not_repeated(tmp_path, capsys):
    model, history = short(tmp_path / "run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    again, same = short(tmp_path / "run.pt", progress=True)
    assert same == history
    assert torch.equal(again.weight, model.weight)
    assert (tmp_path / "run.pt").read_bytes() == before
    assert "has all 2 epochs; resume=False would train anew" in capsys.readouterr().out
    short(tmp_path / "run.pt", epochs=3, progress=True)
    assert "goes on after epoch 2 of 3 epochs" in capsys.readouterr().out


def test_resume_false_begins_anew(tmp_path):
    short(tmp_path / "run.pt", lr=0.5)
    model, history = short(tmp_path / "run.pt", lr=0.01, resume=False)
    plain, expected = short(None, lr=0.01)
    assert history == expected
    assert torch.equal(model.weight, plain.weight)


def sgd(parameters, lr):
    return torch.optim.SGD(parameters, lr)


def step_lr(size):
    return lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.5}, r"lr of parameter group 0 was 0.001 and is 0.5"),
        ({"optimizer": torch.optim.SGD}, "optimizer was 'Adam' and is 'SGD'"),
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"batch_size": 10}, "number of training batches was 1 and is 6"),
        ({"data": blobs(59, seed=0)}, "number of training pictures was 60 and is 59"),
        ({"model": nn.Linear(4, 5)}, r"weight was \(3, 4\) and is \(5, 4\)"),
        ({"model": nn.Sequential(nn.Linear(4, 3))}, r"weight was \(3, 4\) and is absent"),
        ({"schedule": step_lr(5)}, "schedule was None and is 'StepLR'"),
        ({"augment": torch.neg}, r"augment was None and is .*neg\."),
        ({"loss": nn.CrossEntropyLoss()}, r"loss was cross_entropy and is CrossEntropyLoss\(\)"),
        ({"early_stopping": EarlyStopping(), "val": POINTS}, "early_stopping was None and is"),
        ({"epochs": 1}, "epochs is 1, but 2 are done"),
        ({"mixed_precision": "bf16"}, "precision was 'no' and is 'bf16'"),
    ],
)
def test_other_settings(tmp_path, options, message):
    short(tmp_path / "run.pt")
    with pytest.raises(ValueError, match=message) as caught:
        short(tmp_path / "run.pt", **options)
    assert "is from a training with other settings" in str(caught.value)
    assert "resume=False to train anew" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_frozen_parameters_and_schedules_are_settings(tmp_path):
    short(tmp_path / "run.pt", schedule=step_lr(5))
    with pytest.raises(ValueError, match="step_size of the schedule was 5 and is 6"):
        short(tmp_path / "run.pt", schedule=step_lr(6))
    model = network()
    model.bias.requires_grad_(False)
    with pytest.raises(ValueError, match="number of trainable parameters was 2 and is 1"):
        short(tmp_path / "run.pt", model=model, schedule=step_lr(5))


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
        lambda o: torch.optim.lr_scheduler.LinearLR(o),
        lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.001, 0.1, cycle_momentum=False),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [
                torch.optim.lr_scheduler.ConstantLR(o, 0.1),
                torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
            ],
            milestones=[2],
        ),
    ],
    ids=["lambda", "multi", "cosine", "restarts", "linear", "cyclic", "sequential"],
)
def test_schedules_are_resumed(tmp_path, schedule):
    options = {"schedule": schedule, "schedule_every": "step", "batch_size": 30}
    once, whole = short(None, epochs=3, **options)
    short(tmp_path / "run.pt", epochs=1, **options)
    twice, history = short(tmp_path / "run.pt", epochs=3, **options)
    assert history == whole
    assert torch.equal(once.weight, twice.weight)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "half", "other"])
def test_damaged_files(tmp_path, content):
    file = tmp_path / "run.pt"
    short(file)
    if content == "half":
        content = file.read_bytes()[: file.stat().st_size // 2]
    if content == "other":
        torch.save({"weight": torch.zeros(3)}, file)
        with pytest.raises(ValueError, match=r"run\.pt' is no checkpoint of dlip\.train"):
            short(file)
        return
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read the checkpoint '.*run\.pt', it is damaged"):
        short(file)
    assert file.read_bytes() == content  # nothing is lost


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    short(file)
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        short(file, epochs=3)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    assert file.read_bytes() == before


def test_folders(tmp_path):
    with pytest.raises(ValueError, match=r"to be a file, but '.*' is a folder"):
        short(tmp_path)
    short(tmp_path / "new" / "folder" / "run.pt")
    assert (tmp_path / "new" / "folder" / "run.pt").is_file()


def test_persistent_workers_cannot_be_resumed(tmp_path):
    loader = DataLoader(TensorDataset(*POINTS), num_workers=1, persistent_workers=True)
    with pytest.raises(ValueError, match="use persistent_workers=False"):
        short(tmp_path / "run.pt", data=loader)
