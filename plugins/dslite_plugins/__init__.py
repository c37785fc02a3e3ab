"""The built-in plugins, found by entry points exactly as a third party's are."""
