# SPDX-License-Identifier: Apache-2.0
"""One model as onnxport and as optimum write it: a random checkpoint, and runs of both files in turn."""

import gc
import json
import statistics
import subprocess
import time

import onnxruntime

EVEN = 0.97  # which two runs of one file differ by
DEPTHS = ("num_hidden_layers", "encoder_layers", "decoder_layers")


def add_arguments(parser):
    """The options that every comparison has."""
    parser.add_argument("--onnxport", default="onnxport", help="the command")
    parser.add_argument("--layers", type=int, metavar="N", help="the first N layers of each model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loads", type=int, default=4, help="how often both files are loaded")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime")


def shortened(config, layers):
    """The config with its first layers alone, and what it says of each of them."""
    for depth in [name for name in DEPTHS if name in config] if layers else []:
        before, config[depth] = config[depth], layers
        for field, value in config.items():
            if isinstance(value, list) and len(value) == before:
                config[field] = value[:layers]
    return config


class Checkpoint:
    """A random checkpoint of the config at `path`, in a folder below `scratch` that is used again."""

    def __init__(self, path, options, scratch, feature):
        self.name, self.onnxport, self.feature = path.stem, options.onnxport, feature
        self.config = shortened(json.loads(path.read_text()), options.layers)
        self.folder = scratch / (self.name + (f"-{options.layers}" if options.layers else ""))
        self.checkpoint = self.folder / "checkpoint"
        if not self.checkpoint.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.json").write_text(json.dumps(self.config))
            self.command("synth", self.folder / "config.json", self.checkpoint, "--feature", feature)

    def command(self, *words):
        subprocess.run([self.onnxport, *map(str, words), "--quiet"], check=True)

    def exported(self, *words):
        """The folder that onnxport writes."""
        folder = self.folder / "onnxport"
        self.command("export", "-m", self.checkpoint, "--feature", self.feature, "--no-validate", *words, folder)
        return folder

    def peers(self, task, name="optimum", **sizes):
        """The folder that optimum writes; `sizes` are those of what it is traced with."""
        folder = self.folder / name
        if not folder.exists():
            from optimum.exporters.onnx import main_export

            main_export(str(self.checkpoint), output=folder, task=task, do_validation=False, library_name="transformers",
                        no_post_process=True, **sizes)
        return folder


def loaded(file, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def seconds(session, inputs, threads):
    """How long a run takes, of the processor where there is one thread, whoever else uses it meanwhile; and its first output."""
    clock = time.process_time if threads == 1 else time.perf_counter
    before = clock()
    answered = session.run(None, inputs)
    return clock() - before, answered[0]


def times(files, make_inputs, options, answers=None):
    """Medians of both in seconds and the median of the rounds' ratios. Both are loaded at once and run in turn, each round the
    other way about, so that a machine's drift meets both alike; where in memory weights come to lie tells as well, so that
    they are loaded several times, each first in turn. `answers` takes the first output of each."""
    taken = [], []
    for load in range(options.loads):
        order = (0, 1) if load % 2 == 0 else (1, 0)
        sides = dict(sorted((side, loaded(files[side], options.threads)) for side in order))
        inputs = [make_inputs(session) for session in sides.values()]
        first = {side: seconds(sides[side], inputs[side], options.threads)[1] for side in order}
        if answers is not None:
            answers[:] = first[0], first[1]
        for number in range(options.rounds):
            for side in order if number % 2 == 0 else order[::-1]:
                taken[side].append(seconds(sides[side], inputs[side], options.threads)[0])
        del sides
        gc.collect()
    return *map(statistics.median, taken), statistics.median(other / own for own, other in zip(*taken))


def compared(files, make_inputs, options):
    """What times() tells of both, and how far their first outputs are apart."""
    answers = []
    found = times(files, make_inputs, options, answers)
    return [*found, float(abs(answers[0] - answers[1]).max())]
