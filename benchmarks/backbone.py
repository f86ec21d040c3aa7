"""The frozen backbone over images: torch eager, torch bfloat16 and ONNX Runtime, in milliseconds per image.

    python benchmarks/backbone.py [--images 48] [--threads N]

Random weights serve as well as ImageNet's: the time does not depend on them. With one thread it is time of the
processor, which other work on the machine disturbs less; with more it is time by the clock.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.embeddings import PooledExtractor
from earmark.models.backbone import Backbone
from earmark.models.network import Draw, Pooled
from earmark.spectrogram import MEL


def best(run: Callable[[], object], images: int, clock: Callable[[], float], rounds: int = 3) -> float:
    """Milliseconds per image, the best of some rounds after one to warm up."""
    run()
    seconds = []
    for _ in range(rounds):
        began = clock()
        run()
        seconds.append(clock() - began)
    return 1000 * min(seconds) / images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    images, threads = options.images, options.threads
    clock = time.process_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    backbone = Backbone(MobileNetV2Model(MobileNetV2Config(tf_padding=True)), "random").freeze()
    pictures = np.random.default_rng(0).integers(0, 256, (images, *MEL.shape), dtype=np.uint8)
    pooled = Pooled(Draw(*MEL.shape), backbone).eval()

    def eager(bfloat16: bool) -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            for first in range(0, images, 8):
                pooled(torch.from_numpy(pictures[first : first + 8]))

    extract = PooledExtractor(backbone, MEL.shape, threads=threads)
    found = {
        "torch eager": best(lambda: eager(False), images, clock),
        "torch bfloat16": best(lambda: eager(True), images, clock),
        "ONNX Runtime (used)": best(lambda: extract(pictures), images, clock),
    }
    base = found["torch eager"]
    print(f"{threads} of {os.cpu_count()} processors, {images} images, drawing included")
    for name, milliseconds in found.items():
        print(f"{name:22s} {milliseconds:7.1f} ms per image   {base / milliseconds:5.1f} times torch eager")


if __name__ == "__main__":
    main()
