"""Backbone, head and front end put together as one Keras model."""
