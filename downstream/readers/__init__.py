"""What several recipes have in common in reading their files."""
