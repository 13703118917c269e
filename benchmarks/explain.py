"""How fast dlip.explain is, against the packages that do the same: `make bench`.

Occlusion against Captum, Grad-CAM against grad-cam and torchcam, all with their default
settings, on EfficientNet-Lite0 and a photograph of 224×224 pixels.

The contestants take turns: in every round each is timed once, and the round gives one ratio to
dlip. What counts is the median of these ratios. So other work of the machine, which slows
neighbours in time alike, and single interruptions change it little. The results are compared,
too, and have to agree: fast and different would not count.
"""

import argparse
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median, quantiles

import captum.attr
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

import dlip

RIVALS = ("captum", "grad-cam", "torchcam")


def main() -> None:
    """Run the comparisons and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7, help="at least 3; the median counts")
    options.add_argument("--quick", action="store_true", help="leave out the stride of 8 pixels")
    rounds = max(options.parse_args().rounds, 3)
    quick = options.parse_args().quick

    print(dlip.env.report())
    print(*(f"{name:<16}  {version(name)}" for name in RIVALS), sep="\n")
    print(f"{'threads':<16}  {torch.get_num_threads()} of PyTorch")
    if hasattr(os, "getloadavg"):
        print(f"{'load before':<16}  {os.getloadavg()[0]:.1f} processes, in the last minute")

    pretrained = dlip.zoo.pretrained("efficientnet_lite0")
    image = pretrained.preprocess(dlip.data.sample_image("cat"))
    for stride in [16] if quick else [16, 8]:
        occlusion(pretrained.model, image, stride, rounds)
    grad_cam(pretrained.model, image, 6 * rounds)


def occlusion(model: torch.nn.Module, image: Tensor, stride: int, rounds: int) -> None:
    """Compare the drops of a class's score, window by window."""
    with torch.no_grad():
        target = int(model(image[None]).argmax())
    contestants = {
        "dlip": lambda: dlip.explain.occlusion(model, image, target, window=32, stride=stride),
        "Captum": lambda: captum.attr.Occlusion(model).attribute(
            image[None], (3, 32, 32), (3, stride, stride), target=target
        )[0, 0],
    }
    windows = (-(-(224 - 32) // stride) + 1) ** 2
    title = f"Occlusion, window 32, stride {stride}: {windows} windows"
    compare(title, contestants, rounds, tolerance=1e-4)


def grad_cam(model: torch.nn.Module, image: Tensor, rounds: int) -> None:
    """Compare Grad-CAM of the last feature maps, from the loaded model to the finished map."""
    with torch.no_grad():
        target = int(model(image[None]).argmax())

    def by_grad_cam() -> Tensor:
        with pytorch_grad_cam.GradCAM(model, [model.features]) as explain:
            return torch.from_numpy(explain(image[None], [ClassifierOutputTarget(target)])[0])

    def by_torchcam() -> Tensor:
        with torchcam.methods.GradCAM(model, target_layer="features") as explain:
            (small,) = explain(target, model(image[None]))
        return torch.nn.functional.interpolate(small[None], (224, 224), mode="bilinear")[0, 0]

    contestants = {
        "dlip": lambda: dlip.explain.grad_cam(model, image, target, layer="features"),
        "dlip, finding layer": lambda: dlip.explain.grad_cam(model, image, target),
        "grad-cam": by_grad_cam,
        "torchcam": by_torchcam,
    }
    # grad-cam enlarges with OpenCV, and scales twice.
    compare("Grad-CAM of the last maps", contestants, rounds, tolerance=1e-3, scale=True)


def compare(
    title: str,
    contestants: dict[str, Callable[[], Tensor]],
    rounds: int,
    tolerance: float,
    scale: bool = False,
) -> None:
    """Time the contestants in turns, after one round to warm up; check and print.

    `tolerance` is the largest difference allowed, as a part of the largest value; `scale`
    says that the other packages scale their results to 0 … 1.
    """
    print(f"\n{title} ({rounds} rounds)", flush=True)
    results = {name: run().detach() for name, run in contestants.items()}
    names = list(contestants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:  # each is first in turn
            start = time.perf_counter()
            contestants[name]()
            times[name].append(time.perf_counter() - start)

    print(f"  {'':20}    median      best   time / dlip's: median, middle half   difference")
    for name, result in results.items():
        one, other = (_scaled(m) if scale else m for m in (results["dlip"], result))
        difference = ((one - other).abs().max() / one.abs().max()).item()
        ratios = [t / own for t, own in zip(times[name], times["dlip"], strict=True)]
        low, _, high = quantiles(ratios, n=4)
        print(
            f"  {name:20} {1000 * median(times[name]):6.0f} ms {1000 * min(times[name]):6.0f} ms"
            f"{median(ratios):14.2f} × {f'({low:.2f} … {high:.2f})':>20}"
            f"{difference:15.0e}"
        )
        if difference > tolerance:
            raise SystemExit(f"{name} gives another result: {difference:.1e} of the largest value")


def _scaled(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


if __name__ == "__main__":
    main()
