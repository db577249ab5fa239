"""The subcommands of this package, one module each."""
