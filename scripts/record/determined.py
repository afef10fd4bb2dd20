# SPDX-License-Identifier: Apache-2.0
"""Classes that draw numbers in evaluation, too, and here are given them, or what else their own inputs leave open:
--model-class determined:NAME."""
import torch
import transformers


class GivenDropout:
    """SpeechT5, where the net before the decoder keeps what `prenet_dropout_mask` says, b[layers, n, units]."""

    def forward(self, *args, prenet_dropout_mask, **words):
        prenet, masks = self.speecht5.decoder.prenet, iter(prenet_dropout_mask)
        prenet._consistent_dropout = lambda x, p: torch.where(next(masks), x, 0) / (1 - p)
        return super().forward(*args, **words)


class SpeechT5ForTextToSpeech(GivenDropout, transformers.SpeechT5ForTextToSpeech):
    """Text to a spectrogram."""


class SpeechT5ForSpeechToSpeech(GivenDropout, transformers.SpeechT5ForSpeechToSpeech):
    """Speech to a spectrogram."""


if hasattr(transformers, "ColPaliForRetrieval"):

    class ColPaliForRetrieval(transformers.ColPaliForRetrieval):
        """ColPali as its processor asks it, which says of all tokens that they are of the prefix, and see each other."""

        def forward(self, input_ids, **words):
            return super().forward(input_ids=input_ids, token_type_ids=torch.zeros_like(input_ids), **words)
