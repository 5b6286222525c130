"""Many processes, one gradient: launchers and process groups; the door to torch.distributed."""
