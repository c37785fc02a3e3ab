"""Experiments: which jobs there are, who runs them where, and what becomes of their results."""
