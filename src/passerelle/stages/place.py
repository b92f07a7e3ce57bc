"""Where to deploy: known, and refused where it makes no sense, without importing what deploys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passerelle.errors import UsageError

Target = Literal["local", "compose", "kubernetes"]
_TARGET_OF = {"port": "local", "stop": "local", "init": "compose", "overlay": "kubernetes", "image": "kubernetes", "render": "kubernetes"}


@dataclass(frozen=True)
class Place:
    """Where to deploy; each of the options belongs to one target.

    Attributes:
        port: On loopback, for local; 0 for a free one.
        stop: End the service that runs here, for local.
        init: Make the secrets that are missing and start the platform, for compose.
        overlay: Of deploy/kubernetes/overlays, for kubernetes; by default development.
        image: By its digest, for kubernetes; by default the bento's, as it was pushed.
        render: Folder that the manifests are written to, and nothing is deployed, for kubernetes.
        log_columns: Columns of the record that the prediction log holds, in place of those of the settings; for every target.
        registered_model: Whose bento built last is started, or whose service is ended; by default the only one that there is.
    """

    target: Target = "local"
    port: int = 0
    stop: bool = False
    init: bool = False
    overlay: str | None = None
    image: str | None = None
    render: Path | None = None
    log_columns: tuple[str, ...] = ()
    registered_model: str | None = None

    def check(self) -> None:
        """Check that each option that is given belongs to the target.

        Raises:
            UsageError: One belongs to another target, or columns are named for a service that is to end.
        """
        if self.stop and self.log_columns:
            raise UsageError("--log-column belongs to a service that starts, and --stop ends one", hint="passerelle deploy --stop")
        for option, target in _TARGET_OF.items():
            value = getattr(self, option)
            if value and target != self.target:
                message = f"--{option} belongs to --target {target}, and the target is {self.target}"
                raise UsageError(message, hint=_command(self, option))


def _command(place: Place, option: str) -> str:
    """Return the command that takes the option as it was given."""
    if option == "init":
        return "passerelle deploy --target compose --init"
    if option == "stop":
        return "passerelle deploy --target local --stop"
    if option == "port":
        return f"passerelle deploy --target local --port {place.port}"
    if option == "overlay":
        return f"passerelle deploy --target kubernetes --overlay {place.overlay}"
    if option == "render":
        return f"passerelle deploy --target kubernetes --render {place.render}"
    return f"passerelle deploy --target kubernetes --image {place.image}"


@dataclass(frozen=True)
class Stopped:
    """The service that was ended, or None when none ran."""

    address: str | None


def nothing_to_stop(state_dir: Path, registered_model: str | None) -> bool:
    """Return whether no service of the registered model runs here, or none at all.

    Raises:
        SeveralModelsError: Several models are served here, and none was named.
    """
    from passerelle.rollout.service_state import chosen_service  # noqa: PLC0415 - for `--stop` alone

    return chosen_service(state_dir, registered_model) is None
