#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many nodes onnxport and torch's tracing exporter make of the recorded image models, and how many of them are Shape.

    PEERS/optimum/bin/python benchmarks/image_nodes.py --onnxport build/bin/onnxport [--only TYPE] [--fixed]

Of each type and feature of the plugins' cases that holds no weights the same are drawn, and the original's class is traced
with the recorded inputs, their sizes open or fixed, and folded. Ends with 1 where onnxport's file has more nodes.
"""

import argparse
import collections
import contextlib
import io
import json
import pathlib
import subprocess
import tempfile
import warnings

import onnx
import torch
import transformers
from safetensors.torch import load_file

PLUGINS = pathlib.Path(__file__).parents[1] / "plugins"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxport", default="onnxport", help="the command")
    parser.add_argument("--only", default="", help="a model type")
    parser.add_argument("--fixed", action="store_true", help="both files for images of the recorded size alone")
    return parser.parse_args()


def recordings(only):
    """The first of each type and feature whose inputs are images alone: its folder and its row."""
    seen = set()
    for index in sorted(PLUGINS.glob("*/cases/index.json")):
        for row in json.loads(index.read_text()):
            key = row["model_type"], row["feature"]
            if key in seen or row.get("part") or "synth" not in row.get("weights", {}) or only not in ("", key[0]):
                continue
            inputs = [name[3:] for name in load_file(index.parent / row["path"] / row["cases"][0]) if name.startswith("in/")]
            if "pixel_values" in inputs and set(inputs) <= {"pixel_values", "pixel_mask"}:
                seen.add(key)
                yield index.parent / row["path"], row


def run(command, *words):
    done = subprocess.run([command, *map(str, words), "--quiet"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


class Traced(torch.nn.Module):
    """The recorded outputs of the class, so that neither file makes what the other does not."""

    def __init__(self, model, inputs, outputs):
        super().__init__()
        self.model, self.inputs, self.outputs = model, inputs, outputs

    def forward(self, *given):
        found = self.model(**dict(zip(self.inputs, given)))
        return tuple(found[name] if name in found else found[name.split(".")[0]][int(name.split(".")[1])]
                     for name in self.outputs)


def settle(checkpoint):
    """Where a config describes a backbone, older classes must not be told its name too, nor take their usual one."""
    file = checkpoint / "config.json"
    config = json.loads(file.read_text())
    if config.get("backbone_config"):
        file.write_text(json.dumps(config | {"backbone": None, "use_timm_backbone": False, "use_pretrained_backbone": False}))


def traced(folder, row, checkpoint, file, fixed):
    tensors = load_file(folder / row["cases"][0])
    inputs = sorted(name[3:] for name in tensors if name.startswith("in/"))
    outputs = sorted(name[4:] for name in tensors if name.startswith("out/"))
    model = getattr(transformers, row["architecture"]).from_pretrained(checkpoint, attn_implementation="eager").eval()
    axes = {name: {0: "batch", tensors[f"in/{name}"].ndim - 2: "height", tensors[f"in/{name}"].ndim - 1: "width"}
            for name in inputs}
    torch.onnx.export(Traced(model, inputs, outputs), tuple(tensors[f"in/{name}"] for name in inputs), file, opset_version=18,
                      dynamo=False, input_names=inputs, output_names=outputs, dynamic_axes=None if fixed else axes)


def sizes(file, case):
    """The options that fix each open axis of a file's inputs to its size in a case."""
    tensors, words = load_file(case), {}
    for given in onnx.load(file, load_external_data=False).graph.input:
        for place, dimension in enumerate(given.type.tensor_type.shape.dim):
            if dimension.dim_param:
                words[dimension.dim_param] = tensors[f"in/{given.name}"].shape[place]
    return [word for axis, size in words.items() for word in ("--fix", f"{axis}={size}")]


def counted(file):
    """All nodes, those within others too, and those that are Shape."""
    made = collections.Counter()

    def count(graph):
        for node in graph.node:
            made[node.op_type] += 1
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    count(attribute.g)

    count(onnx.load(file, load_external_data=False).graph)
    return made.total(), made["Shape"]


def main():
    warnings.filterwarnings("ignore")
    options = arguments()
    more = []
    print("of two figures the first is onnxport's")
    print(f"{'type':24} {'feature':24} {'nodes':>11} {'Shape':>9}")
    for folder, row in recordings(options.only):
        name = f"{row['model_type']:24} {row['feature']:24}"
        drawn = row["weights"]["synth"]
        with tempfile.TemporaryDirectory(prefix="onnxport-nodes-") as made:
            checkpoint, own, other = (pathlib.Path(made) / part for part in ("checkpoint", "own.onnx", "other.onnx"))
            run(options.onnxport, "synth", folder / "config.json", checkpoint, "--seed", drawn["seed"],
                "--form", drawn.get("form", 1), "--feature", drawn["feature"], "--dtype", drawn["dtype"])
            export = ["export", "-m", checkpoint, "--feature", row["feature"], "--opset", 18, "--no-validate"]
            run(options.onnxport, *export, own)
            if options.fixed:
                fix = sizes(own, folder / row["cases"][0])
                own.unlink()
                run(options.onnxport, *export, *fix, own)
            settle(checkpoint)
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # where it fails, the tracer prints its graph
                    traced(folder, row, checkpoint, other, options.fixed)
            except Exception as error:  # of whatever kind: a class that this version lacks, or that cannot be traced
                print(f"{name} {counted(own)[0]:5}     - {counted(own)[1]:4}    -  {type(error).__name__}: "
                      f"{str(error).splitlines()[0][:60]}", flush=True)
                continue
            counts = counted(own), counted(other)
        worse = counts[0][0] > counts[1][0]
        more += [name] if worse else []
        print(f"{name} {counts[0][0]:5} {counts[1][0]:5} {counts[0][1]:4} {counts[1][1]:4}{'  more' if worse else ''}", flush=True)
    return 1 if more else 0


if __name__ == "__main__":
    raise SystemExit(main())
