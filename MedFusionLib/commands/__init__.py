"""The commands of the terminal, one a file: each adds its flags to the parser and runs."""
