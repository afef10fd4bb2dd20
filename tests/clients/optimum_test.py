# SPDX-License-Identifier: Apache-2.0
"""optimum's ONNX Runtime classes on exported folders: the same tokens and logits as the original model."""
import logging
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import optimum.onnxruntime  # noqa: E402
import torch  # noqa: E402

import runner  # noqa: E402
from models import Difference, close, exported, greedy, images, original, text_inputs  # noqa: E402

# feature -> optimum's class, and the outputs that this class returns
HEADS = {
    "masked-lm": ("ORTModelForMaskedLM", ["logits"]),
    "sequence-classification": ("ORTModelForSequenceClassification", ["logits"]),
    "token-classification": ("ORTModelForTokenClassification", ["logits"]),
    "multiple-choice": ("ORTModelForMultipleChoice", ["logits"]),
    "question-answering": ("ORTModelForQuestionAnswering", ["start_logits", "end_logits"]),
    "image-classification": ("ORTModelForImageClassification", ["logits"]),
}
PER_TOKEN = {"masked-lm", "token-classification", "question-answering"}


def same_generation(what, client, model, inputs, atol):
    """The tokens of both are equal, and so, within the tolerance, is each step's whole distribution."""
    tokens, logits = greedy(client, inputs)
    expected, expected_logits = greedy(model, inputs)
    if tokens.tolist() != expected.tolist():
        raise Difference(f"{what}: tokens {tokens.tolist()}, expected {expected.tolist()}")
    close(f"{what}: logits of the steps", logits, expected_logits, atol)


def causal(command, checkpoint):
    """ORTModelForCausalLM: one graph for prefill and decode, with position_ids as an input and without."""
    model = original(checkpoint)
    inputs = text_inputs(model.config)
    kept = inputs["attention_mask"].bool()  # what stands at padded places is nobody's concern
    with torch.no_grad():
        expected = model(**inputs).logits
    for options in (["--position-ids", "input"], [], ["--layout", "optimum"], ["--layout", "all"]):
        what = " ".join(options) or "without position_ids"
        with exported(command, checkpoint, *options) as folder:
            client = optimum.onnxruntime.ORTModelForCausalLM.from_pretrained(folder)
            close(f"{what}: logits", client(**inputs, use_cache=True).logits[kept], expected[kept], checkpoint.atol)
            same_generation(what, client, model, text_inputs(model.config, padded=False), checkpoint.atol)
            left = text_inputs(model.config, left=True)
            same_generation(f"{what}, padded on the left", client, model, left, checkpoint.atol)


def seq2seq(command, checkpoint):
    """ORTModelForSeq2SeqLM: three files, and the merged decoder."""
    model = original(checkpoint)
    inputs = text_inputs(model.config)
    start = text_inputs(model.config, length=4, padded=False)["input_ids"]
    with torch.no_grad():
        expected = model(**inputs, decoder_input_ids=start).logits
    for layout in ("split", "merged", "optimum", "all"):
        with exported(command, checkpoint, "--layout", layout) as folder:
            client = optimum.onnxruntime.ORTModelForSeq2SeqLM.from_pretrained(folder)
            if client.decoder.is_merged != (layout != "split"):
                raise Difference(f"layout {layout} wrote {sorted(path.name for path in folder.iterdir())}")
            close(f"{layout}: logits", client(**inputs, decoder_input_ids=start).logits, expected, checkpoint.atol)
            same_generation(layout, client, model, inputs, checkpoint.atol)


def head(command, checkpoint):
    """A classifier, or another head over one graph."""
    client_class, outputs = HEADS[checkpoint.feature]
    model = original(checkpoint)
    inputs = images(model.config) if checkpoint.feature == "image-classification" else text_inputs(model.config, rows=4)
    if checkpoint.feature == "multiple-choice":
        inputs = {name: value.view(2, 2, -1) for name, value in inputs.items()}
    kept = inputs["attention_mask"].bool() if checkpoint.feature in PER_TOKEN else ...
    with torch.no_grad():
        expected = model(**inputs)
    for layout in ("single", "optimum", "all"):
        with exported(command, checkpoint, "--layout", layout) as folder:
            answer = getattr(optimum.onnxruntime, client_class).from_pretrained(folder)(**inputs)
        for output in outputs:
            close(f"{layout}: {output}", answer[output][kept], expected[output][kept], checkpoint.atol)


if __name__ == "__main__":
    logging.getLogger("optimum").setLevel(logging.ERROR)
    checks = {"causal-lm-with-past": causal, "seq2seq-lm-with-past": seq2seq, **dict.fromkeys(HEADS, head)}
    sys.exit(runner.run(__doc__, checks))
