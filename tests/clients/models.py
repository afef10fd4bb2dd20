# SPDX-License-Identifier: Apache-2.0
"""What every client check needs: the exported folder, the original model, inputs, and a comparison."""
import contextlib
import pathlib
import subprocess
import tempfile

import torch
import transformers

NEW_TOKENS = 20

# The class that a feature means, which is not always the one that wrote the checkpoint. Of classifiers over images
# there are several kinds: there the checkpoint's own decides.
CLASSES = {
    "causal-lm-with-past": transformers.AutoModelForCausalLM,
    "seq2seq-lm-with-past": transformers.AutoModelForSeq2SeqLM,
    "masked-lm": transformers.AutoModelForMaskedLM,
    "sequence-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
    "multiple-choice": transformers.AutoModelForMultipleChoice,
    "question-answering": transformers.AutoModelForQuestionAnswering,
}


class Difference(AssertionError):
    """The client's answer is not that of the original model."""


@contextlib.contextmanager
def exported(command, checkpoint, *options):
    """The folder that `onnxport export` writes for this checkpoint and its feature."""
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        folder = pathlib.Path(scratch) / "onnx"
        words = ["export", "-m", str(checkpoint.folder), "--feature", checkpoint.feature, *options]
        done = subprocess.run([command, *words, "--no-validate", "--quiet", folder], capture_output=True, text=True)
        if done.returncode:
            raise Difference(f"onnxport {' '.join(words)}: status {done.returncode}\n{done.stderr.strip()}")
        yield folder


def original(checkpoint):
    """The model as transformers loads it, with the attention that the goldens were recorded with."""
    model_class = CLASSES.get(checkpoint.feature) or getattr(transformers, checkpoint.architecture)
    options = {"attn_implementation": "eager"} if checkpoint.model_type not in ("resnet", "convnext", "mpnet") else {}
    model = model_class.from_pretrained(checkpoint.folder, **options).float().eval()  # f8 stays f8 otherwise
    if not checkpoint.feature.endswith("-with-past"):  # in a BERT that is a decoder, a cache changes relative positions
        model.config.use_cache = False
    return model


def text_inputs(config, *, rows=3, length=7, left=False, padded=True):
    """input_ids and attention_mask i64[rows, length] of plain tokens; row i has 2 i places of padding."""
    if config.pad_token_id is None:
        rows = 1  # a batch needs something to fill its shorter rows with
    named = [value for name, value in config.to_dict().items() if name.endswith("token_id")]
    special = {token for value in named for token in (value if isinstance(value, list) else [value])}
    plain = torch.tensor([token for token in range(3, config.vocab_size) if token not in special])
    ids = plain[torch.randint(len(plain), (rows, length), generator=torch.Generator().manual_seed(7))]
    mask = torch.ones_like(ids)
    for row in range(1, rows if padded else 1):
        places = slice(0, 2 * row) if left else slice(length - 2 * row, length)
        ids[row, places] = config.pad_token_id
        mask[row, places] = 0
    return {"input_ids": ids, "attention_mask": mask}


def images(config):
    """pixel_values f32[2, channels, height, width] of the size that the config names, or 32."""
    size = getattr(config, "image_size", 32)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    generator = torch.Generator().manual_seed(7)
    return {"pixel_values": torch.randn(2, config.num_channels, height, width, generator=generator)}


def greedy(model, inputs):
    """Tokens, and the logits of every step, of a greedy search with cache that always makes NEW_TOKENS tokens."""
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.forced_eos_token_id = None  # which not every client knows
    made = model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1,
                          use_cache=True, return_dict_in_generate=True, output_logits=True)
    return made.sequences, torch.stack(made.logits, 1)


def close(name, found, expected, atol):
    if found.shape != expected.shape:
        raise Difference(f"{name} has shape {list(found.shape)}, expected {list(expected.shape)}")
    difference = (found - expected).abs().max().item()
    if not difference <= atol:  # so that NaN fails too
        raise Difference(f"{name} differs by {difference:.2e}, tolerance {atol:.0e}")
