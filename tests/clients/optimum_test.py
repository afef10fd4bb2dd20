# SPDX-License-Identifier: Apache-2.0
"""optimum's ONNX Runtime classes on exported folders: the same tokens and logits as the original model."""
import logging
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import optimum.onnxruntime  # noqa: E402
import torch  # noqa: E402

import runner  # noqa: E402
from models import (Difference, close, encoder_inputs, exported, greedy, images, original, text_config,  # noqa: E402
                    text_inputs)

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


# feature -> optimum's class of a model with an encoder and a decoder
GENERATORS = {
    "seq2seq-lm-with-past": "ORTModelForSeq2SeqLM",
    "speech2seq-lm-with-past": "ORTModelForSpeechSeq2Seq",
    "vision2seq-lm-with-past": "ORTModelForVision2Seq",
}


def same_heads(config):
    side = getattr(config, "decoder", config)
    return getattr(side, "encoder_attention_heads", None) == getattr(side, "decoder_attention_heads", None)


def seq2seq(command, checkpoint):
    """Three files, and the merged decoder: a single row and a padded batch, several tokens at once and one by one."""
    model = original(checkpoint)
    client_class = getattr(optimum.onnxruntime, GENERATORS[checkpoint.feature])
    layouts = ["split", "merged", "optimum"]
    # Its first cache has as many heads as the encoder, for which "all" leaves no axis open; and there Moonshine's samples
    # have no mask.
    if same_heads(model.config) and checkpoint.model_type != "moonshine":
        layouts.append("all")
    for layout in layouts:
        with exported(command, checkpoint, "--layout", layout) as folder:
            client = client_class.from_pretrained(folder)
            if client.decoder.is_merged != (layout != "split"):
                raise Difference(f"layout {layout} wrote {sorted(path.name for path in folder.iterdir())}")
            for inputs in encoder_inputs(checkpoint, model.config):
                rows = next(iter(inputs.values())).shape[0]
                start = text_inputs(text_config(model.config), rows=rows, length=4, padded=False)["input_ids"]
                with torch.no_grad():
                    expected = model(**inputs, decoder_input_ids=start, use_cache=False).logits
                close(f"{layout}: logits", client(**inputs, decoder_input_ids=start).logits, expected, checkpoint.atol)
                same_generation(f"{layout}, {rows} rows", client, model, inputs, checkpoint.atol)


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


def reads(checkpoint):
    """It has no class that gives SpeechT5 sound, and LED no global tokens."""
    return checkpoint.model_type not in ("led", "speecht5") or checkpoint.feature not in GENERATORS


if __name__ == "__main__":
    logging.getLogger("optimum").setLevel(logging.ERROR)
    checks = {"causal-lm-with-past": causal, **dict.fromkeys(GENERATORS, seq2seq), **dict.fromkeys(HEADS, head)}
    sys.exit(runner.run(__doc__, checks, reads))
