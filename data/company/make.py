"""Writes the demo company's data beside this file: ``python data/company/make.py [--seed 20]``."""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from data.generator.export import export  # noqa: E402  (the project's root has to be on the path first)


def main() -> None:
    """Generates the files and prints what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20, help="another seed gives another company (default: 20)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: beside this file)")
    given = parser.parse_args()
    counts = export(given.out, given.seed)
    width = max(map(len, counts))
    for name, count in counts.items():
        print(f"{name:<{width}}  {count:>6,}")


if __name__ == "__main__":
    main()
