"""What every network promises: the one interface between architectures and the twin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from insilico.models.context import Lead, Reach
from insilico.stimuli.stimuli import Kind

#: A prepared network: standardized stimulus and behavior in, standardized responses out.
Predict = Callable[[Tensor, Tensor | None], Tensor]


class Network(nn.Module, ABC):
    """An encoding model of the neurons of one or more mice, in standardized units throughout.

    Attributes
    ----------
    kind : {"image", "movie"}
        Whether a stimulus has a frame axis.
    channels : int
        Stimulus channels, behavior not counted.
    behavior_names : tuple of str
        Behavioral variables the network reads, in order; empty where it reads none.
    uses_pupil : bool
        Whether the gaze moves the receptive fields.
    checkpoints_activations : bool
        Whether training keeps only what enters each layer of the core, and computes the rest again
        on the way back: less memory for a third more time, and the same weights.
    """

    kind: Kind
    channels: int = 1
    behavior_names: tuple[str, ...] = ()
    uses_pupil: bool = False
    checkpoints_activations: bool = False

    @property
    @abstractmethod
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons by mouse."""

    @property
    def frame_sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes (rows, columns) of frames that it takes beside that of the screen; none here."""
        return ()

    @property
    def longest_movie(self) -> int | None:
        """Most frames of a movie that it answers; None, the default, for any number."""
        return None

    def reach(self, frame_count: int) -> Reach:
        """Return which frames an answer depends on in trials of so many; all, by default."""
        return Reach()

    def response_frames(self, frame_count: int) -> int:
        """Return how many frames of a movie are answered: all, unless leading ones are dropped."""
        return frame_count

    def initialize_readout(
        self, mouse: str, *, position_um: Tensor | None, mean_response: Tensor | None
    ) -> None:
        """Start one mouse's readout from what was measured; does nothing by default.

        Parameters
        ----------
        mouse : str
            Whose neurons.
        position_um : float tensor, shape (neuron, 2 or 3), or None
            Cortical positions, micrometers.
        mean_response : float tensor, shape (neuron,), or None
            Mean standardized response of each neuron over the training trials: what it answers
            where nothing drives it.
        """

    def regularizers(self, mouse: str) -> dict[str, Tensor]:
        """Return the penalties on the weights by name; none by default.

        Parameters
        ----------
        mouse : str
            Whose readout.

        Returns
        -------
        dict of str to float tensor
            Differentiable scalars, not yet weighted: ``core`` and ``readout``.
        """
        return {}

    @abstractmethod
    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Predict responses the plain way; differentiable in the stimulus.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, channel[, frame], y, x)
            Standardized stimulus.
        mouse : str
            Whose neurons.
        neurons : int64 tensor, shape (neuron,), optional
            Indices of the asked neurons; all when omitted.
        behavior : float tensor, shape (trial, variable[, frame]), optional
            Standardized behavior.
        pupil_center : float tensor, shape (trial, 2[, frame]), optional
            Standardized gaze.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
            Standardized responses. A movie network may drop leading frames: the frames returned
            are always the last ones.
        """

    def prepare(
        self,
        mouse: str,
        *,
        neurons: Tensor,
        pupil_center: Tensor | None = None,
        lead: Lead | None = None,
    ) -> Predict:
        """Return the same function for fixed neurons and a fixed gaze, as fast as it can be made.

        The plain path is the default; a network that can skip work without changing the answer
        overrides this, and the contract suite holds the two equal.

        Parameters
        ----------
        mouse : str
            Whose neurons.
        neurons : int64 tensor, shape (neuron,)
            Indices of the asked neurons.
        pupil_center : float tensor, shape (2,), optional
            One standardized gaze for all trials.
        lead : Lead, optional
            What comes before every stimulus; movies alone.

        Returns
        -------
        callable
            ``predict(stimulus, behavior)`` with the shapes of :meth:`forward`. Where there is a
            lead, stimulus and behavior begin after it, and so do the responses.
        """

        def predict(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
            gaze = None
            if pupil_center is not None:
                gaze = pupil_center.expand(len(stimulus), -1)
                if self.kind == "movie":
                    gaze = gaze[..., None].expand(-1, -1, stimulus.shape[2])
            answer: Tensor = self(
                stimulus, mouse=mouse, neurons=neurons, behavior=behavior, pupil_center=gaze
            )
            return answer

        return predict if lead is None else self.show_lead(predict, lead)

    def show_lead(self, predict: Predict, lead: Lead) -> Predict:
        """Return a function of what follows a lead from one of whole trials.

        Of the lead only those frames are shown that an answer reaches.
        """

        def predict_after(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
            frames = stimulus.shape[2]
            past = self.reach(lead.frame_count + frames).past
            shown = lead.frame_count if past is None else min(past, lead.frame_count)
            if behavior is not None:
                before = cast(Tensor, lead.states(behavior, shown))
                behavior = torch.cat([before, behavior], dim=2)
            whole = torch.cat([lead.frames(stimulus, shown), stimulus], dim=2)
            return predict(whole, behavior)[..., -frames:]

        return predict_after


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in network.parameters())


def select_neurons(values: Tensor, neurons: Tensor | None, *, axis: int) -> Tensor:
    """Take the asked neurons along one axis; everything when none are named."""
    return values if neurons is None else torch.index_select(values, axis, neurons)
