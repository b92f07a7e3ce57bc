"""The columns that `--log-column` names for one deployment."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from passerelle.bentos.store import Store
from passerelle.errors import UsageError
from passerelle.log_settings import LogSettings
from passerelle.model.mlmodel import describe
from passerelle.names import MODEL_FOLDER, BentoTag
from passerelle.settings import StoreSettings, variable_of


def column_setting(store: StoreSettings, bento_tag: BentoTag, named: Sequence[str], *, target: str | None) -> dict[str, str]:
    """Return the setting of the service that logs these columns of the record; nothing where none is named.

    Args:
        target: Of `deploy`, for the hint; None for `up`.

    Raises:
        NotFoundError: The bento's model is gone from the store.
        UsageError: The model's signature has no such column.
    """
    if not named:
        return {}
    setting = LogSettings.read({}, log_column=",".join(named))
    present = describe(Path(Store(store).model_of(bento_tag).path) / MODEL_FOLDER, scorer_alone=True).column_names
    unknown = [f"'{name}'" for name in setting.columns if name not in present]
    if unknown:
        message = f"the model of {bento_tag} has no column {', '.join(unknown)} that could be logged; it has {', '.join(present)}"
        first = shlex.quote(present[0])
        if target is None:
            raise UsageError(message, hint=f"passerelle up --log-column {first}")
        raise UsageError(message, hint=f"passerelle deploy {bento_tag} --target {target} --log-column {first}")
    return {variable_of(LogSettings, "log_column"): ",".join(setting.columns)}
