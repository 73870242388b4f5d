"""What to do when memory runs out."""

from __future__ import annotations

import torch

from insilico.errors import TrainingError

#: Parts of messages of errors that have no class of their own. CPU allocator, MPS allocator, and
#: the CUDA libraries that allocate by themselves.
_MESSAGES = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "MPS backend out of memory",
    "Invalid buffer size",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


#: Shorter pieces of movies are hardly more than the temporal kernels (ViV1T-closed-loop refuses
#: pieces of 50 frames and fewer).
LEAST_CROP_FRAMES = 51


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _MESSAGES)


def out_of_memory_advice(
    error: BaseException,
    *,
    micro_batch_size: int,
    crop_frames: int = 0,
    checkpoint_activations: bool = False,
    precision: str = "float32",
) -> TrainingError | None:
    """Turn an error of memory into advice on which setting of the recipe to change.

    Parameters
    ----------
    error : BaseException
        What was raised.
    micro_batch_size : int
        Trials that pass through the network at once: the batch where there is no micro-batch.
    crop_frames : int
        Frames of a movie that pass at once; 0 for whole movies, and for images.
    checkpoint_activations : bool
        Whether activations are already computed again in the backward pass.
    precision : {"float32", "bfloat16"}
        In which the network computes.

    Returns
    -------
    TrainingError or None
        To be raised. It names the first setting that can still be lowered. None where the error
        has nothing to do with memory.
    """
    if not is_out_of_memory(error):
        return None
    anew = " and give a new run folder"  # they decide the weights, so this run cannot go on
    if micro_batch_size > 1:
        advice = f"set micro_batch_size to {micro_batch_size // 2}{anew}"
    elif crop_frames // 2 >= LEAST_CROP_FRAMES:
        advice = f"set crop_frames to {crop_frames // 2}{anew}"
    elif not checkpoint_activations:
        advice = "set checkpoint_activations to true and add --resume"
    elif precision == "float32":
        advice = f'set precision to "bfloat16"{anew}'
    else:
        advice = "train a smaller network, or take a device with more memory"
    device = "this machine" if _is_on_cpu(error) else "the accelerator"
    trials = f"{micro_batch_size} trial{'s' if micro_batch_size > 1 else ''}"
    pieces = f" of {crop_frames} frames" if crop_frames else ""
    return TrainingError(f"{device} ran out of memory with {trials}{pieces} at once; {advice}")


def _is_on_cpu(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
