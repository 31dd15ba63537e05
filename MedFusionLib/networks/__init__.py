"""Networks, one a file, each with its configuration: built by the methods that fuse with them and by their training."""
