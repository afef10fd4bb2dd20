#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many times as fast as optimum's file any file of ModernBERT could be in ONNX Runtime.

    PEERS/optimum/bin/python benchmarks/least.py --onnxport build/bin/onnxport [--tokens 2048] [--layers N]

Of the config a random checkpoint is made and exported by optimum. Beside it stands a graph of nothing but what no definition can
leave out: the products with the weights of every layer, and, of layers that see everything, the products with all keys and
values and the softmax between them. It has no norms, activations, rotary positions, masks, transposes, and no attention at all
in layers that see what is near. Both run in turn, as in encoders.py; the ratio is the bound.
"""

import argparse
import pathlib
import tempfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

import in_turn

CONFIG = pathlib.Path(__file__).parent / "models" / "modernbert-base.json"


class Least:
    """The graph, for texts of `tokens`."""

    def __init__(self, config, tokens):
        self.config, self.tokens, self.draw = config, tokens, numpy.random.default_rng(0)
        self.nodes, self.weights, self.inputs, self.corners = [], [], {}, []
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.given("hidden", hidden)
        self.given("inner", inner)
        for layer in range(config["num_hidden_layers"]):
            for name, source, sizes in (("Wqkv", "hidden", (hidden, 3 * hidden)), ("Wo", "hidden", (hidden, hidden)),
                                        ("Wi", "hidden", (hidden, 2 * inner)), ("down", "inner", (inner, hidden))):
                self.product(f"{layer}.{name}", source, sizes)
            if layer % config["global_attn_every_n_layers"] == 0:
                self.attention(str(layer))

    def given(self, name, *rest):
        shape = (1, self.tokens, *rest)
        self.inputs[name] = self.draw.standard_normal(shape, numpy.float32)
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def product(self, name, source, sizes):
        self.weights.append(numpy_helper.from_array(self.draw.standard_normal(sizes, numpy.float32) / 64, name))
        self.keep(self.node("MatMul", [source, name], f"{name}.out"), 3)

    def attention(self, name):
        heads = self.config["num_attention_heads"]
        width = self.config["hidden_size"] // heads
        shapes = {"q": (self.tokens, width), "k": (width, self.tokens), "v": (self.tokens, width)}
        for part, shape in shapes.items():
            self.inputs[f"{name}.{part}"] = self.draw.standard_normal((1, heads, *shape), numpy.float32) / width**0.5
        scores = self.node("MatMul", [f"{name}.q", f"{name}.k"], f"{name}.scores")
        shares = self.node("Softmax", [scores], f"{name}.shares", axis=-1)
        self.keep(self.node("MatMul", [shares, f"{name}.v"], f"{name}.mixed"), 4)

    def keep(self, value, rank):
        """One number of it goes into the answer, so that it is computed."""
        ends = [numpy_helper.from_array(numpy.full(rank, end, numpy.int64), f"{value}.{end}") for end in (0, 1)]
        self.weights += ends
        corner = self.node("Slice", [value, *(end.name for end in ends)], f"{value}.corner")
        shape = numpy_helper.from_array(numpy.array([1], numpy.int64), f"{value}.shape")
        self.weights.append(shape)
        self.corners.append(self.node("Reshape", [corner, shape.name], f"{value}.number"))

    def save(self, file):
        self.node("Concat", self.corners, "last_hidden_state", axis=0)
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in self.inputs.items()]
        outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "least", inputs, outputs, self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
        return file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    in_turn.add_arguments(parser)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--scratch", type=pathlib.Path, help="where the checkpoint and the files are made, and stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onnxport-least-") as made:
        model = in_turn.Checkpoint(CONFIG, options, options.scratch or pathlib.Path(made), "default")
        least = Least(model.config, options.tokens)
        shape = (1, options.tokens)
        texts = {"input_ids": numpy.random.default_rng(0).integers(3, model.config["vocab_size"], shape),
                 "attention_mask": numpy.ones(shape, numpy.int64)}
        files = [least.save(model.folder / "least.onnx"), model.peers("feature-extraction") / "model.onnx"]

        def inputs(session):
            return {entry.name: {**texts, **least.inputs}[entry.name] for entry in session.get_inputs()}

        own, other, ratio = in_turn.times(files, inputs, options)
        print(f"{options.tokens} tokens, {model.config['num_hidden_layers']} layers: the least {own * 1e3:.0f} ms, optimum"
              f" {other * 1e3:.0f} ms: at most {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
