"""One fine-tuned fold in seconds; of the bundle that ships, how long it takes to load and to hear a 30 s clip.

    python benchmarks/finetune.py [--clips 800] [--epochs 40] [--threads 2] [--steps 8]

Random weights and spectrograms serve as well as real ones, as long as gradients do not vanish on their way down:
numbers too small for the usual form take a processor several times longer. A fold is not trained to its end; the time
of its parts is measured on a few batches and multiplied.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.models.backbone import Backbone
from earmark.models.convnet import new_convnet
from earmark.models.convnet_config import ConvNetConfig, FineTuneConfig
from earmark.predict import Classifier, packaged_bundle
from earmark.spectrogram import MEL
from earmark.tuning_loop import TuningLoop


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=FineTuneConfig().epochs)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config, training = ConvNetConfig(), FineTuneConfig(epochs=3)
    random = MobileNetV2Model(MobileNetV2Config(tf_padding=True))
    for layer in random.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    backbone = Backbone(random, "random").freeze()
    network = new_convnet(config, backbone, 10, seed=0)
    count = options.steps * training.batch_size
    clips = np.random.default_rng(0).integers(0, 256, (count, *MEL.shape), dtype=np.uint8)
    targets = np.arange(count, dtype=np.int64) % 10

    loop = TuningLoop(training, options.device)
    loop.begin(network, clips, targets, 10, seed=0)
    seconds = []
    for epoch in range(1, training.epochs + 1):
        began = time.perf_counter()
        loop.epoch(epoch)
        loop.tallies()
        seconds.append((time.perf_counter() - began) / count)
    learning = min(seconds)
    print(f"{options.device}, {options.threads} threads, batches of {training.batch_size}")
    print(f"training                      {1000 * learning:8.1f} ms per clip and epoch")
    print(
        f"a fold of {options.clips} clips, {options.epochs} epochs {options.clips * options.epochs * learning:8.0f} s"
    )

    # The first load in a process is the one that somebody waits for.
    began = time.process_time()
    classifier = Classifier()
    print(f"{packaged_bundle().name}: {packaged_bundle().stat().st_size / 1e6:.1f} MB, loaded in "
          f"{1000 * (time.process_time() - began):.0f} ms of the processor")  # fmt: skip
    samples = np.random.default_rng(0).normal(0, 0.1, int(30 * MEL.sample_rate)).astype(np.float32)
    picture = classifier.look(samples)[None]
    for what, ask in (
        ("a 30 s clip's spectrogram to answer", lambda: classifier.window_probabilities(picture)),
        ("a 30 s clip's samples to answer", lambda: classifier.classify_samples(samples, MEL.sample_rate)),
    ):
        times = []
        for _ in range(15):
            began = time.process_time()
            ask()
            times.append(time.process_time() - began)
        print(f"{what:38s} {1000 * min(times):6.1f} ms of one core, median {1000 * float(np.median(times)):.1f}")


if __name__ == "__main__":
    main()
