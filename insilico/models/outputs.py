"""Output functions: from a readout's value to a standardized response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OutputKind = Literal["elu", "identity", "exponential", "softplus", "sigmoid"]

#: Smallest mean response, in standard deviations, that a value is sought for: that of a silent
#: neuron would be minus infinity.
SILENT_RESPONSE = 0.01


class Output(nn.Module, ABC):
    """A monotonic function of each neuron's value, and its inverse.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/modules.py, output modes 0 to 4.
    """

    @abstractmethod
    def forward(self, value: Tensor) -> Tensor:
        """Return the standardized response to a value; any shape."""

    @abstractmethod
    def inverse(self, response: Tensor) -> Tensor:
        """Return the value that is answered with a response.

        Responses below :data:`SILENT_RESPONSE` count as that where a value for them would go to
        minus infinity, or does not exist.
        """


class Identity(Output):
    """The value itself."""

    def forward(self, value: Tensor) -> Tensor:
        """Return the value."""
        return value

    def inverse(self, response: Tensor) -> Tensor:
        """Return the response."""
        return response


class ShiftedELU(Output):
    """``ELU(z) + 1``: positive, and linear above one."""

    def forward(self, value: Tensor) -> Tensor:
        """Return ``ELU(value) + 1``."""
        return F.elu(value) + 1

    def inverse(self, response: Tensor) -> Tensor:
        """Return ``r - 1`` above one, ``log r`` below."""
        response = response.clamp(min=SILENT_RESPONSE)
        return torch.where(response > 1, response - 1, response.log())


class Exponential(Output):
    """``exp z``."""

    def forward(self, value: Tensor) -> Tensor:
        """Return ``exp(value)``."""
        return value.exp()

    def inverse(self, response: Tensor) -> Tensor:
        """Return ``log r``."""
        return response.clamp(min=SILENT_RESPONSE).log()


class Softplus(Output):
    """``log(1 + exp(b z)) / b`` with a learned sharpness b, linear where ``b z`` exceeds 20.

    Attributes
    ----------
    log_beta : float parameter, scalar
        Logarithm of b; starts at 0.
    """

    #: Where ``b z`` is taken for the softplus of it (the framework's own threshold).
    LINEAR_ABOVE = 20.0

    def __init__(self) -> None:
        super().__init__()
        self.log_beta = nn.Parameter(torch.zeros(()))

    def forward(self, value: Tensor) -> Tensor:
        """Return the softplus of the value."""
        beta = self.log_beta.exp()
        scaled = beta * value
        bent = torch.log1p(scaled.clamp(max=self.LINEAR_ABOVE).exp()) / beta
        return torch.where(scaled < self.LINEAR_ABOVE, bent, value)

    def inverse(self, response: Tensor) -> Tensor:
        """Return ``log(exp(b r) - 1) / b``."""
        beta = self.log_beta.detach().exp()
        scaled = beta * response.clamp(min=SILENT_RESPONSE)
        return (scaled + torch.log(-torch.expm1(-scaled))) / beta


class Sigmoid(Output):
    """``1 / (1 + exp(-z))``, for responses scaled to between 0 and 1."""

    def forward(self, value: Tensor) -> Tensor:
        """Return the sigmoid of the value."""
        return value.sigmoid()

    def inverse(self, response: Tensor) -> Tensor:
        """Return the logit; above 0.99 counts as 0.99."""
        return response.clamp(SILENT_RESPONSE, 1 - SILENT_RESPONSE).logit()


OUTPUTS: dict[OutputKind, type[Output]] = {
    "elu": ShiftedELU,
    "identity": Identity,
    "exponential": Exponential,
    "softplus": Softplus,
    "sigmoid": Sigmoid,
}
