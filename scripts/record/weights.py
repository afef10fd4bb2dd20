# SPDX-License-Identifier: Apache-2.0
"""The weights of a recorded checkpoint that holds none: drawn again, as its row in an index.json says."""
import shutil
import subprocess


def words_to_draw(drawn):
    """The options of `onnxport synth`. A row that names no form is of the first."""
    return [str(word) for name, value in {"form": 1, **drawn}.items() for word in (f"--{name}", value)]


def with_weights(command, recorded, checkpoint, drawn):
    """Makes the checkpoint of a recorded folder, without what was recorded of it, which is no part of one. `drawn`: how its weights
    are drawn; nothing where the folder holds them."""
    if not drawn:
        shutil.copytree(recorded, checkpoint, ignore=shutil.ignore_patterns("case-*"))
        return
    subprocess.run([command, "synth", recorded / "config.json", checkpoint, *words_to_draw(drawn), "--quiet"], check=True)
