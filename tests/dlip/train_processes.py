"""The program that test_train_processes.py runs: alone, and as one of two processes.

    python train_processes.py FOLDER
    torchrun --nproc-per-node 2 train_processes.py FOLDER

Each process writes what it got to FOLDER/<number of the process>.pt.
"""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import dlip

FOLDER = Path(sys.argv[1])
RANK = int(os.environ.get("RANK", "0"))
RESULTS = {}


class Spied(Dataset):
    """Write down which pictures are read."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.read = []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.read.append(index)
        return self.images[index], int(self.labels[index])


def blobs(count: int, seed: int = 0):
    """Return points of three classes that overlap."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=g)
    return torch.randn(count, 4, generator=g) + 0.7 * nn.functional.one_hot(labels, 4), labels


def network(norm: bool = False):
    torch.manual_seed(1 + RANK)  # each process begins with other weights: the first one's count
    hidden = [nn.BatchNorm1d(8)] if norm else []
    return nn.Sequential(nn.Linear(4, 8), *hidden, nn.Tanh(), nn.Linear(8, 3))


def keep(name, model, history, **more):
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    RESULTS[name] = {"weights": weights, "history": asdict(history)} | more


def train(name, data, val=None, norm=False, **options):
    model = network(norm)
    options = {"epochs": 3, "batch_size": 50, "progress": False} | options
    history = dlip.train.fit(model, data, val, **options)
    keep(name, model, history)
    return model


SGD = {"optimizer": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9), "lr": 0.1}
VAL = blobs(101, seed=1)

# The last batch has 3 pictures for 2 processes; 1 picture; as many as the others.
for count in (203, 201, 200):
    train(f"sgd {count}", blobs(count), VAL, **SGD)
train("adam 201", blobs(201), VAL, lr=0.01)
train("batch normalization", blobs(204), VAL, norm=True)

spied, watched = Spied(*blobs(201)), Spied(*VAL)
model = train("data set", spied, watched, **SGD)
RESULTS["data set"] |= {"train read": spied.read, "val read": watched.read}

spied = Spied(*blobs(201))
train("loader", DataLoader(spied, batch_size=32, shuffle=True, num_workers=0), **SGD)
RESULTS["loader"] |= {"train read": spied.read}

result = dlip.train.evaluate(model, VAL, batch_size=32)
RESULTS["evaluation"] = {"loss": result.loss, "accuracy": result.accuracy, "count": result.count}
RESULTS["evaluation"]["confusion"] = result.confusion

# Files: written by one process, read by both; in a folder that does not exist yet.
file = FOLDER / "new" / "run.pt"
schedule = {"schedule": lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5)}
early = {"early_stopping": dlip.train.EarlyStopping(patience=2)}
writes = []
replace = Path.replace


def counting(self, target):
    writes.append(str(self))
    return replace(self, target)


Path.replace = counting
train("first half", blobs(201), VAL, **SGD, **schedule, **early, epochs=2, checkpoint=file)
train("second half", blobs(201), VAL, **SGD, **schedule, **early, epochs=4, checkpoint=file)
Path.replace = replace
train("whole", blobs(201), VAL, **SGD, **schedule, **early, epochs=4)
RESULTS["writes"] = writes

try:
    dlip.train.fit(network(), blobs(1), epochs=1, progress=False)
    RESULTS["one picture"] = "fine"
except ValueError as error:
    RESULTS["one picture"] = str(error)

torch.save(RESULTS, FOLDER / f"{RANK}.pt")
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
