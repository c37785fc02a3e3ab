"""Keep what takes seconds to import off the paths that do not need it. Standard library only."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from dslite.errors import PluginError

HEAVY = (
    "ai_edge_litert",
    "ai_edge_quantizer",
    "jax",
    "keras",
    "librosa",
    "matplotlib",
    "numba",
    "pandas",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
    "torch",
)
"""Packages that belong inside the functions that need them, never at the top of a plugin."""


class _Refusal(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Take heavy packages that are there, to refuse them; asking whether one is there stays free."""
        if fullname.partition(".")[0] not in HEAVY or PathFinder.find_spec(fullname, path, target) is None:
            return None  # the next finder is asked
        return ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Refuse the import."""
        package = module.__name__.partition(".")[0]
        raise PluginError(
            f"it imports {package} as it is loaded, which takes seconds: "
            "move that import into the function that needs it"
        )


@contextmanager
def heavy_imports_refused() -> Iterator[None]:
    """While the block runs, importing one of `HEAVY` raises `PluginError`, unless it has been imported before."""
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)
