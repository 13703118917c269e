"""FastStyle: shapes for any picture, the co-match layer by hand, and what it depends on."""

import pytest
import torch

import dlip
from dlip.models import CoMatch, FastStyle


def random(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    dlip.env.seed(0)
    return FastStyle(width=4, blocks=1).eval()


# The co-match layer


def test_co_match_by_hand():
    layer = CoMatch(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    gram = torch.tensor([[[2.0, 1.0], [1.0, 3.0]]])
    x = torch.tensor([[[[1.0]], [[10.0]]]])
    # W G = [[4, 7], [1, 3]]; transposed, times (1, 10)
    torch.testing.assert_close(layer(x, gram), torch.tensor([[[[14.0]], [[37.0]]]]))


def test_co_match_is_the_identity_where_the_weight_undoes_the_gram_matrix():
    layer = CoMatch(5)
    x = random(2, 5, 3, 4)
    maps = random(1, 5, 40)
    gram = maps @ maps.transpose(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.inv(gram[0]))
    torch.testing.assert_close(layer(x, gram), x, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(5))
    assert torch.equal(layer(x, torch.eye(5)[None]), x)


def test_co_match_takes_one_gram_matrix_for_each_picture():
    layer = CoMatch(3)
    x = random(1, 3, 4, 4).expand(2, -1, -1, -1)
    grams = torch.stack([torch.eye(3), 2 * torch.eye(3)])
    y = layer(x, grams)
    torch.testing.assert_close(y[1], 2 * y[0])


def test_co_match_looks_at_each_place_by_itself():
    layer = CoMatch(3)
    x = random(1, 3, 4, 4)
    changed = x.clone()
    changed[..., 1, 2] += 1
    differs = (layer(changed, torch.eye(3)[None]) != layer(x, torch.eye(3)[None])).any(dim=1)[0]
    assert differs.nonzero().tolist() == [[1, 2]]


# The network


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (3, 30), (63, 65), (128, 130)])
def test_any_size(model, size):
    content, style = random(2, 3, *size), random(1, 3, 20, 27)
    with torch.no_grad():
        painted = model(content, style)
        other = model(style, content[:1])
    assert painted.shape == content.shape
    assert other.shape == style.shape
    assert painted.isfinite().all()
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_forward_is_statistics_and_paint(model):
    content, style = random(2, 3, 32, 32), random(2, 3, 24, 24).flip(0)
    with torch.no_grad():
        grams = model.statistics(style)
        torch.testing.assert_close(model.paint(content, grams), model(content, style))
    assert grams.shape == (2, 12, 12)
    torch.testing.assert_close(grams, grams.transpose(1, 2))
    torch.testing.assert_close(grams.diagonal(dim1=1, dim2=2).mean(dim=1), torch.ones(2))


def test_pictures_of_a_batch_do_not_mix(model):
    content, style = random(3, 3, 24, 24), random(3, 3, 16, 16)
    with torch.no_grad():
        together = model(content, style)
        alone = torch.cat([model(c[None], s[None]) for c, s in zip(content, style, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_style_matters_and_only_by_its_gram_matrix(model):
    content = random(1, 3, 32, 32)
    brick, grass = (dlip.data.sample_image(n, size=64)[None] for n in ("brick", "grass"))
    with torch.no_grad():
        assert (model(content, brick) - model(content, grass)).abs().max() > 1e-4
        same = model.paint(content, model.statistics(brick))
    torch.testing.assert_close(same, model(content, brick).detach())


def test_what_the_style_changes_is_behind_the_encoder(model):
    """The encoder reads the content without knowing the style."""
    content = random(1, 3, 16, 16)
    with torch.no_grad():
        maps = model.encode(content)
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 16, 16), (8, 8, 8), (12, 4, 4)]
    # By hand: the first convolution of the picture from -1 to 1, its border mirrored.
    padded = torch.nn.functional.pad(2 * content - 1, [2] * 4, mode="reflect")
    layer = model.encoder[0]
    expected = torch.nn.functional.conv2d(padded, layer.weight, layer.bias)
    torch.testing.assert_close(maps[0], expected)


def test_statistics_by_hand(model):
    style = random(1, 3, 16, 16)
    with torch.no_grad():
        rows = model.encode(style)[-1].flatten(2)[0]
        gram = model.statistics(style)[0]
    expected = torch.stack([torch.stack([(a * b).mean() for b in rows]) for a in rows])
    torch.testing.assert_close(gram, expected / expected.trace() * 12)


def test_gradient_reaches_every_weight(model):
    painted = model(random(1, 3, 16, 16), random(1, 3, 16, 16).flip(3))
    painted.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.match.weight.grad.abs().sum() > 0


def test_parameters_by_hand():
    convolutions = [(3, 16, 5), (16, 32, 3), (32, 48, 3), (80, 32, 3), (48, 16, 3), (16, 3, 5)]
    expected = sum(o * (c * k * k + 1) for c, o, k in convolutions)
    expected += 48 * 48 + 3 * 2 * (48 * (9 * 48 + 1) + 2 * 48)
    assert sum(p.numel() for p in FastStyle().parameters()) == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: FastStyle(width=0), ValueError, "width .* at least 1"),
        (lambda: FastStyle(blocks=-1), ValueError, "blocks .* at least 0"),
        (lambda: CoMatch(2.5), TypeError, "channels .* integer, got 2.5"),
        (
            lambda: FastStyle(4)(random(3, 8, 8), random(1, 3, 8, 8)),
            ValueError,
            r"pictures of shape \(N, 3, H, W\), got \(3, 8, 8\)",
        ),
        (
            lambda: FastStyle(4)(random(1, 3, 8, 8), random(1, 1, 8, 8)),
            ValueError,
            r"style pictures of shape \(N, 3, H, W\), got \(1, 1, 8, 8\)",
        ),
        (
            lambda: CoMatch(3)(random(1, 3, 4, 4), random(1, 4, 4)),
            ValueError,
            r"\(N, 3, 3\), got \(1, 4, 4\)",
        ),
        (
            lambda: CoMatch(3)(random(3, 3, 4, 4), random(2, 3, 3)),
            ValueError,
            "1 or 3 Gram matrices, got 2",
        ),
        (lambda: FastStyle(4)("cat", random(1, 3, 8, 8)), TypeError, "torch.Tensor, got 'cat'"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
