# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai on images in files: of each model type whose images it reads, the folder of --layout all, whose
image_processor.json makes of a picture what transformers' own image processor makes of it, and a greedy search behind a prompt with
that picture, whose tokens are those of the original."""
import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy  # noqa: E402
import onnxruntime_genai  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402

import table_models  # noqa: E402
from program import Difference, draw, run  # noqa: E402

NEW_TOKENS = 8
ROUNDING = 1e-5
# Of a byte: where a sum in the resampling is half of one.
ONE_STEP = 1.01 * 2 / 255
TEXT = {**table_models.DECODER, "max_position_embeddings": 1024}
IMAGE_TOKEN = 4  # the first behind the four of every vocabulary
SIDES = [(56, 56), (112, 84), (196, 140)]


@dataclasses.dataclass
class Kind:
    """A model type that reads images."""

    config: dict
    architecture: str
    specials: list  # tokens of its vocabulary, the image's own first
    prompt: str
    processor: object  # transformers' own
    inputs: dict  # what its processor calls what genai calls otherwise
    tolerance: float = ROUNDING
    end: int = 2
    seed: int = 7  # by which no token that stands for an image is generated


KINDS = {
    "gemma3": Kind(
        {"model_type": "gemma3", "image_token_index": IMAGE_TOKEN, "mm_tokens_per_image": 256, "boi_token_index": 5, "eoi_token_index": 6,
         "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0,
         "text_config": {"model_type": "gemma3_text", **TEXT, "head_dim": 8, "query_pre_attn_scalar": 8,
                         "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 512,
                         "layer_types": ["sliding_attention", "full_attention"]},
         "vision_config": {"model_type": "siglip_vision_model", **table_models.IMAGES, "image_size": 64, "patch_size": 4}},
        "Gemma3ForConditionalGeneration", ["<image_soft_token>", "<start_of_image>", "<end_of_image>"], "ab<start_of_image>cd",
        lambda: transformers.Gemma3ImageProcessor(size={"height": 64, "width": 64}), {}, ONE_STEP),
    "qwen2_5_vl": Kind(
        {"model_type": "qwen2_5_vl", **TEXT, "image_token_id": IMAGE_TOKEN, "video_token_id": 7, "vision_start_token_id": 5, "vision_end_token_id": 6,
         "tie_word_embeddings": False, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
         "vision_config": {"model_type": "qwen2_5_vl", "depth": 2, "hidden_size": 32, "num_heads": 4, "intermediate_size": 48, "out_hidden_size": 32, "in_channels": 3,
                           "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 56,
                           "fullatt_block_indexes": [1], "tokens_per_second": 2, "initializer_range": 0.5}},
        "Qwen2_5_VLForConditionalGeneration", ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"],
        "ab<|vision_start|><|image_pad|><|vision_end|>cd",
        lambda: transformers.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=64 * 28 * 28), {}),
    # Its own rule rounds sides up, and that of onnxruntime-extensions to what is nearest: alike where they are multiples.
    "mistral3": Kind(
        {"model_type": "mistral3", "image_token_index": IMAGE_TOKEN, "spatial_merge_size": 2, "multimodal_projector_bias": False,
         "projector_hidden_act": "gelu", "vision_feature_layer": -1,
         "text_config": {"model_type": "mistral", **TEXT, "head_dim": 8},
         "vision_config": {"model_type": "pixtral", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                           "intermediate_size": 48, "image_size": 280, "patch_size": 14, "num_channels": 3, "head_dim": 8,
                           "rope_theta": 10000.0, "initializer_range": 0.5}},
        "Mistral3ForConditionalGeneration", ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]"], "ab[IMG]cd",
        lambda: transformers.PixtralImageProcessor(size={"longest_edge": 280}, patch_size={"height": 28, "width": 28}), {}),
    "lfm2_vl": Kind(
        {"model_type": "lfm2_vl", "image_token_id": IMAGE_TOKEN, "downsample_factor": 2, "projector_hidden_size": 32, "projector_bias": True,
         "projector_hidden_act": "gelu", "vision_feature_layer": -1,
         "text_config": {"model_type": "lfm2", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "intermediate_size": 48, "vocab_size": 97, "max_position_embeddings": 1024,
                         "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False, "conv_L_cache": 3,
                         "norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
         "vision_config": {"model_type": "siglip2_vision_model", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                           "intermediate_size": 48, "patch_size": 14, "num_channels": 3, "num_patches": 256, "vision_use_head": False}},
        "Lfm2VlForConditionalGeneration", ["<image>", "<|image_start|>", "<|image_end|>"], "ab<image>cd",
        lambda: transformers.Lfm2VlImageProcessorFast(encoder_patch_size=14, downsample_factor=2, min_image_tokens=4, max_image_tokens=64,
                                                      do_image_splitting=False),
        {"spatial_shapes": "image_sizes"}, ONE_STEP, seed=8),
}


def drawn(command, kind, scratch):
    """The checkpoint with weights, letters as tokens, and its image processor as transformers saves it."""
    config = scratch / "config.json"
    config.write_text(json.dumps({**kind.config, "architectures": [kind.architecture]}))
    folder = scratch / "checkpoint"
    draw(command, config, folder, {"seed": kind.seed, "form": 3})
    if kind.config["vision_config"]["model_type"].startswith("siglip"):
        table_models.rename(folder / "model.safetensors", "vision_tower.", "vision_tower.vision_model.")
    special = ["<pad>", "<bos>", "<eos>", "<unk>", *kind.specials]
    vocabulary = {word: number for number, word in enumerate([*special, *"abcdefgh \n\u010a\u0120"])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    made.add_special_tokens(special)
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", bos_token="<bos>",
                                         eos_token="<eos>").save_pretrained(folder)
    kind.processor().save_pretrained(folder)
    return folder


def picture(sides, scratch):
    """Smooth colours, so that the way of rounding tells little."""
    height, width = sides
    colours = numpy.random.default_rng(height).integers(0, 255, (7, 7, 3), dtype=numpy.uint8)
    file = scratch / f"picture-{height}x{width}.png"
    Image.fromarray(colours).resize((width, height), Image.BICUBIC).save(file)
    return file


def compare_pixels(kind, found, expected):
    """The largest difference; patches that only pad are left out."""
    pixels = torch.as_tensor(expected["pixel_values"]).float()
    if "pixel_attention_mask" in expected:
        pixels = pixels[:, :int(expected["pixel_attention_mask"].sum())]
    values = torch.as_tensor(found["pixel_values"].as_numpy())
    if values.shape != pixels.shape:
        raise Difference(f"pixel_values have shape {list(values.shape)}, expected {list(pixels.shape)}")
    difference = (values - pixels).abs().max().item()
    if not difference <= kind.tolerance:
        raise Difference(f"pixel_values differ by {difference:.1e}")
    for name in ("image_grid_thw", "spatial_shapes", "image_sizes"):
        if name in expected and numpy.asarray(expected[name]).tolist() != found[kind.inputs.get(name, name)].as_numpy().tolist():
            raise Difference(f"{name} is {found[kind.inputs.get(name, name)].as_numpy().tolist()}, expected {expected[name]}")
    return difference


def search(model, kind, given):
    """The likeliest tokens behind the ids, each of a whole pass of the original."""
    ids = torch.as_tensor(given["input_ids"].as_numpy()).long()
    inputs = {}
    for name in ("pixel_values", "image_grid_thw", "image_sizes", "pixel_attention_mask"):
        if name in given:
            inputs[name] = torch.as_tensor(given[name].as_numpy())
    if kind.config["model_type"] == "lfm2_vl":
        inputs["spatial_shapes"] = inputs.pop("image_sizes")
        inputs["pixel_attention_mask"] = torch.ones(inputs["pixel_values"].shape[:2], dtype=torch.int64)
    length = ids.shape[1]
    while ids.shape[1] < length + NEW_TOKENS:
        with torch.no_grad():  # without token_type_ids, by which Gemma 3's image tokens see each other: genai hands none on
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs, use_cache=False).logits
        logits[:, -1, kind.end] = -torch.inf  # as genai does below the least length
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
        if ids[0, -1] == IMAGE_TOKEN:
            raise AssertionError("an image's token was generated, with which no model goes on: another seed is needed")
    return ids[0].tolist()


def check(command, kind, scratch):
    folder, output = drawn(command, kind, scratch), scratch / "all"
    run(command, "export", "-m", folder, "--layout", "all", "--no-validate", output)
    loaded = onnxruntime_genai.Model(str(output))
    processor = loaded.create_multimodal_processor()
    original = transformers.AutoImageProcessor.from_pretrained(folder, use_fast="Fast" in type(kind.processor()).__name__)
    model, told = getattr(transformers, kind.architecture).from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    if lacking := [name for name in told["missing_keys"] if "lm_head" not in name and "vision_model.head." not in name]:
        raise AssertionError(f"the checkpoint lacks {', '.join(lacking)}")  # which the original would draw
    model.eval()
    largest = 0.0
    for sides in SIDES:
        file = picture(sides, scratch)
        found = processor(kind.prompt, images=onnxruntime_genai.Images.open(str(file)))
        expected = original(Image.open(file), return_tensors="pt")
        largest = max(largest, compare_pixels(kind, found, expected))
        parameters = onnxruntime_genai.GeneratorParams(loaded)
        length = found["input_ids"].as_numpy().shape[1] + NEW_TOKENS
        parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
        generator = onnxruntime_genai.Generator(loaded, parameters)
        tokens = search(model, kind, found)
        generator.set_inputs(found)
        while not generator.is_done():
            generator.generate_next_token()
        made = [int(token) for token in generator.get_sequence(0)]
        if made != tokens:
            raise Difference(f"a picture of {sides}: tokens {made[-NEW_TOKENS:]}, expected {tokens[-NEW_TOKENS:]}")
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="*")  # as all checks are called
    parser.add_argument("--only", default="", help="types whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    passed = failed = 0
    for name, kind in KINDS.items():
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
            try:
                difference = check(arguments.command, kind, pathlib.Path(scratch))
            except Exception as error:  # what the next one does is another question
                failed += 1
                print(f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)
            else:
                passed += 1
                print(f"passed: {name}: pixels differ by {difference:.1e}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
