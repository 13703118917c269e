"""Detection, against hand-computed cases, torchvision and torchmetrics."""

import math
import sys

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchmetrics.detection import MeanAveragePrecision

from dlip.data import digit_scenes, digits
from dlip.detection import (
    decode,
    default_boxes,
    detect,
    encode,
    hard_negatives,
    match,
    multibox_loss,
)
from dlip.models import DigitSSD

# Scenes


@pytest.fixture(scope="module")
def scenes():
    return digit_scenes(40, "val", seed=5)


def test_shapes_and_ranges_of_scenes(scenes):
    images, targets = scenes
    assert images.shape == (40, 1, 96, 96)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert 0.7 < images.max() <= 1
    for target in targets:
        boxes, labels = target["boxes"], target["labels"]
        assert 1 <= len(boxes) == len(labels) <= 6
        assert boxes.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert boxes.min() >= 0
        assert boxes.max() <= 96
    assert set(torch.cat([t["labels"] for t in targets]).tolist()) == set(range(10))


def test_same_seed_same_scenes_and_the_first_of_many_are_those_of_few(scenes):
    images, targets = scenes
    again, their_targets = digit_scenes(7, "val", seed=5)
    assert torch.equal(again, images[:7])
    for a, b in zip(targets[:7], their_targets, strict=True):
        assert torch.equal(a["boxes"], b["boxes"])
        assert torch.equal(a["labels"], b["labels"])


def test_other_seeds_and_splits_make_other_scenes(scenes):
    images, _ = scenes
    assert not torch.equal(digit_scenes(1, "val", seed=6)[0], images[:1])
    assert not torch.equal(digit_scenes(1, "test", seed=5)[0], images[:1])


def test_scenes_do_not_touch_the_global_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    digit_scenes(2, seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_digits_of_the_splits_are_disjoint():
    """Each scene is composed of the digits of its own split, and these share no picture."""
    module = sys.modules["dlip.data.digit_scenes"]
    parts = {split: module._parts(split) for split in ("train", "val", "test")}
    seen = {}
    for split, (pictures, labels, _) in parts.items():
        assert torch.equal(pictures, digits(split)[0])
        assert torch.equal(labels, digits(split)[1])
        seen[split] = {picture.numpy().tobytes() for picture in pictures}
    assert not seen["train"] & seen["val"]
    assert not (seen["train"] | seen["val"]) & seen["test"]
    train, test = parts["train"][2], parts["test"][2]
    clothes = {picture.numpy().tobytes() for picture in train}
    assert not clothes & {picture.numpy().tobytes() for picture in test}


def test_boxes_are_tight(monkeypatch):
    """Without clutter, every side of a box that stands alone touches ink, and none is outside."""
    module = sys.modules["dlip.data.digit_scenes"]
    monkeypatch.setattr(module, "_clutter", lambda clothes, random: torch.zeros(1, 2, 2))
    monkeypatch.setattr(module, "OVERLAP", 0.0)
    images, targets = digit_scenes(40, "test", seed=2)
    for image, target in zip(images[:, 0], targets, strict=True):
        outside = image.clone()
        for left, top, right, bottom in target["boxes"].int().tolist():
            inside = image[top:bottom, left:right]
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.max() >= 0.2 * 0.7  # the threshold of ink × the darkest digit
            outside[top:bottom, left:right] = 0
        assert outside.max() == 0


def test_sizes_and_overlap_are_as_promised(scenes):
    _, targets = scenes
    boxes = torch.cat([t["boxes"] for t in targets])
    sizes = boxes[:, 2:] - boxes[:, :2]
    longer = sizes.max(dim=1).values
    assert 11 <= longer.min() < 16  # 14 pixels, stretched by 0.85 at the least
    assert 38 < longer.max() <= 46
    covered = []
    for target in targets:
        for i, a in enumerate(target["boxes"]):
            for b in target["boxes"][:i]:
                size = torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])
                smaller = min((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
                covered.append(float(size.clamp(min=0).prod() / smaller))
    assert 0.1 < max(covered) <= 0.3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "expected count to be at least 1, got 0"),
        ((1.5,), TypeError, r"expected count to be an integer, got 1\.5"),
        ((1, "trian"), ValueError, "Did you mean 'train'"),
    ],
)
def test_scenes_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        digit_scenes(*arguments)
    with pytest.raises(ValueError, match="expected seed to be at least 0, got -1"):
        digit_scenes(1, seed=-1)


# Default boxes


def test_default_boxes_by_hand():
    boxes = default_boxes(8, [2, 1], [[(2, 4), (4, 4)], [(6, 2)]])
    assert boxes.tolist() == [
        [1, 0, 3, 4],  # cell (0, 0): centre (2, 2)
        [0, 0, 4, 4],
        [5, 0, 7, 4],  # then to the right: centre (6, 2)
        [4, 0, 8, 4],
        [1, 4, 3, 8],  # then the next row
        [0, 4, 4, 8],
        [5, 4, 7, 8],
        [4, 4, 8, 8],
        [1, 3, 7, 5],  # the second map: centre (4, 4)
    ]


def test_default_boxes_of_the_network():
    model = DigitSSD()
    sizes = model.defaults[:, 2:] - model.defaults[:, :2]
    assert model.defaults.shape == (6 * (24**2 + 12**2 + 6**2), 4)
    torch.testing.assert_close(sizes[0], torch.tensor([0.3 * 15, 15.0]))
    torch.testing.assert_close(sizes[-1], torch.tensor([46.0, 46.0]))
    assert "defaults" not in model.state_dict()


def test_default_boxes_refuse():
    with pytest.raises(ValueError, match="expected shapes for each of 2 maps, got 1"):
        default_boxes(8, [2, 1], [[(2, 4)]])
    with pytest.raises(ValueError, match="above 0"):
        default_boxes(8, [2], [[(2, 0)]])
    with pytest.raises(TypeError, match=r"expected a grid to be an integer, got 2\.5"):
        default_boxes(8, [2.5], [[(2, 2)]])


# Encoding and decoding


@st.composite
def boxes(draw):
    """A box with sides of 1 to 60 pixels, at most partly outside of a picture of 96."""
    x, y = (draw(st.floats(-20, 96, width=32)) for _ in range(2))
    w, h = (draw(st.floats(1, 60, width=32)) for _ in range(2))
    return [x, y, x + w, y + h]


some_boxes = st.lists(st.tuples(boxes(), boxes()), min_size=1, max_size=8)


@given(some_boxes)
def test_decode_is_the_inverse_of_encode(pairs):
    box, default = (torch.tensor(side) for side in zip(*pairs, strict=True))
    torch.testing.assert_close(decode(encode(box, default), default), box, atol=1e-3, rtol=1e-4)


@given(some_boxes, st.lists(st.floats(-8, 8, width=32), min_size=4, max_size=4))
def test_encode_is_the_inverse_of_decode(pairs, offset):
    default = torch.tensor([pair[1] for pair in pairs])
    offsets = torch.tensor(offset).expand(len(default), 4)
    again = encode(decode(offsets, default), default)
    torch.testing.assert_close(again, offsets, atol=2e-2, rtol=1e-3)


@given(some_boxes)
def test_encode_is_that_of_torchvision(pairs):
    from torchvision.models.detection._utils import BoxCoder

    box, default = (torch.tensor(side) for side in zip(*pairs, strict=True))
    theirs = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)).encode_single(box, default)
    torch.testing.assert_close(encode(box, default), theirs, atol=1e-3, rtol=1e-4)


def test_encode_by_hand():
    default = torch.tensor([10.0, 20, 30, 60])  # centre (20, 40), 20 wide, 40 high
    box = torch.tensor([14.0, 10, 34, 90])  # centre (24, 50), 20 wide, 80 high
    expected = [4 / 20 / 0.1, 10 / 40 / 0.1, 0, math.log(2) / 0.2]
    torch.testing.assert_close(encode(box, default), torch.tensor(expected))


@pytest.mark.parametrize("function", [encode, decode])
def test_encode_and_decode_refuse(function):
    with pytest.raises(ValueError, match=r"of shape \(…, 4\), got \(2, 3\)"):
        function(torch.zeros(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"expected defaults of shape \(…, 4\), got \(2, 5\)"):
        function(torch.zeros(2, 4), torch.ones(2, 5))
    with pytest.raises(TypeError, match=r"as a tensor, got \[1\] \(list\)"):
        function([1], torch.ones(2, 4))


# Intersection over union and suppression: by hand, against torchvision


def iou_by_hand(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return both / (sum(areas) - both)


def nms_by_hand(boxes, scores, overlap):
    """The most probable box stays and removes what overlaps it; then the next."""
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [i for i in left if iou_by_hand(boxes[best], boxes[i]) <= overlap]
    return kept


@given(some_boxes)
def test_iou_of_torchvision_is_that_by_hand(pairs):
    a, b = zip(*pairs, strict=True)
    theirs = torchvision.ops.box_iou(torch.tensor(a), torch.tensor(b))
    ours = torch.tensor([[iou_by_hand(x, y) for y in b] for x in a])
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-3)


@given(st.lists(boxes(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_nms_of_torchvision_is_that_by_hand(some, random):
    scores = random.sample([i / 100 for i in range(100)], len(some))  # no two alike
    theirs = torchvision.ops.nms(torch.tensor(some), torch.tensor(scores), 0.451)
    assert theirs.tolist() == nms_by_hand(some, scores, 0.451)


# Matching

DEFAULTS = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20]])


def test_matching_by_hand():
    objects = torch.tensor(
        [
            [1.0, 0, 11, 10],  # 90 of 110 with box 0, 10 of 190 with box 1
            [14, 14, 18, 18],  # 16 of 100 with box 3: below the threshold, but its best
        ]
    )
    assert match(objects, DEFAULTS).tolist() == [0, -1, -1, 1]
    assert match(objects, DEFAULTS, threshold=0.9).tolist() == [0, -1, -1, 1]
    assert match(objects, DEFAULTS, threshold=0.05).tolist() == [0, 0, -1, 1]


def test_the_best_box_of_an_object_is_its_own_even_if_another_overlaps_it_more():
    objects = torch.tensor([[0.0, 0, 10, 10], [2, 2, 5, 5]])  # the second lies in the first
    assert match(objects, DEFAULTS).tolist() == [1, -1, -1, -1]
    # A second default box of that place leaves one for each.
    more = torch.cat([DEFAULTS, torch.tensor([[1.0, 1, 9, 9]])])
    assert match(objects, more).tolist() == [0, -1, -1, -1, 1]


def test_nothing_to_match():
    assert match(torch.zeros(0, 4), DEFAULTS).tolist() == [-1] * 4


def test_matching_agrees_with_torchvision(scenes):
    """torchvision's SSD: the same rule by other code, but that it includes the threshold."""
    from torchvision.models.detection._utils import SSDMatcher

    _, targets = scenes
    defaults = DigitSSD().defaults
    for target in targets:
        theirs = SSDMatcher(0.501)(torchvision.ops.box_iou(target["boxes"], defaults))
        assert torch.equal(match(target["boxes"], defaults, 0.501), theirs)


def test_every_object_of_the_scenes_is_matched(scenes):
    _, targets = scenes
    defaults = DigitSSD().defaults
    for target in targets:
        matched = match(target["boxes"], defaults)
        assert set(matched.tolist()) == {-1, *range(len(target["boxes"]))}


def test_matching_refuses():
    with pytest.raises(ValueError, match=r"expected boxes of shape \(n, 4\), got \(4,\)"):
        match(torch.zeros(4), DEFAULTS)
    with pytest.raises(ValueError, match=r"threshold to be from 0 to 1, got 50 \(int\)"):
        match(DEFAULTS, DEFAULTS, 50)


# Loss


def test_hard_negatives_by_hand():
    loss = torch.tensor([[0.1, 5.0, 0.3, 0.2, 0.4], [3.0, 2.0, 1.0, 0.5, 0.1]])
    positive = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    expected = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
    assert torch.equal(hard_negatives(loss, positive), expected)
    expected = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    assert torch.equal(hard_negatives(loss, positive, ratio=1), expected)


def test_more_negatives_wanted_than_there_are():
    loss, positive = torch.tensor([[1.0, 2, 3]]), torch.tensor([[True, True, False]])
    assert torch.equal(hard_negatives(loss, positive), ~positive)


def test_hard_negatives_refuse():
    with pytest.raises(ValueError, match=r"same shape \(N, P\), got \(1, 3\) and \(3,\)"):
        hard_negatives(torch.zeros(1, 3), torch.zeros(3).bool())
    with pytest.raises(ValueError, match="expected ratio to be at least 1, got 0"):
        hard_negatives(torch.zeros(1, 3), torch.zeros(1, 3).bool(), ratio=0)


def test_multibox_loss_by_hand():
    """One object on default box 0, shifted by 1 of 10 pixels: offset 1 / 10 / 0.1 = 1."""
    targets = [{"boxes": torch.tensor([[1.0, 0, 11, 10]]), "labels": torch.tensor([1])}]
    offsets = torch.zeros(1, 4, 4)
    offsets[0, 0] = torch.tensor([0.5, 2.0, 0, 0])
    scores = torch.zeros(1, 4, 3)  # background and two classes
    scores[0, 0, 2] = math.log(2)  # probabilities 1/4, 1/4, 1/2: the class is 1 + 1
    scores[0, 1, 0] = math.log(8)  # 8/10, 1/10, 1/10
    location, confidence = multibox_loss(offsets, scores, targets, DEFAULTS)
    # smooth L1: 0.5² / 2 for the first offset, 2 − 1/2 for the second
    assert location.item() == pytest.approx(0.125 + 1.5)
    # one matched box, and all three others, because three negatives are wanted
    expected = math.log(2) + 2 * math.log(3) + math.log(10 / 8)
    assert confidence.item() == pytest.approx(expected)


def test_multibox_loss_divides_by_the_matched_boxes_of_the_batch():
    targets = [
        {"boxes": DEFAULTS[:2], "labels": torch.tensor([0, 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    offsets, scores = torch.full((2, 4, 4), 0.2), torch.zeros(2, 4, 3)
    location, confidence = multibox_loss(offsets, scores, targets, DEFAULTS)
    assert location.item() == pytest.approx(2 * 4 * 0.2**2 / 2 / 2)
    assert confidence.item() == pytest.approx(4 * math.log(3) / 2)  # 2 matched, 2 empty


def test_multibox_loss_without_objects_is_zero():
    targets = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]
    scores = torch.zeros(1, 4, 3, requires_grad=True)
    location, confidence = multibox_loss(torch.zeros(1, 4, 4), scores, targets, DEFAULTS)
    assert (location.item(), confidence.item()) == (0, 0)
    (location + confidence).backward()
    assert scores.grad.abs().max() == 0


def test_multibox_loss_is_that_of_torchvision(scenes):
    """torchvision's SSD, whose loss is a method, on answers drawn at random."""
    from torchvision.models.detection.ssd import SSD

    _, targets = scenes
    targets = targets[:6]
    defaults = DigitSSD().defaults
    random = torch.Generator().manual_seed(0)
    offsets = torch.randn(6, len(defaults), 4, generator=random)
    scores = torch.randn(6, len(defaults), 11, generator=random)

    class Theirs(SSD):
        def __init__(self):
            nn.Module.__init__(self)
            from torchvision.models.detection._utils import BoxCoder

            self.box_coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
            self.neg_to_pos_ratio = 3

    theirs = Theirs().compute_loss(
        [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets],
        {"bbox_regression": offsets, "cls_logits": scores},
        [defaults] * 6,
        [match(t["boxes"], defaults) for t in targets],
    )
    location, confidence = multibox_loss(offsets, scores, targets, defaults)
    assert location.item() == pytest.approx(theirs["bbox_regression"].item(), rel=1e-4)
    assert confidence.item() == pytest.approx(theirs["classification"].item(), rel=1e-4)


def test_multibox_loss_refuses():
    targets = [{"boxes": DEFAULTS[:1], "labels": torch.tensor([0])}]
    with pytest.raises(ValueError, match=r"expected offsets \(1, 4, 4\).*got \(2, 4, 4\)"):
        multibox_loss(torch.zeros(2, 4, 4), torch.zeros(2, 4, 3), targets, DEFAULTS)


# The network


def test_forward_shapes():
    model = DigitSSD(classes=4, channels=3)
    offsets, scores = model(torch.rand(2, 3, 96, 96))
    assert offsets.shape == (2, 4536, 4)
    assert scores.shape == (2, 4536, 5)
    assert sum(p.numel() for p in DigitSSD().parameters()) < 600_000


def test_answers_come_in_the_order_of_the_default_boxes():
    """What changes in one corner of the picture changes the answers of boxes near it."""
    torch.manual_seed(0)
    model = DigitSSD().eval()
    blank = torch.zeros(1, 1, 96, 96)
    marked = blank.clone()
    marked[..., 70:74, 10:14] = 1
    with torch.no_grad():
        change = (model(marked)[1] - model(blank)[1]).abs().sum(dim=2)[0]
    centres = (model.defaults[:, :2] + model.defaults[:, 2:]) / 2
    for first, last, reach in [(0, 3456, 21), (3456, 4320, 44)]:  # half a receptive field
        far = ((centres[first:last] - torch.tensor([12.0, 72])).abs() > reach).any(dim=1)
        assert change[first:last][far].max() == 0
        most = centres[first:last][change[first:last].argmax()]
        assert (most - torch.tensor([12.0, 72])).abs().max() < 16


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 1, 96, 96\), got \(1, 1, 128, 128\)"):
        DigitSSD()(torch.zeros(1, 1, 128, 128))
    with pytest.raises(ValueError, match=r"\(N, 1, 96, 96\), got \(1, 3, 96, 96\)"):
        DigitSSD()(torch.zeros(1, 3, 96, 96))
    with pytest.raises(ValueError, match="expected classes to be at least 1"):
        DigitSSD(classes=0)


# Detection


class Answers(nn.Module):
    """A network that always answers the same."""

    def __init__(self, offsets, probabilities):
        super().__init__()
        self.register_buffer("defaults", DEFAULTS)
        self.offsets, self.scores = offsets, torch.tensor(probabilities).log()

    def forward(self, images):
        count = len(images)
        return self.offsets.expand(count, -1, -1), self.scores.expand(count, -1, -1)


def test_detect_by_hand():
    offsets = torch.zeros(1, 4, 4)
    offsets[0, 1, 0] = -9  # box 1 moves by 9 pixels to the left, onto box 0: IoU 90 / 110
    offsets[0, 3, 0] = 8  # box 3 moves by 8 pixels to the right, and is cut off at 24
    model = Answers(
        offsets,
        [[0.1, 0.8, 0.1], [0.15, 0.7, 0.15], [0.7, 0.2, 0.1], [0.05, 0.35, 0.6]],
    )
    images = torch.zeros(2, 1, 20, 24)
    first, second = detect(model, images, threshold=0.3)
    expected = [[0, 0, 10, 10], [18, 10, 24, 20], [18, 10, 24, 20]]
    torch.testing.assert_close(first["boxes"], torch.tensor(expected).float())
    assert first["labels"].tolist() == [0, 1, 0]
    torch.testing.assert_close(first["scores"], torch.tensor([0.8, 0.6, 0.35]))
    assert torch.equal(first["boxes"], second["boxes"])
    # Suppressed only if it overlaps enough, and among boxes of the same class only.
    assert len(detect(model, images, threshold=0.3, overlap=0.9)[0]["labels"]) == 4
    assert len(detect(model, images, threshold=0.3, most=1)[0]["labels"]) == 1
    assert len(detect(model, images, threshold=0.9)[0]["boxes"]) == 0


def test_detect_leaves_the_network_as_it_was():
    model = DigitSSD().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    detect(model, torch.rand(2, 1, 96, 96))
    assert model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_perfect_answers_have_an_average_precision_of_one(scenes):
    """From targets to the network's answers and back, with everything in between."""
    images, targets = scenes
    defaults = DigitSSD().defaults

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("defaults", defaults)

        def forward(self, images):
            offsets = torch.zeros(len(images), len(defaults), 4)
            scores = torch.zeros(len(images), len(defaults), 11)
            scores[..., 0] = 10
            for i, target in enumerate(targets):
                matched = match(target["boxes"], defaults)
                found = matched >= 0
                offsets[i, found] = encode(target["boxes"][matched[found]], defaults[found])
                scores[i, found, target["labels"][matched[found]] + 1] = 20
            return offsets, scores

    metric = MeanAveragePrecision()
    metric.update(detect(Oracle(), images), targets)
    assert metric.compute()["map"].item() == pytest.approx(1)


def test_detect_refuses():
    model = DigitSSD()
    with pytest.raises(ValueError, match=r"\(N, channels, H, W\), got \(1, 96, 96\)"):
        detect(model, torch.zeros(1, 96, 96))
    with pytest.raises(ValueError, match="expected threshold to be from 0 to 1, got 2"):
        detect(model, torch.zeros(1, 1, 96, 96), threshold=2)
    with pytest.raises(ValueError, match="expected overlap to be from 0 to 1, got -1"):
        detect(model, torch.zeros(1, 1, 96, 96), overlap=-1)
    with pytest.raises(TypeError, match=r"expected the model as a torch\.nn\.Module"):
        detect("digit_ssd", torch.zeros(1, 1, 96, 96))


# Average precision


def test_average_precision_by_hand():
    """Four objects, five answers: right, right, wrong, right, wrong, in order of probability.

    Recall and precision after each: (1/4, 1), (2/4, 1), (2/4, 2/3), (3/4, 3/4), (3/4, 3/5).
    The precision at a recall is the largest at this or any higher recall: 1 up to 2/4, then
    3/4 up to 3/4, then 0. COCO takes the mean at the 101 recalls 0, 0.01, …, 1: 51 of them
    are up to 0.5, and 25 more up to 0.75.
    """
    objects = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    answers = torch.stack(
        [
            objects[0],
            objects[1] + torch.tensor([0.0, 0, 0, 2]),  # IoU 100 / 120 = 0.83
            objects[1],  # found already: the second answer for an object is wrong
            objects[2] + torch.tensor([0.0, 0, 3, 0]),  # IoU 100 / 130 = 0.77
            torch.tensor([80.0, 0, 90, 10]),
        ]
    )
    found = {
        "boxes": answers,
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]),
        "labels": torch.zeros(5, dtype=torch.int64),
    }
    target = {"boxes": objects, "labels": torch.zeros(4, dtype=torch.int64)}
    metric = MeanAveragePrecision()
    metric.update([found], [target])
    result = metric.compute()
    assert result["map_50"].item() == pytest.approx((51 * 1 + 25 * 3 / 4) / 101)
