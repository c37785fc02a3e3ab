"""What a system is made of and how it is trained, as data. `REFERENCE` is the published system.

Source of every reference value: S. Amiriparian et al., "DeepSpectrumLite: A Power-Efficient Transfer Learning
Framework for Embedded Speech and Audio Processing From Decentralized Data", Frontiers in Artificial Intelligence
5:856232, 2022, section 2.1 and Table 2. What the paper leaves open is marked so below.
"""

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from dslite.errors import SpecError

ColourMap = Literal["viridis", "cividis", "inferno", "magma", "plasma", "none"]
Resize = Literal["bilinear", "nearest"]
MelScale = Literal["slaney", "htk"]
Short = Literal["pad", "drop"]
Optimizer = Literal[
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "nadam", "rmsprop", "sgd"
]
ClassWeights = Literal["balanced", "none"]
Schedule = Literal["constant", "cosine"]
Precision = Literal["float32", "bfloat16"]
Keep = Literal["best", "last"]
Losses = Literal["forward", "last-visit"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SpecError(message)


def _require_choices(spec: object) -> None:
    """Check each field that has its values listed in its type."""
    for name, annotation in get_type_hints(type(spec)).items():
        if get_origin(annotation) is Literal:
            value, choices = getattr(spec, name), get_args(annotation)
            _require(value in choices, f"{name}: expected one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class ChunkSpec:
    """How audio is cut into pieces of one length.

    Attributes:
        length_s: of a chunk; 3.0 s is the paper's most common value (Table 2).
        hop_s: from the start of a chunk to the next; None is half the length (open in the paper).
        short: a file shorter than a chunk is padded with zeros at its end, or dropped.
        tail: what is left behind the last whole chunk is padded to one more, or dropped.
    """

    length_s: float = 3.0
    hop_s: float | None = None
    short: Short = "pad"
    tail: Short = "pad"

    def __post_init__(self) -> None:
        _require_choices(self)
        for name, value_s in (("length", self.length_s), ("hop", self.hop_s)):
            within = value_s is None or 0 < value_s <= 3600
            _require(within, f"chunk {name}: expected above 0 and at most 3600 s, got {value_s}")

    def n_samples(self, sample_rate_hz: int) -> int:
        """Count the samples of a chunk."""
        return round(self.length_s * sample_rate_hz)

    def hop_samples(self, sample_rate_hz: int) -> int:
        """Count the samples from a chunk's start to the next."""
        hop_s = self.length_s / 2 if self.hop_s is None else self.hop_s
        return max(1, round(hop_s * sample_rate_hz))


@dataclass(frozen=True, slots=True)
class FrontendSpec:
    """How a chunk becomes a picture.

    Attributes:
        sample_rate_hz: of the audio that goes in.
        window_s: length of the Hann window (periodic).
        hop_s: from a window's start to the next.
        n_fft: points of the Fourier transform; None is the window's length (open in the paper).
        n_mels: Mel bins.
        f_min_hz: lower edge of the lowest Mel filter.
        f_max_hz: upper edge of the highest; None is half the sample rate.
        mel_scale: ``slaney`` as librosa's default, or ``htk`` (open in the paper).
        mel_norm: whether each filter has area 1 (Slaney), as librosa's default (open in the paper).
        power_floor: powers below are raised to it before the logarithm; librosa's ``amin`` (open in the paper).
        top_db: what lies further below a picture's maximum is cut; librosa's default (open in the paper).
        colour_map: by matplotlib's name, or ``none`` for three equal channels.
        size_px: height and width of the picture.
        resize: interpolation from (Mel bins, frames) to the picture.
    """

    sample_rate_hz: int = 16_000
    window_s: float = 0.032
    hop_s: float = 0.016
    n_fft: int | None = None
    n_mels: int = 128
    f_min_hz: float = 0.0
    f_max_hz: float | None = None
    mel_scale: MelScale = "slaney"
    mel_norm: bool = True
    power_floor: float = 1e-10
    top_db: float = 80.0
    colour_map: ColourMap = "viridis"
    size_px: int = 224
    resize: Resize = "bilinear"

    def __post_init__(self) -> None:
        _require_choices(self)
        rate_hz = self.sample_rate_hz
        _require(1000 <= rate_hz <= 384_000, f"sample rate: expected 1000 to 384000 Hz, got {rate_hz}")
        _require(0 < self.window_s <= 60, f"window: expected above 0 and at most 60 s, got {self.window_s}")
        _require(0 < self.hop_s <= 60, f"STFT hop: expected above 0 and at most 60 s, got {self.hop_s}")
        _require(self.window_samples >= 2, f"window: expected at least 2 samples, got {self.window_s} s")
        _require(self.hop_samples >= 1, f"STFT hop: expected at least 1 sample, got {self.hop_s} s")
        _require(
            self.fft_length >= self.window_samples,
            f"n_fft: expected at least the window's {self.window_samples} samples, got {self.n_fft}",
        )
        _require(1 <= self.n_mels <= 1024, f"Mel bins: expected 1 to 1024, got {self.n_mels}")
        _require(
            0 <= self.f_min_hz < self.top_hz <= self.sample_rate_hz / 2,
            f"frequencies: expected 0 <= f_min < f_max <= {self.sample_rate_hz / 2:g} Hz, half the sample rate, "
            f"got {self.f_min_hz:g} to {self.top_hz:g}",
        )
        _require(0 < self.power_floor < 1, f"power floor: expected 0 to 1, got {self.power_floor}")
        _require(0 < self.top_db <= 200, f"top_db: expected 0 to 200 dB, got {self.top_db}")
        _require(8 <= self.size_px <= 4096, f"picture size: expected 8 to 4096 px, got {self.size_px}")

    @property
    def window_samples(self) -> int:
        """Count the samples of a window."""
        return round(self.window_s * self.sample_rate_hz)

    @property
    def hop_samples(self) -> int:
        """Count the samples from a window's start to the next."""
        return round(self.hop_s * self.sample_rate_hz)

    @property
    def fft_length(self) -> int:
        """Give the points of the Fourier transform."""
        return self.window_samples if self.n_fft is None else self.n_fft

    @property
    def top_hz(self) -> float:
        """Give the upper edge of the highest Mel filter."""
        return self.sample_rate_hz / 2 if self.f_max_hz is None else self.f_max_hz

    def n_frames(self, n_samples: int) -> int:
        """Count the whole windows in a chunk (no padding at its edges).

        Raises:
            SpecError: where the chunk is shorter than a window.
        """
        _require(
            n_samples >= self.window_samples,
            f"chunk: expected at least one window of {self.window_s:g} s, got {n_samples} samples",
        )
        return 1 + (n_samples - self.window_samples) // self.hop_samples


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """The small network behind the backbone.

    Attributes:
        n_hidden: units of the hidden layer, activated by AReLU.
        dropout: rate behind the hidden layer.
        output: ``softmax`` for classes, ``linear`` for regression.
    """

    n_hidden: int = 512
    dropout: float = 0.25
    output: Literal["softmax", "linear"] = "softmax"

    def __post_init__(self) -> None:
        _require_choices(self)
        _require(1 <= self.n_hidden <= 65_536, f"hidden units: expected 1 to 65536, got {self.n_hidden}")
        _require(0 <= self.dropout < 1, f"dropout: expected 0 to below 1, got {self.dropout}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole system but for its backbone."""

    chunk: ChunkSpec = ChunkSpec()
    frontend: FrontendSpec = FrontendSpec()
    head: HeadSpec = HeadSpec()

    @property
    def chunk_samples(self) -> int:
        """Count the samples of a chunk.

        Raises:
            SpecError: where a chunk is shorter than a window.
        """
        n_samples = self.chunk.n_samples(self.frontend.sample_rate_hz)
        self.frontend.n_frames(n_samples)
        return n_samples


REFERENCE = Recipe()
"""The published system: every default above. Its backbone is DenseNet121."""


# -- training -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """How a model is trained: first the head alone, then the last layers of the backbone with it.

    The paper's section 2.1 and 3.2; its own settings are in ``dslite/recipes/``.

    Attributes:
        optimizer: by its name in Keras; settings but the learning rate are Keras' defaults.
        learning_rate: of the first phase.
        batch_size: samples (chunks) a step.
        head_epochs: of the first phase, in which the backbone is frozen.
        finetune_epochs: of the second phase.
        finetune_layers: how many of the backbone's last layers learn in the second phase; more than it has: all.
        finetune_rate: the second phase's learning rate, as a share of the first's; the paper's is a tenth.
        schedule: of the learning rate over the steps of a phase: ``constant``, or rising over the first tenth and then
            falling to 0 by a ``cosine``.
        label_smoothing: share of each label that is spread over all classes.
        precision: of convolutions and products while training; ``bfloat16`` is faster where the processor has it
            (AVX-512 BF16, AMX), and changes nothing where it has not. Weights and figures are float32 always.
        class_weights: ``balanced`` weights each class by the inverse of its frequency; ``none`` does not.
        patience: epochs without a better devel score, or an equal one with a lower devel loss, after which a phase
            ends; 0: it never ends early.
        keep: weights of the ``best`` epoch of both phases on devel, or of the ``last``. Without a devel split always
            the last. The second phase begins where the first one ended.
        seed: of head, order, dropout and augmentation.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = 0.001
    batch_size: int = 32
    head_epochs: int = 40
    finetune_epochs: int = 20
    finetune_layers: int = 1000
    finetune_rate: float = 0.1
    schedule: Schedule = "constant"
    label_smoothing: float = 0.0
    precision: Precision = "float32"
    class_weights: ClassWeights = "balanced"
    patience: int = 0
    keep: Keep = "best"
    seed: int = 0

    def __post_init__(self) -> None:
        _require_choices(self)
        _require(0 < self.learning_rate <= 100, f"learning rate: expected above 0 to 100, got {self.learning_rate}")
        _require(1 <= self.batch_size <= 65_536, f"batch size: expected 1 to 65536, got {self.batch_size}")
        for name, epochs in (("head", self.head_epochs), ("fine-tuning", self.finetune_epochs)):
            _require(0 <= epochs <= 1_000_000, f"{name} epochs: expected 0 to 1000000, got {epochs}")
        _require(self.head_epochs + self.finetune_epochs > 0, "epochs: expected one or more, got none in both phases")
        _require(self.finetune_layers >= 0, f"fine-tuned layers: expected 0 or more, got {self.finetune_layers}")
        _require(0 < self.finetune_rate <= 1, f"rate of fine-tuning: expected above 0 to 1, got {self.finetune_rate}")
        _require(0 <= self.label_smoothing < 1, f"label smoothing: expected 0 to below 1, got {self.label_smoothing}")
        _require(self.patience >= 0, f"patience: expected 0 or more epochs, got {self.patience}")
        _require(0 <= self.seed < 2**31, f"seed: expected 0 to {2**31 - 1}, got {self.seed}")


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """Which augmenters change the pictures in training, and how the policy doses them.

    The adapted SapAugment policy of the paper's sections 2.1 and 3.2: the lower a sample's loss among those of its
    batch, the more of it is changed, and the more often.

    Attributes:
        augmenters: names, with options, applied in this order; none: no augmentation.
        a: where among the ranks the strength falls, 0 to 1.
        s: how steeply it falls.
        probability_min: of an augmenter being applied to the sample with the highest loss.
        probability_max: likewise, with the lowest loss.
        losses: from an extra ``forward`` pass over the batch, or of each sample's ``last-visit``, which costs nothing.
    """

    augmenters: tuple[str, ...] = ()
    a: float = 0.5
    s: float = 10.0
    probability_min: float = 0.10
    probability_max: float = 0.25
    losses: Losses = "forward"

    def __post_init__(self) -> None:
        _require_choices(self)
        _require(0 < self.a < 1, f"a of SapAugment: expected between 0 and 1, got {self.a}")
        _require(0 < self.s <= 1000, f"s of SapAugment: expected above 0 to 1000, got {self.s}")
        _require(
            0 <= self.probability_min <= self.probability_max <= 1,
            f"probabilities of augmentation: expected 0 <= min <= max <= 1, "
            f"got {self.probability_min} and {self.probability_max}",
        )


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """All that is needed to train a model on a data set: what a recipe file holds.

    Attributes:
        backbone: name and options; empty where the user must name one.
        weights: it starts from: ``imagenet``, ``none`` (random), or the path of a weight file.
        chunk: how audio is cut.
        frontend: how chunks become pictures.
        head: behind the backbone.
        training: the two phases.
        augmentation: of the pictures in training.
    """

    backbone: str = ""
    weights: str = "imagenet"
    chunk: ChunkSpec = ChunkSpec()
    frontend: FrontendSpec = FrontendSpec()
    head: HeadSpec = HeadSpec()
    training: TrainSpec = TrainSpec()
    augmentation: AugmentSpec = AugmentSpec()

    @property
    def system(self) -> Recipe:
        """Give the part that stays in the trained model."""
        return Recipe(self.chunk, self.frontend, self.head)
