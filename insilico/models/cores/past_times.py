"""What a causal transformer keeps of the times that came before a stimulus."""

from __future__ import annotations

import torch
from torch import Tensor

from insilico.models.cores.parts import CPU_TOKENS, GPU_TOKENS, cut
from insilico.models.cores.vivit_blocks import KeysValues, RegisteredTransformer


class PastTimes:
    """The times of a lead: keys and values of some patches, and the frames at its end.

    Parameters
    ----------
    transformer : RegisteredTransformer
        Over the times of a patch, causal.
    tokens : float tensor, shape (patch, time, channel)
        Of the lead, as they enter the transformer.
    movie : float tensor, shape (1, channel, frame, y, x)
        Last frames of the lead, padded, that patches of later times begin in.
    state : float tensor, shape (1, variable, frame), or None
        Of these frames.
    kept_bytes : int
        Most bytes of keys and values that are kept; those of further patches are computed anew.

    Attributes
    ----------
    count : int
        Number of times.
    """

    def __init__(
        self,
        transformer: RegisteredTransformer,
        tokens: Tensor,
        *,
        movie: Tensor,
        state: Tensor | None,
        kept_bytes: int,
    ) -> None:
        self._transformer = transformer
        self._tokens = tokens
        self._movie, self._state = movie, state
        self.count = tokens.shape[1]
        self._kept: list[KeysValues] = []
        self._keep(kept_bytes)

    def join(self, movie: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return a padded movie, and its state, after the last frames of the lead."""
        before = self._movie.to(movie.dtype).expand(len(movie), *self._movie.shape[1:])
        movie = torch.cat([before, movie], dim=2)
        if state is None or self._state is None:
            return movie, None
        states = self._state.to(state.dtype).expand(len(state), *self._state.shape[1:])
        return movie, torch.cat([states, state], dim=2)

    def keys_values(self, patches: slice) -> list[KeysValues]:
        """Return keys and values (patch, head, time, channel) of some patches, block by block."""
        if self._kept and patches.stop <= len(self._kept[0][0]):
            return [(keys[patches], values[patches]) for keys, values in self._kept]
        with torch.inference_mode(False), torch.no_grad():
            return self._transformer.remember(self._tokens[patches])

    def _keep(self, kept_bytes: int) -> None:
        tokens = self._tokens
        if not len(tokens):
            return
        sample = self._transformer.remember(tokens[:1])
        bytes_each = sum(part.numel() * part.element_size() for pair in sample for part in pair)
        kept = min(len(tokens), kept_bytes // max(1, bytes_each))
        if kept == 0:
            return
        self._kept = [
            (
                keys.new_empty((kept, *keys.shape[1:])),
                values.new_empty((kept, *values.shape[1:])),
            )
            for keys, values in sample
        ]
        at_once = CPU_TOKENS if tokens.device.type == "cpu" else GPU_TOKENS
        for span in cut(kept, at_once // self.count):
            found = self._transformer.remember(tokens[span])
            for (keys, values), (new_keys, new_values) in zip(self._kept, found, strict=True):
                keys[span], values[span] = new_keys, new_values


def distinct_times(changes: Tensor, *, length: int, stride: int) -> tuple[list[slice], Tensor]:
    """Find times whose patches hold the same frames as those of the time before.

    Parameters
    ----------
    changes : bool tensor, shape (frame - 1,)
        Whether each frame but the first differs from the one before it.
    length, stride : int
        Frames of a patch, and from one time to the next.

    Returns
    -------
    runs : list of slice
        Consecutive times that differ from the one before; the first time always does.
    source : int64 tensor, shape (time,)
        For each time its place among the times of all runs.
    """
    # A frame and the one a stride later are told apart by the changes in between.
    steps = changes.unfold(0, stride, 1).any(dim=1) if len(changes) >= stride else changes[:0]
    windows = steps.unfold(0, length, stride).any(dim=1) if len(steps) >= length else steps[:0]
    is_new = torch.cat([windows.new_ones(1), windows])
    source = is_new.cumsum(0) - 1
    starts = torch.nonzero(is_new)[:, 0].tolist()
    runs: list[slice] = []
    for start in starts:
        if runs and runs[-1].stop == start:
            runs[-1] = slice(runs[-1].start, start + 1)
        else:
            runs.append(slice(start, start + 1))
    return runs, source
