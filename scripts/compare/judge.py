# SPDX-License-Identifier: Apache-2.0
"""What a graph answers, run by ONNX Runtime, against what the original model answered."""

import numpy
import onnxruntime
from safetensors.numpy import load_file


class Unfit(Exception):
    """The graph cannot be asked what was recorded."""


def read_case(path):
    """Inputs and outputs of a recorded case, each a map from name to array."""
    tensors = load_file(str(path))
    inputs = {name[3:]: value for name, value in tensors.items() if name.startswith("in/")}
    outputs = {name[4:]: value for name, value in tensors.items() if name.startswith("out/")}
    return inputs, outputs


def usual(name, inputs):
    """What a caller gives for an input that the original model makes by itself."""
    ids = inputs.get("input_ids", inputs.get("inputs_embeds"))
    if ids is None:
        raise Unfit(f"the graph wants '{name}'")
    batch, length = ids.shape[:2]
    if name == "attention_mask":
        return numpy.ones((batch, length), numpy.int64)
    if name == "token_type_ids":
        return numpy.zeros((batch, length), numpy.int64)
    if name == "position_ids":
        # As the original model counts them where nobody gives them: on from the past, whatever is padding.
        past = next((value.shape[-2] for key, value in inputs.items() if key.startswith("past_key_values.0")), 0)
        return numpy.tile(numpy.arange(past, past + length), (batch, 1))
    raise Unfit(f"the graph wants '{name}'")


def padded(name, inputs, shape):
    """Which elements of an output stand at padding, where what a model answers is nobody's concern; None where none does."""
    side = "decoder_" if "decoder_input_ids" in inputs and not name.startswith("encoder") else ""
    mask, ids = inputs.get(side + "attention_mask"), inputs.get(side + "input_ids")
    if mask is None or ids is None or mask.ndim != 2 or tuple(shape[:2]) != ids.shape:
        return None
    return mask[:, mask.shape[1] - ids.shape[1]:] == 0


def largest_difference(path, cases):
    """The largest |graph - original| / (1 + |original|) over all recorded outputs that the graph has, of all cases, but for
    what stands at padding.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(int64)": numpy.int64, "tensor(int32)": numpy.int32, "tensor(float)": numpy.float32,
             "tensor(bool)": numpy.bool_}
    names = [output.name for output in session.get_outputs()]
    largest = 0.0
    for case in cases:
        inputs, outputs = read_case(case)
        feed = {}
        for wanted in session.get_inputs():
            value = inputs.get(wanted.name)
            value = usual(wanted.name, inputs) if value is None else value
            feed[wanted.name] = value.astype(types.get(wanted.type, value.dtype))
        answers = dict(zip(names, session.run(None, feed)))
        known = {name: answers[name] for name in outputs if name in answers}
        if not known:
            raise Unfit(f"no output of these names: {', '.join(outputs)}; it has {', '.join(names[:4])}")
        for name, value in known.items():
            expected = outputs[name]
            if value.shape != expected.shape:
                raise Unfit(f"'{name}' has shape {list(value.shape)}, the original {list(expected.shape)}")
            if value.size == 0:
                continue
            # Infinity and its like are compared as they are.
            same = (value == expected) | (numpy.isnan(value) & numpy.isnan(expected))
            with numpy.errstate(invalid="ignore"):
                difference = numpy.abs(value.astype(numpy.float64) - expected) / (1 + numpy.abs(expected.astype(numpy.float64)))
            difference[same] = 0
            padding = padded(name, inputs, expected.shape)
            if padding is not None:
                difference[padding] = 0
            largest = max(largest, float("inf") if numpy.isnan(difference).any() else float(difference.max()))
    return largest
