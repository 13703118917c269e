"""dlip.train.fit: the same as a loop by hand, and nothing left behind."""

import copy
import math
import os
import random
import signal
import sys
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import dlip
from dlip.train import EarlyStopping, History, fit

FIT = sys.modules["dlip.train.fit"]  # the module, whose name the function has taken


def blobs(count, seed=0):
    """Points of three classes that overlap."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=g)
    return torch.randn(count, 4, generator=g) + 0.7 * F.one_hot(labels, 4), labels


TRAIN, VAL = blobs(100), blobs(37, seed=1)


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


quiet = partial(fit, progress=False, batch_size=16)


def by_hand(model, optimizer, batches, epochs, *, after_step=None, after_epoch=None, loss=None):
    """The loop that everybody writes. Return the mean loss and the accuracy of each epoch."""
    results = []
    for _ in range(epochs):
        total = right = count = 0
        for x, y in batches():
            scores = model(x)
            value = (loss or F.cross_entropy)(scores, y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step:
                after_step()
            total += value.item() * len(x)
            right += (scores.argmax(1) == y).sum().item() if loss is None else 0
            count += len(x)
        if after_epoch:
            after_epoch()
        results.append((total / count, right / count))
    return results


def shuffled(x, y, seed=0, size=16):
    """Return what makes the batches of an epoch, in the order that fit documents."""
    order = torch.Generator().manual_seed(seed)

    def batches():
        for index in torch.randperm(len(x), generator=order).split(size):
            yield x[index], y[index]

    return batches


def same_weights(one, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


# The result


@pytest.mark.parametrize("data", [TRAIN, list(TRAIN), TensorDataset(*TRAIN)])
@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [
        (torch.optim.Adam, None),
        (torch.optim.SGD, 0.1),
        (partial(torch.optim.SGD, momentum=0.9, weight_decay=0.01), 0.05),
        (torch.optim.AdamW, 0.01),
    ],
)
def test_weights_and_history_are_those_of_a_loop_by_hand(data, optimizer, lr):
    model, plain = network(), network()
    history = quiet(model, data, VAL, epochs=3, optimizer=optimizer, lr=lr)
    made = optimizer(plain.parameters(), lr=lr or 0.001)
    expected = by_hand(plain, made, shuffled(*TRAIN), 3)
    assert same_weights(model, plain)
    assert history.loss == pytest.approx([loss for loss, _ in expected], rel=1e-12)
    assert history.accuracy == [accuracy for _, accuracy in expected]
    assert history.lr == [lr or 0.001] * 3
    with torch.no_grad():
        scores = plain(VAL[0])
    assert history.val_loss[-1] == pytest.approx(F.cross_entropy(scores, VAL[1]).item(), rel=1e-6)
    assert history.val_accuracy[-1] == (scores.argmax(1) == VAL[1]).double().mean().item()
    assert (history.kept_epoch, history.stopped_early, history.interrupted) == (3, False, False)


def test_a_loader_has_its_own_order_and_batches():
    def loader():
        order = torch.Generator().manual_seed(9)
        return DataLoader(TensorDataset(*TRAIN), 7, shuffle=True, drop_last=True, generator=order)

    model, plain = network(), network()
    history = quiet(model, loader(), DataLoader(TensorDataset(*VAL), 5), epochs=2)
    batches = loader()
    expected = by_hand(plain, torch.optim.Adam(plain.parameters()), lambda: batches, 2)
    assert same_weights(model, plain)
    assert history.loss == pytest.approx([loss for loss, _ in expected], rel=1e-12)
    expected = F.cross_entropy(plain(VAL[0]), VAL[1]).item()  # its last batch has 2 pictures
    assert history.val_loss[-1] == pytest.approx(expected, rel=1e-6)


def test_a_stream_has_no_length():
    class Stream(IterableDataset):
        def __iter__(self):
            return ((x, int(y)) for x, y in zip(*TRAIN, strict=True))

    model, plain = network(), network()
    quiet(model, DataLoader(Stream(), 16), epochs=2)
    batches = partial(zip, TRAIN[0].split(16), TRAIN[1].split(16))
    by_hand(plain, torch.optim.Adam(plain.parameters()), batches, 2)
    assert same_weights(model, plain)


def test_another_loss_has_no_accuracy():
    x, y = TRAIN[0], TRAIN[0][:, :1].sin()
    torch.manual_seed(1)
    model = nn.Linear(4, 1)
    plain = copy.deepcopy(model)
    history = quiet(model, (x, y), (x[:20], y[:20]), epochs=2, loss=F.mse_loss)
    by_hand(plain, torch.optim.Adam(plain.parameters()), shuffled(x, y), 2, loss=F.mse_loss)
    assert same_weights(model, plain)
    assert history.accuracy == history.val_accuracy == []
    expected = F.mse_loss(plain(x[:20]), y[:20]).item()
    assert history.val_loss[-1] == pytest.approx(expected, rel=1e-6)


def test_many_targets_in_a_picture():
    g = torch.Generator().manual_seed(0)
    images = torch.rand(12, 1, 6, 5, generator=g)
    targets = (images[:, 0] > 0.5).long()
    model = nn.Conv2d(1, 2, 1)
    history = quiet(model, (images, targets), epochs=40, lr=0.3)
    assert history.accuracy[-1] > 0.95
    right = (model(images).argmax(1) == targets).float().mean().item()
    result = dlip.train.evaluate(model, (images, targets))
    assert result.accuracy == pytest.approx(right, rel=1e-6)
    assert result.confusion.sum() == 12 * 6 * 5


def test_losses_that_are_modules_and_smooth_labels():
    model, plain = network(), network()
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    history = quiet(model, TRAIN, epochs=2, loss=loss)
    by_hand(plain, torch.optim.Adam(plain.parameters()), shuffled(*TRAIN), 2, loss=loss)
    assert same_weights(model, plain)
    assert len(history.accuracy) == 2


# Optimizers and schedules


def test_an_optimizer_of_parameter_groups():
    model, plain = network(), network()

    def groups(net):
        return torch.optim.SGD(
            [
                {"params": net[0].parameters(), "lr": 0.01},
                {"params": net[2].parameters(), "lr": 0.2},
            ]
        )

    history = quiet(model, TRAIN, epochs=2, optimizer=groups(model))
    by_hand(plain, groups(plain), shuffled(*TRAIN), 2)
    assert same_weights(model, plain)
    assert history.lr == [0.01, 0.01]  # of the first group


def test_an_optimizer_goes_on_where_it_was():
    model, plain = network(), network()
    optimizer = torch.optim.Adam(model.parameters())
    quiet(model, TRAIN, epochs=2, optimizer=optimizer)
    quiet(model, TRAIN, epochs=1, optimizer=optimizer)
    own = torch.optim.Adam(plain.parameters())
    by_hand(plain, own, shuffled(*TRAIN), 2)
    by_hand(plain, own, shuffled(*TRAIN), 1)
    assert same_weights(model, plain)


STEPS = 7  # of 16 in 100


@pytest.mark.parametrize(
    ("every", "schedule"),
    [
        ("epoch", lambda o: StepLR(o, 2, gamma=0.1)),
        ("epoch", lambda o: ExponentialLR(o, 0.5)),
        ("step", lambda o: OneCycleLR(o, max_lr=0.1, total_steps=4 * STEPS)),
        ("step", lambda o: ExponentialLR(o, 0.9)),
    ],
)
def test_schedules(every, schedule):
    model, plain = network(), network()
    history = quiet(model, TRAIN, epochs=4, lr=0.02, schedule=schedule, schedule_every=every)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.02)
    scheduler = schedule(optimizer)
    seen = []

    def note():
        seen.append(optimizer.param_groups[0]["lr"])

    def move_on():
        note()
        scheduler.step()

    if every == "step":
        by_hand(plain, optimizer, shuffled(*TRAIN), 4, after_step=move_on)
    else:
        by_hand(plain, optimizer, shuffled(*TRAIN), 4, after_step=note, after_epoch=scheduler.step)
    assert same_weights(model, plain)
    assert history.lr == seen[STEPS - 1 :: STEPS]
    assert len(set(history.lr)) > 1


def test_a_schedule_that_looks_at_the_validation(monkeypatch):
    scripted(monkeypatch, [1.0, 1.1, 0.9, 0.95, 0.96])
    plateau = partial(ReduceLROnPlateau, patience=0, factor=0.1)
    history = quiet(network(), TRAIN, VAL, epochs=5, lr=0.1, schedule=plateau)
    # Not better in epochs 2, 4 and 5.
    assert history.lr == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


def test_a_schedule_that_exists():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = StepLR(optimizer, 1, gamma=0.5)
    history = quiet(model, TRAIN, epochs=3, optimizer=optimizer, schedule=schedule)
    assert history.lr == pytest.approx([0.1, 0.05, 0.025])


# Random numbers


def test_the_seed_decides():
    def train(seed):
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 3))
        model.load_state_dict({"0.weight": torch.ones(8, 4), "0.bias": torch.zeros(8)}
                              | {"2.weight": torch.eye(8)[:3], "2.bias": torch.zeros(3)})  # fmt: skip
        noise = lambda x: x + random.random() + np.random.normal() + torch.randn(())  # noqa: E731
        quiet(model, TRAIN, epochs=2, seed=seed, augment=noise)
        return model[0].weight

    random.seed(1)
    first = train(0)
    random.seed(2)
    assert torch.equal(first, train(0))
    assert not torch.equal(first, train(1))


def test_epochs_and_seeds_have_random_numbers_of_their_own():
    def drawn(seed):
        numbers = []
        quiet(network(), (TRAIN[0][:16], TRAIN[1][:16]), epochs=3, seed=seed,
              augment=lambda x: numbers.append(torch.rand(()).item()) or x)  # fmt: skip
        return numbers

    assert len({*drawn(0), *drawn(1), *drawn(2)}) == 9


def test_the_random_numbers_of_the_program_stay():
    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()

    model = network()
    dlip.env.seed(3)
    expected = draw()
    dlip.env.seed(3)
    quiet(model, TRAIN, VAL, epochs=1)
    dlip.train.lr_range_test(model, TRAIN, steps=3)
    dlip.train.evaluate(model, VAL)
    assert draw() == expected


# Frozen parts


class Transfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

    def forward(self, x):
        self.modes = {name: module.training for name, module in self.named_modules()}
        return self.head(self.backbone(x))


def test_frozen_parts_stay_as_they_are():
    model = Transfer()
    model.backbone.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    quiet(model, TRAIN, epochs=2)
    changed = {name for name, v in model.state_dict().items() if not torch.equal(v, before[name])}
    assert changed == {name for name in before if name.startswith("head.")}


def test_modes():
    model = Transfer().eval()  # as a pretrained network comes
    model.backbone.requires_grad_(False)
    model.head[1].requires_grad_(False)
    quiet(model, TRAIN, epochs=1)
    on = {name for name, training in model.modes.items() if training}
    assert on == {"", "head", "head.0", "head.2"}
    assert not any(module.training for module in model.modules())  # ready to predict
    model.backbone.requires_grad_(True)
    quiet(model, TRAIN, epochs=1)
    assert model.modes["backbone.1"]
    assert model.modes["backbone.2"]
    assert not model.modes["head.1"]


# Augmentation


def test_augmentation_changes_training_only():
    seen = []

    def twice(images):
        seen.append(images)
        return 2 * images

    model, plain = network(), network()
    history = quiet(model, TRAIN, VAL, epochs=2, augment=twice)
    assert [len(images) for images in seen] == [16] * 6 + [4] + [16] * 6 + [4]
    by_hand(
        plain, torch.optim.Adam(plain.parameters()), shuffled(2 * TRAIN[0], TRAIN[1]), 2
    )  # fmt: skip
    assert same_weights(model, plain)
    expected = F.cross_entropy(plain(VAL[0]), VAL[1]).item()
    assert history.val_loss[-1] == pytest.approx(expected, rel=1e-6)


# Early stopping


def scripted(monkeypatch, losses, accuracies=None):
    """Let the validation give these losses; return the weights that it saw."""
    seen = []

    def measure(model, batches, loss):
        seen.append(copy.deepcopy(model.state_dict()))
        meter = dlip.train._meter.Meter()
        meter.loss_sum, meter.samples = losses[len(seen) - 1], 1
        if accuracies:
            meter.hits, meter.answers = accuracies[len(seen) - 1], 100
        return meter

    monkeypatch.setattr(FIT, "measure", measure)
    return seen


# Losses, settings, epochs that are done, the best one.
STOPPING = [
    ([5, 4, 3, 2, 1], {"patience": 1}, 5, 5),
    ([5, 4, 4, 3, 1], {"patience": 1}, 3, 2),
    ([5, 4, 6, 3, 9, 8, 7], {"patience": 2}, 6, 4),
    ([5, 4, 6, 3, 9, 8, 7], {"patience": 3}, 7, 4),
    ([5, 4.9, 4.8, 4.7, 1], {"patience": 3, "min_delta": 0.5}, 4, 4),
    ([5, 4.9, 4.8, 4.4, 1], {"patience": 3, "min_delta": 0.5}, 5, 5),
    ([1, 2, 3, 4], {"patience": 10}, 4, 1),
]


@pytest.mark.parametrize(("losses", "settings", "epochs", "best"), STOPPING)
def test_early_stopping_keeps_the_best_weights(monkeypatch, losses, settings, epochs, best):
    seen = scripted(monkeypatch, losses)
    model = network()
    history = quiet(model, TRAIN, VAL, epochs=len(losses), early_stopping=EarlyStopping(**settings))
    assert history.val_loss == losses[:epochs]
    assert history.epochs == len(seen) == epochs
    assert history.stopped_early == (epochs < len(losses))
    assert history.kept_epoch == best
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, seen[best - 1][name])


def test_early_stopping_by_accuracy(monkeypatch):
    losses, accuracies = [1.0, 2, 3, 4, 5], [50, 60, 60, 59, 99]
    seen = scripted(monkeypatch, losses, accuracies)
    model = network()
    stopping = EarlyStopping(patience=2, monitor="val_accuracy")
    history = quiet(model, TRAIN, VAL, epochs=5, early_stopping=stopping)
    assert history.epochs == 4
    assert history.kept_epoch == 2
    assert torch.equal(model[0].weight, seen[1]["0.weight"])


def test_without_early_stopping_the_last_weights_stay(monkeypatch):
    seen = scripted(monkeypatch, [1.0, 2, 3])
    model = network()
    history = quiet(model, TRAIN, VAL, epochs=3)
    assert (history.kept_epoch, history.best_epoch) == (3, 1)
    assert torch.equal(model[0].weight, seen[2]["0.weight"])


def test_early_stopping_needs_a_validation():
    with pytest.raises(ValueError, match="watches the validation: give val, too"):
        quiet(network(), TRAIN, epochs=1, early_stopping=EarlyStopping())
    x = TRAIN[0]
    with pytest.raises(ValueError, match="no val_accuracy to monitor: the targets are no classes"):
        quiet(nn.Linear(4, 4), (x, x), (x, x), epochs=1, loss=F.mse_loss,
              early_stopping=EarlyStopping(monitor="val_accuracy"))  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience to be at least 1, got 0"),
        ({"patience": 2.5}, TypeError, "patience to be an integer"),
        ({"min_delta": -1}, ValueError, "min_delta to be at least 0, got -1"),
        ({"min_delta": math.nan}, ValueError, "min_delta to be at least 0, got nan"),
        ({"min_delta": "1"}, TypeError, "min_delta to be a number"),
        ({"monitor": "loss"}, ValueError, "value to monitor 'loss'.*val_loss, val_accuracy"),
    ],
)
def test_bad_early_stopping(settings, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**settings)


# Numbers that are none


class Spoiler:
    """An augmentation that spoils the images at one step."""

    def __init__(self, step, factor=math.inf):
        self.left, self.factor = step, factor

    def __call__(self, images):
        self.left -= 1
        return images * (self.factor if self.left == 0 else 1)


def test_nan_stops_and_names_the_step(tmp_path):
    file = tmp_path / "run.pt"
    model = nn.Linear(4, 3)
    good = copy.deepcopy(model)
    with pytest.raises(FloatingPointError) as caught:
        quiet(model, TRAIN, epochs=5, lr=0.02, augment=Spoiler(2 * STEPS + 4), checkpoint=file)
    message = str(caught.value)
    assert "training failed in epoch 3: the loss is nan in step 4, after" in message
    assert "(learning rate 0.02). Try a smaller learning rate, and look for NaN" in message
    assert f"'{file}' holds the training up to epoch 2, the last good one." in message
    quiet(good, TRAIN, epochs=2, lr=0.02)
    saved = torch.load(file, weights_only=True)
    assert torch.equal(saved["model"]["weight"], good.weight)
    assert len(saved["history"]["loss"]) == 2


def test_nan_is_found_soon_even_if_an_epoch_takes_long(monkeypatch):
    monkeypatch.setattr(dlip.train._meter, "REFRESH", 0.0)
    spoiler = Spoiler(3)
    with pytest.raises(FloatingPointError, match="in epoch 1: the loss is nan in step 3, after"):
        quiet(network(), TRAIN, epochs=1, augment=spoiler)
    assert spoiler.left == 0  # no step was made after it


def test_diverging_stops():
    x = TRAIN[0]
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) in step \d+, after \d"):
        quiet(nn.Linear(4, 4), (x, x), epochs=50, loss=F.mse_loss, lr=1e4,
              optimizer=torch.optim.SGD)  # fmt: skip


def test_weights_that_become_nan_are_not_saved(tmp_path):
    def loss(scores, targets):  # finite, but its derivative is not
        return F.cross_entropy(scores, targets) + (0 * scores).sum().sqrt()

    with pytest.raises(FloatingPointError, match=r"0\.weight has become NaN or infinite\. Try"):
        quiet(network(), TRAIN, epochs=2, batch_size=100, loss=loss, checkpoint=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_nan_in_the_validation():
    bad = VAL[0].clone()
    bad[20] = math.nan
    with pytest.raises(FloatingPointError, match="epoch 1: the loss is nan in validation batch 2"):
        quiet(network(), TRAIN, (bad, VAL[1]), epochs=1)


# Ctrl-C


class Interrupter(Spoiler):
    def __call__(self, images):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return images


def test_ctrl_c_keeps_what_was_trained(capsys, tmp_path):
    model, plain = network(), network()
    interrupter = Interrupter(2 * STEPS + 4)
    file = tmp_path / "run.pt"
    history = fit(model, TRAIN, epochs=9, batch_size=16, augment=interrupter, checkpoint=file)
    batches = shuffled(*TRAIN)
    optimizer = torch.optim.Adam(plain.parameters())
    expected = by_hand(plain, optimizer, batches, 2)
    by_hand(plain, optimizer, lambda: list(batches())[:3], 1)  # three more steps
    assert same_weights(model, plain)
    assert history.interrupted
    assert history.loss == pytest.approx([loss for loss, _ in expected])
    assert history.kept_epoch == 2
    assert (
        "Interrupted in epoch 3: the model has the weights of this mom" in capsys.readouterr().out
    )
    assert not model.training
    # The same call goes on after epoch 2.
    again, straight = network(), network()
    resumed = quiet(again, TRAIN, epochs=3, checkpoint=file, augment=Interrupter(-1))
    assert resumed == quiet(straight, TRAIN, epochs=3, augment=Interrupter(-1))
    assert same_weights(again, straight)


def test_ctrl_c_with_early_stopping_keeps_the_best(monkeypatch, capsys):
    seen = scripted(monkeypatch, [2.0, 1.0, 3.0])
    model = network()
    history = fit(model, TRAIN, VAL, epochs=9, batch_size=16, early_stopping=EarlyStopping(),
                  augment=Interrupter(3 * STEPS + 2))  # fmt: skip
    assert (history.interrupted, history.epochs, history.kept_epoch) == (True, 3, 2)
    assert torch.equal(model[0].weight, seen[1]["0.weight"])
    assert "the weights of the best epoch, 2" in capsys.readouterr().out


def test_ctrl_c_in_the_first_epoch():
    history = quiet(network(), TRAIN, epochs=9, augment=Interrupter(2))
    assert history == History(interrupted=True)


# Nothing left behind


def test_the_model_has_nothing_new():
    model = network()
    attributes, modules = set(vars(model)), [set(vars(module)) for module in model.modules()]
    for precision in (None, "bf16", None):
        quiet(model, TRAIN, epochs=1, mixed_precision=precision)
    assert set(vars(model)) == attributes
    assert [set(vars(module)) for module in model.modules()] == modules
    assert {p.device.type for p in model.parameters()} == {"cpu"}


class Precision(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3)
        self.seen = set()

    def forward(self, x):
        result = self.linear(x)
        self.seen.add(result.dtype)
        return result


def test_mixed_precision_is_for_one_training():
    half, full, plain = Precision(), Precision(), Precision()
    history = quiet(half, TRAIN, VAL, epochs=2, mixed_precision="bf16")
    quiet(full, TRAIN, VAL, epochs=2)
    assert half.seen == {torch.bfloat16}
    assert full.seen == {torch.float32}
    assert half.linear.weight.dtype == torch.float32
    by_hand(plain, torch.optim.Adam(plain.parameters()), shuffled(*TRAIN), 2)
    assert same_weights(full, plain)
    torch.testing.assert_close(half.linear.weight, plain.linear.weight, rtol=0, atol=0.01)
    assert history.loss[1] < history.loss[0]


# The progress bar


def test_progress_bar(capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    fit(network(), TRAIN, VAL, epochs=2, batch_size=16)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.strip().split("\r")[-1]
    assert last.startswith("epoch 2/2: 100%")
    assert "14/14" in last
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert f"{name} " in last

    fit(network(), TRAIN, epochs=1, progress=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    fit(network(), TRAIN, epochs=1)
    assert capsys.readouterr() == ("", "")


# What does not work


class Empty(Dataset):
    def __len__(self):
        return 0

    def __getitem__(self, index):
        raise IndexError


class Pairs(Dataset):
    """A data set of whatever is given."""

    def __init__(self, *sample):
        self.sample = sample

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.sample


X, Y = TRAIN


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((X[:0], Y[:0]), ValueError, "expected training data, got none: it is empty"),
        (Empty(), ValueError, "expected training data, got none: it is empty"),
        (DataLoader(TensorDataset(X, Y), 200, drop_last=True), ValueError, "made no batch"),
        ((X, Y[:-1]), ValueError, r"images of shape \(100, 4\) and targets of shape \(99,\)"),
        ((X, Y, Y), TypeError, "two tensors .* got .*Tensor.*Tensor.*Tensor"),
        ((X.numpy(), Y.numpy()), TypeError, "two tensors .* got .*ndarray"),
        (X, TypeError, r"tensors \(images, targets\), a Dataset or a DataLoader, got Tensor"),
        ("digits", TypeError, "a DataLoader, got 'digits'"),
        (None, TypeError, "a DataLoader, got None"),
        (((255 * X).byte(), Y), TypeError, r"got torch.uint8; .* images.float\(\) / 255"),
        (Pairs(X[0]), TypeError, "expected a batch of data as two tensors"),
        (Pairs("a", 1), TypeError, "expected a batch of data as two tensors"),
        ((X, Y.float()), TypeError, "numbers of classes .* got torch.float32; .*mse_loss"),
        ((X, Y.int()), TypeError, r"int64, got torch.int32; use targets.long\(\)"),
        ((X, Y[:, None]), ValueError, r"got \(16, 3\) from the model and targets \(16, 1\)"),
        ((X, Y + 1), ValueError, "3 classes, 0 to 2, but there is a target 3"),
        ((X, Y - 1), ValueError, "3 classes, 0 to 2, but there is a target -1"),
        (TensorDataset(X, Y + 5), ValueError, "but there is a target 7"),
        ((X[:, :3], Y), ValueError, r"cannot take an image of shape \(3,\): mat1"),
    ],
)
def test_bad_data(data, error, message):
    with pytest.raises(error, match=message):
        quiet(network(), data, epochs=1)
    if data is not None:
        with pytest.raises(error, match=message.replace("training", "validation")):
            quiet(network(), TRAIN, data, epochs=1)


def frozen():
    return network().requires_grad_(False)


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x).detach()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": frozen()}, ValueError, "a Sequential without trainable parameters"),
        ({"model": nn.Flatten()}, ValueError, "a Flatten without trainable parameters"),
        ({"model": torch.tanh}, TypeError, "model as a torch.nn.Module"),
        ({"model": Detached()}, ValueError, "does not depend on any trainable parameter"),
        ({"epochs": 0}, ValueError, "epochs to be at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs to be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size to be at least 1"),
        ({"seed": -1}, ValueError, "seed to be at least 0"),
        ({"lr": 0}, ValueError, "lr to be a finite number greater than 0, got 0"),
        ({"lr": math.nan}, ValueError, "greater than 0, got nan"),
        ({"lr": "0.1"}, TypeError, "lr to be a number"),
        ({"optimizer": "adam"}, TypeError, "class or function that makes one .* got 'adam'"),
        ({"optimizer": lambda p, lr: None}, TypeError, "got None"),
        (
            {"optimizer": torch.optim.SGD(network().parameters(), 0.1)},
            ValueError,
            "parameters that are not the model's: was the model made anew",
        ),
        ({"schedule": "cosine"}, TypeError, "expected schedule to be a function .* got 'cosine'"),
        (
            {"schedule": StepLR(torch.optim.SGD(network().parameters(), 0.1), 1)},
            ValueError,
            "the schedule belongs to another optimizer",
        ),
        ({"schedule_every": "batch"}, ValueError, "schedule_every 'batch'. Known: epoch, step"),
        ({"loss": "mse"}, TypeError, "expected loss to be a function"),
        ({"loss": nn.CrossEntropyLoss}, TypeError, r"instance such as .*CrossEntropyLoss\(\)"),
        (
            {"loss": partial(F.cross_entropy, reduction="none")},
            ValueError,
            r"the loss as one number, the mean over the batch, got shape \(16,\)",
        ),
        ({"loss": lambda s, t: 1.0}, ValueError, "one number, .* got float"),
        ({"augment": 0.5}, TypeError, "augment to be a function of images, got 0.5"),
        ({"early_stopping": 3}, TypeError, "a dlip.train.EarlyStopping, got 3"),
        ({"mixed_precision": "half"}, ValueError, "unknown mixed precision 'half'"),
    ],
)
def test_bad_options(options, error, message):
    options = {"epochs": 1} | options
    model = options.pop("model", None) or network()
    with pytest.raises(error, match=message):
        quiet(model, TRAIN, **options)


def test_a_learning_rate_given_twice():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match="give the learning rate to the optimizer, or to fit"):
        quiet(model, TRAIN, epochs=1, optimizer=optimizer, lr=0.1)


def test_shapes_that_would_be_broadcast():
    x, y = TRAIN[0], TRAIN[0][:, 0]
    with pytest.raises(ValueError, match=r"returns shape \(16, 1\), the targets .* \(16,\): make"):
        quiet(nn.Linear(4, 1), (x, y), epochs=1, loss=F.mse_loss)


def test_half_precision_needs_a_gpu():
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="needs a GPU; on a processor use"):
            quiet(network(), TRAIN, epochs=1, mixed_precision="fp16")


def test_a_wrong_label_is_found_before_it_reaches_a_gpu():
    scores = torch.zeros(2, 3, device="meta")  # a device that is not the CPU
    with pytest.raises(ValueError, match="there is a target 4"):
        dlip.train._loss.compare(scores, torch.tensor([0, 4]), F.cross_entropy)


def test_processes_that_do_not_know_of_each_other(monkeypatch):
    quiet(network(), TRAIN, epochs=1)  # Accelerate has begun
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        RuntimeError, match="there are 2 processes, but Accelerate was started as 1"
    ):
        quiet(network(), TRAIN, epochs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", [None, "fp16", "bf16"])
def test_on_a_gpu(precision, tmp_path):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    history = quiet(model, TRAIN, VAL, epochs=5, optimizer=optimizer, mixed_precision=precision)
    assert history.loss[-1] < history.loss[0]
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    by_hand(model, optimizer, shuffled(*TRAIN), 1)  # its memory is there, too
    once, twice = network(), network()
    whole = quiet(once, TRAIN, VAL, epochs=4, mixed_precision=precision)
    quiet(twice, TRAIN, VAL, epochs=2, mixed_precision=precision, checkpoint=tmp_path / "a")
    twice = network()
    assert whole == quiet(
        twice, TRAIN, VAL, epochs=4, mixed_precision=precision, checkpoint=tmp_path / "a"
    )
    assert same_weights(once, twice)
