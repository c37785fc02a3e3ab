"""Take the backbone's weights out of a run, so that a training on other data can begin with them.

    python benchmarks/backbone_weights.py RUN FILE.h5

then ``dslite train ... --weights FILE.h5``.
"""

import sys
from pathlib import Path

from dslite.experiment import building
from dslite.files import written_whole
from dslite.model.surgery import backbone_of


def main() -> None:
    """Write the file."""
    folder, path = sys.argv[1:]
    cnn = building.build(building.trained(Path(folder)), lambda _: None)
    with written_whole(path) as place:
        backbone_of(cnn).save_weights(str(place))


if __name__ == "__main__":
    main()
