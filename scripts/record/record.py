#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what an original model answers, as a case of a plugin that holds no weights.

The weights are those that `onnxport synth` draws for a config and a seed: they are loaded into the original class, which
must take every one of them and lack none. README.md beside this file tells the whole way.
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file

import inputs
import models


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path, help="a config.json")
    parser.add_argument("cases", type=pathlib.Path, help="the plugin's folder of cases; index.json in it gets a row")
    parser.add_argument("--feature", required=True, help="what is recorded: causal-lm-with-past")
    parser.add_argument("--path", help="the recording's folder below CASES (default: MODEL_TYPE/CLASS)")
    parser.add_argument("--model-class", help="NAME of transformers or MODULE:NAME (default: the config's architecture)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the inputs")
    parser.add_argument("--images", nargs="+", default=[], metavar="HEIGHTxWIDTH",
                        help="sizes of the cases' images (default: the config's)")
    parser.add_argument("--sounds", nargs="+", default=[], type=int, metavar="N",
                        help="lengths of the cases' sounds, in samples or frames (default: 40 and 57)")
    parser.add_argument("--masked", action="store_true", help="sounds with a mask, where the model is usually given none")
    parser.add_argument("--sequence", type=int, metavar="N", help="the length of both cases, for a model that takes but one")
    parser.add_argument("--dtype", default="fp32", choices=["fp32", "fp16", "bf16"], help="of the stored weights")
    parser.add_argument("--unused", action="append", default=[], metavar="PATTERN",
                        help="weights of the class that the feature does not need: 'pooler.*'")
    parser.add_argument("--leave-out", action="append", default=[], metavar="OUTPUT",
                        help="an output that the original does not settle, as it puts it in a random order")
    parser.add_argument("--outputs", nargs="+", default=[], metavar="NAME", help="further outputs, as of onnxport export")
    parser.add_argument("--modules", nargs="+", default=[], metavar="PATTERN",
                        help="what these modules yield is recorded as well, so that a difference is told with its module: '*'")
    parser.add_argument("--new", type=int, metavar="N", help="so many tokens in a cached step, of a class that takes but one")
    parser.add_argument("--count-positions", action="store_true",
                        help="a step is told its positions: for a class that counts from 0 in every step")
    parser.add_argument("--own-attention", action="store_true",
                        help="the class chooses how it attends: for one whose masks mean something else to its plain way")
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--notes", default="", help="what is special about the config")
    parser.add_argument("--onnxport", default="onnxport", help="the command")
    parser.add_argument("--plugin-dir", help="where the plugin is, if onnxport does not find it by itself")
    return parser.parse_args()


def run(command, plugin_dir, *words):
    """What `onnxport WORDS` prints; ends the program where it fails."""
    more = ["--plugin-dir", plugin_dir] if plugin_dir else []
    done = subprocess.run([command, *map(str, words), *more], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"onnxport {' '.join(map(str, words))}: status {done.returncode}\n{done.stderr or done.stdout}")
    return done.stdout


def graph_of(options, checkpoint, scratch):
    """Names and types of the inputs and the names of the outputs of the file that the feature is exported to."""
    run(options.onnxport, options.plugin_dir, "export", "-m", checkpoint, "--feature", options.feature, "--no-validate",
        *["--attention-mask"] * options.masked, *(["--outputs", ",".join(options.outputs)] if options.outputs else []),
        "--quiet", scratch / "onnx")
    # It describes a file also where the sizes for which it counts the cost are too small for the model.
    described = subprocess.run([options.onnxport, "inspect", "--json", scratch / "onnx" / "model.onnx"],
                               capture_output=True, text=True, check=False).stdout
    graph = json.loads(described)
    return {entry["name"]: entry["type"] for entry in graph["inputs"]}, [entry["name"] for entry in graph["outputs"]]


def write_row(index, row):
    """The row in the index; one of the same path and feature is replaced."""
    rows = json.loads(index.read_text()) if index.exists() else []
    rows = [other for other in rows if (other["path"], other["feature"]) != (row["path"], row["feature"])]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in [*rows, row])
    index.write_text(f"[\n{lines}\n]\n")


def main():
    options = arguments()
    config = json.loads(options.config.read_text())
    # What a field means may depend on the version that wrote the file.
    config.setdefault("transformers_version", transformers.__version__)
    name = options.model_class or config["architectures"][0]
    architecture = name.rpartition(":")[2]
    path = options.path or f"{config['model_type']}/{architecture}"
    folder = options.cases / path
    with tempfile.TemporaryDirectory(prefix="onnxport-record-") as scratch:
        scratch = pathlib.Path(scratch)
        checkpoint = scratch / "checkpoint"
        (scratch / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        drawn = json.loads(run(options.onnxport, options.plugin_dir, "synth", scratch / "config.json", checkpoint,
                               "--seed", options.seed, "--feature", options.feature, "--dtype", options.dtype, "--json"))
        model = models.load(name, checkpoint, options.unused, None if options.own_attention else "eager")
        wanted, answered = graph_of(options, checkpoint, scratch)
        answered = [name for name in answered if name not in options.leave_out]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(scratch / "config.json", folder / "config.json")
    written = []
    sizes = [tuple(map(int, size.split("x"))) for size in options.images] or [None]
    for number, shape in enumerate(inputs.SHAPES):
        shape = dataclasses.replace(shape, image=sizes[min(number, len(sizes) - 1)],
                                    sound=(options.sounds or [shape.sound])[min(number, len(options.sounds) - 1)],
                                    sequence=options.sequence or shape.sequence, new=options.new or shape.new)
        given = inputs.make(model, wanted, shape, options.seed + number)
        with models.listening(model, options.modules) as within:
            found = models.answer(model, given, answered, options.count_positions)
        if broken := [key for key, value in found.items() if value.isnan().all()]:
            sys.exit(f"{name} answers with NaN alone, which no test can tell from another mistake: {', '.join(broken)}")
        tensors = {f"{kind}/{key}": value for kind, part in (("in", given), ("out", found), ("module", within))
                   for key, value in part.items()}
        file = f"case-{options.feature}-{number}.safetensors"
        save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, folder / file)
        written.append(file)
    write_row(options.cases / "index.json", {
        "model_type": config["model_type"], "architecture": architecture, "feature": options.feature, "path": path,
        "cases": written, "extra_cases": [], "atol": options.atol, "transformers_version": transformers.__version__,
        "weights": {"synth": {"seed": options.seed, "form": drawn["form"], "feature": options.feature,
                              "dtype": options.dtype}},
        "notes": options.notes, **({"outputs": options.outputs} if options.outputs else {})})
    print(f"recorded: {folder}: {', '.join(written)}")


if __name__ == "__main__":
    with torch.no_grad():
        main()
