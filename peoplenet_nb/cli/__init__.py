"""The shell command `peoplenet-nb`, also started by ``python -m peoplenet_nb.cli``."""
