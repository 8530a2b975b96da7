"""Looking for good values before a training: a learning-rate finder, and a sweep over fields of the recipe."""
