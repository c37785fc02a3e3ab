"""Several plugins named at once: ``all``, comma-separated lists, and patterns."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from dslite.errors import SpecError
from dslite.loading import Kind
from dslite.registry import get_with_options, parse_name, registry

ALL, NONE = "all", "none"


def select(kind: Kind, texts: Sequence[str]) -> list[str]:
    """Turn what the user named into names with options, each once, in the order they were named.

    Args:
        kind: of plugins.
        texts: each a comma-separated list of names, patterns of the shell (``*``, ``?``, ``[]``) or ``all``,
            which may carry options: ``mobilenet*:alpha=0.5,squeezenet_v1``.

    Raises:
        UnknownNameError: where a name or an option does not exist.
        SpecError: where nothing fits a pattern.
    """
    names = [name for text in texts for item in split(text) for name in _matching(kind, item)]
    if texts and not names:
        raise SpecError(f"expected the name of a {kind[:-1]}, got {', '.join(map(repr, texts))}: `dslite list {kind}`")
    for name in names:
        get_with_options(kind, name)
    return list(dict.fromkeys(names))


def split(text: str) -> list[str]:
    """Split a list at its commas, but not at those between the options of one name."""
    items: list[str] = []
    for piece in text.split(","):
        before, equals, _ = piece.partition("=")
        if items and equals and ":" not in before and ":" in items[-1]:
            items[-1] += f",{piece}"
        else:
            items.append(piece.strip())
    return [item for item in items if item]


def _matching(kind: Kind, item: str) -> list[str]:
    name, _ = parse_name(item)
    options = item.removeprefix(name)
    known = registry().names(kind)
    if name == ALL:
        return [f"{one}{options}" for one in known]
    if not set(name) & set("*?["):
        return [item]
    found = [f"{one}{options}" for one in known if fnmatchcase(one, name)]
    if not found:
        raise SpecError(f"no {kind[:-1]} fits the pattern {name!r}: there are {', '.join(known) or 'none'}")
    return found


def chains(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Turn what the user named into compressors to be applied in turn, each with its options.

    Raises:
        UnknownNameError: where a name or an option does not exist.
        SpecError: where a chain has an empty link.
    """
    found = []
    for chain in (item for text in texts for item in split(text)):
        links = _links(chain)
        if links == (NONE,):
            continue
        if NONE in links:
            raise SpecError(f"--compressor {chain}: none stands alone: it is the model as it was trained")
        if "" in links:
            raise SpecError(f"--compressor {chain}: expected a name on either side of each +, as in prune+qat")
        for link in links:
            get_with_options("compressors", link)
        found.append(links)
    return list(dict.fromkeys(found))


def _links(chain: str) -> tuple[str, ...]:
    """Split a chain at what joins its compressors: behind options, only a + before the name of one does."""
    known = {*registry().names("compressors"), NONE, ""}  # so a value may have one in it: ``rate=1e+3``
    links: list[str] = []
    for piece in chain.split("+"):
        if links and ":" in links[-1] and piece.partition(":")[0] not in known:
            links[-1] += f"+{piece}"
        else:
            links.append(piece)
    return tuple(links)
