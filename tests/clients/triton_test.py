# SPDX-License-Identifier: Apache-2.0
"""Triton's config.pbtxt by its schema, model_config.proto, whose parser refuses a field that it does not know; and each of
its tensors by the graph beside it."""
import sys

import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

import checkpoints
import runner
from models import Difference, exported

TYPES = {"TYPE_INT64": "tensor(int64)", "TYPE_FP32": "tensor(float)", "TYPE_BOOL": "tensor(bool)"}


def as_stated(config, tensors, values):
    """Names, types and shapes of the config are those of the file."""
    if [tensor.name for tensor in tensors] != [value.name for value in values]:
        raise Difference(f"config.pbtxt lists {[t.name for t in tensors]}, the graph {[v.name for v in values]}")
    for tensor, value in zip(tensors, values):
        stated = [] if tensor.HasField("reshape") else list(tensor.dims)
        shape = [axis if isinstance(axis, int) else -1 for axis in value.shape][1 if config.max_batch_size else 0:]
        kind = model_config_pb2.DataType.Name(tensor.data_type)
        if stated != shape or TYPES.get(kind) != value.type:
            raise Difference(f"{tensor.name}: {kind} {stated}, in the graph {value.type} {value.shape}")


def config(command, checkpoint):
    with exported(command, checkpoint, "--layout", "triton") as folder:
        graphs = sorted(folder.rglob("model.onnx"))
        if len(graphs) != len(list(folder.rglob("config.pbtxt"))) or not graphs:
            raise Difference(f"there are {len(graphs)} graphs, and another number of config.pbtxt")
        for graph in graphs:
            text = (graph.parent.parent / "config.pbtxt").read_text()
            parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
            session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
            as_stated(parsed, parsed.input, session.get_inputs())
            as_stated(parsed, parsed.output, session.get_outputs())


if __name__ == "__main__":
    sys.exit(runner.run(__doc__, dict.fromkeys(checkpoints.FEATURES, config)))
