"""What other libraries call the keys of a study file, for the hint beside a key that is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from tenfold.errors import nearest

__all__ = ["hint"]

# Our key -> its names in Keras, Lightning, skorch, Transformers, scikit-learn, timm, and in common speech.
_NAMES = {
    "patience": "early_stopping early_stop early_stopping_patience early_stopping_rounds es_patience n_iter_no_change "
    "early_stopping_callback stop_after",
    "lr": "learning_rate learningrate learning_rate_init eta alpha base_lr max_lr initial_lr init_lr step_length",
    "epochs": "max_epochs num_epochs n_epochs nb_epoch nb_epochs num_train_epochs max_iter n_iter iterations max_steps "
    "num_iterations epoch_count training_epochs",
    "batch_size": "batch bs batchsize train_batch_size per_device_train_batch_size minibatch minibatch_size "
    "samples_per_batch",
    "optimizer": "optim optimiser opt solver optimization algorithm",
    "schedule": "lr_scheduler scheduler lr_schedule lr_scheduler_type learning_rate_schedule sched lr_policy",
    "weight_decay": "wd l2 l2_penalty weightdecay decay l2_regularization l2_reg reg_lambda",
    "clip": "grad_clip gradient_clip gradient_clip_val max_grad_norm clip_grad_norm clip_grad clipnorm clip_norm "
    "global_clipnorm gradient_clipping",
    "gamma": "lr_decay factor decay_rate lr_gamma decay_factor",
    "step_epochs": "step_size lr_step step decay_epochs milestones",
    "plateau_epochs": "lr_patience plateau_patience reduce_lr_patience patience_epochs",
    "augment": "augmentation augmentations data_augmentation transforms transform aug",
    "dtype": "precision floatx torch_dtype fp16 float_type",
    "compile": "torch_compile jit use_compile",
    "nesterov": "nesterovs_momentum nesterov_momentum use_nesterov",
    "class_weights": "class_weight weights sample_weight",
    "repeats": "runs n_runs n_repeats num_runs repetitions n_seeds trials n_trials replicates",
    "seed": "random_state random_seed rng manual_seed seed_everything",
    "folds": "cv n_splits k_folds kfold k_fold n_folds num_folds splits",
    "data": "dataset data_set data_path datapath path root data_dir",
    "metric": "metrics scoring score primary_metric eval_metric objective_metric metric_for_best_model",
    "validation": "val_split validation_split val_size valid_size validation_fraction val_fraction val validation_size",
    "test_share": "test_size test_fraction test_split test_ratio",
    "size": "img_size image_size input_size resize resolution",
    "window": "window_size window_length seq_len sequence_length timesteps n_steps",
    "overlap": "stride hop hop_length window_overlap",
    "standardise": "standardize normalise normalize scaling",
    "pixels": "normalise normalize scaling standardize standardise",
    "kind": "type task name task_type",
    "module": "model class type architecture arch net network",
    "models": "model networks nets estimators",
    "sweep": "grid param_grid search params",
    "title": "heading caption",
    "similarity": "distance_metric similarity_metric",
    "distance": "metric distance_metric",
    "mining": "miner miner_type",
    "margin": "triplet_margin",
    "candidates": "n_way ways",
    "shots": "n_shot k_shot",
    "query_sets": "episodes n_episodes",
}
_OURS: dict[str, list[str]] = {}
for _our, _names in _NAMES.items():
    for _name in _names.split():
        _OURS.setdefault(_name, []).append(_our)


def hint(key: str, known: Collection[str], elsewhere: Mapping[str, Collection[str]] = MappingProxyType({})) -> str:
    """The end of a message for an unknown key: its name here, the table it is in, the nearest key, or the list of all.

    Args:
        key: the unknown one.
        known: keys of the table that it is in.
        elsewhere: keys of other tables, by the table's name.
    Example:
        >>> hint("early_stopping", ["patience", "lr"]), hint("patince", ["patience", "lr"])
        ("did you mean 'patience'?", "did you mean 'patience'?")
        >>> hint("max_epochs", ["kind", "data"], {"[train]": ["epochs"]})
        "did you mean 'epochs' in [train]?"
    """
    plain = key.lower().replace("-", "_")
    names = (plain, *_OURS.get(plain, ()))
    for name in names:
        if name in known:
            return f"did you mean '{name}'?"
    for table, keys in elsewhere.items():
        for name in names:
            if name in keys:
                return f"it is a key of {table}" if name == key else f"did you mean '{name}' in {table}?"
    return nearest(key, known)
