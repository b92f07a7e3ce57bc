"""How the command line asks a running service."""

from __future__ import annotations

from pydantic import Field, SecretStr

from passerelle.settings import Settings


class ClientSettings(Settings):
    """How the command line asks a running service."""

    api_key: SecretStr | None = Field(
        default=None, description="API key that `monitor` and `deploy` send; needed where the service asks for one."
    )
    service_address: str | None = Field(
        default=None, description="Address of the service for `monitor` and `status`; by default the one that `deploy` started here."
    )
    demo_text: str = Field(default="Aucune réponse depuis trois mois", description="Text that `demo` sends to the service.")
