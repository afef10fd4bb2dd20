# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai on exported packages: its loader takes genai_config.json, which it refuses for a key that it does not
know, and greedy search gives the tokens of the original model."""
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import onnxruntime_genai  # noqa: E402

import runner  # noqa: E402
from models import Difference, encoder_inputs, exported, greedy, new_tokens, original, text_inputs  # noqa: E402

# Over an encoder it runs this type alone.
HEARS = {"whisper"}


def tokens_of(folder, ids, count, heard=None):
    """What genai makes of one text, or of several of one length, after a sound where there is one: `count` tokens each."""
    model = onnxruntime_genai.Model(str(folder))
    parameters = onnxruntime_genai.GeneratorParams(model)
    length = ids.shape[1] + count
    parameters.set_search_options(do_sample=False, max_length=length, min_length=length, batch_size=ids.shape[0])
    generator = onnxruntime_genai.Generator(model, parameters)
    if heard is not None:
        generator.set_model_input("input_features", heard.numpy())
    generator.append_tokens(ids.tolist())
    while not generator.is_done():
        generator.generate_next_token()
    return [[int(token) for token in generator.get_sequence(row)] for row in range(ids.shape[0])]


def causal(command, checkpoint):
    """Of the package of its own, with a cache that grows and with one in a buffer, and of the package for all."""
    model = original(checkpoint)
    ids = text_inputs(model.config, rows=1, padded=False)["input_ids"]
    expected = greedy(model, {"input_ids": ids})[0][0].tolist()
    for options in (["--layout", "genai"], ["--layout", "genai", "--max-sequence", "64"], ["--layout", "all"]):
        with exported(command, checkpoint, *options) as folder:
            written = json.loads((folder / "genai_config.json").read_text())
            if not (folder / written["model"]["decoder"]["filename"]).is_file():
                raise Difference(f"{options}: genai_config.json names a file that is not there")
            [tokens] = tokens_of(folder, ids, new_tokens(model))
        if tokens != expected:
            raise Difference(f"{' '.join(options)}: tokens {tokens}, expected {expected}")


def speech(command, checkpoint):
    """A sound and a prompt of several tokens, and a batch of them."""
    model = original(checkpoint)
    with exported(command, checkpoint, "--layout", "genai") as folder:
        for inputs in encoder_inputs(checkpoint, model.config):
            heard = inputs["input_features"]
            ids = text_inputs(model.config, rows=heard.shape[0], length=4, padded=False)["input_ids"]
            expected = greedy(model, {"input_features": heard, "decoder_input_ids": ids})[0].tolist()
            tokens = tokens_of(folder, ids, new_tokens(model), heard)
            if tokens != expected:
                raise Difference(f"a batch of {heard.shape[0]}: tokens {tokens}, expected {expected}")


if __name__ == "__main__":
    checks = {"causal-lm-with-past": causal, "speech2seq-lm-with-past": speech}
    sys.exit(runner.run(__doc__, checks, lambda one: one.feature == "causal-lm-with-past" or one.model_type in HEARS))
