"""Learning from labelled audio: data sets, training, augmentation policy, evaluation, features and the baseline."""
