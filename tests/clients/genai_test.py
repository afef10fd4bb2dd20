# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai on exported packages: its loader takes genai_config.json, which it refuses for a key that it does not
know, and greedy search gives the tokens of the original model."""
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import onnxruntime_genai  # noqa: E402

import runner  # noqa: E402
from models import NEW_TOKENS, Difference, exported, greedy, original, text_inputs  # noqa: E402


def tokens_of(folder, ids):
    """What genai makes of one text."""
    model = onnxruntime_genai.Model(str(folder))
    parameters = onnxruntime_genai.GeneratorParams(model)
    length = ids.shape[1] + NEW_TOKENS
    parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(ids.tolist())
    while not generator.is_done():
        generator.generate_next_token()
    return [int(token) for token in generator.get_sequence(0)]


def causal(command, checkpoint):
    """Of the package of its own, and of the one for all; with positions as an input and without."""
    model = original(checkpoint)
    ids = text_inputs(model.config, rows=1, padded=False)["input_ids"]
    expected = greedy(model, {"input_ids": ids})[0][0].tolist()
    for options in (["--layout", "genai"], ["--layout", "all"]):
        with exported(command, checkpoint, *options) as folder:
            written = json.loads((folder / "genai_config.json").read_text())
            if not (folder / written["model"]["decoder"]["filename"]).is_file():
                raise Difference(f"{options}: genai_config.json names a file that is not there")
            tokens = tokens_of(folder, ids)
        if tokens != expected:
            raise Difference(f"{' '.join(options)}: tokens {tokens}, expected {expected}")


if __name__ == "__main__":
    sys.exit(runner.run(__doc__, {"causal-lm-with-past": causal}))
