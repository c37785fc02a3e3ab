"""Measure a file: protocol, memory, statistics, and the loop over files and targets."""
