# SPDX-License-Identifier: Apache-2.0
"""How many model types each exporter has, and how many heads: pairs of a type and a feature, with a past counted apart.

usage: counts.py [ONNXPORT]    onnxport's by its command, the others' where this interpreter has them (scripts/peers)
"""

import json
import subprocess
import sys


def of_onnxport(command):
    said = subprocess.run([command, "features", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(said)["model_types"]


def of_transformers():
    from transformers.onnx import FeaturesManager

    return FeaturesManager._SUPPORTED_MODEL_TYPE


def of_optimum():
    import optimum.exporters.onnx.model_configs  # noqa: F401  (which lists its types)
    from optimum.exporters.tasks import TasksManager

    offered = TasksManager._LIBRARY_TO_SUPPORTED_MODEL_TYPES["transformers"]
    return {name: by_exporter["onnx"] for name, by_exporter in offered.items() if "onnx" in by_exporter}


def main():
    exporters = {"transformers.onnx": of_transformers, "optimum": of_optimum}
    if len(sys.argv) > 1:
        exporters = {"onnxport": lambda: of_onnxport(sys.argv[1]), **exporters}
    for name, features_of in exporters.items():
        try:
            types = features_of()
        except ImportError as missing:
            print(f"{name}: not here ({missing})", file=sys.stderr)
            continue
        print(f"{name}: {len(types)} model types, {sum(len(features) for features in types.values())} heads")


if __name__ == "__main__":
    main()
