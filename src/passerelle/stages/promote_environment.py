"""What an adopted version needs before the gate can score it: its environment, and what is known of its signature."""

from __future__ import annotations

from passerelle.environments.environment import ensure
from passerelle.gate.held_out import VersionFiles
from passerelle.model.adoption import LOCK_FILE
from passerelle.model.verify import check_signature
from passerelle.names import MANIFEST
from passerelle.registry.client import Registry
from passerelle.registry.sign import stored_signature
from passerelle.settings import LoadingSettings, SigningSettings


def prepared(registry: Registry, signing: SigningSettings | None, files: VersionFiles) -> bool:
    """Make the environment of the version where it is missing, and return whether its signature was verified.

    Raises:
        SignatureError: A signature is required, and there is none by a key of the operator's.
        OutsideError: The environment cannot be made.
    """
    signer = None
    if signing is not None:
        manifest, signature = registry.read_json(files.ref.run_id, MANIFEST), stored_signature(registry, files.ref.run_id)
        signer = check_signature(manifest, signature, signing, of=str(files.ref), run_id=files.ref.run_id)
    if files.adoption is not None:
        ensure(files.folder.parent / LOCK_FILE, files.adoption.python, LoadingSettings.read())
    return signer is not None
