#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long ONNX Runtime takes for encoders as onnxport and as optimum write them.

    PEERS/optimum/bin/python benchmarks/encoders.py --onnxport build/bin/onnxport [MODEL.json...]

Of each config a random checkpoint is made. Both files of a model are loaded at once and run in turn, each round the other
way about, so that a machine's drift meets both alike; a row tells the medians and the median of the rounds' ratios. Where
optimum's file takes but the shape that it was traced with (longformer), it is traced for each. Ends with 1 where a file of
onnxport's is slower, or, of a model with windows and 2048 tokens, less than 1.5 times as fast.
"""

import argparse
import pathlib
import tempfile

import numpy

import in_turn

MODELS = pathlib.Path(__file__).parent / "models"
USUAL = [MODELS / f"{name}.json" for name in ("deberta-v2-base", "modernbert-base", "longformer-base")]
SHAPES = ((1, 128), (1, 512), (8, 128), (8, 512))
LONG = (1, 2048)  # of models that say how far a token sees
WINDOWS = ("local_attention", "attention_window")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=USUAL, help="config.json of each model")
    in_turn.add_arguments(parser)
    parser.add_argument("--shape", action="append", metavar="BATCHxTOKENS", help="instead of the usual ones (repeatable)")
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints and files are made, and stay")
    return parser.parse_args()


class Model(in_turn.Checkpoint):
    """A random checkpoint, and the files that both exporters make of it."""

    @property
    def has_windows(self):
        return any(self.config.get(field) for field in WINDOWS)

    def files(self, shape):
        """Optimum's is traced with the shape where it would take no other."""
        fixed = self.config["model_type"] == "longformer"
        name = "optimum" + (f"-{shape[0]}x{shape[1]}" if fixed else "")
        sizes = {"batch_size": shape[0], "sequence_length": shape[1]} if fixed else {}
        folders = self.exported(), self.peers("feature-extraction", name, **sizes)
        return [folder / "model.onnx" for folder in folders]

    def inputs(self, session, shape):
        draw = numpy.random.default_rng(0)
        given = {"input_ids": draw.integers(3, self.config["vocab_size"], shape),
                 "attention_mask": numpy.ones(shape, numpy.int64)}
        # Segments are all the first, and no token is a global one.
        return {entry.name: given.get(entry.name, numpy.zeros(shape, numpy.int64)) for entry in session.get_inputs()}


def main():
    options = arguments()
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shape or []]
    slow = 0
    print(f"{'model':18} {'batch':>5} {'tokens':>6} {'onnxport':>10} {'optimum':>10} {'times as fast':>14} {'apart':>8}")
    with tempfile.TemporaryDirectory(prefix="onnxport-encoders-") as made:
        for path in options.configs:
            model = Model(path, options, options.scratch or pathlib.Path(made), "default")
            for shape in shapes or [*SHAPES, *[LONG] * model.has_windows]:
                own, other, ratio, apart = in_turn.compared(model.files(shape), lambda session: model.inputs(session, shape),
                                                            options)
                needed = 1.5 if shape == LONG and model.has_windows else 1
                slow += ratio < needed
                print(f"{model.name:18} {shape[0]:5} {shape[1]:6} {own * 1e3:7.1f} ms {other * 1e3:7.1f} ms {ratio:14.2f}"
                      f" {apart:8.0e}{'' if ratio >= needed else f'  expected {needed}'}", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
