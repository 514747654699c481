"""The shell that chains notebooks: kernels, scraps, runner, reports, command line."""
