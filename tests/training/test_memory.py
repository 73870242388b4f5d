"""Errors of memory, as devices word them, and the advice they turn into."""

import pytest
import torch

from insilico.errors import TrainingError
from insilico.training.memory import is_out_of_memory, out_of_memory_advice

HERE = [
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
]
THERE = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17 GB, other allocations: 1 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", HERE + THERE)
def test_errors_of_memory_become_advice_on_where_it_ran_out(error):
    advice = out_of_memory_advice(error, micro_batch_size=16, crop_frames=80)
    assert isinstance(advice, TrainingError)
    device = "this machine" if error in HERE else "the accelerator"
    assert str(advice) == (
        f"{device} ran out of memory with 16 trials of 80 frames at once; "
        "set micro_batch_size to 8 and give a new run folder"
    )


def test_allocator_of_this_machine_is_recognized():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")]
)
def test_other_errors_are_left_alone(error):
    assert out_of_memory_advice(error, micro_batch_size=16) is None


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (
            {"micro_batch_size": 3},
            "with 3 trials at once; set micro_batch_size to 1 and give a new run folder",
        ),
        (
            {"micro_batch_size": 1, "crop_frames": 300},
            "with 1 trial of 300 frames at once; set crop_frames to 150 and give a new run folder",
        ),
        (
            {"micro_batch_size": 1, "crop_frames": 60},
            "set checkpoint_activations to true and add --resume",
        ),
        (
            {"micro_batch_size": 1},
            "with 1 trial at once; set checkpoint_activations to true and add --resume",
        ),
        (
            {"micro_batch_size": 1, "checkpoint_activations": True},
            'set precision to "bfloat16" and give a new run folder',
        ),
        (
            {"micro_batch_size": 1, "checkpoint_activations": True, "precision": "bfloat16"},
            "train a smaller network, or take a device with more memory",
        ),
    ],
)
def test_advice_names_the_first_setting_that_can_still_be_lowered(options, advice):
    assert str(out_of_memory_advice(MemoryError(), **options)).endswith(advice)
