"""Built-in augmenters: a plugin; what each does stands in the modules beside.

All are functions ``(images, labels, strength, seed, options) -> (images, labels)`` as `dslite.records.Augmenter`
describes them, frequency along the height of the pictures, time along their width. Shapes and ranges stay; an option
out of the range that its function names raises `SpecError`.
"""

from collections.abc import Iterable

from dslite import hookimpl
from dslite.records import Augmenter, Option
from dslite_plugins.augmenters.distorting import noise, stretch, timeshift
from dslite_plugins.augmenters.masking import specaugment
from dslite_plugins.augmenters.mixing import cutmix, mixup

_SIZE = "Pixels at strength 1; cut to the picture's."


@hookimpl
def dslite_augmenters() -> Iterable[Augmenter]:
    """Give the built-in augmenters; default sizes are the paper's (section 3.2)."""
    return [
        Augmenter(
            name="cutmix",
            apply=cutmix,
            source="Yun et al., CutMix, ICCV 2019, https://arxiv.org/abs/1905.04899",
            options=(Option("size", 56, f"Side of the square patch. {_SIZE}"),),
        ),
        Augmenter(
            name="mixup",
            apply=mixup,
            source="Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, https://arxiv.org/abs/1710.09412",
            options=(Option("alpha", 0.4, "Of the Beta distribution of shares: the higher, the nearer to halves."),),
        ),
        Augmenter(
            name="noise",
            apply=noise,
            source="Bishop, Training with Noise is Equivalent to Tikhonov Regularization, Neural Computation 7, 1995",
            options=(Option("deviation", 25.0, "Standard deviation at strength 1, of a range of 255."),),
        ),
        Augmenter(
            name="specaugment",
            apply=specaugment,
            source="Park et al., SpecAugment, Interspeech 2019, https://arxiv.org/abs/1904.08779",
            options=(
                Option("size", 67, f"Width of a mask. {_SIZE}"),
                Option("time_masks", 1, "Masks along time, each of this width."),
                Option("frequency_masks", 1, "Masks along frequency, likewise."),
            ),
        ),
        Augmenter(
            name="stretch",
            apply=stretch,
            source="Ko et al., Interspeech 2015 (tempo); Jaitly and Hinton, ICML workshop, 2013 (frequencies)",
            options=(
                Option("time", 0.15, "Share of the duration added or taken, at most."),
                Option("frequency", 0.10, "Share of each frequency added or taken, at most."),
                Option("time_shift", 0.15, "Share of the width moved by, at most, either way."),
                Option("frequency_shift", 0.05, "Share of the height moved by, at most, either way."),
            ),
        ),
        Augmenter(
            name="timeshift",
            apply=timeshift,
            source="Salamon and Bello, IEEE Signal Processing Letters 24(3), 2017, https://arxiv.org/abs/1608.04363",
            options=(Option("size", 67, f"Farthest shift, either way. {_SIZE}"),),
        ),
    ]
