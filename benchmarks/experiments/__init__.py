"""One module an experiment, each with an `EXPERIMENT` whose parts make rows; the file is its name on the command line."""
