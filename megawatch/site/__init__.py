"""A site on disk: its file, secrets, data folder and identity."""
