"""Options of ViV1T-closed-loop with their published values, as ``args.yaml`` lists them.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): train.py for names and defaults;
README.md for the published run (causal attention, schedule-free).
"""

from __future__ import annotations

from typing import Any

_DATA = {
    "center_crop": 1.0,
    "data_dir": "data",
    "limit_data": None,
    "limit_neurons": None,
    "num_workers": 2,
    "output_dir": "runs/example",
    "transform_input": 1,
    "transform_output": 1,
}
_TRAINING = {
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_eps": 1e-8,
    "adam_r": 0.0,
    "adam_warmup_steps": 400,
    "adam_weight_lr_power": 2.0,
    "autocast": "auto",
    "batch_size": 1,
    "clip_grad": -1,
    "compile": False,
    "criterion": "poisson",
    "deterministic": False,
    "device": "cpu",
    "ds_scale": 1,
    "epochs": 400,
    "grad_checkpointing": 0,
    "micro_batch_size": 1,
    "pretrained_core": None,
    "restore": None,
    "schedule_free": True,
    "seed": 1234,
}
_RUN = {
    "clear_output_dir": False,
    "git_hash": "e2b07c1",
    "hostname": "workstation",
    "verbose": 1,
    "wandb": None,
    "wandb_id": None,
}
COMMON: dict[str, Any] = {**_DATA, **_TRAINING, **_RUN, "shifter_mode": 1, "output_mode": 1}

_BASELINE = {"lr": 0.005, "core_lr": None, "weight_decay": 0.0, "core_weight_decay": 0.0}

CORES: dict[str, dict[str, Any]] = {
    "vivit": {
        "lr": 0.0073,
        "core_lr": 0.0126,
        "weight_decay": 0.6893,
        "core_weight_decay": 0.0783,
        "core_activation": "none",
        "core_behavior_mode": 2,
        "core_drop_path": 0.43,
        "core_emb_dim": 112,
        "core_ff_activation": "relu",
        "core_ff_dim": 224,
        "core_ff_dropout": 0.21,
        "core_flash_attention": 1,
        "core_head_dim": 80,
        "core_mha_dropout": 0.04,
        "core_norm": "layernorm",
        "core_norm_qk": False,
        "core_num_heads": 2,
        "core_p_dropout": 0.17,
        "core_pad_frame": 1,
        "core_parallel_attention": True,
        "core_patch_mode": 0,
        "core_pos_encoding": 5,
        "core_reg_tokens": 24,
        "core_spatial_depth": 14,
        "core_spatial_patch_size": 7,
        "core_spatial_patch_stride": 2,
        "core_temporal_depth": 14,
        "core_temporal_patch_size": 13,
        "core_temporal_patch_stride": 1,
        "core_use_causal_attention": True,
    },
    "fcnn": {
        **_BASELINE,
        "core_behavior_mode": 2,
        "core_dropout": 0.0,
        "core_hidden_dim": 16,
        "core_linear": False,
        "core_num_layers": 4,
        "core_spatial_hidden_kernel": 5,
        "core_spatial_input_kernel": 11,
        "core_temporal_hidden_kernel": 5,
        "core_temporal_input_kernel": 11,
    },
    "v1t": {
        "lr": 0.001647,
        "core_lr": None,
        "weight_decay": 0.3939,
        "core_weight_decay": 0.1789,
        "core_behavior_mode": 3,
        "core_disable_bias": False,
        "core_drop_path": 0.0,
        "core_emb_dim": 155,
        "core_flash_attention": 1,
        "core_mlp_dim": 488,
        "core_num_blocks": 4,
        "core_num_heads": 4,
        "core_p_dropout": 0.0229,
        "core_patch_size": 8,
        "core_patch_stride": 1,
        "core_t_dropout": 0.2544,
    },
    "linear": {**_BASELINE, "core_behavior_mode": 1},
    "gru_baseline": {
        **_BASELINE,
        "core_behavior_mode": 1,
        "core_cnn_filters": 8,
        "core_cnn_hidden_kernel": 7,
        "core_cnn_input_kernel": 9,
        "core_cnn_layers": 4,
        "core_linear": False,
        "core_momentum": 0.9,
        "core_rnn_input_kernel": 9,
        "core_rnn_kernel": 9,
        "core_rnn_size": 64,
        "core_rotations": 8,
    },
}

#: Asked for by gru_baseline, defined by no option of the training script.
UNDEFINED = {"core_cnn_input_reg", "core_cnn_hidden_reg", "core_rnn_reg"}

#: Sizes that are fast to test. A stride of 4 also shows the wrong grid that v1t guesses.
SMALL: dict[str, dict[str, Any]] = {
    "vivit": {
        "core_emb_dim": 24,
        "core_ff_dim": 48,
        "core_head_dim": 16,
        "core_reg_tokens": 4,
        "core_spatial_depth": 2,
        "core_temporal_depth": 2,
    },
    "fcnn": {"core_hidden_dim": 4},
    "v1t": {
        "core_emb_dim": 20,
        "core_mlp_dim": 32,
        "core_num_blocks": 2,
        "core_num_heads": 2,
        "core_patch_stride": 4,
    },
    "linear": {},
    "gru_baseline": {
        "core_cnn_filters": 2,
        "core_cnn_layers": 3,
        "core_rnn_size": 8,
        "core_rotations": 4,
    },
}

READOUTS: dict[str, dict[str, Any]] = {
    "gaussian": {"readout_bias_mode": 2, "readout_grid_mode": 1},
    "factorized": {"readout_bias_mode": 2, "readout_dropout": 0.0},
    "attention": {"readout_bias_mode": 2, "readout_emb_dim": 128},
    "conv": {"readout_dropout": 0.0, "readout_groups": 1},
    "linear": {},
}
