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
import gc
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime

MODELS = pathlib.Path(__file__).parent / "models"
USUAL = [MODELS / f"{name}.json" for name in ("deberta-v2-base", "modernbert-base", "longformer-base")]
SHAPES = ((1, 128), (1, 512), (8, 128), (8, 512))
LONG = (1, 2048)  # of models that say how far a token sees
WINDOWS = ("local_attention", "attention_window")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=USUAL, help="config.json of each model")
    parser.add_argument("--onnxport", default="onnxport", help="the command")
    parser.add_argument("--layers", type=int, metavar="N", help="the first N layers of each model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime")
    parser.add_argument("--shape", action="append", metavar="BATCHxTOKENS", help="instead of the usual ones (repeatable)")
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints and files are made, and stay")
    return parser.parse_args()


def shortened(config, layers):
    """The config with its first layers alone, and what it says of each of them."""
    if layers:
        before, config["num_hidden_layers"] = config["num_hidden_layers"], layers
        for field, value in config.items():
            if isinstance(value, list) and len(value) == before:
                config[field] = value[:layers]
    return config


class Model:
    """A random checkpoint, and the files that both exporters make of it."""

    def __init__(self, path, options, scratch):
        self.name, self.options = path.stem, options
        self.config = shortened(json.loads(path.read_text()), options.layers)
        self.folder = scratch / (self.name + (f"-{options.layers}" if options.layers else ""))
        self.checkpoint = self.folder / "checkpoint"
        if not self.checkpoint.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.json").write_text(json.dumps(self.config))
            self.command("synth", self.folder / "config.json", self.checkpoint, "--feature", "default")

    def command(self, *words):
        subprocess.run([self.options.onnxport, *map(str, words), "--quiet"], check=True)

    @property
    def has_windows(self):
        return any(self.config.get(field) for field in WINDOWS)

    def own_file(self):
        file = self.folder / "onnxport" / "model.onnx"
        self.command("export", "-m", self.checkpoint, "--feature", "default", "--no-validate", file.parent)
        return file

    def peers_file(self, shape):
        """Traced with the shape where it would take no other."""
        fixed = self.config["model_type"] == "longformer"
        folder = self.folder / ("optimum" + (f"-{shape[0]}x{shape[1]}" if fixed else ""))
        if not folder.exists():
            from optimum.exporters.onnx import main_export

            sizes = {"batch_size": shape[0], "sequence_length": shape[1]} if fixed else {}
            main_export(str(self.checkpoint), output=folder, task="feature-extraction", do_validation=False,
                        library_name="transformers", no_post_process=True, **sizes)
        return folder / "model.onnx"

    def inputs(self, session, shape):
        draw = numpy.random.default_rng(0)
        given = {"input_ids": draw.integers(3, self.config["vocab_size"], shape),
                 "attention_mask": numpy.ones(shape, numpy.int64)}
        # Segments are all the first, and no token is a global one.
        return {entry.name: given.get(entry.name, numpy.zeros(shape, numpy.int64)) for entry in session.get_inputs()}


def loaded(file, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def seconds(session, inputs, threads):
    """Of the processor where there is one thread, whoever else uses it meanwhile."""
    clock = time.process_time if threads == 1 else time.perf_counter
    before = clock()
    answered = session.run(None, inputs)
    return clock() - before, answered[0]


def compared(model, shape, options):
    """Medians of both in seconds, the median ratio, and how far their answers are apart."""
    sides = [loaded(file, options.threads) for file in (model.own_file(), model.peers_file(shape))]
    inputs = [model.inputs(session, shape) for session in sides]
    first = [seconds(*pair, options.threads)[1] for pair in zip(sides, inputs)]
    taken = [], []
    for number in range(options.rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            taken[side].append(seconds(sides[side], inputs[side], options.threads)[0])
    ratio = statistics.median(other / own for own, other in zip(*taken))
    return [*map(statistics.median, taken), ratio, float(numpy.abs(first[0] - first[1]).max())]


def main():
    options = arguments()
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shape or []]
    slow = 0
    print(f"{'model':18} {'batch':>5} {'tokens':>6} {'onnxport':>10} {'optimum':>10} {'times as fast':>14} {'apart':>8}")
    with tempfile.TemporaryDirectory(prefix="onnxport-encoders-") as made:
        for path in options.configs:
            model = Model(path, options, options.scratch or pathlib.Path(made))
            for shape in shapes or [*SHAPES, *[LONG] * model.has_windows]:
                own, other, ratio, apart = compared(model, shape, options)
                needed = 1.5 if shape == LONG and model.has_windows else 1
                slow += ratio < needed
                print(f"{model.name:18} {shape[0]:5} {shape[1]:6} {own * 1e3:7.1f} ms {other * 1e3:7.1f} ms {ratio:14.2f}"
                      f" {apart:8.0e}{'' if ratio >= needed else f'  expected {needed}'}", flush=True)
                gc.collect()
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
