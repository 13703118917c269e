"""dlip.train: evaluate, History and the learning-rate range test."""

import copy
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dlip
from dlip.train import EarlyStopping, Evaluation, History, evaluate, lr_range_test

# Evaluation


def predictions(count, classes, seed=0):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(count, classes, generator=g)
    return scores, torch.randint(0, classes, (count,), generator=g)


@pytest.mark.parametrize(("count", "classes", "batch_size"), [(137, 5, 32), (64, 2, 64), (9, 7, 2)])
def test_numbers_are_those_of_scikit_learn(count, classes, batch_size):
    scores, labels = predictions(count, classes)
    result = evaluate(nn.Identity(), (scores, labels), batch_size=batch_size)
    predicted, names = scores.argmax(1).numpy(), list(range(classes))
    confusion = sklearn.metrics.confusion_matrix(labels, predicted, labels=names)
    assert result.count == count
    assert result.accuracy == sklearn.metrics.accuracy_score(labels, predicted)
    np.testing.assert_array_equal(result.confusion.numpy(), confusion)
    assert result.confusion.dtype == torch.int64
    loss = sklearn.metrics.log_loss(labels, scores.double().softmax(1), labels=names)
    assert result.loss == pytest.approx(loss, rel=1e-6)
    with np.errstate(invalid="ignore"):
        recall = confusion.diagonal() / confusion.sum(1)
    np.testing.assert_allclose(result.class_accuracy.numpy(), recall, rtol=1e-6)


def test_a_class_without_pictures_has_no_accuracy():
    result = evaluate(nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 1])))
    assert result.class_accuracy[0] == 1
    assert result.class_accuracy[1] == 0.5
    assert result.class_accuracy[2].isnan()


@pytest.mark.parametrize("form", [TensorDataset, lambda *d: DataLoader(TensorDataset(*d), 10)])
def test_forms_of_data(form):
    data = predictions(33, 4)
    expected, result = evaluate(nn.Identity(), data), evaluate(nn.Identity(), form(*data))
    assert torch.equal(result.confusion, expected.confusion)
    assert result.loss == pytest.approx(expected.loss, rel=1e-6)


def test_values_instead_of_classes():
    x, y = torch.rand(50, 3), torch.rand(50, 3)
    result = evaluate(nn.Identity(), (x, y), loss=F.mse_loss, batch_size=16)
    assert result.loss == pytest.approx(sklearn.metrics.mean_squared_error(y, x), rel=1e-5)
    assert result.accuracy is None
    assert result.confusion is None
    assert str(result) == f"50 pictures: loss {result.loss:.4f}"
    for use in (lambda: result.class_accuracy, result.plot):
        with pytest.raises(ValueError, match="the targets are no classes"):
            use()


def test_result_as_text():
    result = Evaluation(500, 0.25, 0.9, torch.eye(2))
    assert str(result) == repr(result) == "500 pictures: loss 0.2500, accuracy 90.00%"


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3)).train()
    model[1].eval()
    model[0].weight.grad = torch.ones(4, 4)
    before = copy.deepcopy(model)
    data = torch.randn(40, 4), torch.arange(40) % 3
    one, two = evaluate(model, data), evaluate(model, data)
    assert one.loss == two.loss  # no dropout
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    assert torch.equal(model[0].weight.grad, torch.ones(4, 4))
    for name, value in before.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    with torch.no_grad():
        expected = F.cross_entropy(before.eval()(data[0]), data[1]).item()
    assert one.loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((torch.zeros(0, 3), torch.zeros(0).long()), ValueError, "evaluation data, got none"),
        ((torch.eye(3), torch.tensor([0, 1, 3])), ValueError, "3 classes, .* a target 3"),
        ((torch.eye(3), torch.rand(3)), TypeError, "numbers of classes"),
        ((torch.eye(3), torch.tensor([0, 1])), ValueError, "as many targets as images"),
        ((torch.eye(3) * math.nan, torch.arange(3)), FloatingPointError, "loss is nan in valid"),
        (3, TypeError, "got 3"),
    ],
)
def test_bad_data(data, error, message):
    with pytest.raises(error, match=message):
        evaluate(nn.Identity(), data)


def test_bad_options():
    data = predictions(4, 3)
    with pytest.raises(TypeError, match=r"model as a torch\.nn\.Module"):
        evaluate(torch.tanh, data)
    with pytest.raises(ValueError, match="batch_size to be at least 1"):
        evaluate(nn.Identity(), data, batch_size=0)


# History


FULL = History(
    loss=[2.0, 0.1 + 0.2],
    accuracy=[0.5, 0.75],
    val_loss=[1.5, 1 / 3],
    val_accuracy=[0.25, 0.5],
    lr=[0.1, 0.001],
    kept_epoch=2,
    stopped_early=True,
)


@pytest.mark.parametrize("history", [FULL, History(), History(loss=[1e-300], interrupted=True)])
def test_json_keeps_every_digit(history):
    again = History.from_json(history.to_json())
    assert again == history
    assert [type(getattr(again, f.name)) for f in fields(again)] == [
        type(getattr(history, f.name)) for f in fields(history)
    ]
    assert json.loads(history.to_json())["loss"] == history.loss


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2]", "3", '{"losses": [1]}', '{"loss": 1}', '{"loss": ["a"]}', '{"kept_epoch": "x"}'],
)
def test_bad_json(text):
    with pytest.raises(ValueError, match=r"Expecting value|of a History"):
        History.from_json(text)


def test_history_as_a_table():
    lines = str(FULL).splitlines()
    assert repr(FULL) == str(FULL)
    assert lines[0].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    assert lines[2].split() == ["2", "0.3000", "0.7500", "0.3333", "0.5000", "0.001"]
    assert len({len(line) for line in lines}) == 1
    assert str(History()) == "epoch"


def test_best_epoch():
    assert History(loss=[3.0, 2, 1], val_loss=[2.0, 1, 1]).best_epoch == 2
    assert History(loss=[3.0, 2, 1]).best_epoch == 3
    with pytest.raises(ValueError, match="no best epoch"):
        History().best_epoch  # noqa: B018


@given(
    losses=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0, 1, 2]),
)
def test_early_stopping_is_that_of_the_definition(losses, patience, min_delta):
    """Stop when the last `patience` epochs were all not better, by min_delta, than the best."""
    stopping = EarlyStopping(patience, float(min_delta))
    stops = [
        stopping.stops(History(val_loss=losses[: i + 1], loss=losses[: i + 1]))
        for i in range(len(losses))
    ]
    # Epochs that beat, by more than min_delta, the last epoch that did so.
    better, record = [], math.inf
    for loss in losses:
        better.append(record - loss > min_delta)
        record = loss if better[-1] else record
    for i, stop in enumerate(stops):
        last = better[max(0, i + 1 - patience) : i + 1]
        assert stop == (len(last) == patience and not any(last))
    assert stopping.best_epoch(History(val_loss=losses)) == int(np.argmin(losses)) + 1


def test_settings_are_not_changed():
    stopping = EarlyStopping()
    with pytest.raises(AttributeError):
        stopping.patience = 3
    assert replace(stopping, patience=2) == EarlyStopping(patience=2)


# The learning-rate range test


def points():
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (90,), generator=g)
    return torch.randn(90, 4, generator=g) + F.one_hot(labels, 4), labels


def test_range_test_is_a_loop_with_a_rising_rate():
    x, y = points()
    model = nn.Linear(4, 3)
    plain = copy.deepcopy(model)
    result = lr_range_test(
        model, (x, y), lowest=1e-3, highest=10.0, steps=9, batch_size=32, optimizer=torch.optim.SGD
    )
    order = torch.Generator().manual_seed(0)
    batches = [i for _ in range(3) for i in torch.randperm(90, generator=order).split(32)]
    rates = np.geomspace(1e-3, 10, 9)
    losses = []
    for rate, batch in zip(rates, batches, strict=True):
        loss = F.cross_entropy(plain(x[batch]), y[batch])
        losses.append(loss.item())
        plain.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter -= rate * parameter.grad
    np.testing.assert_allclose(result.lr, rates, rtol=1e-12)
    np.testing.assert_allclose(result.loss, losses, rtol=1e-5)


def test_range_test_leaves_model_and_loader_alone():
    order = torch.Generator().manual_seed(4)
    state = order.get_state()
    loader = DataLoader(TensorDataset(*points()), 16, shuffle=True, generator=order)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).eval()
    model[0].weight.grad = torch.ones(4, 4)
    before = copy.deepcopy(model.state_dict())
    lr_range_test(model, loader, steps=5)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert torch.equal(model[0].weight.grad, torch.ones(4, 4))
    assert not any(module.training for module in model.modules())
    assert torch.equal(order.get_state(), state)


def test_range_test_ends_when_the_loss_explodes():
    x = points()[0]
    result = lr_range_test(
        nn.Linear(4, 4), (x, x), loss=F.mse_loss, highest=1e4, optimizer=torch.optim.SGD
    )
    assert 2 < len(result.lr) == len(result.loss) < 100
    assert all(loss <= 4 * min(result.loss[: i + 1]) for i, loss in enumerate(result.loss))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lowest": 1.0, "highest": 0.1}, ValueError, r"lowest < highest, got 1\.0 and 0\.1"),
        ({"lowest": 0}, ValueError, "lowest to be a finite number greater than 0"),
        ({"highest": math.inf}, ValueError, "highest to be a finite number"),
        ({"steps": 1}, ValueError, "steps to be at least 2"),
        (
            {"optimizer": torch.optim.SGD(nn.Linear(2, 2).parameters())},
            ValueError,
            "optimizer's class or a function",
        ),
    ],
)
def test_bad_range_tests(options, error, message):
    with pytest.raises(error, match=message):
        lr_range_test(nn.Linear(4, 3), points(), **options)


def test_range_test_of_a_loader_without_batches():
    loader = DataLoader(TensorDataset(*points()), 200, drop_last=True)
    with pytest.raises(ValueError, match="made no batch"):
        lr_range_test(nn.Linear(4, 3), loader)


def test_figures():
    model = dlip.models.DigitCNN()
    images, labels = dlip.data.digits("val")
    test = lr_range_test(model, (images, labels), steps=5, batch_size=16)
    ax = test.plot().axes[0]
    assert ax.get_xscale() == "log"
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), test.lr)
    assert len(evaluate(model, (images[:50], labels[:50])).plot().axes[0].get_xticks()) == 10
    assert len(FULL.plot().axes) == 2
