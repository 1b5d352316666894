"""Run every benchmark, or those named: `python -m benchmarks [NAME ...]`.

A benchmark that needs a public data set finds it in the folder that PARTWISE_MARKET1501 names, and is passed over
without it.
"""

import importlib
import pkgutil
import sys

import benchmarks


def main() -> None:
    names = sys.argv[1:] or sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name != "__main__")
    for name in names:
        print(f"\n## {name}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
