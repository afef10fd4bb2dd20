# SPDX-License-Identifier: Apache-2.0
"""What every client check needs: the exported folder, the original model, inputs, and a comparison."""
import contextlib
import importlib.util
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

from program import Difference, draw, run

NEW_TOKENS = 20

# The class that a feature means, which is not always the one that wrote the checkpoint. Of classifiers over images
# there are several kinds: there the checkpoint's own decides.
CLASSES = {
    "causal-lm-with-past": transformers.AutoModelForCausalLM,
    "seq2seq-lm-with-past": transformers.AutoModelForSeq2SeqLM,
    "speech2seq-lm-with-past": transformers.AutoModelForSpeechSeq2Seq,
    # Called otherwise until version 5.
    "vision2seq-lm-with-past": getattr(transformers, "AutoModelForVision2Seq", transformers.AutoModelForImageTextToText),
    "masked-lm": transformers.AutoModelForMaskedLM,
    "sequence-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
    "multiple-choice": transformers.AutoModelForMultipleChoice,
    "question-answering": transformers.AutoModelForQuestionAnswering,
}


class LeftOut(Exception):
    """Why a checkpoint can tell nothing of a client."""


def module_of_recording():
    """scripts/record/models.py, which asks the original model as a recording did."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "record"
    sys.path.append(str(folder))
    described = importlib.util.spec_from_file_location("recording", folder / "models.py")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


recording = module_of_recording()


@contextlib.contextmanager
def exported(command, checkpoint, *options):
    """The folder that `onnxport export` writes for this checkpoint and its feature."""
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        folder = pathlib.Path(scratch) / "onnx"
        run(command, "export", "-m", checkpoint.folder, "--feature", checkpoint.feature, *options, "--no-validate", folder)
        yield folder


@contextlib.contextmanager
def written(command, folder, row, *options):
    """The checkpoint that a row of an index tells of, and what `onnxport export` writes of it for transformers.js."""
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        checkpoint, model = folder, pathlib.Path(scratch) / "model"
        if drawn := row.get("weights", {}).get("synth"):
            checkpoint = pathlib.Path(scratch) / "checkpoint"
            draw(command, folder / "config.json", checkpoint, drawn)
        run(command, "export", "-m", checkpoint, *options, "--layout", "transformers.js", "--no-validate", model)
        yield checkpoint, model


def original(checkpoint):
    """The model as transformers loads it, with the attention that the goldens were recorded with."""
    model_class = CLASSES.get(checkpoint.feature) or getattr(transformers, checkpoint.architecture)
    options = {"attn_implementation": "eager"} if checkpoint.model_type not in ("resnet", "convnext", "mpnet") else {}
    try:
        model = model_class.from_pretrained(checkpoint.folder, **options).float().eval()  # f8 stays f8 otherwise
        same = checkpoint.version == transformers.__version__ or answers_as_recorded(checkpoint, model)
    except (AttributeError, IndexError, RuntimeError, TypeError) as error:
        if checkpoint.version < "5":
            raise
        raise LeftOut(f"transformers {transformers.__version__} does not load what {checkpoint.version} does: {error}") from error
    if not same:
        raise LeftOut(f"transformers {transformers.__version__} answers something else than {checkpoint.version}")
    if not checkpoint.feature.endswith("-with-past"):  # in a BERT that is a decoder, a cache changes relative positions
        model.config.use_cache = False
    return model


def answers_as_recorded(checkpoint, model):
    """Whether the version at hand answers what the one that recorded did: not all read a config of another alike."""
    bare = checkpoint.feature.removesuffix("-with-past")
    cases = [list(checkpoint.folder.glob(f"case-{name}-[0-9].safetensors")) for name in (bare, checkpoint.feature)]
    for case in cases[0] or cases[1]:
        tensors = load_file(case)
        given = {name.removeprefix("in/"): value for name, value in tensors.items() if name.startswith("in/")}
        with torch.no_grad():
            found = recording.answer(model, given, ["logits"])["logits"]
        if not (found - tensors["out/logits"]).abs().max() <= checkpoint.atol:
            return False
    return True


def text_config(config, side="decoder"):
    """The part of a config that tells of the tokens of one side."""
    return getattr(config, side, None) or config.get_text_config(decoder=side == "decoder")


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


# What an encoder is given that does not read tokens.
SIGNALS = ("flattened_patches", "input_features", "input_values", "pixel_values")


def encoder_inputs(checkpoint, config):
    """The inputs of an encoder, of a single row and of a padded batch: sounds and images as they were recorded, tokens made."""
    if checkpoint.feature == "seq2seq-lm-with-past":
        side = text_config(config, "encoder")
        return [text_inputs(side, rows=1, padded=False), text_inputs(side)]
    found = {}
    for case in checkpoint.cases:
        given = {name.removeprefix("in/"): value for name, value in load_file(case).items()}
        signal = next((name for name in SIGNALS if name in given), None)
        if signal:  # a mask without one is that of a decoder's own case
            kept = {name: given[name] for name in (signal, "attention_mask") if name in given}
            found[tuple(given[signal].shape)] = kept
    return [found[shape] for shape in sorted(found)]


def images(config):
    """pixel_values f32[2, channels, height, width] of the size that the config names, or 32."""
    size = getattr(config, "image_size", 32)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    generator = torch.Generator().manual_seed(7)
    return {"pixel_values": torch.randn(2, config.num_channels, height, width, generator=generator)}


def new_tokens(model):
    """How many tokens a search makes, of a model that may hold but few."""
    side = text_config(model.config)
    held = getattr(side, "max_target_positions", None) or NEW_TOKENS + 4
    return min(NEW_TOKENS, held - 4)


def has_deeper_decoder(config):
    side = text_config(config)
    layers = [getattr(side, name, 0) or 0 for name in ("decoder_layers", "num_decoder_layers")]
    return config.is_encoder_decoder and max(layers) > side.num_hidden_layers


def greedy(model, inputs):
    """Tokens, and the logits of every step, of a greedy search with cache that always makes new_tokens() tokens."""
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.forced_eos_token_id = None  # which not every client knows
    if isinstance(model, transformers.PreTrainedModel) and has_deeper_decoder(model.config):
        # By itself it makes caches for as many layers as the encoder has.
        caches = transformers.DynamicCache(), transformers.DynamicCache()
        inputs = {**inputs, "past_key_values": transformers.EncoderDecoderCache(*caches)}
    count = new_tokens(model)
    made = model.generate(**inputs, max_new_tokens=count, min_new_tokens=count, do_sample=False, num_beams=1,
                          use_cache=True, return_dict_in_generate=True, output_logits=True)
    return made.sequences, torch.stack(made.logits, 1)


def close(name, found, expected, atol):
    if found.shape != expected.shape:
        raise Difference(f"{name} has shape {list(found.shape)}, expected {list(expected.shape)}")
    same = found == expected  # of infinities the difference is no number
    difference = (found - expected).masked_fill(same, 0).abs().max().item()
    if not difference <= atol:  # so that NaN fails too
        raise Difference(f"{name} differs by {difference:.2e}, tolerance {atol:.0e}")
