"""Built-in targets: places where files are run and measured."""
