# SPDX-License-Identifier: Apache-2.0
"""transformers.js on exported folders: the same tokens and logits as the original model."""
import json
import os
import pathlib
import subprocess
import sys

import torch

import checkpoints
import runner
from models import NEW_TOKENS, Difference, close, exported, greedy, images, original, text_inputs


class Node:
    """One node process, which answers requests in turn."""

    def __init__(self):
        script = pathlib.Path(__file__).with_name("transformers_js.mjs")
        self.process = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, checkpoint, folder, inputs, options=None):
        """Graphs lie where a package has them, or in the folder itself."""
        described = {name: {"type": "int64" if value.dtype == torch.int64 else "float32", "shape": list(value.shape),
                            "data": value.flatten().tolist()} for name, value in inputs.items()}
        subfolder = "onnx" if (folder / "onnx").is_dir() else ""
        request = {"task": checkpoint.feature, "folder": str(folder), "subfolder": subfolder, "inputs": described,
                   "options": options}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"node ended with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Difference(reply["error"])
        return reply


node = Node()


def generation(command, checkpoint):
    """Greedy search with cache. Positions come from the client or are the graph's own; of the decoders of an encoder the
    merged one is read."""
    causal = checkpoint.feature == "causal-lm-with-past"
    model = original(checkpoint)
    inputs = text_inputs(model.config, left=causal)
    expected = greedy(model, inputs)[0].tolist()
    options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}
    ways = [["--layout", "transformers.js"], ["--layout", "all"]]
    ways += [["--position-ids", "input"], []] if causal else [["--layout", "merged"]]
    for way in ways:
        with exported(command, checkpoint, *way) as folder:
            tokens = node.ask(checkpoint, folder, inputs, options)["tokens"]
        if tokens != expected:
            raise Difference(f"{' '.join(way) or 'as it stands'}: tokens {tokens}, expected {expected}")


def classification(command, checkpoint):
    model = original(checkpoint)
    inputs = images(model.config) if checkpoint.feature == "image-classification" else text_inputs(model.config)
    with torch.no_grad():
        expected = model(**inputs).logits
    for layout in ("single", "transformers.js", "all"):
        with exported(command, checkpoint, "--layout", layout) as folder:
            reply = node.ask(checkpoint, folder, inputs)
        close(f"{layout}: logits", torch.tensor(reply["data"]).view(reply["shape"]), expected, checkpoint.atol)


CHECKS = {
    "causal-lm-with-past": generation,
    "seq2seq-lm-with-past": generation,
    "sequence-classification": classification,
    "image-classification": classification,
}


def reads(checkpoint):
    """transformers.js has no classifier over a decoder."""
    return checkpoint.feature != "sequence-classification" or checkpoint.model_type not in checkpoints.DECODERS


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(runner.run(__doc__, CHECKS, reads))
