"""Activations of any layer of any torch module, as `setwise_evaluation.rsm.rsm` takes them.

    from setwise_evaluation.layers import features_of, layer_names
    layer_names(network, images)                                     # {"blocks.0": (16, 112, 112), ...}
    features = features_of(network, images, ["blocks.*", "conv_head"])   # {"blocks.0": (n, 16, 112, 112) float32, ...}

The network is left as it was: its hooks, its training flags, its parameters' grads and its device.
"""

from setwise_evaluation.layers._features import features_of, layer_names

__all__ = ["features_of", "layer_names"]
