"""The experiments of the paper, one module each: HELP, configure(parser), run(args), and a function for notebooks."""
