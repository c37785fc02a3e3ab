"""Export a model with its manifest, and predict with an exported file."""
