# SPDX-License-Identifier: Apache-2.0
"""Sound and other series over time, as inputs by their names in transformers."""
import torch


def sound(config, shape, generator):
    """Samples for a codec, one less than so many of its frames, so that the last one is incomplete."""
    hop = getattr(config, "frame_size", None) or config.hop_length
    channels = getattr(config, "audio_channels", 1)
    return {"input_values": torch.randn(min(shape.batch, 2), channels, shape.sequence * hop - 1, generator=generator)}


def spectrogram(config, shape, generator):
    return {"spectrogram": torch.randn(min(shape.batch, 2), shape.sequence, config.model_in_dim, generator=generator)}


# By an input that only such models have, what makes all of a model's inputs.
MAKERS = {"input_values": sound, "spectrogram": spectrogram}


def maker_of(wanted):
    """The function that makes such inputs; None where they are of another kind."""
    return next((make for name, make in MAKERS.items() if name in wanted), None)
