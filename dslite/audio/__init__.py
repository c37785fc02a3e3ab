"""Audio files to chunks, chunks to spectrogram pictures."""
