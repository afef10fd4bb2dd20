# SPDX-License-Identifier: Apache-2.0
"""transformers.js on a model of each image task: the outputs that were recorded of the original."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

from models import Difference, close

# Its class for each task, by the feature and a type that both it and this project have.
CLASSES = {
    ("image-classification", "swin"): "AutoModelForImageClassification",
    ("semantic-segmentation", "segformer"): "AutoModelForSemanticSegmentation",
    ("image-segmentation", "detr"): "AutoModelForImageSegmentation",
    ("image-segmentation", "maskformer"): "AutoModelForUniversalSegmentation",
    ("object-detection", "detr"): "AutoModelForObjectDetection",
    ("zero-shot-object-detection", "owlvit"): "AutoModelForZeroShotObjectDetection",
    ("depth-estimation", "depth_anything"): "AutoModelForDepthEstimation",
    ("keypoint-detection", "vitpose"): "AutoModelForPoseEstimation",
    ("image-to-image", "swin2sr"): "AutoModelForImageToImage",
    ("mask-generation", "sam"): "AutoModelForMaskGeneration",
}


def key_of(row):
    return row["feature"], row["model_type"]


def recordings(roots):
    """The first recording for each class whose weights can be drawn: its folder and its row of the index."""
    wanted = set(CLASSES)
    for root in map(pathlib.Path, roots):
        for row in json.loads((root / "index.json").read_text()):
            if key_of(row) in wanted and "synth" in row.get("weights", {}) and not row.get("part"):
                wanted.remove(key_of(row))
                yield root / row["path"], row


def exported(command, folder, row, scratch):
    """What the command writes for transformers.js, of the weights with which it was recorded."""
    drawn = row["weights"]["synth"]
    steps = [["synth", folder / "config.json", scratch / "checkpoint", "--seed", drawn["seed"],
              "--form", drawn.get("form", 1), "--feature", drawn["feature"], "--dtype", drawn["dtype"]],
             ["export", "-m", scratch / "checkpoint", "--feature", row["feature"], "--layout", "transformers.js",
              "--no-validate", scratch / "model"]]
    for words in steps:
        done = subprocess.run([command, *map(str, words), "--quiet"], capture_output=True, text=True)
        if done.returncode:
            raise Difference(f"onnxport {words[0]}: status {done.returncode}\n{done.stderr.strip()}")
    return scratch / "model"


def described(tensor):
    return {"type": "float32" if tensor.is_floating_point() else "int64", "shape": list(tensor.shape),
            "data": tensor.flatten().tolist()}


def check(command, node, folder, row):
    """Every recorded output of every case, as far as the client's class hands it on, which must be at least one."""
    compared = set()
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        model = exported(command, folder, row, pathlib.Path(scratch))
        for case in row["cases"]:
            tensors = load_file(folder / case)
            inputs = {name[3:]: described(tensor) for name, tensor in tensors.items() if name.startswith("in/")}
            request = {"class": CLASSES[key_of(row)], "folder": str(model), "subfolder": "onnx", "inputs": inputs}
            node.stdin.write(json.dumps(request) + "\n")
            node.stdin.flush()
            reply = json.loads(node.stdout.readline() or '{"error": "node ended"}')
            if "error" in reply:
                raise Difference(reply["error"])
            for name, found in reply.items():
                if (expected := tensors.get(f"out/{name}")) is not None:
                    close(f"{case}: {name}", torch.tensor(found["data"]).view(found["shape"]), expected, row["atol"])
                    compared.add(name)
    if not compared:
        raise Difference(f"{CLASSES[key_of(row)]} hands on none of the recorded outputs; it gives {', '.join(reply)}")
    return sorted(compared)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="classes whose name contains this")
    options = parser.parse_args()
    script = pathlib.Path(__file__).with_name("transformers_js_images.mjs")
    node = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    passed, failed = set(), set()
    for folder, row in recordings(options.goldens):
        name = CLASSES[key_of(row)]
        if options.only not in name:
            continue
        try:
            outputs = check(options.command, node, folder, row)
        except Difference as error:
            failed.add(name)
            print(f"FAILED: {name} of {row['model_type']}: {error}", flush=True)
        else:
            passed.add(name)
            print(f"passed: {name} of {row['model_type']}: {', '.join(outputs)}", flush=True)
    node.stdin.close()
    missing = sorted(name for name in CLASSES.values() if options.only in name and name not in passed | failed)
    print(f"{len(passed)} passed, {len(failed)} failed{', not recorded: ' + ', '.join(missing) if missing else ''}")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
