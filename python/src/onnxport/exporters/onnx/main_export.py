# SPDX-License-Identifier: Apache-2.0
"""main_export() as optimum has it, over onnxport.export()."""

import os
import warnings

from ... import OnnxportError, export, plan

# What optimum calls a model's data type, and what onnxport does.
_DTYPES = {None: None, "fp32": None, "fp16": "fp16", "bf16": "bf16"}

# Arguments that have no meaning here with these values, which are optimum's defaults: there is no tracer, no framework, no
# remote code and no device.
_WITHOUT_MEANING = {
    "device": ("cpu", None),
    "framework": ("pt", None),
    "trust_remote_code": (False, None),
    "pad_token_id": (None,),
    "subfolder": ("", None),
    "local_files_only": (False, None),
    "token": (None,),
    "use_auth_token": (None,),
    "for_ort": (False, None),
    "do_constant_folding": (True, None),
    "library_name": ("transformers", None),
    "legacy": (False, None),
    "no_dynamic_axes": (False, None),
    "optimize": (None,),
    "custom_onnx_configs": (None,),
    "fn_get_submodels": (None,),
    "preprocessors": (None,),
    "model_kwargs": (None,),
    "use_subprocess": (False, True, None),
}


# The status of options that a model does not have.
_USAGE = 2

# Features that are generated with; with "auto" optimum exports them with a past where there is one.
_GENERATING = ("causal-lm", "seq2seq-lm", "speech2seq-lm", "vision2seq-lm")


def _first_accepted(model, options, choices):
    """The first of several changes of the options that the model has, with its plan."""
    for number, change in enumerate(choices):
        changed = {**options, **change}
        try:
            return changed, plan(model, **changed)
        except OnnxportError as refused:
            if refused.status != _USAGE or number == len(choices) - 1:
                raise


def _as_optimum_has_it(model, task, layout, options):
    """Options with which the files are those that optimum writes."""
    chosen, planned = _first_accepted(model, options, [{}])
    if task == "auto" and planned["feature"] in _GENERATING:
        with_past = {"feature": planned["feature"] + "-with-past"}
        chosen, planned = _first_accepted(model, chosen, [with_past, {}])
    # Without a past there are no two steps to merge, and some models are one graph.
    chosen, planned = _first_accepted(model, chosen, [{"layout": layout}, {"layout": "split"}, {"layout": "single"}])
    if planned["feature"].startswith("causal-lm"):
        chosen, planned = _first_accepted(model, chosen, [{"position_ids": "input"}, {}])
    return chosen


def main_export(
    model_name_or_path,
    output,
    task="auto",
    opset=None,
    dtype=None,
    monolith=False,
    no_post_process=False,
    atol=None,
    cache_dir=None,
    revision="main",
    force_download=False,
    do_validation=True,
    **others,
):
    """Exports as optimum does: the same files, names of inputs and outputs, and layout.

    An encoder-decoder becomes encoder_model.onnx and decoder_model_merged.onnx, or with no_post_process both steps of the
    decoder apart, and with monolith one model.onnx. Arguments that onnxport has no meaning for are refused unless they have optimum's
    defaults. Returns onnxport's report.
    """
    for name, value in others.items():
        if name not in _WITHOUT_MEANING:
            raise TypeError(f"main_export() has no argument '{name}'")
        if value not in _WITHOUT_MEANING[name]:
            raise ValueError(
                f"{name}={value!r} has no counterpart in onnxport; leave it out, or use onnxport.export(), whose options "
                "are those of the command"
            )
    if dtype not in _DTYPES:
        raise ValueError(f"dtype={dtype!r}: there are fp32, fp16 and bf16")
    is_folder = os.path.isdir(model_name_or_path)
    options = {
        "feature": None if task == "auto" else task,
        "opset": opset,
        "dtype": _DTYPES[dtype],
        "cache_dir": None if is_folder else cache_dir,
        "revision": None if is_folder or revision == "main" else revision,
        "refresh": force_download and not is_folder,
    }
    layout = "single" if monolith else "split" if no_post_process else "merged"
    options = _as_optimum_has_it(model_name_or_path, task, layout, options)
    if do_validation:
        options["atol"] = atol
    report = export(model_name_or_path, output, validate=do_validation, **options)
    for note in report.get("notes", []):
        warnings.warn(note, stacklevel=2)
    return report
