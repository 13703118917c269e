"""How fast dlip.explain is, against the packages that do the same: `make bench`.

Occlusion against Captum, Grad-CAM against grad-cam and torchcam; EfficientNet-Lite0 and a
photograph of 224×224 pixels. All results of a comparison come from this one run, in which the
contestants take turns, so that other work of the machine slows all of them. The first numbers
are medians of the rounds, the second the best ones, which other work disturbs less. The
results are compared, too: fast and different would not count.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import captum.attr
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

import dlip


def main() -> None:
    """Run the comparisons and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    options.add_argument("--quick", action="store_true", help="leave out the stride of 8 pixels")
    rounds = options.parse_args().rounds
    quick = options.parse_args().quick

    pretrained = dlip.zoo.pretrained("efficientnet_lite0")
    image = pretrained.preprocess(dlip.data.sample_image("cat"))
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {rounds} rounds")
    for stride in [16] if quick else [16, 8]:
        occlusion(pretrained.model, image, stride, rounds)
    grad_cam(pretrained.model, image, rounds)


def occlusion(model: torch.nn.Module, image: Tensor, stride: int, rounds: int) -> None:
    """Compare the drops of a class's score, window by window."""
    with torch.no_grad():
        target = int(model(image[None]).argmax())
    contestants = {
        "dlip": lambda: dlip.explain.occlusion(model, image, target, window=32, stride=stride),
        "captum": lambda: captum.attr.Occlusion(model).attribute(
            image[None], (3, 32, 32), (3, stride, stride), target=target
        )[0, 0],
    }
    windows = (-(-(224 - 32) // stride) + 1) ** 2
    compare(f"occlusion, window 32, stride {stride}: {windows} windows", contestants, rounds)


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
        "dlip, finding the layer": lambda: dlip.explain.grad_cam(model, image, target),
        "grad-cam": by_grad_cam,
        "torchcam": by_torchcam,
    }
    compare("Grad-CAM", contestants, 4 * rounds, scale=True)


def compare(
    title: str,
    contestants: dict[str, Callable[[], Tensor]],
    rounds: int,
    scale: bool = False,
) -> None:
    """Time the contestants in turns, after one round to warm up; check and print."""
    results = {name: run().detach() for name, run in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)

    print(f"\n{title}")
    ours, own, best = results["dlip"], median(times["dlip"]), min(times["dlip"])
    for name, result in results.items():
        # The other packages scale their maps to 0 … 1.
        one, other = (_scaled(m) if scale else m for m in (ours, result))
        difference = ((one - other).abs().max() / one.abs().max()).item()
        if difference > 1e-3:  # of the largest value
            raise SystemExit(f"{name} gives another result: it differs by {difference:.1%}")
        seconds = median(times[name])
        print(
            f"  {name:24} {1000 * seconds:8.0f} ms   {seconds / own:5.2f} × dlip   best "
            f"{1000 * min(times[name]):6.0f} ms   {min(times[name]) / best:5.2f} × dlip   "
            f"largest difference {difference:.0e}"
        )


def _scaled(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


if __name__ == "__main__":
    main()
