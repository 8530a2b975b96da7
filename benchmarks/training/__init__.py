"""Parts of the benchmarks that train: model shapes, rows, stacks and sums of train.py; adapters of the other two."""
