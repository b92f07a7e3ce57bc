"""What `passerelle bundle` wrote or installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output, relative

if TYPE_CHECKING:
    from passerelle.stages.bundle import Bundled

_MIB = 1 << 20


def bundled(output: Output, found: Bundled) -> None:
    """Show the archive, or what is here now, and what to type next."""
    planned = "is whole, and would be used" if found.wheels else "would be written"
    verb = planned if found.dry_run else "is installed" if found.wheels_folder else "is written"
    output.line(f"{relative(found.path)} {verb}: {len(found.images)} images, {found.wheels} wheels, {found.size_bytes / _MIB:,.0f} MiB")
    output.line(f"  {'signed' if found.signed else 'not signed'}, {found.seconds:.0f} s")
    for name in found.images:
        output.line(f"  {name}" + (", in the place of another one" if name in found.replaced else ""))
    if found.wheels_folder is not None:
        output.next_commands("passerelle deploy --target compose --init")
        output.line(f"  passerelle containerize --wheels {relative(found.wheels_folder)} builds further images without a network")
    output.result(found)
