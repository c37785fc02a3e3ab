"""The cases of an experiment."""

from collections.abc import Sequence

from dslite.cli.data import DataRequest
from dslite.errors import SpecError
from dslite.experiment import building, jobs
from dslite.experiment.compression import Trial
from dslite.experiment.jobs import Case
from dslite.learn.dataset import Split
from dslite.report.comparison import BASE


def trial_cases(
    system: building.System,
    chains: Sequence[tuple[str, ...]],
    exporters: Sequence[str],
    targets: Sequence[str],
    data: DataRequest,
    data_key: str,
    split: Split,
) -> list[Case]:
    """Give every combination, chain by chain; before all, the model as it was trained as a float32 file.

    Args:
        system: the trained one.
        chains: compressors that are applied in turn; an empty one is the model as it is.
        exporters: names and options.
        targets: likewise.
        data: where the table is.
        data_key: hash of what is in it.
        split: to be scored.

    Raises:
        SpecError: where no target runs what an exporter makes, or the float32 file that all is compared with.
    """
    try:
        jobs.targets_for(building.get_exporter(BASE)[0].suffix, targets)
    except SpecError as error:
        raise SpecError(f"{error}; rows are compared with the {BASE} file: name --target host-litert too") from None
    audio_dir = None if data.audio_dir is None else str(data.audio_dir)
    found = []
    for chain in [(), *(chain for chain in chains if chain)]:
        trial = Trial(str(data.path), audio_dir, data.split_seed, data_key, split, chain)
        for exporter in exporters if chain else dict.fromkeys([BASE, *exporters]):
            able = jobs.targets_for(building.get_exporter(exporter)[0].suffix, targets)
            found += [Case(target, None, system, "whole", exporter, (), trial) for target in able]
    return found
