# SPDX-License-Identifier: Apache-2.0
"""One process of transformers.js, which answers requests about exported folders in turn (transformers_js_images.mjs)."""
import json
import pathlib
import subprocess

import torch

from models import Difference


def described(tensor):
    kind = "float32" if tensor.is_floating_point() else "bool" if tensor.dtype == torch.bool else "int64"
    return {"type": kind, "shape": list(tensor.shape), "data": tensor.flatten().tolist()}


def tensor_of(described):
    """What is no finite number came as a text."""
    return torch.tensor([float(value) for value in described["data"]]).view(described["shape"])


class Node:
    def __init__(self):
        script = pathlib.Path(__file__).with_name("transformers_js_images.mjs")
        self.process = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name, folder, inputs, options=None):
        """What the class of that name makes of the inputs, tensors by name: outputs as described(), or tokens."""
        request = {"class": name, "folder": str(folder), "subfolder": "onnx", "options": options,
                   "inputs": {key: described(value) for key, value in inputs.items()}}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline() or '{"error": "node ended"}')
        if "error" in reply:
            raise Difference(reply["error"])
        return reply
