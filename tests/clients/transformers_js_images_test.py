# SPDX-License-Identifier: Apache-2.0
"""transformers.js on a model of each image task: the outputs that were recorded of the original."""
import argparse
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

from models import Difference, close, written
from node import Node, tensor_of

# Its class of each image task: the feature, and every type that both the class and this project have.
TASKS = {
    "AutoModelForImageClassification": ("image-classification", {
        "beit", "convnext", "convnextv2", "deit", "dinov2", "dinov2_with_registers", "efficientnet", "hiera", "ijepa",
        "mobilenet_v1", "mobilenet_v2", "mobilevit", "mobilevitv2", "pvt", "resnet", "segformer", "swin", "vit", "vit_msn"}),
    "AutoModelForSemanticSegmentation": ("semantic-segmentation", {"mobilenet_v2", "segformer"}),
    "AutoModelForImageSegmentation": ("image-segmentation", {"clipseg", "detr"}),
    "AutoModelForUniversalSegmentation": ("image-segmentation", {"detr", "maskformer"}),
    "AutoModelForObjectDetection": ("object-detection", {
        "d_fine", "detr", "rf_detr", "rt_detr", "rt_detr_v2", "table-transformer", "yolos"}),
    "AutoModelForZeroShotObjectDetection": ("zero-shot-object-detection", {"grounding-dino", "owlv2", "owlvit"}),
    "AutoModelForDepthEstimation": ("depth-estimation", {"depth_anything", "dpt", "glpn"}),
    "AutoModelForImageMatting": ("image-matting", {"vitmatte"}),
    "AutoModelForPoseEstimation": ("keypoint-detection", {"vitpose"}),
    "AutoModelForImageToImage": ("image-to-image", {"swin2sr"}),
    "AutoModelForMaskGeneration": ("mask-generation", {"sam", "sam2"}),
    "AutoModelForImageFeatureExtraction": ("default", {"clip", "siglip"}),
    # Of features, and of texts beside images (its zero-shot-image-classification).
    "AutoModel": ("default", {
        "beit", "chinese_clip", "clip", "clipseg", "convnext", "convnextv2", "d_fine", "deit", "detr", "dinov2",
        "dinov2_with_registers", "dinov3_convnext", "dinov3_vit", "donut-swin", "dpt", "efficientnet", "glpn", "groupvit",
        "hiera", "ijepa", "maskformer", "mobilenet_v1", "mobilenet_v2", "mobilevit", "mobilevitv2", "owlv2",
        "owlvit", "pvt", "resnet", "rf_detr", "rt_detr", "rt_detr_v2", "siglip", "swin", "swin2sr", "table-transformer",
        "vit", "vit_mae", "vit_msn", "yolos"}),
}
# What a class does not take, by its own words: a case of that is left out.
LIMITS = {"AutoModelForMaskGeneration": "the number of boxes per image must be 1"}
# Whose class itself makes what there is none of, such as points where there are boxes.
FILLS_IN = {"sam2"}


def recordings(roots):
    """For each class and type the first recording of the whole model: the class, its folder and its row of the index."""
    wanted = {(name, feature, kind) for name, (feature, kinds) in TASKS.items() for kind in kinds}
    for root in map(pathlib.Path, roots):
        for row in json.loads((root / "index.json").read_text()):
            found = {key for key in wanted if key[1:] == (row["feature"], row["model_type"])}
            if row["path"] and not row.get("part"):
                wanted -= found
                for name, *_ in sorted(found):
                    yield name, root / row["path"], row


def of_class(name, outputs):
    """What this class hands on, of outputs of the whole model, whose features are of length one."""
    if name != "AutoModelForImageFeatureExtraction":
        return outputs
    made = {key: torch.nn.functional.normalize(value, dim=-1) for key, value in outputs.items()}
    # Where nothing projects it, a tower's pooled vector is the whole model's of its image.
    return made if "image_embeds" in made else made | {"image_embeds": made["pooler_output"]}


def check(command, node, name, folder, row):
    """Every recorded output of every case, as far as the client's class hands it on, which must be at least one."""
    compared = set()
    with written(command, folder, row, "--feature", row["feature"]) as (_, model):
        for case in row["cases"]:
            tensors = load_file(folder / case)
            inputs = {key[3:]: tensor for key, tensor in tensors.items()
                      if key.startswith("in/") and (tensor.numel() or row["model_type"] not in FILLS_IN)}
            try:
                reply = node.ask(name, model, inputs)
            except Difference as error:
                if name in LIMITS and LIMITS[name] in str(error):
                    continue
                raise
            for output, found in of_class(name, {key: tensor_of(value) for key, value in reply.items()}).items():
                if (expected := tensors.get(f"out/{output}")) is not None:
                    close(f"{case}: {output}", found, expected, row["atol"])
                    compared.add(output)
    if not compared:
        raise Difference(f"{name} hands on none of the recorded outputs")
    return sorted(compared)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="those of which \"CLASS of TYPE\" contains this")
    options = parser.parse_args()
    node = Node()
    wanted = {f"{name} of {kind}" for name, (_, kinds) in TASKS.items() for kind in kinds}
    wanted = {name for name in wanted if options.only in name}
    passed, failed = set(), set()
    for model, folder, row in recordings(options.goldens):
        name = f"{model} of {row['model_type']}"
        if name not in wanted:
            continue
        try:
            outputs = check(options.command, node, model, folder, row)
        except Difference as error:
            failed.add(name)
            print(f"FAILED: {name}: {error}", flush=True)
        else:
            passed.add(name)
            print(f"passed: {name}: {', '.join(outputs)}", flush=True)
    missing = sorted(wanted - passed - failed)
    print(f"{len(passed)} passed, {len(failed)} failed{', not recorded: ' + ', '.join(missing) if missing else ''}")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
