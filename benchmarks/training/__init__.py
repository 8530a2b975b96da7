"""Parts of benchmarks/train.py: model shapes, rows, the stacks that are compared, and how they are summed up."""
