"""``python -m passerelle`` and the console script."""

from __future__ import annotations

import gc

#: New objects after which the interpreter looks for garbage: modules are made of millions, and none of them is garbage.
_NEW_OBJECTS = 100_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_NEW_OBJECTS)
    # Imported here: the package itself stays importable without the workbench.
    from passerelle.cli.main import run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
