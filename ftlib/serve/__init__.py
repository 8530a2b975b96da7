"""A finished run for others: behind an endpoint (`ftlib serve`), and on a page to try it (`ftlib demo`)."""
