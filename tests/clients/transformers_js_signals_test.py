# SPDX-License-Identifier: Apache-2.0
"""transformers.js on a model of each task of sound, and of texts with images or sound: what the original answers."""
import argparse
import contextlib
import dataclasses
import inspect
import json
import os
import pathlib
import sys
from unittest import mock

import torch
import transformers
from safetensors.torch import load_file

from models import Difference, close, written
from node import Node, tensor_of

WHOLE = ""  # the class that was recorded


@dataclasses.dataclass(frozen=True)
class Task:
    """A class of transformers.js on a recorded model."""

    name: str
    feature: str
    model_type: str
    client: str  # its class
    original: str = WHOLE  # that of transformers whose outputs it hands on, where it is another than was recorded
    generates: bool = False  # tokens by greedy search as well
    draws: bool = False  # by chance, which the original is given here as white_noise.hpp has it: nothing recorded counts


TASKS = [
    Task("speech recognition", "ctc", "wav2vec2", "AutoModelForCTC"),
    Task("audio classification", "audio-classification", "wav2vec2", "AutoModelForAudioClassification"),
    Task("audio classification", "audio-classification", "audio-spectrogram-transformer", "AutoModelForAudioClassification"),
    Task("frames of sound", "audio-frame-classification", "wav2vec2", "AutoModelForAudioFrameClassification"),
    Task("voices", "audio-xvector", "wavlm", "AutoModelForXVector"),
    Task("text to speech", "text-to-audio", "vits", "AutoModelForTextToWaveform"),
    Task("text to speech by noise", "text-to-audio", "vits", "AutoModelForTextToWaveform", "VitsModel", draws=True),
    Task("zero-shot image classification", "default", "clip", "AutoModel"),
    Task("zero-shot image classification", "default", "siglip", "AutoModel"),
    Task("zero-shot audio classification", "default", "clap", "AutoModel"),
    Task("features of a text", "default", "clip", "CLIPTextModelWithProjection", "CLIPTextModelWithProjection"),
    Task("features of an image", "default", "clip", "CLIPVisionModelWithProjection", "CLIPVisionModelWithProjection"),
    Task("features of a text", "default", "siglip", "SiglipTextModel", "SiglipTextModel"),
    Task("features of an image", "default", "siglip", "SiglipVisionModel", "SiglipVisionModel"),
    Task("features of a text", "default", "clap", "ClapTextModelWithProjection", "ClapTextModelWithProjection"),
    Task("features of a sound", "default", "clap", "ClapAudioModelWithProjection", "ClapAudioModelWithProjection"),
    *(Task("text about an image", "vision2seq-lm", model_type, "AutoModelForImageTextToText", generates=True)
      for model_type in ("llava", "smolvlm", "idefics3", "paligemma", "gemma3", "glm_ocr", "qwen2_vl", "qwen2_5_vl", "qwen3_vl",
                         "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")),
]
NEW_TOKENS = 8


def recordings(roots, task):
    """The folders that a case of the whole model was recorded in, and its row."""
    for root in map(pathlib.Path, roots):
        for row in json.loads((root / "index.json").read_text()):
            same = (row["feature"], row["model_type"]) == (task.feature, task.model_type)
            draws = "noise" in row.get("notes", "") and "without noise" not in row["notes"]
            if same and draws == task.draws and "synth" in row.get("weights", {}) and not row.get("part"):
                yield root / row["path"], row


def even_noise(places, series):
    """sdk/include/onnxport/white_noise.hpp, of whole numbers that are not negative."""
    prime, factor, apart = 2147483647, 48271, 1000003
    x = places + series * apart + 1
    for _ in range(2):
        x = (x % prime * factor + apart) % prime
        square = x * x % prime
        x = square * square % prime * x % prime
    return (x + 1).float() / (prime + 1)


def normal_noise(shape, series):
    rows, width, columns = (torch.arange(size) for size in shape)
    places = (columns * len(width) + width[:, None]) * 65536 + rows[:, None, None]
    length = (even_noise(places, 2 * series).log() * -2).sqrt()
    return length * (even_noise(places, 2 * series + 1) * (2 * torch.pi)).cos()


@contextlib.contextmanager
def drawing():
    """What VITS draws by chance is what the graph holds: first for durations, then for frames."""
    with mock.patch("torch.randn", lambda *shape, **_: normal_noise(shape, 0)), \
            mock.patch("torch.randn_like", lambda like, **_: normal_noise(like.shape, 1)):
        yield


def answers(task, checkpoint, tensors, inputs):
    """What was recorded, or what the class of a part answers."""
    if task.original == WHOLE:
        return {name[4:]: value for name, value in tensors.items() if name.startswith("out/")}
    whole = json.loads((checkpoint / "config.json").read_text())
    # The class of a part reads the part's config, and how both towers' results come together stands in the whole's.
    shared = {name: whole[name] for name in ("projection_dim", "projection_hidden_act") if name in whole}
    model = getattr(transformers, task.original).from_pretrained(checkpoint, attn_implementation="eager", **shared)
    taken = inspect.signature(model.forward).parameters
    given = {name: value for name, value in {**inputs, "interpolate_pos_encoding": True}.items() if name in taken}
    if task.draws:
        given["speaker_id"] = int(given["speaker_id"][0])
    with torch.no_grad(), drawing() if task.draws else contextlib.nullcontext():
        return dict(model.float().eval()(**given))


def announced(row, start, image):
    """As many tokens, the first of which announces the image behind it, and no other does."""
    others = [token for token in row if token != start]
    if len(others) == len(row):
        others.remove(next(token for token in reversed(row) if token != image))
    return [start, *others, *[others[-1]] * (len(row) - len(others) - 1)]


def to_continue(checkpoint, inputs):
    """The inputs of a search: positions that were recorded tell nothing of further tokens, and where they are of three axes
    the client finds images by the token before each."""
    config = json.loads((checkpoint / "config.json").read_text())
    start = config.get("vision_start_token_id")
    kept = {name: value for name, value in inputs.items() if name != "position_ids"}
    if start is None or "position_ids" not in inputs:
        return kept
    kept["input_ids"] = torch.tensor([announced(row, start, config["image_token_id"]) for row in inputs["input_ids"].tolist()])
    return kept


def continued(inputs, tokens):
    """The inputs with the tokens that were made behind them, which are no padding and of the first kind."""
    batch, made = len(tokens), tokens.shape[1] - inputs["input_ids"].shape[1]
    behind = {"attention_mask": 1, "token_type_ids": 0}
    longer = {name: torch.cat([inputs[name], torch.full((batch, made), fill)], 1)
              for name, fill in behind.items() if name in inputs}
    return {**inputs, **longer, "input_ids": tokens}


def check_steps(node, task, model, inputs):
    """Greedy search with a cache makes the tokens that the whole, which is compared with the original, finds likeliest."""
    options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}
    tokens = torch.tensor(node.ask(task.client, model, inputs, options)["tokens"])
    length = inputs["input_ids"].shape[1]
    if tokens.shape[1] != length + NEW_TOKENS:
        raise Difference(f"{tokens.shape[1]} tokens behind {length}, expected {NEW_TOKENS} more")
    logits = node.ask(task.client, model, continued(inputs, tokens))["logits"]
    likeliest = torch.tensor(logits["data"]).view(logits["shape"])[:, length - 1 : -1].argmax(-1)
    if not torch.equal(likeliest, tokens[:, length:]):
        raise Difference(f"tokens {tokens[:, length:].tolist()}, without a cache {likeliest.tolist()}")


def check(command, node, task, folder, row):
    """Every output of every case, as far as the client's class hands it on, which must be at least one."""
    compared = set()
    with written(command, folder, row) as (checkpoint, model):
        for case in row["cases"]:
            tensors = load_file(folder / case)
            inputs = {name[3:]: value for name, value in tensors.items() if name.startswith("in/")}
            # Behind padding the client counts positions by the mask, and the original's class by places.
            if task.generates and not inputs["attention_mask"].all():
                continue
            if task.draws and len(inputs["input_ids"]) > 1:  # the original takes one speaker
                continue
            expected = answers(task, checkpoint, tensors, inputs)
            reply = node.ask(task.client, model, inputs)
            for name, found in reply.items():
                if name in expected:
                    close(f"{case}: {name}", tensor_of(found), expected[name], row["atol"])
                    compared.add(name)
            if task.generates:
                check_steps(node, task, model, to_continue(checkpoint, inputs))
                compared.add("tokens")
    if not compared - {"tokens"}:
        raise Difference(f"{task.client} hands on none of {', '.join(expected)}; it gives {', '.join(reply)}")
    return sorted(compared)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="types and tasks that contain this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    node, passed, failed = Node(), 0, 0
    for task in TASKS:
        title = f"{task.name}, {task.client} of {task.model_type}"
        if options.only not in title:
            continue
        try:
            folder, row = next(recordings(options.goldens, task))
            outputs = check(options.command, node, task, folder, row)
        except StopIteration:
            failed += 1
            print(f"FAILED: {title}: no recording of {task.feature} in {', '.join(options.goldens)}", flush=True)
        except Exception as error:  # another may well load
            failed += 1
            print(f"FAILED: {title}: {type(error).__name__}: {error}", flush=True)
        else:
            passed += 1
            print(f"passed: {title}: {', '.join(outputs)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
