"""Whether image directories are fit to train on: what is wrong with them, file by file."""
