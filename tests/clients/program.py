# SPDX-License-Identifier: Apache-2.0
"""The onnxport command as client checks call it. Needs no torch."""
import pathlib
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "record"))

import weights  # noqa: E402


class Difference(AssertionError):
    """The client's answer is not that of the original model."""


def run(command, *words):
    """`onnxport` with these words, which must not fail."""
    words = [str(word) for word in words]
    done = subprocess.run([command, *words, "--quiet"], capture_output=True, text=True)
    if done.returncode:
        raise Difference(f"onnxport {' '.join(words)}: status {done.returncode}\n{done.stderr.strip()}")


def draw(command, config, folder, drawn):
    """A checkpoint of this config.json, its weights drawn as a row of an index says."""
    run(command, "synth", config, folder, *weights.words_to_draw(drawn))
