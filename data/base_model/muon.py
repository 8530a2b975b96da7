"""Muon for the matrices inside the layers and AdamW for the rest: an optimizer for pretraining."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch.optim.adamw import adamw

# Quintic Newton-Schulz coefficients of Keller Jordan's Muon (https://kellerjordan.github.io/posts/muon/).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class MuonAdamW(torch.optim.Optimizer):
    """Muon for matrices and AdamW for the rest, as one optimizer with one state_dict.

    Muon follows torch.optim.Muon (momentum, Nesterov, decoupled weight decay), which is the
    reference in the tests. Two things differ: matrices of the same shape are orthogonalized in
    one batched call, and in `dtype`, because torch's fixed bfloat16 is slow on processors without it.

    Args:
        matrices: two-dimensional parameters, updated by Muon.
        others: all other parameters, updated by AdamW.
        lr_matrix: Muon's learning rate (per step, before the shape adjustment).
        lr_other: AdamW's learning rate.
        weight_decay: decoupled decay of the matrices; AdamW's parameters are not decayed.
        momentum: Muon's momentum.
        betas: AdamW's moment decays.
        ns_steps: Newton-Schulz iterations.
        adjust_lr: "original" multiplies by sqrt(max(1, rows / columns)); "match_rms_adamw" by
            0.2 * sqrt(max(rows, columns)), so that AdamW's rates can be reused.
        dtype: of the orthogonalization.

    Raises:
        ValueError: a matrix is not two-dimensional, or `adjust_lr` is unknown.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        others: Iterable[torch.nn.Parameter],
        *,
        lr_matrix: float,
        lr_other: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        ns_steps: int = 5,
        adjust_lr: str = "original",
        dtype: torch.dtype = torch.float32,
    ):
        matrices, others = list(matrices), list(others)
        if any(p.ndim != 2 for p in matrices):
            raise ValueError("Muon takes two-dimensional parameters only")
        if adjust_lr not in ("original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr: expected 'original' or 'match_rms_adamw', got {adjust_lr!r}")
        groups = [
            {
                "params": matrices,
                "kind": "muon",
                "lr": lr_matrix,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "ns_steps": ns_steps,
                "adjust_lr": adjust_lr,
            },
            {"params": others, "kind": "adamw", "lr": lr_other, "betas": betas, "eps": 1e-8},
        ]
        super().__init__([g for g in groups if g["params"]], {})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (self._muon if group["kind"] == "muon" else self._adamw)(group)
        return loss

    def _muon(self, group: dict) -> None:
        by_shape = defaultdict(list)
        for p in group["params"]:
            if p.grad is not None:
                by_shape[(min(p.shape), max(p.shape))].append(p)
        for params in by_shape.values():
            updates = [self._momentum(p, group["momentum"]) for p in params]
            wide = torch.stack([u if u.shape[0] <= u.shape[1] else u.T for u in updates]).to(self.dtype)
            wide = orthogonalize(wide, group["ns_steps"])
            for p, update in zip(params, wide, strict=True):
                rate = group["lr"] * _shape_factor(p.shape, group["adjust_lr"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_((update if p.shape[0] <= p.shape[1] else update.T).to(p.dtype), alpha=-rate)

    def _momentum(self, p: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(state["momentum_buffer"], momentum)  # Nesterov

    def _adamw(self, group: dict) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        for p in params:
            if not self.state[p]:
                moments = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
                self.state[p].update(step=torch.tensor(0.0), **moments)
        states = [self.state[p] for p in params]
        adamw(
            params,
            [p.grad for p in params],
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [],
            [s["step"] for s in states],
            foreach=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )


def _shape_factor(shape: torch.Size, adjust_lr: str) -> float:
    rows, columns = shape
    return math.sqrt(max(1, rows / columns)) if adjust_lr == "original" else 0.2 * math.sqrt(max(rows, columns))


def orthogonalize(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Replace each matrix's singular values by about 1 (Newton-Schulz iteration).

    X <- a X + (b A + c A A) X with A = X X^T.

    Args:
        matrices: (batch, rows, columns), rows <= columns.
        steps: iterations.

    Returns:
        (batch, rows, columns), singular values within about 0.7 ... 1.2.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)  # spectral norm <= 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def muon_adamw(
    model: torch.nn.Module, lr_matrix: float = 0.02, lr_other: float = 3e-3, weight_decay: float = 0.0, **options
) -> MuonAdamW:
    """Muon for the matrices inside the layers, AdamW for embeddings, output layer and norms.

    Args:
        model: a causal language model with `get_input_embeddings` and `get_output_embeddings`.
        lr_matrix: Muon's rate. lr_other: AdamW's rate. weight_decay: of the matrices.
        options: further arguments of `MuonAdamW`.

    Returns:
        The optimizer over all parameters that require a gradient.
    """
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    outside = {id(p) for table in tables if table is not None for p in table.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim == 2 and id(p) not in outside]
    inside = {id(p) for p in matrices}
    return MuonAdamW(
        matrices,
        [p for p in trainable if id(p) not in inside],
        lr_matrix=lr_matrix,
        lr_other=lr_other,
        weight_decay=weight_decay,
        **options,
    )
