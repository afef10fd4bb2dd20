# SPDX-License-Identifier: Apache-2.0
"""Triton's config.pbtxt of every recorded type and feature: its schema, model_config.proto, whose parser refuses a field that it
does not know; what its server asks of a config before it loads a model (ValidateIOShape of its core); and what its ONNX Runtime
back end compares with the graph. Needs no torch: `triton_test.py ONNXPORT GOLDENS... [--only NAME]`."""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import onnx
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from program import draw

TYPES = {"TYPE_BOOL": onnx.TensorProto.BOOL, "TYPE_INT32": onnx.TensorProto.INT32, "TYPE_INT64": onnx.TensorProto.INT64,
         "TYPE_FP32": onnx.TensorProto.FLOAT}


def stated(values):
    """Type and axes of the graph's inputs or outputs by their names; an axis that is open is -1."""
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        found[value.name] = tensor.elem_type, [axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim]
    return found


def elements(dims):
    return -1 if -1 in dims else math.prod(dims)


def problem_of_tensor(config, tensor, value):
    """Why the server would not load it; None where it would. `value`: type and axes in the graph, -1 where they are open."""
    dims, batched = list(tensor.dims), config.max_batch_size > 0
    if not dims or any(axis < 1 and axis != -1 for axis in dims):
        return f"dims {dims}"
    told = dims
    if tensor.HasField("reshape"):
        told = list(tensor.reshape.shape)
        if not told and not batched:
            return "an empty reshape of a model without batches"
        if any(axis < 1 and axis != -1 for axis in told) or (elements(told) != elements(dims) and (told or elements(dims) != 1)):
            return f"dims {dims} become {told}"
    kind, shape = value
    if TYPES.get(model_config_pb2.DataType.Name(tensor.data_type)) != kind:
        return f"{model_config_pb2.DataType.Name(tensor.data_type)} of a tensor of type {kind}"
    if not shape:  # which takes dims of ones alone
        return None if not batched and set(dims) == {1} else f"dims {dims} of a scalar"
    if batched and shape[0] != -1:
        return f"a batch of {shape[0]}"
    return None if told == shape[batched:] else f"dims {told}, and in the graph {shape}"


def problem_of_warm_up(config):
    inputs = {tensor.name: list(tensor.dims) for tensor in config.input}
    for warm_up in config.model_warmup:
        if warm_up.batch_size < 1 or set(warm_up.inputs) != set(inputs):
            return f"a warm-up of {sorted(warm_up.inputs)}"
        for name, given in warm_up.inputs.items():
            dims = list(given.dims)
            if len(dims) != len(inputs[name]) or any(axis < 1 or told not in (-1, axis) for axis, told in zip(dims, inputs[name])):
                return f"a warm-up of {name} {dims}"
    return None


def problem_of(text, graph):
    """Why Triton would refuse this config beside this graph, or None."""
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    if config.backend != "onnxruntime" or config.max_batch_size < 0:
        return f"backend {config.backend}, max_batch_size {config.max_batch_size}"
    if config.HasField("dynamic_batching") and config.max_batch_size == 0:
        return "dynamic batching of a model without batches"
    loaded = onnx.load(graph, load_external_data=False).graph
    for tensors, values in ((config.input, stated(loaded.input)), (config.output, stated(loaded.output))):
        if [tensor.name for tensor in tensors] != list(values):
            return f"config.pbtxt lists {[tensor.name for tensor in tensors]}, the graph {list(values)}"
        for tensor in tensors:
            if problem := problem_of_tensor(config, tensor, values[tensor.name]):
                return f"{tensor.name}: {problem}"
    return problem_of_warm_up(config)


def check(command, row, folder):
    """How many graphs there are, or (None, why the export was refused)."""
    with tempfile.TemporaryDirectory(prefix="onnxport-triton-") as scratch:
        scratch = pathlib.Path(scratch)
        model, drawn = folder, row.get("weights", {}).get("synth")
        if drawn:
            model = scratch / "model"
            draw(command, folder / "config.json", model, drawn)
        words = ["export", "-m", model, "--feature", row["feature"], "--layout", "triton", "--no-validate", "--quiet", scratch / "out"]
        done = subprocess.run([command, *words], capture_output=True, text=True)
        if done.returncode:
            return f"status {done.returncode}: {done.stderr.strip().splitlines()[0]}"
        graphs = sorted((scratch / "out").rglob("model.onnx"))
        configs = sorted((scratch / "out").rglob("config.pbtxt"))
        if not graphs or [graph.parent.parent for graph in graphs] != [config.parent for config in configs]:
            return f"there are {len(graphs)} graphs and {len(configs)} config.pbtxt"
        for graph, config in zip(graphs, configs):
            if problem := problem_of(config.read_text(), graph):
                return f"{config.parent.name}: {problem}"
    return None


def rows_of(roots):
    """A recorded checkpoint for each type, feature and class."""
    seen = set()
    for root in map(pathlib.Path, roots):
        for row in json.loads((root / "index.json").read_text()):
            key = (row["model_type"].replace("_", "-"), row["feature"], row["architecture"])
            if row["path"] and key not in seen:
                seen.add(key)
                yield row, root / row["path"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="checkpoints whose path contains this")
    arguments = parser.parse_args()
    passed = failed = 0
    types = set()
    for row, folder in rows_of(arguments.goldens):
        if arguments.only not in row["path"]:
            continue
        try:
            problem = check(arguments.command, row, folder)
        except Exception as error:  # what the next one does is another question
            problem = f"{type(error).__name__}: {error}"
        passed, failed = passed + (problem is None), failed + (problem is not None)
        types.add(row["model_type"].replace("_", "-"))
        if problem:
            print(f"FAILED: {row['path']} {row['feature']}: {problem}", flush=True)
    print(f"{passed} passed, {failed} failed, of {len(types)} types")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
