"""One fine-tuned fold in seconds, the bundle's graph in milliseconds per 30 s clip, and how long it takes to load.

    python benchmarks/finetune.py [--clips 800] [--epochs 40] [--threads 2] [--steps 8]

Random weights and spectrograms serve as well as real ones: the time does not depend on them. A fold is not trained to
its end; the time of its parts is measured on a few batches and multiplied.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import onnxruntime as ort
import torch
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.models.backbone import Backbone
from earmark.models.convnet import new_convnet
from earmark.models.convnet_config import ConvNetConfig, FineTuneConfig
from earmark.models.export import export_network
from earmark.models.storage import halve_weights
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
    backbone = Backbone(MobileNetV2Model(MobileNetV2Config(tf_padding=True)), "random").freeze()
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

    graph = halve_weights(export_network(network.fold(), *MEL.shape))
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    began = time.perf_counter()
    session = ort.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    load = time.perf_counter() - began
    times = []
    for _ in range(15):
        began = time.perf_counter()
        session.run(None, {"spectrogram": clips[:1]})
        times.append(time.perf_counter() - began)
    print(f"graph with 16-bit weights     {len(graph) / 1e6:8.2f} MB, loaded in {1000 * load:.0f} ms")
    print(f"a 30 s clip on one core       {1000 * min(times):8.1f} ms, median {1000 * float(np.median(times)):.1f}")


if __name__ == "__main__":
    main()
