"""Adversarial losses, PatchGAN and line drawings, against hand-computed numbers and oracles."""

import math

import numpy as np
import pytest
import scipy.ndimage
import skimage.feature
import torch
import torch.nn.functional as F
from torch import nn

from dlip.data import fashion, line_drawings, sample_image
from dlip.gan import discriminator_loss, generator_loss, gradient_distance
from dlip.models import PatchGAN


def logit(probability):
    return math.log(probability / (1 - probability))


# losses


def test_discriminator_loss_by_hand():
    # D says 0.8 of one real picture and 0.3 of one painted picture
    loss = discriminator_loss(torch.tensor([logit(0.8)]), torch.tensor([logit(0.3)]))
    assert loss.item() == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2, abs=1e-6)


def test_discriminator_loss_is_half_the_sum_of_the_means():
    real = torch.tensor([[[[logit(0.9), logit(0.6)]]]])
    painted = torch.tensor([[[[logit(0.5), logit(0.1), logit(0.2)]]]])  # other patches count too
    expected = -(math.log(0.9) + math.log(0.6)) / 4
    expected -= (math.log(0.5) + math.log(0.9) + math.log(0.8)) / 6
    assert discriminator_loss(real, painted).item() == pytest.approx(expected, abs=1e-6)


def test_generator_loss_by_hand():
    painted = torch.tensor([[[[0.2, 0.4]]]])
    wanted = torch.tensor([[[[0.5, 0.3]]]])
    scores = torch.tensor([logit(0.25), logit(0.5)])
    deceive = -(math.log(0.25) + math.log(0.5)) / 2
    for weight in (0, 1, 100):
        loss = generator_loss(scores, painted, wanted, weight=weight)
        assert loss.item() == pytest.approx(deceive + weight * 0.2, rel=1e-6)


def test_generator_loss_has_the_weight_of_the_paper_for_values_from_minus_1_to_1():
    painted, wanted = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    loss = generator_loss(torch.tensor([0.0]), painted, wanted)
    assert loss.item() == pytest.approx(100 + math.log(2))


def test_losses_are_those_of_pytorch():
    scores = torch.linspace(-6, 6, 48).reshape(2, 2, 3, 4)
    real, painted = scores.clone().requires_grad_(), scores.flip(0).clone().requires_grad_()
    one, zero = torch.ones_like(scores), torch.zeros_like(scores)
    bce = F.binary_cross_entropy_with_logits
    expected = (bce(real, one) + bce(painted, zero)) / 2
    loss = discriminator_loss(real, painted)
    torch.testing.assert_close(loss, expected)
    gradients = zip(
        torch.autograd.grad(loss, [real, painted]),
        torch.autograd.grad(expected, [real, painted]),
        strict=True,
    )
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs)
    same = torch.zeros(1)
    torch.testing.assert_close(generator_loss(scores, same, same), bce(scores, one))


def test_losses_do_not_overflow():
    far = torch.tensor([1000.0])
    assert discriminator_loss(-far, far).item() == 1000
    assert discriminator_loss(far, -far).item() == 0
    assert generator_loss(-far, torch.zeros(1), torch.zeros(1)).item() == 1000


def test_the_generator_still_learns_where_the_first_form_of_the_loss_is_flat():
    score = torch.tensor([-8.0], requires_grad=True)  # the discriminator is sure: painted
    (strong,) = torch.autograd.grad(generator_loss(score, score * 0, score * 0), score)
    (weak,) = torch.autograd.grad(torch.log(1 - score.sigmoid()).mean(), score)
    assert strong.item() == pytest.approx(-1, abs=1e-3)
    assert abs(weak.item()) < 1e-3


def test_losses_refuse_what_they_cannot_use():
    scores, picture = torch.zeros(3), torch.zeros(1, 1, 4, 4)
    with pytest.raises(TypeError, match=r"expected real as a floating-point tensor, got \[1\]"):
        discriminator_loss([1], scores)
    with pytest.raises(TypeError, match=r"expected painted as a floating-point tensor"):
        discriminator_loss(scores, scores.long())
    with pytest.raises(TypeError, match=r"expected scores as a floating-point tensor"):
        generator_loss(scores > 0, picture, picture)
    with pytest.raises(ValueError, match=r"of one shape, got \(1, 1, 4, 4\) and \(4, 4\)"):
        generator_loss(scores, picture, picture[0, 0])
    with pytest.raises(ValueError, match=r"a weight of at least 0, got -1"):
        generator_loss(scores, picture, picture, weight=-1)
    with pytest.raises(ValueError, match=r"a weight of at least 0, got nan"):
        generator_loss(scores, picture, picture, weight=math.nan)


# how real


def test_gradient_distance_by_hand():
    flat = torch.zeros(1, 1, 2, 3)  # two gradients, of length 0
    step = torch.tensor([[[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]]])  # lengths 0 and 1
    corner = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])  # one gradient, of length √2
    assert gradient_distance(flat, step) == 0.5
    assert gradient_distance(step, flat) == 0.5
    assert gradient_distance(flat, corner) == 1
    assert gradient_distance(step, step) == 0
    assert gradient_distance(flat, step, bins=1) == 0


def test_gradient_distance_against_numpy():
    cat, coffee = (sample_image(name, gray=True, size=64)[0] for name in ("cat", "coffee"))
    shares = []
    for picture in (cat.numpy(), coffee.numpy()):
        lengths = np.hypot(np.diff(picture, axis=1)[:-1], np.diff(picture, axis=0)[:, :-1])
        shares.append(np.histogram(lengths, 20, (0, math.sqrt(2)))[0] / lengths.size)
    expected = abs(shares[0] - shares[1]).sum() / 2
    assert expected > 0.05
    assert gradient_distance(cat, coffee) == pytest.approx(expected, abs=1e-3)


def test_blurring_moves_pictures_away_from_real_ones():
    pictures, _ = fashion("test")
    first, second = pictures[:500], pictures[500:]
    distances = [gradient_distance(first, second)]
    for sigma in (0.5, 1.0, 2.0):
        blurred = scipy.ndimage.gaussian_filter(first.numpy(), (0, 0, sigma, sigma))
        distances.append(gradient_distance(torch.from_numpy(blurred).clamp(0, 1), second))
    assert distances == sorted(distances)
    assert distances[0] < 0.02
    assert distances[-1] > 0.2


def test_gradient_distance_refuses_what_it_cannot_use():
    picture = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"at least 2×2 pixels, got \(1, 1, 4, 1\)"):
        gradient_distance(picture[..., :1], picture)
    with pytest.raises(ValueError, match="values from 0 to 1"):
        gradient_distance(picture, picture - 0.5)
    with pytest.raises(ValueError, match="values from 0 to 1"):
        gradient_distance(picture, picture * math.nan)
    with pytest.raises(ValueError, match="bins to be at least 1, got 0"):
        gradient_distance(picture, picture, bins=0)


# PatchGAN


@pytest.mark.parametrize(
    ("size", "layers", "scores"),
    [(28, 1, 12), (32, 1, 14), (28, 2, 5), (256, 3, 30), (29, 1, 12), (24, 3, 1)],
)
def test_shape_of_the_scores(size, layers, scores):
    judge = PatchGAN(2, width=2, layers=layers).eval()
    assert judge(torch.zeros(3, 2, size, size)).shape == (3, 1, scores, scores)


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (5, 286)])
def test_a_score_depends_on_a_patch_of_the_side_that_the_paper_says(layers, side):
    judge = PatchGAN(1, width=2, layers=layers).double().eval()
    for parameter in judge.parameters():
        nn.init.constant_(parameter, 0.5)  # so that no gradient happens to be zero
    picture = torch.ones(1, 1, side + 60, side + 60, dtype=torch.double, requires_grad=True)
    scores = judge(picture)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    rows, columns = picture.grad[0, 0].nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == side
    assert columns.max() - columns.min() + 1 == side


def test_a_far_pixel_changes_nothing():
    judge = PatchGAN(2, layers=1).eval()
    pairs = torch.cat([line_drawings(fashion("test")[0][:1]), fashion("test")[0][:1]], dim=1)
    changed = pairs.clone()
    changed[..., -1, -1] += 1
    with torch.no_grad():
        difference = (judge(pairs) - judge(changed)).abs()[0, 0]
    # score (i, j) sees pixels 2 i − 5 … 2 i + 10 of 28
    assert (difference[:9] == 0).all()
    assert (difference[:, :9] == 0).all()
    assert difference[9:, 9:].min() > 0


@pytest.mark.parametrize(
    ("channels_in", "layers", "parameters"),
    # 6 channels and 3 layers are those of the original, which reports 2.769 million
    [(6, 3, 2_768_705), (2, 1, 64 * 2 * 16 + 64 + 128 * 64 * 16 + 2 * 128 + 128 * 16 + 1)],
)
def test_number_of_parameters(channels_in, layers, parameters):
    judge = PatchGAN(channels_in, layers=layers)
    assert sum(p.numel() for p in judge.parameters()) == parameters


def test_layers_are_those_of_the_paper():
    """C64-C128-C256-C512 and a convolution to one channel, written out by hand."""
    original = nn.Sequential(
        nn.Conv2d(6, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.LeakyReLU(0.2),
        nn.Conv2d(256, 512, 4, 1, 1, bias=False),
        nn.BatchNorm2d(512),
        nn.LeakyReLU(0.2),
        nn.Conv2d(512, 1, 4, 1, 1),
    )
    judge = PatchGAN(6)
    weights = zip(original.state_dict(), judge.state_dict().values(), strict=True)
    original.load_state_dict(dict(weights))
    photo = sample_image("cat", size=96)[None]
    pairs = torch.cat([photo, photo.flip(3)], dim=1)
    scores = judge(pairs)
    assert scores.std() > 0
    torch.testing.assert_close(scores, original(pairs))


def test_weights_start_small_as_in_the_paper():
    torch.manual_seed(0)
    judge = PatchGAN(2)
    weights = torch.cat([m.weight.flatten() for m in judge.modules() if isinstance(m, nn.Conv2d)])
    assert weights.mean().abs() < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


def test_channels_double_up_to_eight_times_the_width():
    widths = [m.out_channels for m in PatchGAN(1, 4, 5).modules() if isinstance(m, nn.Conv2d)]
    assert widths == [4, 8, 16, 32, 32, 32, 1]


def test_patch_gan_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="layers to be at least 1, got 0"):
        PatchGAN(2, layers=0)
    with pytest.raises(TypeError, match=r"channels_in to be an integer, got 2\.0"):
        PatchGAN(2.0)
    judge = PatchGAN(2, width=4, layers=1)
    with pytest.raises(ValueError, match=r"shape \(N, 2, H, W\), got \(1, 1, 28, 28\)"):
        judge(torch.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match=r"shape \(N, 2, H, W\), got \(2, 28, 28\)"):
        judge(torch.zeros(2, 28, 28))
    with pytest.raises(ValueError, match=r"at least 6×6 pixels .* got \(28, 5\)"):
        judge(torch.zeros(1, 2, 28, 5))
    assert judge(torch.zeros(2, 2, 6, 6)).shape == (2, 1, 1, 1)


# line drawings


def test_outline_of_a_square_is_a_closed_line_one_pixel_wide():
    picture = torch.zeros(1, 1, 28, 28)
    picture[..., 7:21, 7:21] = 0.3  # else the edge lies between two pixels, and both are marked
    picture[..., 8:20, 8:20] = 1
    (lines,) = line_drawings(picture)[0].numpy()
    assert set(np.unique(lines)) == {0, 1}
    areas, count = scipy.ndimage.label(lines == 0)  # neighbours by side only
    assert count == 2  # inside and outside
    assert areas[14, 14] != areas[0, 0]
    assert lines[14].sum() == lines[:, 14].sum() == 2  # through the middle: two lines


def test_a_thing_at_the_border_gets_an_outline_there():
    picture = torch.zeros(1, 1, 28, 28)
    picture[..., :12] = 1  # touches the left, upper and lower border
    lines = line_drawings(picture)[0, 0]
    assert lines[4:-4, :2].sum() >= 20
    without = skimage.feature.canny(picture[0, 0].numpy(), 1.0, 0.1, 0.2)
    assert without[4:-4, :2].sum() == 0  # which is why there is a margin


def test_away_from_the_border_it_is_scikit_image():
    photo = sample_image("camera", gray=True, size=100)
    expected = skimage.feature.canny(photo[0].numpy(), 1.0, 0.1, 0.2)
    lines = line_drawings(photo[None])[0, 0].numpy() > 0
    assert expected[8:-8, 8:-8].sum() > 500
    assert (lines[8:-8, 8:-8] != expected[8:-8, 8:-8]).mean() < 0.002


def test_each_picture_by_itself():
    pictures, _ = fashion("test")
    together = line_drawings(pictures[:5])
    alone = torch.cat([line_drawings(picture[None]) for picture in pictures[:5]])
    assert torch.equal(together, alone)
    assert together.shape == (5, 1, 28, 28)
    assert together.dtype == torch.float32
    assert line_drawings(pictures[:2].double()).dtype == torch.float64


def test_line_drawings_refuse_what_they_cannot_use():
    with pytest.raises(TypeError, match="expected pictures as a floating-point tensor"):
        line_drawings(np.zeros((1, 1, 8, 8)))
    with pytest.raises(TypeError, match="expected pictures as a floating-point tensor"):
        line_drawings(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"shape \(N, 1, H, W\), got \(1, 3, 8, 8\)"):
        line_drawings(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="NaN or infinity"):
        line_drawings(torch.full((1, 1, 8, 8), math.nan))
