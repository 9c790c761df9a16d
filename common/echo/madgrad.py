"""MADGRAD: momentumized, adaptive, dual averaged gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

EPS = 1e-6


class Madgrad(Optimizer):
    """Steps by the cube root of summed squared gradients from the starting point, averaged with momentum.

    With lambda_k = lr * sqrt(k + 1): s += lambda g, v += lambda g^2, z = x_0 - s / (v^(1/3) + eps), and
    x = momentum * x + (1 - momentum) * z.

    Args:
        params: parameters or groups of them.
        lr: learning rate, positive.
        momentum: in [0, 1).
        weight_decay: added to the gradient as weight_decay * x, not negative.

    Raises:
        ValueError: if a setting is outside its range.

    References:
        Defazio and Jelassi, Adaptivity without Compromise, JMLR 2022, https://arxiv.org/abs/2101.11075 (algorithm 1)

    Example:
        >>> import torch
        >>> from common.echo import Madgrad
        >>> x = torch.nn.Parameter(torch.tensor(5.0))
        >>> optimizer = Madgrad([x], lr=0.1)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     x.square().backward()
        ...     optimizer.step()
        >>> bool(x.abs() < 0.1)
        True
    """

    def __init__(self, params: Any, lr: float = 1e-2, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        if lr <= 0 or not 0 <= momentum < 1 or weight_decay < 0:
            raise ValueError(
                f"lr, momentum, weight_decay: expected over 0, in [0, 1), at least 0, found {lr}, {momentum}, "
                f"{weight_decay}"
            )
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Any:  # type: ignore[override]
        """Make one step; return the closure's loss if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_one(parameter, group)
        return loss

    def _step_one(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["steps"] = torch.zeros((), dtype=torch.float32)
            state["start"] = parameter.clone()
            state["sum"], state["squares"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["steps"] += 1
        weight = group["lr"] * float(state["steps"]) ** 0.5
        gradient = parameter.grad + group["weight_decay"] * parameter
        state["sum"].add_(gradient, alpha=weight)
        state["squares"].addcmul_(gradient, gradient, value=weight)
        target = state["start"] - state["sum"] / (state["squares"].pow(1 / 3) + EPS)
        parameter.lerp_(target, 1 - group["momentum"])
