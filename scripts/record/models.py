# SPDX-License-Identifier: Apache-2.0
"""The original model: loading drawn weights into its class, and asking it."""
import contextlib
import fnmatch
import importlib
import inspect
import sys

import torch
import transformers
from safetensors.torch import load_file

import signals


# Inputs of a step that come of the one before it.
PAST = tuple(f"past_{kind}." for kind in ("key_values", "conv", "ssm", "recurrent"))


def class_named(name):
    """A class of transformers, or MODULE:NAME of a module that Python finds or that lies in the working directory."""
    module, _, name = name.rpartition(":")
    if module and "" not in sys.path:
        sys.path.append("")
    return getattr(importlib.import_module(module) if module else transformers, name)


def loaded(name, checkpoint, attention):
    """The class with the checkpoint's weights as the library itself loads them, and which were missing and left over."""
    if not hasattr(class_named(name), "from_pretrained"):
        return loaded_by_torch(class_named(name), checkpoint)
    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint)
    except ValueError:  # a type by a name that only its own class knows
        config = class_named(name).config_class.from_pretrained(checkpoint)
    if attention:
        config._attn_implementation = attention
    config._experts_implementation = "eager"  # others want sizes that small configs have not
    model, found = class_named(name).from_pretrained(checkpoint, config=config, output_loading_info=True)
    return model, found["missing_keys"], found["unexpected_keys"]


def loaded_by_torch(kind, checkpoint):
    """The same of a module that is none of the library's and is made from its config alone."""
    config = transformers.PretrainedConfig.from_json_file(checkpoint / "config.json")
    model = kind(config)
    found = model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    model.config = config
    return model, found.missing_keys, found.unexpected_keys


def load(name, checkpoint, unused, attention="eager"):
    """The class with the checkpoint's weights, in f32; `attention` says how it attends, as the library calls it, None: as it
    chooses. Ends the program where a weight is left over, or one is missing that `unused` does not list."""
    model, missing, unexpected = loaded(name, checkpoint, attention)
    unused = [*unused, "*.num_batches_tracked"]  # which counts steps of a training
    missing = sorted(key for key in missing if not any(fnmatch.fnmatch(key, pattern) for pattern in unused))
    unexpected = sorted(unexpected)
    if missing or unexpected:
        sys.exit(f"{name} does not take the drawn weights as its own\n  missing: {', '.join(missing) or 'none'}\n"
                 f"  unexpected: {', '.join(unexpected) or 'none'}\n"
                 "correct the plugin's names, or list what the feature does not need with --unused")
    return model.float().eval()


def first_tensor(found):
    """The first tensor of what a module yields; None where there is none."""
    if isinstance(found, torch.Tensor):
        return found
    parts = found.values() if hasattr(found, "values") else found if isinstance(found, (tuple, list)) else ()
    return next((tensor for tensor in map(first_tensor, parts) if tensor is not None), None)


@contextlib.contextmanager
def listening(model, patterns):
    """What the modules whose paths fit a pattern have yielded last, by their paths; of several tensors the first. A run of
    the whole model begins anew, so that what a prefix leaves is not taken for the step behind it."""
    within, hooks = {}, [model.register_forward_pre_hook(lambda *_: within.clear())]

    def keep(path):
        def hook(_module, _given, found):
            tensor = first_tensor(found)
            if tensor is not None and tensor.is_floating_point():
                within[path] = tensor.detach().clone()  # what is changed in place later

        return hook

    for path, module in model.named_modules():
        if path and any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            hooks.append(module.register_forward_hook(keep(path)))
    try:
        yield within
    finally:
        for hook in hooks:
            hook.remove()


def layers_of(cache):
    """A cache as one tuple of tensors a layer: key, value, and of an encoder-decoder the encoder's key and value."""
    if isinstance(cache, (tuple, list)):
        return [tuple(layer) for layer in cache]
    if hasattr(cache, "self_attention_cache"):
        own, cross = layers_of(cache.self_attention_cache), layers_of(cache.cross_attention_cache)
        return [one + other for one, other in zip(own, cross)]
    if hasattr(cache, "layers"):
        return [(layer.keys, layer.values) for layer in cache.layers]
    return [tuple(layer) for layer in cache.to_legacy_cache()]


def remembers(layer):
    """Whether a layer of a cache keeps states of a recurrence or a convolution, beside keys and values or without them."""
    return hasattr(layer, "conv_states")


def empty_cache(model):
    """A cache that keeps every token, as graphs do; one of the library's own choice forgets what a window hides."""
    own = transformers.DynamicCache(config=model.config.get_text_config(decoder=True))
    if not any(map(remembers, own.layers)):
        return transformers.DynamicCache()
    own.layers = [layer if remembers(layer) else transformers.cache_utils.DynamicLayer() for layer in own.layers]
    return own


def whole_cache(model, seq2seq=False):
    """The same as the argument of a call."""
    if not hasattr(transformers, "DynamicCache"):
        return {}
    cache = (transformers.EncoderDecoderCache(transformers.DynamicCache(), transformers.DynamicCache()) if seq2seq else
             empty_cache(model))
    return {cache_argument(model): cache}


def cache_argument(model):
    """What the class calls its cache."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def cache_in(found):
    """The cache in what a model answers."""
    return found.cache if "cache" in found else found.past_key_values


def named_states(cache, prefix):
    """The tensors of a cache under the names that graphs give them: PREFIX.0.key, or PREFIX.0.decoder.key; of a recurrence
    past_conv.0 and past_ssm.0, or present_…, and the latter also as past_recurrent.0, as some call it."""
    if any(map(remembers, getattr(cache, "layers", []))):
        return named_memories(cache, prefix)
    named = {}
    for number, layer in enumerate(layers_of(cache)):
        names = ["key", "value"] if len(layer) == 2 else ["decoder.key", "decoder.value", "encoder.key", "encoder.value"]
        named.update({f"{prefix}.{number}.{name}": tensor for name, tensor in zip(names, layer)})
    return named


def named_memories(cache, prefix):
    """named_states of a cache of which some layers keep states of another kind."""
    named, stem = {}, prefix.split("_")[0]
    for number, layer in enumerate(cache.layers):
        if getattr(layer, "keys", None) is not None:
            named.update({f"{prefix}.{number}.key": layer.keys, f"{prefix}.{number}.value": layer.values})
        if remembers(layer):
            kinds = {"conv": layer.conv_states, "ssm": layer.recurrent_states, "recurrent": layer.recurrent_states}
            named.update({f"{stem}_{kind}.{number}": kept[0] for kind, kept in kinds.items() if kept.get(0) is not None})
    return {name: tensor.clone() for name, tensor in named.items()}


def cache_of_memories(model, named):
    """The reverse of named_memories."""
    cache = empty_cache(model)
    for name, tensor in named.items():
        kind, number = name.split(".")[:2]
        layer = cache.layers[int(number)]
        if kind == "past_conv":
            layer.update_conv_state(tensor.clone())
        elif kind in ("past_ssm", "past_recurrent"):
            layer.update_recurrent_state(tensor.clone())
        elif name.endswith(".key"):
            cache.update(tensor.clone(), named[name.removesuffix("key") + "value"].clone(), int(number))
    return cache


def cache_of(model, named):
    """The reverse of named_states, as the library of this version takes it."""
    if not all(name.startswith("past_key_values.") for name in named):
        return cache_of_memories(model, named)
    count = 1 + max(int(name.split(".")[1]) for name in named)
    seq2seq = any(".decoder." in name for name in named)
    names = ["decoder.key", "decoder.value", "encoder.key", "encoder.value"] if seq2seq else ["key", "value"]
    layers = [tuple(named[f"past_key_values.{number}.{name}"] for name in names) for number in range(count)]
    if not hasattr(transformers, "DynamicCache"):
        return tuple(layers)

    def filled(pairs):
        cache = transformers.DynamicCache()
        for number, (key, value) in enumerate(pairs):
            cache.update(key.clone(), value.clone(), number)
        return cache

    if not seq2seq:
        return filled(layers)
    return transformers.EncoderDecoderCache(filled([layer[:2] for layer in layers]), filled([layer[2:] for layer in layers]))


def image_config(config):
    """The part of a config that tells of images."""
    for name in ("vlm_config", "vision_config", "image_config", "backbone_config"):
        if getattr(config, name, None) is not None:
            return image_config(getattr(config, name))
    return config


def is_resized(config, given):
    """Whether images have another size than the model was trained for."""
    size = getattr(image_config(config), "image_size", None)
    return size is not None and "pixel_values" in given and list(given["pixel_values"].shape[-2:]) != (size if isinstance(size, list) else [size, size])


def answer(model, given, names, counted=False):
    """The outputs of these names; `counted`: the positions of a step's tokens are given, counted on behind the past."""
    states = {name: value for name, value in given.items() if name.startswith(PAST)}
    # Of several kinds of prompts, one without entries is not given at all.
    words = {name: value if value.numel() else None for name, value in given.items() if name not in states}
    cached = any(name.startswith("present") for name in names)
    if states:
        words[cache_argument(model)] = cache_of(model, states)
    if counted and states:
        new, total = given["input_ids"].shape[1], given["attention_mask"].shape[1]
        words["position_ids"] = torch.arange(total - new, total).unsqueeze(0)
    if cached or "use_cache" in inspect.signature(model.forward).parameters:
        words["use_cache"] = cached
    if "interpolate_pos_encoding" in inspect.signature(model.forward).parameters and is_resized(model.config, given):
        words["interpolate_pos_encoding"] = True
    takes = inspect.signature(model.forward).parameters
    if "return_dict" in takes or any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        words["return_dict"] = True
    if "bandwidth" in takes:  # of a codec, whose graph has all quantisers
        words["bandwidth"] = model.config.target_bandwidths[-1]
    for kind in ("hidden_states", "attentions"):  # which are answered where they are asked for
        if any(name.split(".")[0].endswith(kind) for name in names):
            words[f"output_{kind}"] = True
    if "speaker_id" in words:  # of all texts
        words["speaker_id"] = words["speaker_id"][:1]
    with signals.drawing({} if "noise" in takes else words):  # a class that takes its noise is given it
        found = model(**words)
    if isinstance(found, torch.Tensor):  # a vocoder's, which has no name
        found = {names[0]: found}
    outputs = {name: torch.stack(value) if isinstance(value, list) and name in names else value for name, value in found.items()}
    for name, value in list(outputs.items()):
        if isinstance(value, tuple) and getattr(model, "distribution_output", None):  # the parameters of a distribution
            outputs.update({f"{name}.{one}": each for one, each in zip(model.distribution_output.args_dim, value)})
    for name, value in list(outputs.items()):
        if isinstance(value, (tuple, list)):
            outputs.update({f"{name}.{number}": each for number, each in enumerate(value)})
    if "single_mask" in names:
        one = model(**words, multimask_output=False)
        outputs.update(single_mask=one["pred_masks"], single_iou_score=one["iou_scores"])
    outputs.setdefault("last_hidden_state", outputs.get("transformer_decoder_last_hidden_state"))  # of segmenters
    if cached:
        outputs.update(named_states(cache_in(found), "present"))
    if "char_logits" in names:  # MGP-STR's three ways to read, which it answers in one
        outputs.update(zip(("char_logits", "bpe_logits", "wp_logits"), outputs["logits"]))
    absent = [name for name in names if outputs.get(name) is None]
    if absent:
        sys.exit(f"{type(model).__name__} gives no {', '.join(absent)}; it gives {', '.join(outputs)}")
    return {name: outputs[name].float() if outputs[name].is_floating_point() else outputs[name] for name in names}
