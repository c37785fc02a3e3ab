"""What makes a figure doubtful, whatever it was measured on; a target adds what it alone knows."""


def threads_exceed_cores(threads: int, n_cores: int) -> str:
    """Say that a runtime has more threads than cores to run on; empty where it has not, or that is not known.

    Args:
        threads: of the runtime.
        n_cores: that they may run on; 0: unknown.
    """
    if not n_cores or threads <= n_cores:
        return ""
    cores = "core" if n_cores == 1 else "cores"
    return f"{threads} threads on {n_cores} {cores}: they wait for each other, which costs time"
