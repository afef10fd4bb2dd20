# SPDX-License-Identifier: Apache-2.0
"""transformers.js on exported folders: the same tokens and logits as the original model."""
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import torch
from safetensors.torch import load_file

import checkpoints
import runner
from models import (Difference, close, encoder_inputs, exported, greedy, images, new_tokens, original, text_config,
                    text_inputs)


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
        request = {"type": checkpoint.model_type, "task": checkpoint.feature, "folder": str(folder),
                   "subfolder": subfolder, "inputs": described, "options": options}
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
    starts = [start_of_rows(checkpoint, model, inputs) for inputs in asked]
    answers = [greedy(model, {**inputs, **start})[0].tolist() for inputs, start in zip(asked, starts)]
    layouts = ["transformers.js", "all"]
    if tells_all(checkpoint):
        layouts.append("merged")
    for layout in layouts:
        with exported(command, checkpoint, "--layout", layout) as folder:
            for inputs, start, expected in zip(asked, starts, answers):
                same_tokens(checkpoint, folder, model, inputs, expected, start)


def start_of_rows(checkpoint, model, inputs):
    """What the decoder starts with, where the client is to be told: Whisper's class starts a single recording by itself. Of
    several it is given what each starts with, and takes the number of rows for the length of that."""
    rows = next(iter(inputs.values())).shape[0]
    if checkpoint.model_type != "whisper" or rows == 1:
        return {}
    return {"decoder_input_ids": text_inputs(model.config, rows=rows, length=rows, padded=False)["input_ids"]}


def tells_all(checkpoint):
    """Whether config.json says by itself what the client's packages say else, and all inputs are of those that it gives."""
    config = json.loads((checkpoint.folder / "config.json").read_text())
    if checkpoint.model_type == "moonshine":  # whose samples have a mask elsewhere
        return False
    return "is_encoder_decoder" in config and ("num_layers" not in config or "num_decoder_layers" in config)


def same_tokens(checkpoint, folder, model, inputs, expected, start=None):
    count = new_tokens(model)
    rows = {name: value.tolist() for name, value in (start or {}).items()}
    options = {**rows, "max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "forced_eos_token_id": None}
    tokens = node.ask(checkpoint, folder, inputs, options)["tokens"]
    if tokens != expected:
        raise Difference(f"{folder}, {len(tokens)} rows: tokens {tokens}, expected {expected}")


def knows(checkpoint, inputs):
    """Moonshine's recordings it takes of one length."""
    return checkpoint.model_type != "moonshine" or bool(inputs.pop("attention_mask").all())


def looks(command, checkpoint):
    """Greedy search over an image and words, which the encoder reads one behind the other: a single row, and a padded batch."""
    model = original(checkpoint)
    cached = dataclasses.replace(checkpoint, feature=f"{checkpoint.feature}-with-past")
    image = next(load_file(case)["in/pixel_values"][:1] for case in checkpoint.cases if "vision_encoder" in case.name)
    with torch.no_grad():
        places = model.get_image_features(image)
    places = getattr(places, "pooler_output", places).numel() // text_config(model.config).d_model
    with exported(command, cached, "--layout", "transformers.js") as folder:
        for rows in 1, 3:
            words = text_inputs(text_config(model.config), rows=rows, padded=rows > 1)
            seen = {"pixel_values": image.repeat(rows, 1, 1, 1)}
            before = torch.full((rows, places), model.config.image_token_id), torch.ones(rows, places, dtype=torch.int64)
            asked = {name: torch.cat([ahead, words[name]], 1) for ahead, name in zip(before, words)}
            expected = greedy(model, {**seen, **asked})[0].tolist()
            same_tokens(cached, folder, model, {**seen, **words}, expected)


def sounds(command, checkpoint):
    """The sound of the codes that a greedy search finds after a text."""
    model = original(checkpoint)
    cached = dataclasses.replace(checkpoint, feature=f"{checkpoint.feature}-with-past")
    options = {"max_new_tokens": 12, "do_sample": False, "guidance_scale": 1}
    with exported(command, cached, "--layout", "transformers.js") as folder:
        words = text_inputs(model.config.text_encoder, rows=1, padded=False)
        expected = model.generate(**words, **options)
        reply = node.ask(cached, folder, words, options)
    close("samples", torch.tensor(reply["data"]).view(reply["shape"]), expected, checkpoint.atol)


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
    "vision2seq-lm": looks,
    "text-to-audio": sounds,
    "sequence-classification": classification,
    "image-classification": classification,
}


# Encoder-decoders that it has a class for that is given what they take (SpeechT5's is given no sound); and it has no
# classifier over a decoder.
CLASSES = {"bart", "blenderbot", "blenderbot-small", "longt5", "m2m-100", "marian", "mbart", "mt5", "t5",
           "moonshine", "vision-encoder-decoder", "whisper"}


def reads(checkpoint):
    if checkpoint.feature in checkpoints.GENERATES:
        return checkpoint.model_type in CLASSES
    return checkpoint.feature != "sequence-classification" or checkpoint.model_type not in checkpoints.DECODERS


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(runner.run(__doc__, CHECKS, reads))
