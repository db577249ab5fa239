"""From a network's tokens to short ones: centring, principal directions, fp16."""

from setwise_engine.encoder._default import default_encoder
from setwise_engine.encoder._encoder import Encoder
from setwise_engine.encoder._fit import fit_encoder

__all__ = ["Encoder", "default_encoder", "fit_encoder"]
