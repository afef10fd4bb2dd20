# SPDX-License-Identifier: Apache-2.0
"""main_export() as optimum has it, over onnxport.export()."""

import contextlib
import json
import os
import threading
import warnings

from ... import OnnxportError, export, plan

# What optimum calls a model's data type, and what onnxport does.
_DTYPES = {None: None, "fp32": None, "fp16": "fp16", "bf16": "bf16"}

# Arguments that change nothing here, whatever their value: there is no tracer that runs on a device or in a process of its
# own, no code of a checkpoint is ever run, and axes are open whatever the shapes that optimum would trace with.
_WITHOUT_EFFECT = {
    "device",
    "trust_remote_code",
    "use_subprocess",
    "do_constant_folding",
    "for_ort",
    "batch_size",
    "sequence_length",
    "num_choices",
    "width",
    "height",
    "num_channels",
    "point_batch_size",
    "nb_points_per_image",
    "visual_seq_length",
    "feature_size",
    "nb_max_frames",
    "audio_sequence_length",
}

# Arguments that onnxport can do nothing for but with these values, which are optimum's defaults.
_WITHOUT_MEANING = {
    "framework": ("pt", None),
    "legacy": (False, None),
    "no_dynamic_axes": (False, None),
    "optimize": (None,),
    "custom_onnx_configs": (None,),
    "fn_get_submodels": (None,),
    "preprocessors": (None,),
    "model_kwargs": (None,),
    "_variant": ("default", None),
    "slim": (False, None),
}

# The status of options that a model does not have.
_USAGE = 2

# Features that are generated with; with "auto" optimum exports them with a past where there is one.
_GENERATING = ("causal-lm", "seq2seq-lm", "speech2seq-lm", "vision2seq-lm")

# Features of encoder-decoders, which optimum divides into files; what else has parts, such as CLIP, it writes as one.
_DIVIDED = ("seq2seq-lm", "speech2seq-lm", "vision2seq-lm", "default-with-past")

# Tasks that for optimum are those of a model of sentence-transformers.
_EMBEDDING = ("auto", "default", "feature-extraction", "sentence-similarity")

# What a base model puts out that is a classifier without examples.
_ZERO_SHOT = "logits_per_image"

_environment = threading.Lock()


@contextlib.contextmanager
def _hub(local_files_only, token):
    """What optimum is told of the hub by arguments, and the library by the environment: set while a model id is worked on."""
    wanted = {}
    if local_files_only:
        wanted["HF_HUB_OFFLINE"] = "1"
    if isinstance(token, str):
        wanted["HF_TOKEN"] = token
    if token is False:
        wanted["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    if not wanted:
        yield
        return
    with _environment:
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _first_accepted(model, options, choices):
    """The first of several changes of the options that the model has, with its plan."""
    for number, change in enumerate(choices):
        changed = {**options, **change}
        try:
            return changed, plan(model, **changed)
        except OnnxportError as refused:
            if refused.status != _USAGE or number == len(choices) - 1:
                raise


def _features(model, task, library_name):
    """The changes of the options that a task may mean, the likeliest first."""
    is_embedder = os.path.isfile(os.path.join(model, "modules.json"))
    if library_name == "sentence_transformers":
        return [{"feature": "sentence-embedding"}]
    if task in _EMBEDDING and library_name is None and is_embedder:
        return [{"feature": "sentence-embedding"}, {}]
    return [{}]


def _chosen(model, task, options, library_name):
    """The options with the feature that a task means, and their plan."""
    try:
        return _first_accepted(model, options, _features(model, task, library_name))
    except OnnxportError as refused:
        if refused.status != _USAGE or task != "zero-shot-image-classification":
            raise
        # The base model of an encoder of texts and images is what transformers loads for this task.
        chosen, planned = _first_accepted(model, {**options, "feature": "default"}, [{}])
        if all(output["name"] != _ZERO_SHOT for graph in planned["graphs"] for output in graph["outputs"]):
            raise refused from None
        return chosen, planned


def _as_optimum_has_it(model, task, layout, options, library_name):
    """Options with which the files are those that optimum writes."""
    chosen, planned = _chosen(model, task, options, library_name)
    if task == "auto" and planned["feature"] in _GENERATING and layout != "single":
        with_past = {"feature": planned["feature"] + "-with-past"}
        chosen, planned = _first_accepted(model, chosen, [with_past, {}])
    if planned["feature"].startswith(_DIVIDED):
        # Without a past there are no two steps to merge.
        chosen, planned = _first_accepted(model, chosen, [{"layout": layout}, {"layout": "split"}, {"layout": "single"}])
    if planned["feature"].startswith("causal-lm"):
        chosen, planned = _first_accepted(model, chosen, [{"position_ids": "input"}, {}])
    return chosen


def _refuse(name, value, instead):
    raise ValueError(f"{name}={value!r} has no counterpart in onnxport; {instead}")


def _check_pad_token(model, pad_token_id):
    """optimum puts this into the config of a classifier that has none; here the config says it."""
    if pad_token_id is None:
        return
    try:
        with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
            known = json.load(file).get("pad_token_id")
    except OSError:
        known = None
    if known != pad_token_id:
        _refuse("pad_token_id", pad_token_id, f"config.json says {known}; write it there")


def main_export(
    model_name_or_path,
    output,
    task="auto",
    opset=None,
    device="cpu",
    dtype=None,
    optimize=None,
    monolith=False,
    no_post_process=False,
    framework="pt",
    atol=None,
    pad_token_id=None,
    subfolder="",
    revision="main",
    force_download=False,
    local_files_only=False,
    trust_remote_code=False,
    cache_dir=None,
    token=None,
    do_validation=True,
    model_kwargs=None,
    custom_onnx_configs=None,
    fn_get_submodels=None,
    use_subprocess=False,
    library_name=None,
    **others,
):
    """Exports as optimum does: the same files, names of inputs and outputs, and layout, with arguments in the same places.

    An encoder-decoder becomes encoder_model.onnx and decoder_model_merged.onnx, or with no_post_process both steps of the
    decoder apart, and with monolith one model.onnx. Arguments that change nothing here (a device, shapes to trace with,
    trust_remote_code) are taken, and those that onnxport can do nothing for are refused by name unless they have optimum's
    defaults. Returns onnxport's report.
    """
    others.update(
        framework=framework,
        optimize=optimize,
        model_kwargs=model_kwargs,
        custom_onnx_configs=custom_onnx_configs,
        fn_get_submodels=fn_get_submodels,
    )
    token = others.pop("use_auth_token", None) if token is None else token
    for name, value in others.items():
        if name in _WITHOUT_EFFECT:
            continue
        if name not in _WITHOUT_MEANING:
            raise TypeError(f"main_export() has no argument '{name}'")
        if value not in _WITHOUT_MEANING[name]:
            _refuse(name, value, "leave it out, or use onnxport.export(), whose options are those of the command")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype={dtype!r}: there are fp32, fp16 and bf16")
    if library_name not in (None, "transformers", "sentence_transformers"):
        _refuse("library_name", library_name, "there are transformers and sentence_transformers")
    task = task or "auto"
    if monolith and task.endswith("-with-past"):
        raise ValueError(f"monolith=True: one file has no past; ask for the task {task[: -len('-with-past')]}")
    model = os.fspath(model_name_or_path)
    is_folder = os.path.isdir(model)
    if subfolder and not is_folder:
        _refuse("subfolder", subfolder, "download the model, and name the folder in it")
    model = os.path.join(model, subfolder) if subfolder else model
    _check_pad_token(model, pad_token_id)
    options = {
        "feature": None if task == "auto" else task,
        "opset": opset,
        "dtype": _DTYPES[dtype],
        "cache_dir": None if is_folder else cache_dir,
        "revision": None if is_folder or revision in (None, "main") else revision,
        "refresh": force_download and not is_folder,
    }
    layout = "single" if monolith else "split" if no_post_process else "merged"
    with contextlib.nullcontext() if is_folder else _hub(local_files_only, token):
        options = _as_optimum_has_it(model, task, layout, options, library_name)
        if do_validation:
            options["atol"] = atol
        report = export(model, output, validate=do_validation, **options)
    for note in report.get("notes", []):
        warnings.warn(note, stacklevel=2)
    return report
