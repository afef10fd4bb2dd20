# SPDX-License-Identifier: Apache-2.0
"""The names of optimum.exporters.onnx, for scripts that change one import."""

from .main_export import main_export

__all__ = ["main_export"]
