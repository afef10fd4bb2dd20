# SPDX-License-Identifier: Apache-2.0
"""Runs a client's checks over the recorded checkpoints and counts them."""
import argparse
import sys
import traceback

import torch
import transformers

import checkpoints
from models import LeftOut

SKIPPED = 77  # what ctest takes for a skip


def run(description, checks, reads=lambda checkpoint: True):
    """Calls checks[feature](command, checkpoint) for every recorded checkpoint that the client reads; returns the exit
    status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="checkpoints whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    passed = failed = left_out = 0
    for checkpoint in checkpoints.recorded(arguments.goldens):
        if checkpoint.feature not in checks or not reads(checkpoint) or arguments.only not in checkpoint.name:
            continue
        if checkpoint.left_out:
            left_out += 1
            print(f"left out: {checkpoint.name}: {checkpoint.left_out}")
            continue
        try:
            with checkpoint.at_hand(arguments.command) as ready:
                checks[checkpoint.feature](arguments.command, ready)
        except LeftOut as reason:
            left_out += 1
            print(f"left out: {checkpoint.name}: {reason}", flush=True)
        except Exception as error:  # a client that cannot load or run one folder may well run the next
            failed += 1
            reason = error if isinstance(error, AssertionError) else traceback.format_exc(limit=-1)
            print(f"FAILED: {checkpoint.name}: {reason}", flush=True)
        else:
            passed += 1
            print(f"passed: {checkpoint.name}", flush=True)
    print(f"{passed} passed, {failed} failed, {left_out} left out")
    if left_out and not passed and not failed:
        return SKIPPED
    if not passed:
        print("no checkpoint was checked", file=sys.stderr)
    return 1 if failed or not passed else 0
