"""Group normalisation in place of batch normalisation, for batches too small for batch statistics."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def group_normalised(network: nn.Module, groups: int = 8) -> nn.Module:
    """Return `network` with every batch normalisation replaced by a group normalisation of the same width.

    Args:
        network: any module; changed in place, because its weights are.
        groups: groups a layer; every width must be a multiple.

    Raises:
        ValueError: if a width is no multiple of `groups`.

    References:
        Zhong et al., EMBC 2021, section IV.E: batch 4, batch normalisation changed to group normalisation.
        Wu and He, Group Normalization, ECCV 2018, https://arxiv.org/abs/1803.08494
    """
    for name, child in network.named_children():
        if not isinstance(child, _BatchNorm):
            group_normalised(child, groups)
            continue
        if child.num_features % groups:
            raise ValueError(f"groups: expected a divisor of {child.num_features} channels ({name}), found {groups}")
        setattr(network, name, nn.GroupNorm(groups, child.num_features, child.eps, child.affine))
    return network
