#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long ONNX Runtime takes for models of sound and of texts with images as onnxport and as optimum write them, and how large
the files are.

    PEERS/optimum/bin/python benchmarks/signals.py --onnxport build/bin/onnxport [MODEL.json...]

Weights, runs and what a row tells are as in images.py. Ends with 1 where a file of onnxport's is larger, or slower by more than
such a run's spread.
"""

import argparse
import dataclasses
import gc
import pathlib
import tempfile

import numpy

import images
import in_turn

MODELS = pathlib.Path(__file__).parent / "models"
USUAL = [MODELS / f"{name}.json" for name in ("clip-base", "siglip-base", "wav2vec2-base")]
TEXTS = 3  # that an image is compared with


@dataclasses.dataclass
class Kind:
    """How a type of model is compared: onnxport's feature, optimum's task, and the sizes of what it is given."""

    feature: str
    task: str
    shape: str  # in words
    size: tuple[int, int] = (224, 224)
    tokens: int = 0
    samples: int = 0


KINDS = {
    "clip": Kind("default", "zero-shot-image-classification", "3 texts, 224x224", tokens=77),
    "siglip": Kind("default", "zero-shot-image-classification", "3 texts, 224x224", tokens=64),
    "wav2vec2": Kind("ctc", "automatic-speech-recognition", "5 s", samples=5 * 16000),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=USUAL, help="config.json of each model")
    in_turn.add_arguments(parser)
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints and files are made, and stay")
    return parser.parse_args()


class Model(images.Model):
    """A random checkpoint, and the files that both exporters make of it."""

    kinds = KINDS

    def files(self):
        return [self.exported() / "model.onnx", self.peers(self.kind.task) / "model.onnx"]

    def inputs(self, session, batch):
        """Random texts without padding, whose last token is the largest, a random image, or a random sound."""
        draw, kind = numpy.random.default_rng(0), self.kind
        vocabulary = self.config.get("text_config", {}).get("vocab_size", 1)
        ids = draw.integers(0, vocabulary, (TEXTS * batch, kind.tokens))
        ids[:, -1:] = vocabulary - 1
        given = {"input_ids": ids, "attention_mask": numpy.ones_like(ids),
                 "pixel_values": draw.standard_normal((batch, 3, *kind.size), numpy.float32),
                 "input_values": draw.standard_normal((batch, kind.samples), numpy.float32)}
        return {entry.name: given[entry.name] for entry in session.get_inputs()}


def main():
    options = arguments()
    missed = 0
    print("of two figures the first is onnxport's")
    print(f"{'model':20} {'given':>17} {'ms':>14} {'times as fast':>14} {'apart':>7} {'MB':>15} {'nodes':>11} {'Shape':>7}")
    with tempfile.TemporaryDirectory(prefix="onnxport-signals-") as made:
        for path in options.configs:
            model = Model(path, options, options.scratch or pathlib.Path(made))
            files = model.files()
            own, other, ratio, apart = in_turn.compared(files, lambda session: model.inputs(session, 1), options)
            sizes, counts = [images.megabytes(file) for file in files], [images.nodes(file) for file in files]
            worse = [word for word, holds in (("slower", ratio < in_turn.EVEN), ("larger", sizes[0] > sizes[1]),
                                              ("more nodes", counts[0][0] >= counts[1][0])) if holds]
            missed += bool(worse)
            print(f"{model.name:20} {model.kind.shape:>17} {own * 1e3:6.0f} {other * 1e3:7.0f} {ratio:14.2f} {apart:7.0e}"
                  f" {sizes[0]:7.1f} {sizes[1]:7.1f} {counts[0][0]:5} {counts[1][0]:5} {counts[0][1]:3} {counts[1][1]:3}"
                  f"{'  ' + ' and '.join(worse) if worse else ''}", flush=True)
            gc.collect()
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
