# SPDX-License-Identifier: Apache-2.0
"""Hugging Face checkpoints to ONNX, without torch.

Each function is a command of the program onnxport. Its options are those of the command by their long names, with `_` for
`-`: `export("bert", "onnx", opset=17, validate=False, fix={"batch": 1}, case=[one, two])`. True is an option without a value, a
list gives one again and again, a dict each as KEY=VALUE. Reports are what the command prints with
--json. Failures raise OnnxportError, and differences that validation finds its child Differs.
"""

import os

from ._library import Differs, OnnxportError, library, run

__all__ = ["Differs", "OnnxportError", "export", "features", "inspect", "plan", "plugins", "synth", "validate"]
__version__ = library.onnxport_version().decode()


def export(model, output, *, validate=True, progress=None, note=None, **options):
    """Writes `model`, a folder or a model id, into `output`, which appears whole or not at all.

    progress(phase, done, total) and note(text) are called while it goes on, from other threads; what they raise stops the
    work and is raised here.
    """
    return run("export", [os.fspath(model), os.fspath(output)], {"no_validate": not validate, **options}, progress, note)


def plan(model, output="onnx", **options):
    """What export() would write: files, inputs, outputs, opset, tolerance. Reads config.json alone."""
    return run("plan", [os.fspath(model), os.fspath(output)], options)


def features(model_type=None, **options):
    """The features of one type as a list, or those of all as a dict of lists."""
    types = run("features", [model_type], options)["model_types"]
    return types if model_type is None else types[model_type]


def validate(output, *, model=None, case=None, progress=None, **options):
    """Compares an export with its checkpoint, or with recorded outputs."""
    return run("validate", [os.fspath(output)], {"model": model, "case": case, **options}, progress)


def inspect(file, **options):
    """Inputs, outputs, operators and weights of an ONNX file, and what is wrong with it: the report's status is then "differs"."""
    try:
        return run("inspect", [os.fspath(file)], options)
    except Differs as found:
        return found.report


def plugins(**options):
    """Every plugin that was found, where, and whether it can be used."""
    return run("plugins", [], options)


def synth(config, output, **options):
    """A random checkpoint of a config.json."""
    return run("synth", [os.fspath(config), os.fspath(output)], options)
