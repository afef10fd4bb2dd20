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
from models import Difference, close, encoder_inputs, exported, greedy, images, new_tokens, original, text_inputs


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


def causal(command, checkpoint):
    """Greedy search with cache. Positions come from the client or are the graph's own."""
    model = original(checkpoint)
    inputs = text_inputs(model.config, left=True)
    expected = greedy(model, inputs)[0].tolist()
    for way in ["--layout", "transformers.js"], ["--layout", "all"], ["--position-ids", "input"], []:
        with exported(command, checkpoint, *way) as folder:
            same_tokens(checkpoint, folder, model, inputs, expected)


def seq2seq(command, checkpoint):
    """Greedy search with cache, of which the merged decoder is read: a single row and a padded batch."""
    model = original(checkpoint)
    asked = [inputs for inputs in encoder_inputs(checkpoint, model.config) if knows(checkpoint, inputs)]
    answers = [greedy(model, inputs)[0].tolist() for inputs in asked]
    layouts = ["transformers.js", "all"]
    if tells_all(checkpoint):
        layouts.append("merged")
    for layout in layouts:
        with exported(command, checkpoint, "--layout", layout) as folder:
            for inputs, expected in zip(asked, answers):
                same_tokens(checkpoint, folder, model, inputs, expected)


def tells_all(checkpoint):
    """Whether config.json says by itself what the client's packages say else."""
    config = json.loads((checkpoint.folder / "config.json").read_text())
    return "is_encoder_decoder" in config and ("num_layers" not in config or "num_decoder_layers" in config)


def same_tokens(checkpoint, folder, model, inputs, expected):
    count = new_tokens(model)
    options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "forced_eos_token_id": None}
    tokens = node.ask(checkpoint, folder, inputs, options)["tokens"]
    if tokens != expected:
        raise Difference(f"{folder}, {len(tokens)} rows: tokens {tokens}, expected {expected}")


def knows(checkpoint, inputs):
    """Whisper it lets transcribe one recording at a time."""
    return checkpoint.model_type != "whisper" or len(inputs["input_features"]) == 1


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
    "causal-lm-with-past": causal,
    "seq2seq-lm-with-past": seq2seq,
    "speech2seq-lm-with-past": seq2seq,
    "vision2seq-lm-with-past": seq2seq,
    "sequence-classification": classification,
    "image-classification": classification,
}


# Encoder-decoders that it has a class for that is given what they take (SpeechT5's is given no sound, Moonshine's no mask); and it has no classifier over a decoder.
CLASSES = {"bart", "blenderbot", "blenderbot-small", "longt5", "m2m-100", "marian", "mbart", "mt5", "t5",
           "vision-encoder-decoder", "whisper"}


def reads(checkpoint):
    if checkpoint.feature in checkpoints.GENERATES:
        return checkpoint.model_type in CLASSES
    return checkpoint.feature != "sequence-classification" or checkpoint.model_type not in checkpoints.DECODERS


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(runner.run(__doc__, CHECKS, reads))
