"""``python -m passerelle`` and the console script."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    # Imported here: the package itself stays importable without the workbench.
    from passerelle.cli.main import run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
