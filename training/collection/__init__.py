"""The reference collection: structures that the project generates and labels itself."""
