"""What may be loaded from an artifact: no code, no links, and a limited size."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, UntrustedTypeError
from passerelle.settings import LoadingSettings, StateSettings

_TRUSTED_BUILTINS = frozenset(
    f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "range", "set", "slice", "str", "tuple")
) | {"collections.defaultdict", "collections.OrderedDict"}
#: Parts of scikit-learn, numpy and scipy that run, read or build what their arguments say.
_ACTING_MODULES = frozenset(
    {"testing", "tests", "f2py", "distutils", "externals", "ctypeslib", "_datasource", "npyio", "_npyio_impl", "io", "datasets", "conftest"}
)
_HARMLESS_FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")
_LARGEST_UNPACKED_BYTES = 4 << 30
#: What the readers of a broken file raise. RuntimeError: recursion without end, or what a zip archive says that Python cannot unpack.
UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, EOFError, RuntimeError, MemoryError, SyntaxError,
    struct.error, zlib.error, pickle.UnpicklingError,
)  # fmt: skip


def refuse_links(folder: Path) -> None:
    """Refuse a directory that holds a symbolic link or anything but files and folders.

    Raises:
        IntegrityError: Names the entry.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UntrustedTypeError(f"the model holds {path.relative_to(folder)}, which is neither a file nor a folder", hint=TRAIN_AGAIN)


def refuse_pickle(form: str) -> None:
    """Check that the operator trusts pickles.

    Raises:
        IntegrityError: The operator does not, or this is production.
    """
    message = f"the model is saved as {form}, which runs code when it is loaded"
    if not LoadingSettings.read().trust_pickle:
        way_out = "log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise UntrustedTypeError(f"{message}; {way_out}, or trust pickles in development alone", hint="export PASSERELLE_TRUST_PICKLE=true")
    if StateSettings.read().environment == "production":
        way_out = "log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise UntrustedTypeError(f"{message}: pickles are not trusted in production; {way_out}", hint="unset PASSERELLE_TRUST_PICKLE")


def trusted(type_name: str, operators: str = "sklearn,numpy,scipy") -> bool:
    """Return whether the operator trusts a type, by its full name.

    A package is trusted for its classes: a function, such as `numpy.load`, would be called with what the artifact says.

    Args:
        operators: Packages and full names, with commas between.
    """
    names = {name.strip() for name in operators.split(",") if name.strip()}
    if type_name in _TRUSTED_BUILTINS or type_name in names:
        return True
    *folders, last = type_name.split(".")
    is_class = last.lstrip("_")[:1].isupper() or type_name.startswith(_HARMLESS_FUNCTIONS)
    below = any(type_name.startswith(f"{name}.") for name in names)
    return below and is_class and not _ACTING_MODULES & set(folders)


def refuse_bombs(path: Path) -> None:
    """Refuse an archive that unpacks to more than a model can be.

    Raises:
        IntegrityError: It is not a zip archive, or too much is in it.
    """
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, *UNREADABLE) as error:
        raise DamagedFileError(f"{path.name} is not a skops file", hint=TRAIN_AGAIN) from error
    if size_bytes > _LARGEST_UNPACKED_BYTES:
        raise UntrustedTypeError(f"{path.name} unpacks to {size_bytes >> 20} MiB", hint=TRAIN_AGAIN)
